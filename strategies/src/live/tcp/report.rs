//! What the transport counts and logs.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A refusal is logged at most this often for each reason, after a first few.
const LOG_EVERY: Duration = Duration::from_secs(1);

/// So many refusals of one reason are logged one by one.
const LOG_BURST: u32 = 10;

/// Why a connection was refused, or given up. `Display` says it in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// Its first bytes are not those of a hub.
    NotAHub,
    /// It speaks another protocol version.
    OtherVersion,
    /// It belongs to another hub id.
    OtherHub,
    /// It did not prove the cluster's secret.
    NoProof,
    /// It did not finish the handshake in time.
    TooSlow,
    /// Too many connections have not proved the secret yet.
    TooMany,
    /// Its bytes are not what a hub sends.
    Malformed,
    /// A node of its name is connected, and it is no later boot of that node.
    NameTaken,
    /// Without a secret only loopback addresses are dialled.
    SecretNeeded,
    /// It reads too slowly: its queue was full.
    SlowReader,
    /// It refused this node.
    RefusedByPeer,
    /// It runs another strategy, or the same one with other parameters.
    OtherStrategy,
}

impl Refusal {
    const ALL: [Self; 12] = [
        Self::NotAHub,
        Self::OtherVersion,
        Self::OtherHub,
        Self::NoProof,
        Self::TooSlow,
        Self::TooMany,
        Self::Malformed,
        Self::NameTaken,
        Self::SecretNeeded,
        Self::SlowReader,
        Self::RefusedByPeer,
        Self::OtherStrategy,
    ];
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAHub => "its first bytes are not those of a hub",
            Self::OtherVersion => "it speaks another protocol version",
            Self::OtherHub => "it belongs to another hub id",
            Self::NoProof => "it did not prove the cluster's secret",
            Self::TooSlow => "it did not finish the handshake in time",
            Self::TooMany => "too many connections have not proved the secret yet",
            Self::Malformed => "its bytes are not what a hub sends",
            Self::NameTaken => "a node of this name is connected, and this is no later boot of it",
            Self::SecretNeeded => "without a secret only loopback addresses are dialled",
            Self::SlowReader => "it reads too slowly: its queue is full",
            Self::RefusedByPeer => "it refused this node",
            Self::OtherStrategy => "it runs another strategy, or the same with other parameters",
        })
    }
}

/// Counts, and logs refusals: each with its reason, but not each of a flood.
#[derive(Default)]
pub(super) struct Report {
    pub(super) connections: AtomicU64,
    pub(super) dials: AtomicU64,
    pub(super) dials_failed: AtomicU64,
    pub(super) messages_sent: AtomicU64,
    pub(super) message_bytes_sent: AtomicU64,
    pub(super) messages_received: AtomicU64,
    pub(super) message_bytes_received: AtomicU64,
    pub(super) wire_bytes_sent: AtomicU64,
    pub(super) wire_bytes_received: AtomicU64,
    pub(super) messages_filtered: AtomicU64,
    refusals: Mutex<[Tally; Refusal::ALL.len()]>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    count: u64,
    logged_at: Option<Instant>,
    /// Lines that may still be logged at once.
    burst_used: u32,
    unlogged: u64,
}

/// A snapshot of what a transport has done since it started, and of what it holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Connections that were agreed on, the first ones and those after a loss.
    pub connections: u64,
    /// Dials begun.
    pub dials: u64,
    /// Dials that led to no connection.
    pub dials_failed: u64,
    /// Messages accepted for sending.
    pub messages_sent: u64,
    /// Their bytes.
    pub message_bytes_sent: u64,
    /// Messages received.
    pub messages_received: u64,
    /// Their bytes.
    pub message_bytes_received: u64,
    /// Bytes written to sockets after the handshakes.
    pub wire_bytes_sent: u64,
    /// Bytes read from sockets after the handshakes.
    pub wire_bytes_received: u64,
    /// Messages and heartbeats that a filter dropped.
    pub messages_filtered: u64,
    /// Peers connected now.
    pub peers: u64,
    /// Messages queued now, for all peers.
    pub queued_messages: u64,
    /// Bytes queued now, for all peers.
    pub queued_bytes: u64,
    /// Connections that have not proved the secret yet.
    pub handshakes: u64,
    /// Addresses known.
    pub addresses: u64,
    /// Refusals by reason, those that occurred.
    pub refusals: Vec<(Refusal, u64)>,
}

pub(super) fn add(counter: &AtomicU64, value: usize) {
    counter.fetch_add(value as u64, Ordering::Relaxed);
}

impl Report {
    /// Counts a refusal, and logs it unless many of the kind were logged just now.
    pub(super) fn refuse(
        &self,
        refusal: Refusal,
        peer: &dyn fmt::Display,
        detail: &dyn fmt::Display,
    ) {
        let unlogged = {
            let mut tallies = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
            tallies[refusal as usize].count(Instant::now())
        };
        if let Some(unlogged) = unlogged {
            tracing::warn!(
                %peer,
                reason = %refusal,
                %detail,
                unlogged,
                "connection refused"
            );
        }
    }

    /// The counts; what the transport holds now is left at 0.
    pub(super) fn counters(&self) -> Counters {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let tallies = *self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        Counters {
            connections: load(&self.connections),
            dials: load(&self.dials),
            dials_failed: load(&self.dials_failed),
            messages_sent: load(&self.messages_sent),
            message_bytes_sent: load(&self.message_bytes_sent),
            messages_received: load(&self.messages_received),
            message_bytes_received: load(&self.message_bytes_received),
            wire_bytes_sent: load(&self.wire_bytes_sent),
            wire_bytes_received: load(&self.wire_bytes_received),
            messages_filtered: load(&self.messages_filtered),
            refusals: Refusal::ALL
                .into_iter()
                .map(|refusal| (refusal, tallies[refusal as usize].count))
                .filter(|(_, count)| *count > 0)
                .collect(),
            ..Counters::default()
        }
    }
}

impl Tally {
    /// Counts one; if it is to be logged, returns how many before it were not.
    fn count(&mut self, now: Instant) -> Option<u64> {
        self.count += 1;
        let quiet = self
            .logged_at
            .is_none_or(|at| now.duration_since(at) >= LOG_EVERY);
        if quiet {
            self.burst_used = 0;
        }
        if self.burst_used >= LOG_BURST {
            self.unlogged += 1;
            return None;
        }
        self.burst_used += 1;
        self.logged_at = Some(now);
        Some(std::mem::take(&mut self.unlogged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_stand_at_their_own_places() {
        for (at, refusal) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(refusal as usize, at);
        }
    }

    #[test]
    fn a_flood_is_logged_a_few_times_and_then_once_in_a_while() {
        let start = Instant::now();
        let mut tally = Tally::default();
        let logged = (0..1000).filter(|_| tally.count(start).is_some()).count();
        assert_eq!(logged, 10);
        assert_eq!(tally.count(start + LOG_EVERY), Some(990));
        assert_eq!(tally.count, 1001);
    }
}
