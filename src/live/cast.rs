//! The hubs of a run, and what the script has them do.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use hublab_sim::model::script::{CHILD_KIND, command};
use hublab_sim::model::{NodeSettings, ParameterSets};
use hublab_sim::scenario::{Action, NodeIx, Scenario};
use hublab_sim::trace::event::StopReason;
use hublab_strategies::builtin::{self, Visitor};
use hublab_strategies::hub::HubConfig;
use hublab_strategies::live::{Filter, Flow, Hub, Limits, Observer, Tasks};
use hublab_strategies::{NodeId, Strategy};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::LiveError;
use super::stage::{Stage, Tap};

/// The time between two dials of one address. Hubs dial when they send something that connects; this
/// is for dials that came to nothing.
const REDIAL: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(500)];

/// Strangers that a hub talks to at once: as many as there may be nodes.
const HANDSHAKES: usize = 2 * super::NODES_MAX;

/// The time for all hubs of the start to connect, and how often to look.
const CONNECT: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// The heartbeats in one `down_after`.
const BEATS: u32 = 10;

/// The time for a hub to end after it was told to.
const END: Duration = Duration::from_secs(1);

/// True if a strategy has a live form.
pub(super) fn is_known(strategy: &str) -> bool {
    let mut names = builtin::SUMMARIES.iter().map(|(name, _)| name);
    names.any(|name| *name == strategy)
}

/// The names of the strategies that run on real hubs.
pub(super) fn known() -> String {
    let names = builtin::SUMMARIES
        .iter()
        .map(|(name, _)| format!("`{name}`"));
    names.collect::<Vec<_>>().join(", ")
}

/// A hub that runs.
struct Actor {
    hub: Hub,
    flow: watch::Sender<Flow>,
    /// It stands ready, but its node has not booted yet.
    is_waiting: bool,
}

/// Starts the hub of a node.
struct Starting<'a, 'b>(&'a Cast<'b>, NodeIx);

impl<'a> Visitor for Starting<'a, '_> {
    type Output = Pin<Box<dyn Future<Output = Result<Actor, LiveError>> + Send + 'a>>;

    fn visit<S: Strategy>(self) -> Self::Output {
        Box::pin(self.0.start::<S>(self.1))
    }
}

/// The hubs of one run.
pub(super) struct Cast<'a> {
    scenario: &'a Scenario,
    strategy: &'a str,
    stage: Arc<Stage>,
    hub_id: String,
    /// The settings that files do not have.
    config: HubConfig,
    actors: Vec<Option<Actor>>,
    /// By node.
    settings: Vec<NodeSettings>,
    parameters: ParameterSets,
    /// Requests that wait for their answers.
    requests: JoinSet<()>,
}

impl<'a> Cast<'a> {
    pub(super) fn new(
        scenario: &'a Scenario,
        strategy: &'a str,
        config: HubConfig,
        stage: Arc<Stage>,
    ) -> Self {
        static RUNS: AtomicU64 = AtomicU64::new(0);
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        Self {
            scenario,
            strategy,
            stage,
            // Runs beside this one may listen on ports that were this one's.
            hub_id: format!("live-{}-{run}", process::id()),
            config,
            actors: scenario.cluster.nodes.iter().map(|_| None).collect(),
            settings: scenario.node_settings(),
            parameters: scenario.parameter_sets(strategy),
            requests: JoinSet::new(),
        }
    }

    fn name(&self, node: NodeIx) -> &NodeId {
        &self.scenario.cluster.nodes[node as usize]
    }

    fn set(&self, node: NodeIx, flow: Flow) {
        if let Some(actor) = &self.actors[node as usize] {
            actor.flow.send_replace(flow);
        }
    }

    /// The next step restarts nodes, with its parameters.
    pub(super) fn restarted(&mut self, step: u32, nodes: &[NodeIx]) {
        for node in nodes {
            self.parameters.restarted(step, *node);
        }
    }

