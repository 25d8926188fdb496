//! Links whose next messages wait until they are released.

use std::collections::BTreeMap;

use super::LinkKey;
use crate::model::{Channels, NodeIx};

/// What a `hold` step holds on one link.
#[derive(Debug)]
struct Hold {
    channels: Channels,
    /// How many more messages; `None`: all.
    left: Option<u64>,
}

/// The links that hold messages.
#[derive(Debug, Default)]
pub(crate) struct Holds(BTreeMap<LinkKey, Vec<Hold>>);

impl Holds {
    /// The next messages of some channels over each of these links wait; all, or `count` of them.
    pub(crate) fn begin(
        &mut self,
        (from, to): (&[NodeIx], &[NodeIx]),
        channels: Channels,
        count: Option<u64>,
    ) {
        for link in links(from, to) {
            let hold = Hold {
                channels,
                left: count,
            };
            self.0.entry(link).or_default().push(hold);
        }
    }

    /// The next messages over these links do not wait.
    pub(crate) fn end(&mut self, (from, to): (&[NodeIx], &[NodeIx])) {
        for link in links(from, to) {
            self.0.remove(&link);
        }
    }

    /// Counts a message that is sent. Returns true if it waits.
    pub(crate) fn takes(&mut self, link: LinkKey, channel: u8) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let Some(holds) = self.0.get_mut(&link) else {
            return false;
        };
        let mut is_held = false;
        for hold in holds.iter_mut().filter(|hold| hold.channels.has(channel)) {
            is_held = true;
            hold.left = hold.left.map(|left| left - 1);
        }
        holds.retain(|hold| hold.left != Some(0));
        if holds.is_empty() {
            self.0.remove(&link);
        }
        is_held
    }

    /// Links that hold the next messages.
    pub(crate) fn links(&self) -> impl Iterator<Item = LinkKey> + '_ {
        self.0.keys().copied()
    }
}

/// The links from some nodes to others. A node's link to itself holds nothing.
pub(crate) fn links<'a>(
    from: &'a [NodeIx],
    to: &'a [NodeIx],
) -> impl Iterator<Item = LinkKey> + 'a {
    let all = from
        .iter()
        .flat_map(move |from| to.iter().map(move |to| (*from, *to)));
    all.filter(|(from, to)| from != to)
}

#[cfg(test)]
mod tests {
    use hublab_strategies::Channel;

    use super::*;

    #[test]
    fn a_hold_counts_the_messages_of_its_channels_on_each_link() {
        let mut holds = Holds::default();
        let sync = Channels::only(&[Channel::SYNC]);
        holds.begin((&[0, 1], &[1, 2]), sync, Some(2));
        assert_eq!(holds.links().collect::<Vec<_>>(), [(0, 1), (0, 2), (1, 2)]);
        let requests = Channel::REQUESTS.id;
        let taken = |holds: &mut Holds, link, channel| holds.takes(link, channel);
        assert!(!taken(&mut holds, (0, 1), requests));
        assert!(taken(&mut holds, (0, 1), Channel::SYNC.id));
        assert!(taken(&mut holds, (0, 2), Channel::SYNC.id));
        assert!(taken(&mut holds, (0, 1), Channel::SYNC.id));
        assert!(!taken(&mut holds, (0, 1), Channel::SYNC.id));
        assert!(taken(&mut holds, (0, 2), Channel::SYNC.id));
        assert!(!taken(&mut holds, (2, 0), Channel::SYNC.id));
        holds.begin((&[2], &[0]), Channels::default(), None);
        assert!((0..10).all(|_| taken(&mut holds, (2, 0), requests)));
        holds.end((&[2], &[0, 1]));
        assert!(!taken(&mut holds, (2, 0), requests));
        assert_eq!(holds.links().collect::<Vec<_>>(), [(1, 2)]);
    }
}
