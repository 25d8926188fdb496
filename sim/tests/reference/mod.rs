//! A trivially correct strategy: one central map that every node is told in each of its steps.
//!
//! Nothing of it depends on messages: a node writes down at once what runs on it, and looks every
//! few milliseconds at what runs on the nodes it is connected to. Its members are its connected
//! peers. Metadata are those of entries, so that replicas may have different ones. Whatever is done
//! to such a cluster, its views are right as soon as they can be: what an oracle finds is a false
//! alarm.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hublab_sim::catalog::{CatalogEntry, NodeFactory, ParameterError, Params};
use hublab_sim::node::HubNode;
use hublab_strategies::context::Context;
use hublab_strategies::fact::{Change, Fact};
use hublab_strategies::hub::HubCore;
use hublab_strategies::membership::{Announcement, Decision, Membership, MembershipContext};
use hublab_strategies::message::SizeModel;
use hublab_strategies::strategy::{Claim, Limits, Variation};
use hublab_strategies::time::{duration_text, format_duration, parse_duration};
use hublab_strategies::{
    Channel, ChildId, ChildSpec, DownReason, EventStrategy, Members, Message, Metadata, NodeId,
    Pid, Requests, TimerKey,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The strategy's name.
pub(crate) const NAME: &str = "reference";

/// The time between two looks at the centre.
const LOOK: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, PartialEq)]
struct Running {
    spec: ChildSpec,
    pid: Pid,
    metadata: Metadata,
}

thread_local! {
    /// That of the run under way: one thread makes one run, and nodes that go take what they run along.
    static CENTRE: Centre = Centre::default();
}

/// The children that run, by node: shared by all nodes of one run, whatever their parameters.
#[derive(Debug, Clone, Default)]
struct Centre(Arc<Mutex<BTreeMap<NodeId, BTreeMap<ChildId, Running>>>>);

impl Centre {
    fn open(&self) -> MutexGuard<'_, BTreeMap<NodeId, BTreeMap<ChildId, Running>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The strategy of one node.
struct Told {
    node: NodeId,
    centre: Centre,
    sync_interval: Duration,
}

impl Drop for Told {
    /// A node that stops runs nothing any more.
    fn drop(&mut self) {
        self.centre.open().remove(&self.node);
    }
}

/// It sends nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Nothing {}

impl Message for Nothing {
    const KINDS: &'static [&'static str] = &[];

    fn kind(&self) -> &'static str {
        match *self {}
    }

    fn size_model(&self) -> SizeModel {
        match *self {}
    }
}

type Cx<'a> = Context<'a, Nothing>;

impl Told {
    /// Writes down what has changed here.
    fn note(&self, fact: &Fact) {
        let mut centre = self.centre.open();
        let here = centre.entry(self.node.clone()).or_default();
        match &fact.change {
            Change::Started {
                spec,
                pid,
                metadata,
            } => {
                let running = Running {
                    spec: spec.clone(),
                    pid: pid.clone(),
                    metadata: metadata.clone(),
                };
                here.insert(fact.child.clone(), running);
            }
            Change::Restarted { pid } => {
                if let Some(running) = here.get_mut(&fact.child) {
                    running.pid = pid.clone();
                }
            }
            Change::Stopped { pid } => {
                if here
                    .get(&fact.child)
                    .is_some_and(|running| running.pid == *pid)
                {
                    here.remove(&fact.child);
                }
            }
        }
    }

    /// Makes the registry what runs here and on the connected peers.
    fn look(&self, cx: &mut Cx<'_>) {
        let centre = self.centre.open();
        let reachable = cx.connected().iter().chain([&self.node]);
        let right: BTreeMap<(ChildId, NodeId), Running> = reachable
            .filter_map(|node| Some((node, centre.get(node)?)))
            .flat_map(|(node, running)| {
                let key = move |child: &ChildId| (child.clone(), node.clone());
                running
                    .iter()
                    .map(move |(child, running)| (key(child), running.clone()))
            })
            .collect();
        let mut ghosts = Vec::new();
        let mut known = BTreeSet::new();
        for row in cx.registry().rows() {
            for entry in row.entries {
                let key = (row.spec.id().clone(), entry.node.clone());
                match right.get(&key) {
                    None => ghosts.push(key),
                    Some(running)
                        if entry.pid.as_ref() == Some(&running.pid)
                            && *row.metadata_on(&entry.node) == running.metadata =>
                    {
                        known.insert(key);
                    }
                    Some(_) => {}
                }
            }
        }
        for (child, node) in &ghosts {
            cx.remove(child, node);
        }
        for (key, running) in right.iter().filter(|(key, _)| !known.contains(key)) {
            cx.upsert_entry(&running.spec, &key.1, Some(&running.pid), &running.metadata);
        }
    }
}

impl EventStrategy for Told {
    type Message = Nothing;

    fn start(&mut self, cx: &mut Cx<'_>) {
        cx.set_timer(0, LOOK);
    }

    fn handle_timer(&mut self, cx: &mut Cx<'_>, key: u64) {
        self.look(cx);
        cx.set_timer(key, LOOK);
    }