    /// Has hubs of nodes that do not run stand ready: they listen, all know each other's addresses,
    /// and nothing else happens until they boot.
    pub(super) async fn prepare(&mut self, nodes: &[NodeIx]) -> Result<(), LiveError> {
        for node in nodes {
            if self.actors[*node as usize].is_none() {
                let starting = builtin::visit(self.strategy, Starting(self, *node));
                let unknown = || LiveError::UnknownStrategy(self.strategy.to_owned());
                let actor = starting.ok_or_else(unknown)?.await?;
                for other in self.actors.iter().flatten() {
                    introduce(&actor.hub, &other.hub);
                    introduce(&other.hub, &actor.hub);
                }
                self.actors[*node as usize] = Some(actor);
            }
        }
        Ok(())
    }

    /// Boots nodes that do not run, all before the first of them says a word.
    pub(super) async fn boot(&mut self, nodes: &[NodeIx]) -> Result<(), LiveError> {
        self.prepare(nodes).await?;
        for node in nodes {
            if let Some(actor) = &mut self.actors[*node as usize]
                && actor.is_waiting
            {
                actor.is_waiting = false;
                self.stage.between(|witness| witness.booted(*node));
            }
        }
        nodes.iter().for_each(|node| self.set(*node, Flow::Run));
        Ok(())
    }

    /// Connects the nodes of the start, as they are at time 0.
    pub(super) async fn connect(&self, nodes: &[NodeIx]) -> Result<(), LiveError> {
        self.stage.between(|witness| witness.connect(nodes));
        let hubs: Vec<&Hub> = self.actors.iter().flatten().map(|it| &it.hub).collect();
        let connected = async {
            for hub in &hubs {
                while hub.connected().len() + 1 < hubs.len() {
                    sleep(LOOK_EVERY).await;
                }
            }
        };
        let connected = timeout(CONNECT, connected).await;
        connected.map_err(|_| LiveError::Unconnected)
    }

    async fn start<S: Strategy>(&self, node: NodeIx) -> Result<Actor, LiveError> {
        let settings = &self.settings[node as usize];
        let incarnation = self.stage.between(|witness| witness.next_incarnation(node));
        let incarnation = incarnation.ok_or(LiveError::Over)?;
        // The least patient of all may be the other end of any connection.
        let patience = self.settings.iter().map(|of| of.down_after).min();
        let heartbeat = patience.unwrap_or_default() / BEATS;
        let stage = Arc::clone(&self.stage);
        let tap = Arc::new(Tap::new(stage, node, incarnation, heartbeat));
        let (flow, receiver) = watch::channel(Flow::Pause);
        let hub = Hub::builder(&self.hub_id, self.name(node).as_str())
            .strategy(self.configured::<S>(node)?)
            .supervisor(Tasks::new().with(CHILD_KIND, |_| std::future::pending::<()>()))
            .discovery_interval(settings.discovery_interval)
            .join_debounce(settings.join_debounce)
            .down_after(settings.down_after)
            .heartbeat(heartbeat)
            .limits(Limits {
                redial_min: REDIAL[0],
                redial_max: REDIAL[1],
                redial_learned_max: REDIAL[1],
                handshakes: HANDSHAKES,
                ..Limits::default()
            })
            .config(self.config)
            // What differs between nodes of a run is the scenario's to say.
            .allow_mixed(true)
            .incarnation(incarnation.into())
            .filter(Arc::clone(&tap) as Arc<dyn Filter>)
            .observer(tap as Arc<dyn Observer>)
            .flow(receiver)
            .start()
            .await
            .map_err(|error| LiveError::Start {
                node: self.name(node).clone(),
                error,
            })?;
        Ok(Actor {
            hub,
            flow,
            is_waiting: true,
        })
    }

