//! [`Hub`]: the handle that a program holds.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tracing::Instrument;

use super::builder::Builder;
use super::children::StopReason;
use super::error::{
    ChildError, ChildOutcome, HubStopped, StartError, StopError, TooLarge, WaitError,
};
use super::events::Events;
use super::orders::Order;
use super::shared::Shared;
use super::stats::HubStats;
use super::task::LeaveReport;
use super::tcp::{Secret, SecretsError};
use crate::child::{ChildSpec, Metadata, Row};
use crate::hub::Command;
use crate::name::{ChildId, NodeId, Pid};
use crate::pubsub::PubSub;
use crate::request::{Members, Request};
use crate::rt;

/// A running hub. Clones are handles of the same hub; when the last of them is dropped the hub
/// stops at once, without a good-bye: its children are dropped, its connections closed.
/// [`Hub::leave`] is the polite way.
///
/// Reading never waits. Whatever changes something is a future that may be dropped at any time:
/// before its first poll nothing is asked; after that it may be performed or not, and if it is, the
/// registry says so.
#[derive(Clone)]
pub struct Hub {
    shared: Arc<Shared>,
    orders: mpsc::Sender<Order>,
    /// How long this handle waits; `None` for the default of requests, and for ever otherwise.
    timeout: Option<Duration>,
}

/// A handle that does not keep the hub running.
#[derive(Clone)]
pub struct WeakHub {
    shared: Weak<Shared>,
    orders: Option<mpsc::WeakSender<Order>>,
}

impl WeakHub {
    pub(super) fn new(shared: &Arc<Shared>, orders: &mpsc::Sender<Order>) -> Self {
        Self {
            shared: Arc::downgrade(shared),
            orders: Some(orders.downgrade()),
        }
    }

    /// A handle of a hub that is gone.
    #[cfg(test)]
    pub(super) fn gone() -> Self {
        Self {
            shared: Weak::new(),
            orders: None,
        }
    }

    /// The hub, unless all other handles of it have been dropped.
    #[must_use]
    pub fn upgrade(&self) -> Option<Hub> {
        let orders = self.orders.as_ref()?.upgrade()?;
        Some(Hub::new(self.shared.upgrade()?, orders))
    }
}

impl std::fmt::Debug for WeakHub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WeakHub")
    }
}

/// How [`Hub::stop_children_with`] stops children.
///
/// ```
/// use std::time::Duration;
///
/// use hublab_strategies::live::{Hub, HubStopped, StopOptions};
///
/// async fn drain(hub: &Hub) -> Result<usize, HubStopped> {
///     let options = StopOptions::default().on(["b"]).timeout(Duration::from_secs(2));
///     let outcomes = hub.stop_children_with(["worker-1", "worker-2"], options).await?;
///     Ok(outcomes.iter().filter(|one| one.outcome.is_ok()).count())
/// }
/// ```
#[derive(Debug, Clone, Default)]
pub struct StopOptions {
    nodes: Vec<NodeId>,
    timeout: Option<Duration>,
}

impl StopOptions {
    /// The nodes that shall stop the children, whether or not the registry has them there; default:
    /// wherever this node believes them to run.
    #[must_use]
    pub fn on<N: Into<NodeId>>(mut self, nodes: impl IntoIterator<Item = N>) -> Self {
        self.nodes = nodes.into_iter().map(Into::into).collect();
        self
    }

    /// How long to wait for answers of other nodes; default 10 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

/// How [`Hub::start_children_with`] starts children.
#[derive(Debug, Clone)]
pub struct StartOptions {
    nodes: Vec<NodeId>,
    metadata: Metadata,
    announce: bool,
    timeout: Option<Duration>,
}

/// How long a request waits for answers by default.
const TIMEOUT: Duration = Duration::from_secs(10);

impl Default for StartOptions {
    /// On this node, without metadata, announced, with 10 s for the answer.
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            metadata: Metadata::default(),
            announce: true,
            timeout: None,
        }
    }
}

impl StartOptions {
    /// The nodes that shall run the children; each runs all of them.
    #[must_use]
    pub fn on<N: Into<NodeId>>(mut self, nodes: impl IntoIterator<Item = N>) -> Self {
        self.nodes = nodes.into_iter().map(Into::into).collect();
        self
    }

    /// The metadata of each of the children.
    #[must_use]
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// True if the registration is propagated at once; if not, periodic rounds spread it.
    #[must_use]
    pub fn announce(mut self, announce: bool) -> Self {
        self.announce = announce;
        self
    }