    fn local_change(&mut self, cx: &mut Cx<'_>, fact: &Fact) {
        self.note(fact);
        self.look(cx);
    }

    fn propagate(&mut self, _cx: &mut Cx<'_>, _requests: Requests, _members: &Members) {}

    fn handle_message(&mut self, _cx: &mut Cx<'_>, _from: &NodeId, message: &Nothing) {
        match *message {}
    }

    fn round_interval(&self) -> Option<Duration> {
        Some(self.sync_interval)
    }
}

/// Members are the connected peers; announcements only connect.
struct Connected {
    interval: Duration,
    peers: BTreeSet<NodeId>,
}

type MembershipCx<'a> = MembershipContext<'a, Announcement>;

impl Connected {
    /// Makes the view this node and its connected peers, whoever overwrote it.
    fn settle(&self, cx: &mut MembershipCx<'_>) {
        let new = |node: &&NodeId| !cx.is_member(node);
        let joins = self.peers.iter().filter(new).cloned().collect();
        let gone = |node: &&NodeId| **node != *cx.node() && !self.peers.contains(*node);
        let downs = cx.view().iter().filter(gone);
        let downs = downs
            .map(|node| (node.clone(), DownReason::Silent))
            .collect();
        cx.decide(Decision::Joins(joins));
        cx.decide(Decision::Downs(downs));
    }

    fn announce(&self, cx: &mut MembershipCx<'_>) {
        let incarnation = cx.incarnation();
        cx.announce(Channel::CONTROL, Announcement { incarnation });
        cx.set_timer(TimerKey::Discovery, self.interval);
    }
}

impl Membership for Connected {
    type Message = Announcement;

    fn start(&mut self, cx: &mut MembershipCx<'_>) {
        self.announce(cx);
        cx.set_timer(TimerKey::Membership(0), LOOK);
    }

    fn handle_message(&mut self, _cx: &mut MembershipCx<'_>, _from: &NodeId, _: &Announcement) {}

    fn handle_timer(&mut self, cx: &mut MembershipCx<'_>, key: TimerKey) {
        if key == TimerKey::Discovery {
            self.announce(cx);
        } else {
            self.settle(cx);
            cx.set_timer(key, LOOK);
        }
    }

    fn peer_up(&mut self, cx: &mut MembershipCx<'_>, node: &NodeId, _incarnation: u64) {
        self.peers.insert(node.clone());
        self.settle(cx);
    }

    fn peer_down(&mut self, cx: &mut MembershipCx<'_>, node: &NodeId, _reason: DownReason) {
        self.peers.remove(node);
        self.settle(cx);
    }

    fn leave(&mut self, _cx: &mut MembershipCx<'_>, _node: &NodeId) {}
}

/// The strategy in a catalog. Each run has a centre of its own.
pub(crate) struct Reference;

impl CatalogEntry for Reference {
    fn name(&self) -> &'static str {
        NAME
    }

    fn summary(&self) -> &'static str {
        "every node is told the truth"
    }

    fn defaults(&self) -> Params {
        Params::from_iter([("sync_interval".to_owned(), Value::from("2s"))])
    }

    fn check_key(&self, key: &str, value: &Value) -> Result<(), ParameterError> {
        let duration = value.as_str().map(parse_duration);
        match (key, duration) {
            ("sync_interval", Some(Ok(duration))) if !duration.is_zero() => Ok(()),
            (_, _) => Err(ParameterError::new(key, "not a parameter")),
        }
    }

    fn configure(&self, params: &Params) -> Result<NodeFactory, ParameterError> {
        let given = params.get("sync_interval").and_then(Value::as_str);
        let sync_interval = parse_duration(given.unwrap_or("2s"))
            .map_err(|error| ParameterError::new("sync_interval", &error.to_string()))?;
        let centre = CENTRE.with(Clone::clone);
        Ok(Box::new(move |node, incarnation, common| {
            let (node, centre) = (node.clone(), centre.clone());
            let strategy = Told {
                node: node.clone(),
                centre,
                sync_interval,
            };
            let membership = Connected {
                interval: common.discovery_interval,
                peers: BTreeSet::new(),
            };
            Box::new(HubNode::new(HubCore::new(
                node,
                incarnation,
                strategy,
                membership,
                common.hub,
            )))
        }))
    }

    fn round_interval(&self, params: &Params) -> Option<Duration> {
        let given = params.get("sync_interval").and_then(Value::as_str);
        parse_duration(given.unwrap_or("2s")).ok()
    }

    fn config_schema(&self) -> Value {
        let duration = duration_text::schema(&mut schemars::SchemaGenerator::default());
        serde_json::json!({ "type": "object", "properties": { "sync_interval": duration } })
    }

    fn claims(&self) -> &'static [Claim] {
        &[]
    }

    fn limits(&self) -> Limits {
        Limits::default()
    }

    fn varied(&self, by: &Variation) -> Params {
        let interval = Value::from(format_duration(by.round_interval));
        Params::from_iter([("sync_interval".to_owned(), interval)])
    }
}