    fn configured<S: Strategy>(&self, node: NodeIx) -> Result<S, LiveError> {
        let params = &self.parameters.sets()[self.parameters.of(node)];
        let params = Value::Object(params.clone());
        let refused = |error: &dyn std::fmt::Display| LiveError::Parameters {
            strategy: S::NAME.to_owned(),
            reason: error.to_string(),
        };
        let config = serde_json::from_value(params).map_err(|error| refused(&error))?;
        S::new(&config).map_err(|error| refused(&error))
    }

    /// Carries out a step that the witness knows of.
    pub(super) async fn act(&mut self, number: u32, action: &Action) -> Result<(), LiveError> {
        match action {
            Action::Join(nodes) | Action::Restart { nodes, .. } => self.boot(nodes).await?,
            Action::Leave(nodes) => {
                for node in nodes {
                    self.leave(*node).await;
                }
            }
            Action::Crash(nodes) => {
                for node in nodes {
                    self.crash(*node).await;
                }
            }
            Action::Pause(nodes) => nodes.iter().for_each(|node| self.set(*node, Flow::Pause)),
            Action::Resume(nodes) => nodes.iter().for_each(|node| self.set(*node, Flow::Run)),
            Action::StartChildren { .. }
            | Action::StopChildren { .. }
            | Action::RestartChild { .. }
            | Action::Propagate { .. }
            | Action::Sync(_)
            | Action::Broadcast { .. } => {
                let names = &self.scenario.cluster.nodes;
                if let Some((node, command)) = command(action, number.into(), names)
                    && let Some(actor) = &self.actors[node as usize]
                {
                    let hub = actor.hub.clone();
                    // A hub that has stopped meanwhile does nothing.
                    self.post(async move {
                        let _ = hub.command(command).await;
                    })
                    .await;
                }
            }
            // The filter does it.
            Action::Partition { .. } | Action::Cut { .. } | Action::Heal | Action::Link(_) => {}
            // Refused before the start.
            Action::Clock { .. }
            | Action::Hold { .. }
            | Action::Release { .. }
            | Action::Rows { .. }
            | Action::View { .. }
            | Action::LeftOut { .. } => {}
        }
        Ok(())
    }

    /// Messages that wait for a link are asked about again.
    pub(super) fn network_changed(&self) {
        for actor in self.actors.iter().flatten() {
            actor.flow.send_modify(|_| {});
        }
    }

    async fn crash(&mut self, node: NodeIx) {
        self.stage
            .between(|witness| witness.stopped(node, StopReason::Crash));
        if let Some(actor) = self.actors[node as usize].take() {
            end(&actor).await;
        }
    }

    async fn leave(&mut self, node: NodeIx) {
        self.set(node, Flow::Run);
        self.stage
            .between(|witness| witness.stopped(node, StopReason::Leave));
        if let Some(actor) = self.actors[node as usize].take() {
            // The flow lives as long as the good-bye takes.
            self.post(async move {
                drop(actor.hub.leave().await);
                drop(actor.flow);
            })
            .await;
        }
    }

    /// Begins a request now, so that requests reach a hub in the order of the script, and leaves
    /// it to itself.
    async fn post(&mut self, request: impl Future<Output = ()> + Send + 'static) {
        let mut request: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(request);
        let begun = poll_fn(|cx| Poll::Ready(request.as_mut().poll(cx))).await;
        if begun.is_pending() {
            self.requests.spawn(request);
        }
    }

    /// Stops all that still runs.
    pub(super) async fn end(mut self) {
        for actor in self.actors.drain(..).flatten() {
            end(&actor).await;
        }
        self.requests.shutdown().await;
    }
}

/// Tells a hub where another one is.
fn introduce(hub: &Hub, other: &Hub) {
    hub.introduce(other.node(), &other.local_addr().to_string());
}

async fn end(actor: &Actor) {
    actor.flow.send_replace(Flow::Stop);
    if timeout(END, actor.hub.stopped()).await.is_err() {
        tracing::warn!(node = %actor.hub.node(), "the hub does not end");
    }
}