    /// How long to wait for answers of other nodes; default 10 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl Hub {
    /// Configures a hub. Only hubs of the same id form a cluster, and the node's name is unique in
    /// it and the same at each boot. Nodes order by name, and under Gossip with `restricted_init` the
    /// first of them starts the rounds. The hub runs [`PubSub`] unless [`Builder::strategy`] is called.
    #[must_use]
    pub fn builder(hub_id: impl Into<String>, node: impl Into<String>) -> Builder<PubSub> {
        Builder::new(hub_id.into(), node.into())
    }

    pub(super) fn new(shared: Arc<Shared>, orders: mpsc::Sender<Order>) -> Self {
        Self {
            shared,
            orders,
            timeout: None,
        }
    }

    /// Another handle of the hub, whose requests and waits end after this time.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self {
            timeout: Some(timeout),
            ..self.clone()
        }
    }

    /// A handle that does not keep the hub running.
    #[must_use]
    pub fn downgrade(&self) -> WeakHub {
        WeakHub::new(&self.shared, &self.orders)
    }

    /// Waits until something holds of what this handle reads: its members, rows, connections. It is
    /// asked again whenever something happens at the hub.
    ///
    /// # Errors
    /// The hub has stopped, or the time of [`Self::with_timeout`] is over.
    pub async fn wait_until(&self, mut holds: impl FnMut(&Self) -> bool) -> Result<(), WaitError> {
        let mut events = self.events();
        let held = async {
            while !holds(self) {
                events.next().await.ok_or(HubStopped)?;
                while events.try_next().is_some() {}
            }
            Ok(())
        };
        match self.timeout {
            Some(within) => rt::timeout(within, held)
                .await
                .unwrap_or(Err(WaitError::TimedOut)),
            None => held.await,
        }
    }

    /// Waits until the cluster view has at least so many members, this node included.
    ///
    /// # Errors
    /// As [`Self::wait_until`].
    pub async fn wait_for_members(&self, count: usize) -> Result<(), WaitError> {
        self.wait_until(|view| view.members().len() >= count).await
    }

    /// Waits until this node has found at least one other.
    ///
    /// # Errors
    /// As [`Self::wait_until`].
    pub async fn joined(&self) -> Result<(), WaitError> {
        self.wait_for_members(2).await
    }

    /// Starts a child on this node and tells the cluster. A child of the same id that runs here is
    /// replaced. Returns its pid.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start_child(&self, spec: ChildSpec) -> Result<Pid, StartError> {
        let outcomes = self.start_children([spec]).await?;
        let outcome = outcomes.into_iter().next().map(|it| it.outcome);
        match outcome.ok_or(StartError::TimedOut)? {
            Ok(pid) => Ok(pid),
            Err(ChildError::TimedOut) => Err(StartError::TimedOut),
            Err(ChildError::TooLarge(error)) => Err(error.into()),
            Err(error) => Err(StartError::Refused(error.to_string())),
        }
    }

    /// Stops a child wherever this node believes it to run, and tells the cluster.
    ///
    /// # Errors
    /// See [`StopError`].
    pub async fn stop_child(&self, child: impl Into<ChildId>) -> Result<(), StopError> {
        for outcome in self.stop_children([child]).await? {
            match outcome.outcome {
                Ok(_) => {}
                Err(ChildError::Unknown) => return Err(StopError::Unknown),
                Err(error) => {
                    let node = outcome.node;
                    return Err(StopError::Node { node, error });
                }
            }
        }
        Ok(())
    }

    /// The cluster's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.shared.hub_id
    }

    /// This node.
    #[must_use]
    pub fn node(&self) -> &NodeId {
        &self.shared.node
    }

    /// This boot of the node: its time in microseconds, and chance.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.shared.incarnation
    }

    /// The address it listens on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.address
    }

    /// Where a child runs, as far as this node knows: its row, or `None` if it has none or one
    /// without entries. Never waits; takes well under a microsecond.
    #[must_use]
    pub fn lookup(&self, child: &str) -> Option<Arc<Row>> {
        self.shared.mirror.get(child)
    }

    /// All rows with entries, in no order; in a simulated run, by id. Never waits. Weakly consistent: rows that change during
    /// the call may be seen before or after their change, each for itself.
    pub fn registry(&self) -> impl ExactSizeIterator<Item = Arc<Row>> + use<> {
        self.shared.rows().into_iter()
    }

    /// The cluster view in its order, this node included. Never waits.
    #[must_use]
    pub fn members(&self) -> Vec<NodeId> {
        self.shared.members()
    }

    /// The peers whose connection is up; not all of them need be members yet. Never waits.
    #[must_use]
    pub fn connected(&self) -> Vec<NodeId> {
        self.shared.connected()
    }

    /// A snapshot of the counters. Never waits.
    #[must_use]
    pub fn stats(&self) -> HubStats {
        self.shared.stats()
    }

    /// Why a child of this node ended, if it is one of the last 1,024 that did.
    #[must_use]
    pub fn stop_reason(&self, child: &str) -> Option<StopReason> {
        self.shared.ends.get(&ChildId::new(child))
    }

    /// True if the hub has stopped.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.orders.is_closed()
    }

    /// A stream of everything that happens from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        self.shared.fanout.subscribe()
    }

    /// A stream of what happens to one child. If a look-up finds it now, its row comes first.
    #[must_use]
    pub fn watch(&self, child: &str) -> Events {
        let child = ChildId::new(child);
        self.shared.fanout.watch(&child, &self.shared.mirror)
    }

    /// Starts children on this node and tells the cluster. A child of the same id that runs here is
    /// replaced.
    ///
    /// The outcomes stand in the order of the request. If the future is dropped after its first
    /// poll, the children may be started all the same; then they are in the registry.
    ///
    /// # Errors
    /// The hub has stopped.
    pub async fn start_children(
        &self,
        specs: impl IntoIterator<Item = ChildSpec>,
    ) -> Result<Vec<ChildOutcome>, HubStopped> {
        self.start_children_with(specs, StartOptions::default())
            .await
    }

    /// Starts children as the options say, on other nodes too. The outcomes stand in the order of
    /// the nodes, and for each node in the order of the children.
    ///
    /// # Errors
    /// The hub has stopped.
    pub async fn start_children_with(
        &self,
        specs: impl IntoIterator<Item = ChildSpec>,
        options: StartOptions,
    ) -> Result<Vec<ChildOutcome>, HubStopped> {
        let mut specs: Vec<ChildSpec> = specs.into_iter().collect();
        // What is too large is not asked for; its outcomes are put where they belong afterwards.
        let mut refused: Vec<(usize, ChildId, TooLarge)> = Vec::new();
        let per_node = specs.len();
        let mut place = 0;
        specs.retain(|spec| {
            let checked = self.shared.sizes.check(spec, &options.metadata);
            if let Err(error) = checked {
                refused.push((place, spec.id().clone(), error));
            }
            place += 1;
            checked.is_ok()
        });
        let mut places: Vec<NodeId> = Vec::new();
        for node in &options.nodes {
            if !places.contains(node) {
                places.push(node.clone());
            }
        }
        if places.is_empty() {
            places.push(self.node().clone());
        }
        let (count, nodes) = (specs.len(), options.nodes.len());
        let span = tracing::debug_span!("start_children", node = %self.node(), count, nodes);
        let started = self.request(|reply| Order::Start {
            specs,
            metadata: options.metadata,
            nodes: options.nodes,
            announce: options.announce,
            timeout: options.timeout.or(self.timeout).unwrap_or(TIMEOUT),
            reply,
        });
        let mut outcomes = started.instrument(span).await?;
        for (number, node) in places.iter().enumerate() {
            for (place, child, error) in &refused {
                let outcome = ChildOutcome {
                    node: node.clone(),
                    child: child.clone(),
                    outcome: Err((*error).into()),
                };
                outcomes.insert((number * per_node + place).min(outcomes.len()), outcome);
            }
        }
        Ok(outcomes)
    }

    /// Stops children wherever this node believes them to run, and tells the cluster. The outcomes
    /// stand in the order of the nodes' names, children that are not known first.
    ///
    /// # Errors
    /// The hub has stopped.
    pub async fn stop_children<C: Into<ChildId>>(
        &self,
        children: impl IntoIterator<Item = C>,
    ) -> Result<Vec<ChildOutcome>, HubStopped> {
        self.stop_children_on(children, [] as [NodeId; 0]).await
    }

    /// Stops children on these nodes, whether or not the registry has them there.
    ///
    /// # Errors
    /// The hub has stopped.
    pub async fn stop_children_on<C: Into<ChildId>, N: Into<NodeId>>(
        &self,
        children: impl IntoIterator<Item = C>,
        nodes: impl IntoIterator<Item = N>,
    ) -> Result<Vec<ChildOutcome>, HubStopped> {
        let options = StopOptions::default().on(nodes);
        self.stop_children_with(children, options).await
    }

    /// Stops children as the options say.
    ///
    /// # Errors
    /// The hub has stopped.
    pub async fn stop_children_with<C: Into<ChildId>>(
        &self,
        children: impl IntoIterator<Item = C>,
        options: StopOptions,
    ) -> Result<Vec<ChildOutcome>, HubStopped> {
        let children: Vec<_> = children.into_iter().map(Into::into).collect();
        let nodes = options.nodes;
        let timeout = options.timeout.or(self.timeout).unwrap_or(TIMEOUT);
        let (count, asked) = (children.len(), nodes.len());
        let span = tracing::debug_span!("stop_children", node = %self.node(), count, nodes = asked);
        let stopped = self.request(|reply| Order::Stop {
            children,
            nodes,
            timeout,
            reply,
        });
        stopped.instrument(span).await
    }

    /// Gives a child of this node a new process, whose pid is propagated. A child that does not run
    /// here is left alone.
    ///
    /// # Errors
    /// The hub has stopped.
    pub async fn restart_child(&self, child: impl Into<ChildId>) -> Result<(), HubStopped> {
        self.command(Command::RestartChild(child.into())).await
    }

    /// Hands raw requests to the strategy's `propagate`, one after another: they change registries,
    /// not what runs.
    ///
    /// # Errors
    /// The hub has stopped.
    pub async fn propagate(
        &self,
        requests: impl IntoIterator<Item = Request>,
        members: Members,
    ) -> Result<(), HubStopped> {
        for request in requests {
            let (requests, members) = (vec![request].into(), members.clone());
            self.command(Command::Propagate { requests, members })
                .await?;
        }
        Ok(())
    }

    /// Starts a periodic round now; its timer is left alone.
    ///
    /// # Errors
    /// The hub has stopped.
    pub async fn sync(&self) -> Result<(), HubStopped> {
        self.command(Command::Sync).await
    }

    /// Gives the hub a command as it is, for experiments: nobody waits for answers of other nodes.
    ///
    /// # Errors
    /// The hub has stopped.
    pub async fn command(&self, command: Command) -> Result<(), HubStopped> {
        self.request(|done| Order::Command(command, done)).await
    }

    /// Replaces the cluster's secrets while the hub runs: the first is used for dialling, all are
    /// accepted. Every connection gets a new handshake under the first as soon as both sides have it,
    /// without being lost; a session of a secret that is no longer among them is closed within a
    /// minute. To rotate, give every node the new and the old one, and then the new one alone.
    ///
    /// # Errors
    /// There is no secret, or the hub was started without.
    pub fn set_secrets(
        &self,
        secrets: impl IntoIterator<Item = Secret>,
    ) -> Result<(), SecretsError> {
        self.shared.set_secrets(secrets.into_iter().collect())
    }

    /// Takes note of where a node may be found, and dials it from now on, as if a peer had told.
    pub fn introduce(&self, node: &NodeId, address: &str) {
        self.shared.introduce(node, address);
    }

    /// Says good-bye to the peers, stops all children, flushes what is queued, and ends the hub.
    /// Returns within 5 s even if peers hang: what they do not take in within 2 s is given up.
    /// Dropping the future does not call the leaving off. In a simulated run, it returns at once, and
    /// its report has no peers.
    ///
    /// # Errors
    /// The hub had stopped already.
    pub async fn leave(&self) -> Result<LeaveReport, HubStopped> {
        self.request(Order::Leave).await
    }

    /// Waits until the hub has stopped, for whatever reason.
    pub async fn stopped(&self) {
        self.orders.closed().await;
    }

    async fn request<T>(
        &self,
        order: impl FnOnce(oneshot::Sender<T>) -> Order,
    ) -> Result<T, HubStopped> {
        let (reply, answer) = oneshot::channel();
        let sent = self.orders.send(order(reply)).await;
        sent.map_err(|_| HubStopped)?;
        let answered = answer.await.map_err(|_| HubStopped)?;
        tracing::debug!("answered");
        Ok(answered)
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub")
            .field("id", &self.shared.hub_id)
            .field("node", &self.shared.node)
            .field("incarnation", &self.shared.incarnation)
            .finish_non_exhaustive()
    }
}
