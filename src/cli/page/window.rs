//! Which events of a run a report holds in full.

use std::io::{Read, Seek};

use hublab_sim::capsule::{Capsule, CapsuleError};
use hublab_sim::trace::EventId;
use hublab_strategies::Time;

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    pub(super) from: Option<Time>,
    pub(super) to: Option<Time>,
    /// The instant that matters most.
    pub(super) focus: Option<Time>,
    /// How many events there may be.
    pub(super) most: u64,
    /// How many bytes they may take.
    pub(super) bytes: usize,
}

/// Events in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) first: EventId,
    pub(super) last: EventId,
    /// The instants of the two; those of the run, where it is not cut.
    pub(super) from: Time,
    pub(super) to: Time,
}

impl Window {
    /// Chooses: all that was asked for, or as much of it around the focus as there is room for. Of the
    /// room, two thirds are for what comes before.
    pub(super) fn choose<R: Read + Seek>(
        capsule: &mut Capsule<R>,
        wish: Wish,
    ) -> Result<Self, CapsuleError> {
        let total = capsule.footer().events;
        let end = Time(capsule.footer().report.virtual_us);
        if total <= wish.most && wish.from.is_none() && wish.to.is_none() {
            return Ok(Self {
                first: 1,
                last: total,
                from: Time::ZERO,
                to: end,
            });
        }
        let (from, to) = (wish.from.unwrap_or(Time::ZERO), wish.to.unwrap_or(end));
        let (mut first, mut last) = (None, 0);
        let mut focused = None;
        for event in capsule.events() {
            let event = event?;
            if event.at > to {
                break;
            }
            if event.at < from {
                continue;
            }
            first.get_or_insert(event.id);
            last = event.id;
            if wish.focus.is_some_and(|focus| event.at >= focus) {
                focused.get_or_insert(event.id);
            }
        }
        let Some(first) = first else {
            return Ok(Self {
                first: 1,
                last: 0,
                from,
                to,
            });
        };
        // Nothing may happen at that instant or behind it.
        let focused = focused.or(wish.focus.map(|_| last));
        let (first, last) = around((first, last), focused, wish.most);
        let (mut starts, mut ends) = (from, to);
        for event in capsule.events() {
            let event = event?;
            if event.id == first {
                starts = wish.from.unwrap_or(event.at);
            }
            if event.id == last {
                ends = event.at;
                break;
            }
        }
        Ok(Self {
            first,
            last,
            from: if first == 1 { Time::ZERO } else { starts },
            to: if last == total { end } else { ends },
        })
    }
}

/// At most so many of these events, around one of them.
fn around(
    (first, last): (EventId, EventId),
    focus: Option<EventId>,
    most: u64,
) -> (EventId, EventId) {
    if last - first < most {
        return (first, last);
    }
    let latest = last + 1 - most;
    let start = focus.unwrap_or(first).saturating_sub(most / 3 * 2);
    let start = start.clamp(first, latest);
    (start, start + most - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_has_room_before_and_behind_what_matters() {
        assert_eq!(around((1, 50), None, 100), (1, 50));
        assert_eq!(around((1, 500), None, 90), (1, 90));
        assert_eq!(around((1, 500), Some(300), 90), (240, 329));
        assert_eq!(around((1, 500), Some(490), 90), (411, 500));
    }
}
