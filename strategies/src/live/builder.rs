//! [`Builder`]: the settings of a hub.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use super::children::Tasks;
use super::error::BuildError;
use super::handle::{Hub, WeakHub};
use super::inbox::Inbox;
use super::observer::{Experiment, Flow, Observer};
use super::shared::{Carrier, ChildSizes, Shared};
use super::supervisor::{BACKOFF_MAX, Supervisor};
use super::task::NodeTask;
use super::tcp::{SystemResolver, TcpConfig, TcpTransport};
use super::transport::{LocalNode, Transport};
use super::world::{World, wall_clock};
use super::{Filter, Limits, Resolver, Secret};
use crate::hub::{HubConfig, HubCore};
use crate::membership::Discovery;
use crate::name::NodeId;
use crate::pubsub::PubSub;
use crate::strategy::EventStrategy;

/// How many orders of handles wait for the hub's task; more make their senders wait.
const ORDERS: usize = 1_024;

/// Events of the transport that wait for the hub's task; when there are more, peers are read no
/// further.
const EVENTS: usize = 1_024;

/// The low bits of an incarnation that are chance; the others count microseconds since 1970.
const RANDOM_BITS: u32 = 12;

/// Configures and starts a hub: see [`Hub::builder`]. Each method replaces what an earlier call of it
/// set.
pub struct Builder<S> {
    hub_id: String,
    node: String,
    listen: String,
    advertise: Option<String>,
    peers: Vec<String>,
    secrets: Vec<Secret>,
    strategy: S,
    tasks: Tasks,
    discovery_interval: Duration,
    join_debounce: Duration,
    down_after: Duration,
    heartbeat: Option<Duration>,
    limits: Limits,
    config: HubConfig,
    transport: Option<Arc<dyn Transport>>,
    allow_mixed: bool,
    resolver: Arc<dyn Resolver>,
    filter: Option<Arc<dyn Filter>>,
    observer: Option<Arc<dyn Observer>>,
    flow: Option<watch::Receiver<Flow>>,
    incarnation: Option<u64>,
}

impl Builder<PubSub> {
    pub(super) fn new(hub_id: String, node: String) -> Self {
        Self {
            hub_id,
            node,
            listen: "127.0.0.1:0".to_owned(),
            advertise: None,
            peers: Vec::new(),
            secrets: Vec::new(),
            strategy: PubSub::default(),
            tasks: Tasks::new(),
            discovery_interval: Duration::from_secs(10),
            join_debounce: Duration::from_millis(500),
            down_after: Duration::from_secs(5),
            heartbeat: None,
            limits: Limits::default(),
            config: HubConfig::default(),
            transport: None,
            allow_mixed: false,
            resolver: Arc::new(SystemResolver),
            filter: None,
            observer: None,
            flow: None,
            incarnation: None,
        }
    }
}

