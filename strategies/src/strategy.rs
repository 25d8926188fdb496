//! [`EventStrategy`], which a hub runs, and [`Strategy`], its entry in a catalog.

use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};

pub use crate::claims::{Broken, Claim, Condition, Feature, Limits};
pub use crate::synchronization::Synchronization;

use crate::context::Context;
use crate::fact::Fact;
use crate::message::Message;
use crate::name::NodeId;
use crate::request::{Members, Requests};
use crate::runtime::DownReason;
use crate::time::{Time, micros};

/// A synchronization strategy: how the registries of a cluster are kept in step. Events in, effects
/// out through [`Context`].
///
/// Only [`handle_message`](Self::handle_message) is required. A strategy in the form of the original,
/// with its six operations, implements [`Synchronization`] instead, and is an `EventStrategy` by
/// that. A strategy owns its private state and nothing else: registry, view, timers and the network
/// are reached through the context.
///
/// # Order within a step
///
/// One input of the hub is one atomic step; messages that it sends leave after it. Within a step:
///
/// | what happens | order |
/// | --- | --- |
/// | children were started | the own registry has their rows, [`local_change`](Self::local_change) for each, then `propagate(Register, External)` if the start is announced |
/// | children were stopped by request | the own registry has lost the entries, `local_change` for each, then `propagate(Unregister, External)` |
/// | a child ended by itself | `local_change`, then `propagate(Unregister, Global)`: the registry changes inside |
/// | a child was restarted | `local_change`, then `propagate(PidUpdate, Global)`: the registry changes inside |
/// | nodes join | [`nodes_joining`](Self::nodes_joining) while the view lacks them, the view changes, [`member_up`](Self::member_up) for each, then [`view_changed`](Self::view_changed) |
/// | members go | the view changes, their entries leave the registry, [`member_down`](Self::member_down) for each, then `view_changed` |
/// | a step of the script sets the view | the view changes, then `view_changed`: no `member_up`, no `member_down` |
/// | a connection comes up | [`peer_up`](Self::peer_up), then the membership decides |
/// | a connection is lost | [`peer_down`](Self::peer_down), then the membership decides |
///
/// "Inside" means that a strategy which overrides [`propagate`](Self::propagate) must apply requests
/// that address this node, as the default does; otherwise its own registry is wrong.
///
/// # Incarnations
///
/// A node has a larger incarnation at each boot. [`Context::incarnation`] is its own,
/// [`Context::incarnation_of`] that of a connected peer. A peer may restart within the quiet time of
/// the membership: it stays a member, and only `peer_down` with [`DownReason::Restarted`] and
/// `peer_up` tell. A message may have been sent by an earlier incarnation than the one that is
/// connected when it arrives; a strategy that cares puts the incarnation into its messages, where
/// [`Fact`] has it.
///
/// # Guards
///
/// There is none: a round and a join take place whether or not the node hosts children. The two
/// ports keep the original's guard of empty snapshots, with its anomaly (A8), for themselves.
///
/// # Tombstones
///
/// The hub leaves one for each row that it empties: a row without entries that the janitor removes
/// once it expired. [`Context::remove`] leaves none. A row without entries counts as absent for
/// every rule of the registry and for every observer.
///
/// # Timers
///
/// Setting a timer replaces the one of the same key. It fires in a step of its own, never inside the
/// one that set it; one of no delay fires at the same instant, after everything that was due then
/// already. A timer that sets itself with no delay stops virtual time: the run ends at its limit of
/// events.
pub trait EventStrategy: Send + 'static {
    /// Its messages.
    type Message: Message;

    /// The node boots.
    fn start(&mut self, _cx: &mut Context<'_, Self::Message>) {}

    /// A message of the strategy arrived, from whatever node: member, stranger, or this one.
    fn handle_message(
        &mut self,
        cx: &mut Context<'_, Self::Message>,
        from: &NodeId,
        message: &Self::Message,
    );

    /// A child of this node started, restarted or stopped. Called for every change, announced or not.
    fn local_change(&mut self, _cx: &mut Context<'_, Self::Message>, _fact: &Fact) {}

    /// Requests are to reach `members`: changes of children that run here, or those of a
    /// `propagate` step. The default handles them here if this node is addressed, and sends nothing.
    fn propagate(
        &mut self,
        cx: &mut Context<'_, Self::Message>,
        requests: Requests,
        members: &Members,
    ) {
        if members.include_sender(cx.node()) {
            cx.handle_requests(&requests);
        }
    }

    /// A periodic round is due, or a `sync` step asks for one.
    fn round(&mut self, _cx: &mut Context<'_, Self::Message>) {}

    /// The time between periodic rounds; the hub keeps the timer. `None`: there are none.
    fn round_interval(&self) -> Option<Duration> {
        None
    }

    /// Nodes are about to join the view, or a `broadcast` step names them.
    fn nodes_joining(&mut self, _cx: &mut Context<'_, Self::Message>, _nodes: &[NodeId]) {}

    /// A node entered the cluster view. The incarnation is that of its connection, 0 if it has none.
    fn member_up(
        &mut self,
        _cx: &mut Context<'_, Self::Message>,
        _node: &NodeId,
        _incarnation: u64,
    ) {
    }

    /// A node left the cluster view; its rows are already gone.
    fn member_down(
        &mut self,
        _cx: &mut Context<'_, Self::Message>,
        _node: &NodeId,
        _reason: DownReason,
    ) {
    }

    /// The cluster view is another now, for whatever reason.
    fn view_changed(&mut self, _cx: &mut Context<'_, Self::Message>) {}

    /// The connection to a peer, member or not, came up.
    fn peer_up(&mut self, _cx: &mut Context<'_, Self::Message>, _node: &NodeId, _incarnation: u64) {
    }

    /// The connection to a peer, member or not, is gone.
    fn peer_down(
        &mut self,
        _cx: &mut Context<'_, Self::Message>,
        _node: &NodeId,
        _reason: DownReason,
    ) {
    }

    /// A failure detector has doubts about a peer.
    fn suspect(&mut self, _cx: &mut Context<'_, Self::Message>, _node: &NodeId) {}

    /// A timer set with [`Context::set_timer`] fired.
    fn handle_timer(&mut self, _cx: &mut Context<'_, Self::Message>, _key: u64) {}

    /// The janitor runs: forget private state that expired at or before `now`.
    fn purge(&mut self, _now: Time) {}

    /// The strategy's name, a space, and its parameters as text. Live nodes compare it: all nodes of
    /// a cluster run the same strategy with the same parameters.
    fn fingerprint(&self) -> String {
        std::any::type_name::<Self>().to_owned()
    }

    /// The number of references (rounds, propagations, operations) that the strategy remembers.
    fn refs(&self) -> usize {
        0
    }

    /// The bytes of what the strategy keeps beside the registry, by a formula of lengths: those of the
    /// wire encoding, where there is one. Never what the allocator says, so that it is the same on every
    /// machine. Asked at most once per virtual second and node.
    fn state_bytes(&self) -> u64 {
        0
    }
}

/// A strategy's entry in a catalog, beside its behaviour. The scenario parser, the schema,
/// `explain` and `list` know `[strategy.NAME]` only through this.
pub trait Strategy: EventStrategy + Sized {
    /// The name in scenario files.
    const NAME: &'static str;
    /// One line for `list strategies`.
    const SUMMARY: &'static str;
    /// Its parameters: the keys of `[strategy.NAME]`, each with a default.
    type Config: Parameters;

    /// A fresh instance for one node.
    ///
    /// # Errors
    /// A parameter is outside its range; the text names it.
    fn new(config: &Self::Config) -> Result<Self, ConfigError>;

    /// Its promises, with their conditions.
    fn claims() -> &'static [Claim];

    /// The oracles that it is known to violate, for `list oracles`; default: none.
    fn broken() -> &'static [Broken] {
        &[]
    }

    /// The largest cluster that a campaign should generate for it.
    fn limits() -> Limits {
        Limits::default()
    }

    /// Sets the parameters that generated scenarios vary, and returns their keys; default: none.
    /// A value that [`Self::new`] refuses is left out of the scenario.
    fn vary(_config: &mut Self::Config, _by: &Variation) -> &'static [&'static str] {
        &[]
    }

    /// The time between two rounds of a node, for observers; default: [`EventStrategy::round_interval`].
    /// A strategy whose rounds have a timer of its own says it here.
    fn round_period(&self) -> Option<Duration> {
        self.round_interval()
    }

    /// The time that repairs and joins may take under its parameters. The default has two rounds and
    /// eight messages one after the other for repairs, and the messages alone for a join:
    /// [`Bounds::of_rounds`].
    fn bounds(&self, conditions: &Conditions) -> Bounds {
        let interval = self.round_period().unwrap_or(DEFAULT_ROUND_INTERVAL);
        Bounds::of_rounds(interval, conditions)
    }
}

/// The interval that the default bounds of a strategy without rounds are made of: PubSub's.
pub const DEFAULT_ROUND_INTERVAL: Duration = Duration::from_secs(30);

/// The facts of a generated scenario that a strategy may fit its parameters to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Variation {
    /// The time between two rounds that goes with the other times of the scenario.
    pub round_interval: Duration,
    /// A small number, 1 to 4.
    pub count: u32,
    /// True in four of five scenarios.
    pub flag: bool,
}

impl Variation {
    /// A variation with these values.
    #[must_use]
    pub fn new(round_interval: Duration, count: u32, flag: bool) -> Self {
        Self {
            round_interval,
            count,
            flag,
        }
    }
}

/// The conditions that bounds of a strategy may depend on, beside its parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Conditions {
    /// The nodes of the cluster.
    pub nodes: usize,
    /// The latency that all but a few messages stay within, one way.
    pub latency: Duration,
    /// The share of messages that is lost while the bound runs, 0 to 1.
    pub loss: f64,
}

impl Conditions {
    /// Conditions without loss.
    #[must_use]
    pub fn new(nodes: usize, latency: Duration) -> Self {
        let loss = 0.0;
        Self {
            nodes,
            latency,
            loss,
        }
    }

    /// The same with this share of messages lost.
    #[must_use]
    pub fn with_loss(self, loss: f64) -> Self {
        Self { loss, ..self }
    }
}

/// The time that repairs may take among members that know each other, over connections that stay up.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bounds {
    /// Until all views are right, once nothing changes any more.
    pub repair: Duration,
    /// Until a node that joined has what the others have, from when it and they see each other.
    pub join: Duration,
    /// The terms of `repair` for people: `2 x sync 30s + 8 x latency 20ms`.
    pub text: String,
}

impl Bounds {
    /// Bounds given by their values and the terms of the first.
    #[must_use]
    pub fn new(repair: Duration, join: Duration, text: String) -> Self {
        Self { repair, join, text }
    }

    /// The longer of each of two bounds: those of nodes that differ.
    #[must_use]
    pub fn longer(self, other: Self) -> Self {
        let text = if other.repair > self.repair {
            other.text
        } else {
            self.text
        };
        Self {
            repair: self.repair.max(other.repair),
            join: self.join.max(other.join),
            text,
        }
    }

    /// Two rounds and eight messages one after the other for repairs; the messages alone for a join,
    /// which is not to wait for a round.
    #[must_use]
    pub fn of_rounds(interval: Duration, conditions: &Conditions) -> Self {
        let latency = conditions.latency;
        let join = latency.saturating_mul(8);
        let repair = interval.saturating_mul(2).saturating_add(join);
        let [interval, latency] = [interval, latency].map(|time| Time(micros(time)));
        let text = format!("2 x sync {interval} + 8 x latency {latency}");
        Self::new(repair, join, text)
    }
}

/// The bounds on the parameters of a strategy. Implemented for every type that can; with
/// the feature `schema` that includes a JSON Schema.
#[cfg(feature = "schema")]
pub trait Parameters:
    Serialize + DeserializeOwned + schemars::JsonSchema + Default + Clone + Send + Sync + 'static
{
}

#[cfg(feature = "schema")]
impl<T> Parameters for T where
    T: Serialize
        + DeserializeOwned
        + schemars::JsonSchema
        + Default
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// The bounds on the parameters of a strategy. Implemented for every type that can; with
/// the feature `schema` that includes a JSON Schema.
#[cfg(not(feature = "schema"))]
pub trait Parameters:
    Serialize + DeserializeOwned + Default + Clone + Send + Sync + 'static
{
}

#[cfg(not(feature = "schema"))]
impl<T> Parameters for T where
    T: Serialize + DeserializeOwned + Default + Clone + Send + Sync + 'static
{
}

/// Why parameters were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct ConfigError {
    /// The parameter.
    pub key: &'static str,
    /// The problem with it.
    pub reason: String,
}

