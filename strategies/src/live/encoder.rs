//! What leaves, encoded, in the order in which it was sent.
//!
//! Encoding a snapshot of 100,000 rows takes a good part of what the hub's task may take for
//! everything, so what a long step sends is encoded elsewhere. Meanwhile the rest of its channel
//! waits for it; other channels go on.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use tokio::task::JoinSet;

use super::long;
use crate::message::Channel;
use crate::name::NodeId;
use crate::wire;

/// A message on its way out.
pub(super) struct Sending<T> {
    pub(super) to: Vec<NodeId>,
    pub(super) channel: Channel,
    pub(super) message: Arc<T>,
    /// True if it may connect to those that are not connected.
    pub(super) connects: bool,
    /// True if it may take long to encode.
    pub(super) long: bool,
}

/// What is being encoded, and what waits for it.
pub(super) struct Encoder<T> {
    /// By channel; the first of each is being encoded.
    lanes: BTreeMap<u8, VecDeque<Sending<T>>>,
    encoding: JoinSet<(u8, Bytes)>,
}

impl<T: Serialize + Send + Sync + 'static> Encoder<T> {
    pub(super) fn new() -> Self {
        Self {
            lanes: BTreeMap::new(),
            encoding: JoinSet::new(),
        }
    }

    /// Takes a message. Answers it with its bytes if it can leave at once.
    pub(super) fn send(&mut self, sending: Sending<T>) -> Option<(Sending<T>, Bytes)> {
        if let Some(lane) = self.lanes.get_mut(&sending.channel.id) {
            lane.push_back(sending);
            return None;
        }
        if sending.long {
            self.encode(&sending);
            let channel = sending.channel.id;
            self.lanes.insert(channel, VecDeque::from([sending]));
            return None;
        }
        let bytes = wire::encode(&*sending.message).into();
        Some((sending, bytes))
    }

    fn encode(&mut self, sending: &Sending<T>) {
        let (channel, message) = (sending.channel.id, Arc::clone(&sending.message));
        self.encoding
            .spawn_blocking(move || (channel, wire::encode(&*message).into()));
    }

    /// Waits for messages that can leave now, in order; never returns while there are none to wait
    /// for. Dropping the future loses none.
    pub(super) async fn ready(&mut self) -> Vec<(Sending<T>, Bytes)> {
        match self.encoding.join_next().await {
            Some(Ok((channel, bytes))) => self.encoded(channel, bytes),
            // Encoding does not panic; if it did, the channel would not wait for it for ever.
            Some(Err(error)) => {
                long::resume_panic(error);
                std::future::pending().await
            }
            None => std::future::pending().await,
        }
    }

    /// The first of a channel is encoded: it leaves, and what waited for it up to the next one that
    /// takes long.
    fn encoded(&mut self, channel: u8, bytes: Bytes) -> Vec<(Sending<T>, Bytes)> {
        let mut lane = self.lanes.remove(&channel).unwrap_or_default();
        let first = lane.pop_front().map(|sending| (sending, bytes));
        let mut ready = Vec::from_iter(first);
        while let Some(next) = lane.pop_front() {
            if next.long {
                self.encode(&next);
                lane.push_front(next);
                self.lanes.insert(channel, lane);
                break;
            }
            let bytes = wire::encode(&*next.message).into();
            ready.push((next, bytes));
        }
        ready
    }

    /// True if everything has left.
    pub(super) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// A connection is gone, and with it what was on its way there.
    pub(super) fn forget(&mut self, node: &NodeId) {
        for sending in self.lanes.values_mut().flatten() {
            sending.to.retain(|to| to != node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sending(channel: Channel, text: &str, long: bool) -> Sending<String> {
        Sending {
            to: vec!["b".into(), "c".into()],
            channel,
            message: Arc::new(text.to_owned()),
            connects: true,
            long,
        }
    }

    fn texts(ready: &[(Sending<String>, Bytes)]) -> Vec<String> {
        let text = |(sending, bytes): &(Sending<String>, Bytes)| {
            assert_eq!(wire::decode::<String>(bytes).unwrap(), *sending.message);
            let to: Vec<&str> = sending.to.iter().map(NodeId::as_str).collect();
            format!("{}>{}", sending.message, to.join("+"))
        };
        ready.iter().map(text).collect()
    }

    #[tokio::test]
    async fn what_is_long_holds_up_its_own_channel_and_nothing_overtakes_there() {
        let mut encoder = Encoder::new();
        assert!(encoder.send(sending(Channel::SYNC, "1", true)).is_none());
        for (text, long) in [("2", false), ("3", true), ("4", false)] {
            assert!(encoder.send(sending(Channel::SYNC, text, long)).is_none());
        }
        let at_once = encoder.send(sending(Channel::REQUESTS, "a", false));
        assert_eq!(texts(&Vec::from_iter(at_once)), ["a>b+c"]);
        assert_eq!(texts(&encoder.ready().await), ["1>b+c", "2>b+c"]);
        encoder.forget(&"b".into());
        assert!(!encoder.is_empty());
        assert_eq!(texts(&encoder.ready().await), ["3>c", "4>c"]);
        assert!(encoder.is_empty());
        let at_once = encoder.send(sending(Channel::SYNC, "5", false));
        assert_eq!(texts(&Vec::from_iter(at_once)), ["5>b+c"]);
    }
}