impl<S: EventStrategy> Builder<S> {
    /// The address to listen on, `host:port`; default `127.0.0.1:0`, where 0 is any free port.
    #[must_use]
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listen = address.into();
        self
    }

    /// The address that others shall dial, `host:port`; default: the one listened on.
    #[must_use]
    pub fn advertise(mut self, address: impl Into<String>) -> Self {
        self.advertise = Some(address.into());
        self
    }

    /// Addresses to start from, `host:port`; one node of the cluster is enough, the rest is learned.
    /// Names are resolved anew at each dial.
    #[must_use]
    pub fn peers<A: Into<String>>(mut self, addresses: impl IntoIterator<Item = A>) -> Self {
        self.peers = addresses.into_iter().map(Into::into).collect();
        self
    }

    /// The cluster's secret. Whoever holds it may claim any node's name. Without one, only loopback
    /// addresses are listened on and dialled.
    #[must_use]
    pub fn secret(self, secret: Secret) -> Self {
        self.secrets([secret])
    }

    /// Several secrets, while they are rotated: the first is used for dialling, all are accepted.
    #[must_use]
    pub fn secrets(mut self, secrets: impl IntoIterator<Item = Secret>) -> Self {
        self.secrets = secrets.into_iter().collect();
        self
    }

    /// The synchronization strategy. All nodes of a cluster must run the same one.
    #[must_use]
    pub fn strategy<T: EventStrategy>(self, strategy: T) -> Builder<T> {
        Builder {
            hub_id: self.hub_id,
            node: self.node,
            listen: self.listen,
            advertise: self.advertise,
            peers: self.peers,
            secrets: self.secrets,
            strategy,
            tasks: self.tasks,
            discovery_interval: self.discovery_interval,
            join_debounce: self.join_debounce,
            down_after: self.down_after,
            heartbeat: self.heartbeat,
            limits: self.limits,
            config: self.config,
            transport: self.transport,
            allow_mixed: self.allow_mixed,
            resolver: self.resolver,
            filter: self.filter,
            observer: self.observer,
            flow: self.flow,
            incarnation: self.incarnation,
        }
    }

    /// The kinds of children that this node can start; default none.
    #[must_use]
    pub fn supervisor(mut self, tasks: Tasks) -> Self {
        self.tasks = tasks;
        self
    }

    /// The time between two announcements; default 10 s.
    #[must_use]
    pub fn discovery_interval(mut self, interval: Duration) -> Self {
        self.discovery_interval = interval;
        self
    }

    /// How long joins and downs are collected before they are handled together; default 500 ms.
    /// It must be shorter than the discovery interval, or joins are never handled (anomaly M3).
    #[must_use]
    pub fn join_debounce(mut self, debounce: Duration) -> Self {
        self.join_debounce = debounce;
        self
    }

    /// How long a peer may be silent before its connection is given up; default 5 s. A peer whose
    /// process dies is noticed earlier, because its connection closes.
    #[must_use]
    pub fn down_after(mut self, silence: Duration) -> Self {
        self.down_after = silence;
        self
    }

    /// The time between heartbeats; default a fifth of [`Self::down_after`].
    #[must_use]
    pub fn heartbeat(mut self, interval: Duration) -> Self {
        self.heartbeat = Some(interval);
        self
    }

    /// The limits of the connections.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How the hub itself is set: the janitor and the tombstones.
    #[must_use]
    pub fn config(mut self, config: HubConfig) -> Self {
        self.config = config;
        self
    }

    /// Connects to nodes that run another strategy, or the same one with other parameters; default
    /// false: they refuse each other with that reason.
    #[must_use]
    pub fn allow_mixed(mut self, allow: bool) -> Self {
        self.allow_mixed = allow;
        self
    }

    /// What finds the addresses behind names; default: the operating system.
    #[must_use]
    pub fn resolver(mut self, resolver: impl Resolver) -> Self {
        self.resolver = Arc::new(resolver);
        self
    }

    /// What carries the messages, instead of TCP. The settings of addresses, secrets, limits and
    /// heartbeats are for TCP only.
    #[must_use]
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// Judges everything this node sends: for experiments with partitions, loss and latency.
    #[must_use]
    pub fn filter(mut self, filter: Arc<dyn Filter>) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Hears of everything that happens at this node: for experiments.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Pauses and stops the hub from outside: for experiments. Once the sender is dropped, the hub
    /// goes on.
    #[must_use]
    pub fn flow(mut self, flow: watch::Receiver<Flow>) -> Self {
        self.flow = Some(flow);
        self
    }

    /// The incarnation, instead of one made of the time and chance; higher at each boot of a name.
    #[must_use]
    pub fn incarnation(mut self, incarnation: u64) -> Self {
        self.incarnation = Some(incarnation);
        self
    }

    /// Starts the hub: it listens, dials its peers and announces itself. It has found nobody yet
    /// when this returns.
    ///
    /// # Errors
    /// Nothing is left behind: there is no tokio runtime or the clock of a simulation, a setting is
    /// out of range, or the address cannot be listened on.
    ///
    /// # Panics
    /// If the tokio runtime was built without its timers or its network.
    pub async fn start(self) -> Result<Hub, BuildError> {
        if !clock_moves() {
            return Err(BuildError::Simulated);
        }
        let runtime = Handle::try_current().map_err(|_| BuildError::NoRuntime)?;
        self.check()?;
        let seed = getrandom::u64().map_err(BuildError::Entropy)?;
        let incarnation = match self.incarnation {
            Some(incarnation) => incarnation,
            None => boot_incarnation()?,
        };
        let node = NodeId::from(self.node);
        let heartbeat = self.heartbeat.unwrap_or(self.down_after / 5);
        let sizes = ChildSizes::new(&self.limits);
        let (transport, tcp) = match self.transport {
            Some(transport) => (transport, None),
            None => {
                let tcp = Arc::new(TcpTransport::new(TcpConfig {
                    listen: self.listen,
                    advertise: self.advertise,
                    peers: self.peers,
                    secrets: self.secrets,
                    limits: self.limits,
                    down_after: self.down_after,
                    heartbeat,
                    allow_mixed: self.allow_mixed,
                    resolver: self.resolver,
                    filter: self.filter,
                }));
                (Arc::clone(&tcp) as Arc<dyn Transport>, Some(tcp))
            }
        };
        let strategy = self.strategy.fingerprint();
        let local = LocalNode::new(self.hub_id.clone(), node.clone(), incarnation, strategy);
        let (events, received_events) = mpsc::channel(EVENTS);
        transport.start(local, events).await?;
        let carrier = Carrier::Live(Arc::clone(&transport), tcp);
        let shared = Shared::new(self.hub_id, node.clone(), incarnation, carrier, sizes);
        let shared = Arc::new(shared);
        let (orders, received) = mpsc::channel(ORDERS);
        let weak = WeakHub::new(&shared, &orders);
        let supervisor = Supervisor::new(self.tasks, weak);
        let observer = self.observer.clone();
        let world = World::new(transport, Arc::clone(&shared), supervisor, observer, seed);
        let membership = Discovery::new(self.discovery_interval, self.join_debounce);
        let hub = HubCore::new(node, incarnation, self.strategy, membership, self.config);
        let experiment = Experiment::new(self.observer, self.flow);
        let inbox = Inbox::new(Arc::clone(&shared), received_events);
        runtime.spawn(NodeTask::new(hub, world, experiment).run(inbox, received));
        Ok(Hub::new(shared, orders))
    }

    fn check(&self) -> Result<(), BuildError> {
        let heartbeat = self.heartbeat.unwrap_or(self.down_after / 5);
        let limits = &self.limits;
        let restarts = self.tasks.restart_limits();
        let message = limits.message_bytes;
        // An experiment may want to see what never works.
        let is_experiment = self.observer.is_some();
        let rules = [
            (!self.node.is_empty(), "builder", "the node's name is empty"),
            (!self.hub_id.is_empty(), "builder", "the hub id is empty"),
            (
                !self.discovery_interval.is_zero(),
                "discovery_interval",
                "must be longer than 0",
            ),
            (
                is_experiment || self.join_debounce < self.discovery_interval,
                "join_debounce",
                "must be shorter than discovery_interval, or nobody ever joins",
            ),
            (
                !self.config.janitor_interval.is_zero(),
                "config",
                "the janitor's interval must be longer than 0",
            ),
            (
                self.strategy.round_interval() != Some(Duration::ZERO),
                "strategy",
                "its sync interval must be longer than 0",
            ),
            (
                !heartbeat.is_zero() && heartbeat < self.down_after,
                "heartbeat",
                "must be longer than 0 and shorter than down_after",
            ),
            (
                limits.channel_queue_bytes >= message && limits.queue_bytes >= message,
                "limits",
                "channel_queue_bytes and queue_bytes must have room for a message of message_bytes, or it disconnects the peer whenever it is sent",
            ),
            (
                limits.handshakes > 0 && limits.handshakes_per_address > 0,
                "limits",
                "handshakes and handshakes_per_address must be more than 0, or nobody is let in",
            ),
            (
                !limits.handshake.is_zero(),
                "limits",
                "handshake must be longer than 0",
            ),
            (
                !limits.redial_min.is_zero() && limits.redial_min <= limits.redial_max,
                "limits",
                "redial_min must be longer than 0 and no longer than redial_max",
            ),
            (
                !restarts.backoff.is_zero() && restarts.backoff_max >= restarts.backoff,
                "supervisor",
                "the wait before a restart must be longer than 0 and no longer than backoff_max",
            ),
            (
                restarts.backoff_max <= BACKOFF_MAX && restarts.within <= BACKOFF_MAX,
                "supervisor",
                "the times of restarts must not be longer than a year",
            ),
        ];
        for (holds, setting, reason) in rules {
            if !holds {
                return Err(BuildError::setting(setting, reason));
            }
        }
        Ok(())
    }
}

/// Microseconds since 1970, then chance: two boots never have the same.
fn boot_incarnation() -> Result<u64, BuildError> {
    let chance = getrandom::u32().map_err(BuildError::Entropy)? >> (u32::BITS - RANDOM_BITS);
    Ok((wall_clock() << RANDOM_BITS) | u64::from(chance))
}

/// True if the monotonic clock moves by itself. That of a simulation does not: it moves only when
/// all tasks wait.
fn clock_moves() -> bool {
    const READINGS: usize = 100_000;
    let start = Instant::now();
    (0..READINGS).any(|_| Instant::now() > start)
}