impl ConfigError {
    /// Checks the time between periodic rounds: a round must not follow itself at once.
    ///
    /// # Errors
    /// It is zero.
    pub fn check_sync_interval(interval: Duration) -> Result<(), Self> {
        Self::check_not_zero("sync_interval", interval)
    }

    /// Checks what must hold of a parameter.
    ///
    /// ```
    /// use hublab_strategies::strategy::ConfigError;
    ///
    /// let error = ConfigError::check(1 > 2, "fanout", "must be at least 2").unwrap_err();
    /// assert_eq!(error.to_string(), "fanout: must be at least 2");
    /// ```
    ///
    /// # Errors
    /// It does not.
    pub fn check(holds: bool, key: &'static str, reason: &str) -> Result<(), Self> {
        if holds {
            return Ok(());
        }
        let reason = reason.to_owned();
        Err(Self { key, reason })
    }

    /// Checks a duration that must not be zero.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use hublab_strategies::strategy::ConfigError;
    ///
    /// let error = ConfigError::check_not_zero("digest_interval", Duration::ZERO).unwrap_err();
    /// assert_eq!(error.to_string(), "digest_interval: must be longer than 0");
    /// ```
    ///
    /// # Errors
    /// It is zero.
    pub fn check_not_zero(key: &'static str, duration: Duration) -> Result<(), Self> {
        Self::check(!duration.is_zero(), key, "must be longer than 0")
    }

    /// Checks counts of which there must be at least one.
    ///
    /// # Errors
    /// One is zero.
    pub fn check_counts(counts: &[(&'static str, u32)]) -> Result<(), Self> {
        let mut counts = counts.iter();
        counts.try_for_each(|(key, count)| Self::check(*count > 0, key, "must be at least 1"))
    }
}
