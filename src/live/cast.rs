//! The hubs of a run, and what the script has them do.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use hublab_sim::engine::CHILD_KIND;
use hublab_sim::scenario::{Action, Audience, Children, NodeIx, Scenario};
use hublab_sim::trace::event::StopReason;
use hublab_strategies::hub::HubConfig;
use hublab_strategies::live::{Filter, Flow, Hub, Limits, Observer, StartOptions, Tasks};
use hublab_strategies::{
    ChildSpec, Gossip, Members, NodeId, PubSub, Request, Strategy, Synchronization,
};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::stage::{Stage, Tap};

/// The time between two dials of one address: a healed link is found open at once.
const REDIAL: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(50)];

/// The heartbeats in one `down_after`.
const BEATS: u32 = 10;

/// The time for a hub to end after it was told to.
const END: Duration = Duration::from_secs(1);

/// Whether a strategy has a live form.
pub(super) fn is_known(strategy: &str) -> bool {
    [PubSub::NAME, Gossip::NAME].contains(&strategy)
}

/// A hub that runs.
struct Actor {
    hub: Hub,
    flow: watch::Sender<Flow>,
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
            requests: JoinSet::new(),
        }
    }

    fn name(&self, node: NodeIx) -> &NodeId {
        &self.scenario.cluster.nodes[node as usize]
    }

    fn names(&self, nodes: &[NodeIx]) -> Vec<NodeId> {
        nodes.iter().map(|node| self.name(*node).clone()).collect()
    }

    fn hub(&self, node: NodeIx) -> Option<Hub> {
        let actor = self.actors[node as usize].as_ref();
        actor.map(|actor| actor.hub.clone())
    }

    fn set(&self, node: NodeIx, flow: Flow) {
        if let Some(actor) = &self.actors[node as usize] {
            actor.flow.send_replace(flow);
        }
    }

    /// Boots nodes that do not run. Each looks for all that do.
    pub(super) async fn boot(&mut self, nodes: &[NodeIx]) -> Result<(), String> {
        for node in nodes {
            if self.actors[*node as usize].is_none() {
                let actor = match self.strategy {
                    PubSub::NAME => self.start::<PubSub>(*node).await,
                    Gossip::NAME => self.start::<Gossip>(*node).await,
                    other => Err(format!("the strategy `{other}` has no live form")),
                };
                self.actors[*node as usize] = Some(actor?);
            }
        }
        Ok(())
    }

    async fn start<S: Strategy>(&self, node: NodeIx) -> Result<Actor, String> {
        let cluster = &self.scenario.cluster;
        let incarnation = self.stage.between(|witness| witness.booted(node));
        let incarnation = incarnation.ok_or("the run is over")?;
        let tap = Arc::new(Tap::new(Arc::clone(&self.stage), node, incarnation));
        let peers = self.actors.iter().flatten();
        let peers: Vec<String> = peers.map(|it| it.hub.local_addr().to_string()).collect();
        let (flow, receiver) = watch::channel(Flow::Run);
        let hub = Hub::builder(&self.hub_id)
            .node(self.name(node).as_str())
            .peers(peers)
            .strategy(self.configured::<S>()?)
            .supervisor(Tasks::new().with(CHILD_KIND, |_| std::future::pending::<()>()))
            .discovery_interval(cluster.discovery_interval)
            .join_debounce(cluster.join_debounce)
            .down_after(cluster.down_after)
            .heartbeat(cluster.down_after / BEATS)
            .limits(Limits {
                redial_min: REDIAL[0],
                redial_max: REDIAL[1],
                ..Limits::default()
            })
            .config(self.config)
            .incarnation(incarnation.into())
            .filter(Arc::clone(&tap) as Arc<dyn Filter>)
            .observer(tap as Arc<dyn Observer>)
            .flow(receiver)
            .start()
            .await
            .map_err(|error| format!("{}: {error}", self.name(node)))?;
        Ok(Actor { hub, flow })
    }

    fn configured<S: Strategy + Synchronization>(&self) -> Result<S, String> {
        let params = self.scenario.strategies.get(S::NAME);
        let params = Value::Object(params.cloned().unwrap_or_default());
        let refused = |error: &dyn std::fmt::Display| format!("strategy.{}: {error}", S::NAME);
        let config = serde_json::from_value(params).map_err(|error| refused(&error))?;
        S::new(&config).map_err(|error| refused(&error))
    }

    /// Carries out a step that the witness knows of.
    pub(super) async fn act(&mut self, action: &Action) -> Result<(), String> {
        match action {
            Action::Join(nodes) | Action::Restart(nodes) => self.boot(nodes).await?,
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
            | Action::Sync(_) => self.request(action).await,
            // The filter does it.
            Action::Partition { .. } | Action::Cut { .. } | Action::Heal | Action::Link(_) => {}
            // Refused before the start.
            Action::Clock { .. }
            | Action::Broadcast { .. }
            | Action::Rows { .. }
            | Action::View { .. } => {}
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

    async fn request(&mut self, action: &Action) {
        match action {
            Action::StartChildren {
                on,
                children,
                metadata,
                replicas,
                announce,
                via,
            } => {
                let nodes = std::iter::once(on).chain(replicas).copied();
                let options = StartOptions::default()
                    .on(self.names(&nodes.collect::<Vec<_>>()))
                    .metadata(metadata.clone())
                    .announce(*announce);
                let specs = specs(children);
                self.ask(via.unwrap_or(*on), async move |hub| {
                    drop(hub.start_children_with(specs, options).await);
                })
                .await;
            }
            Action::StopChildren { on, children, via } => {
                let (ids, on_name) = (children.ids(), self.name(*on).clone());
                self.ask(via.unwrap_or(*on), async move |hub| {
                    drop(hub.stop_children_on(ids, [on_name]).await);
                })
                .await;
            }
            Action::RestartChild { on, child } => {
                let child = child.clone();
                self.ask(*on, async move |hub| {
                    // A hub that has stopped meanwhile restarts nothing.
                    let _ = hub.restart_child(child).await;
                })
                .await;
            }
            Action::Propagate {
                from,
                members,
                requests,
            } => {
                let members = match members {
                    Audience::Global => Members::Global,
                    Audience::Local => Members::Local,
                    Audience::External => Members::External,
                    Audience::Nodes(nodes) => Members::Nodes(self.names(nodes)),
                };
                let requests: Vec<Request> = requests.iter().map(Request::from).collect();
                self.ask(*from, async move |hub| {
                    let _ = hub.propagate(requests, members).await;
                })
                .await;
            }
            Action::Sync(on) => {
                self.ask(*on, async move |hub| {
                    let _ = hub.sync().await;
                })
                .await
            }
            Action::Join(_)
            | Action::Leave(_)
            | Action::Crash(_)
            | Action::Restart(_)
            | Action::Pause(_)
            | Action::Resume(_)
            | Action::Partition { .. }
            | Action::Cut { .. }
            | Action::Heal
            | Action::Link(_)
            | Action::Clock { .. }
            | Action::Broadcast { .. }
            | Action::Rows { .. }
            | Action::View { .. } => {}
        }
    }

    /// Asks a node, if it runs, for something whose answer nobody waits for.
    async fn ask<F>(&mut self, node: NodeIx, request: impl FnOnce(Hub) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        if let Some(hub) = self.hub(node) {
            self.post(request(hub)).await;
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

async fn end(actor: &Actor) {
    actor.flow.send_replace(Flow::Stop);
    if timeout(END, actor.hub.stopped()).await.is_err() {
        tracing::warn!(node = %actor.hub.node(), "the hub does not end");
    }
}

fn specs(children: &Children) -> Vec<ChildSpec> {
    let ids = children.ids().into_iter();
    ids.map(|id| ChildSpec::new(id, CHILD_KIND)).collect()
}
