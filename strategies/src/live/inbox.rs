//! What arrives from peers, decoded, in the order in which it arrived.
//!
//! Decoding a snapshot of 100,000 rows takes a good part of what the hub's task may take for
//! everything, so long payloads are decoded elsewhere. Meanwhile the rest of their channel waits for
//! them; other channels and other peers go on.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinError, JoinSet, spawn_blocking};

use super::long::{self, LONG};
use super::shared::Shared;
use super::transport::{RecvPermit, TransportEvent};
use crate::message::Message;
use crate::name::NodeId;
use crate::runtime::DownReason;
use crate::wire::{self, DecodeError};

/// One long payload is decoded at a time in a process: what is short needs the processors, too.
static TURNS: Semaphore = Semaphore::const_new(1);

/// Something that arrived.
pub(super) enum Inbound<T> {
    Up {
        node: NodeId,
        incarnation: u64,
    },
    Down {
        node: NodeId,
        reason: DownReason,
    },
    Left {
        node: NodeId,
    },
    Evicted {
        incarnation: u64,
    },
    Message {
        from: NodeId,
        message: T,
        bytes: usize,
        permit: RecvPermit,
    },
    Malformed {
        from: NodeId,
        channel: u8,
        bytes: usize,
        error: DecodeError,
    },
}

/// A payload on its way.
struct Payload {
    channel: u8,
    bytes: Bytes,
    permit: RecvPermit,
}

/// What waits because something before it is being decoded.
enum Waiting {
    Payload(Payload),
    Up(u64),
    Down(DownReason),
    Left,
}

/// A peer of whom something is being decoded.
#[derive(Default)]
struct Peer {
    /// The channels of which something is being decoded.
    busy: Vec<u8>,
    /// What arrived since, and may not overtake it.
    waiting: VecDeque<Waiting>,
}

/// What became of a long payload.
type Decoded<T> = (NodeId, u8, Inbound<T>);

/// The order of arrivals, and what is being decoded.
pub(super) struct Inbox<T> {
    shared: Arc<Shared>,
    events: mpsc::Receiver<TransportEvent>,
    decoding: JoinSet<Result<Decoded<T>, JoinError>>,
    peers: BTreeMap<NodeId, Peer>,
    ready: VecDeque<Inbound<T>>,
}

impl<T: Message> Inbox<T> {
    pub(super) fn new(shared: Arc<Shared>, events: mpsc::Receiver<TransportEvent>) -> Self {
        Self {
            shared,
            events,
            decoding: JoinSet::new(),
            peers: BTreeMap::new(),
            ready: VecDeque::new(),
        }
    }

    /// The next arrival; `None` once the transport has ended. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Option<Inbound<T>> {
        loop {
            if let Some(arrival) = self.ready.pop_front() {
                return Some(arrival);
            }
            tokio::select! {
                event = self.events.recv() => match event? {
                    TransportEvent::Up { node, incarnation } => {
                        self.arrived(node, Waiting::Up(incarnation));
                    }
                    TransportEvent::Down { node, reason } => {
                        self.arrived(node, Waiting::Down(reason));
                    }
                    TransportEvent::Left { node } => self.arrived(node, Waiting::Left),
                    TransportEvent::Evicted { incarnation } => {
                        self.ready.push_back(Inbound::Evicted { incarnation });
                    }
                    TransportEvent::Message { from, channel, bytes, permit } => {
                        let payload = Payload { channel, bytes, permit };
                        self.arrived(from, Waiting::Payload(payload));
                    }
                },
                Some(decoded) = self.decoding.join_next() => match decoded {
                    Ok(Ok((node, channel, arrival))) => self.decoded(&node, channel, arrival),
                    // Decoding does not panic; if it did, the task would not wait for it for ever.
                    Ok(Err(error)) | Err(error) => long::resume_panic(error),
                },
            }
        }
    }

    /// Drops what has arrived, and returns the queue of what may still come.
    pub(super) fn into_events(self) -> mpsc::Receiver<TransportEvent> {
        self.events
    }

    fn arrived(&mut self, node: NodeId, what: Waiting) {
        match self.peers.get_mut(&node) {
            Some(peer) if peer.holds_up(&what) => peer.waiting.push_back(what),
            Some(_) | None => self.admit(node, what),
        }
    }

    /// Takes something whose turn it is.
    fn admit(&mut self, node: NodeId, what: Waiting) {
        match what {
            Waiting::Up(incarnation) => self.ready.push_back(Inbound::Up { node, incarnation }),
            Waiting::Down(reason) => self.ready.push_back(Inbound::Down { node, reason }),
            Waiting::Left => self.ready.push_back(Inbound::Left { node }),
            Waiting::Payload(payload) if payload.bytes.len() < LONG => {
                self.ready.push_back(decode(node, payload));
            }
            Waiting::Payload(payload) => {
                let channel = payload.channel;
                self.peers
                    .entry(node.clone())
                    .or_default()
                    .busy
                    .push(channel);
                let shared = Arc::clone(&self.shared);
                let decoded = move || {
                    let mut arrival = decode(node.clone(), payload);
                    if let Inbound::Message { message, .. } = &mut arrival {
                        T::share(message, &|child| shared.mirror.row_of(child));
                    }
                    (node, channel, arrival)
                };
                self.decoding.spawn(async move {
                    let _turn = TURNS.acquire().await;
                    spawn_blocking(decoded).await
                });
            }
        }
    }

    /// A long payload is decoded: what waited for it goes on.
    fn decoded(&mut self, node: &NodeId, channel: u8, arrival: Inbound<T>) {
        self.ready.push_back(arrival);
        let Some(mut peer) = self.peers.remove(node) else {
            return;
        };
        peer.busy.retain(|busy| *busy != channel);
        let waiting = std::mem::take(&mut peer.waiting);
        if !peer.busy.is_empty() {
            self.peers.insert(node.clone(), peer);
        }
        for what in waiting {
            self.arrived(node.clone(), what);
        }
    }
}

impl Peer {
    /// True if something must wait: for what is decoded of its channel or, if it is no payload, of
    /// any; or for something that waits, if the two may not change places.
    fn holds_up(&self, what: &Waiting) -> bool {
        let Waiting::Payload(payload) = what else {
            return true;
        };
        self.busy.contains(&payload.channel)
            || self.waiting.iter().any(|before| match before {
                Waiting::Payload(before) => before.channel == payload.channel,
                Waiting::Up(_) | Waiting::Down(_) | Waiting::Left => true,
            })
    }
}

fn decode<T: Message>(from: NodeId, payload: Payload) -> Inbound<T> {
    let Payload {
        channel,
        bytes,
        permit,
    } = payload;
    match wire::decode(&bytes) {
        Ok(message) => Inbound::Message {
            from,
            message,
            bytes: bytes.len(),
            permit,
        },
        Err(error) => Inbound::Malformed {
            from,
            channel,
            bytes: bytes.len(),
            error,
        },
    }
}
