//! `single_node.json`: calls on one registry.

use std::collections::BTreeMap;

use std::time::Duration;

use hublab_strategies::context::COORDINATOR_CRASHED;
use hublab_strategies::pubsub::{JoinData, PubSubMessage};
use hublab_strategies::request::{Request, Requests};
use hublab_strategies::{
    ChildId, Context, Effect, Event, NodeId, NodeState, Profile, PubSub, PubSubConfig, Recorder,
    Snapshot, Strategy, Synchronization,
};
use serde::Deserialize;

use crate::Outcomes;
use crate::forms::{
    ChildForm, Gct, RowForm, UnregisterForm, children_of, expect, gct, names, put_rows, read,
    register, rows_of, snapshot, sorted, timestamps, unregister,
};

#[derive(Deserialize)]
struct Vector {
    name: String,
    local: String,
    cluster: Vec<String>,
    initial: Initial,
    calls: Vec<Call>,
    expected: Vec<Expected>,
}

#[derive(Deserialize)]
struct Initial {
    registry: Vec<RowForm>,
    gct: Gct,
}

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum Call {
    AppendData {
        data: BTreeMap<String, Vec<ChildForm>>,
    },
    DetachData {
        data: BTreeMap<String, Vec<ChildForm>>,
    },
    PubsubHandleSynchronization {
        from: String,
        data: Vec<ChildForm>,
    },
    PubsubHandleNodeJoinData {
        from: String,
        ts: u64,
        data: Vec<ChildForm>,
    },
    PidsRegister {
        children: Vec<RowForm>,
    },
    PidsUnregister {
        children: Vec<UnregisterForm>,
    },
    PidUpdate {
        id: String,
        node: String,
        pid: Option<String>,
    },
    LocalSyncData,
    BroadcastableLocalData,
}

#[derive(Deserialize)]
struct Expected {
    registry: Vec<RowForm>,
    gct: Gct,
    result: Option<Answer>,
}

/// What a call returns.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    LocalSyncData(Vec<ChildForm>),
    Broadcastable(Broadcastable),
    CoordinatorCrashed(bool),
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Broadcastable {
    Suppress(String),
    Data(Vec<ChildForm>),
}

pub(crate) fn run(text: &str, profile: Profile) -> Result<Outcomes, String> {
    let vectors: Vec<Vector> = read(text, profile)?;
    Ok(vectors
        .into_iter()
        .map(|vector| (vector.name.clone(), check(vector, profile)))
        .collect())
}

fn check(vector: Vector, profile: Profile) -> Result<(), String> {
    let mut node = Node::new(&vector, profile)?;
    let states = vector.expected.len();
    let mut done = 0;
    for (index, (call, expected)) in vector.calls.iter().zip(vector.expected).enumerate() {
        let answer = node.call(call);
        done = index + 1;
        // The calls after a crash were not made.
        let is_crash = answer == Some(Answer::CoordinatorCrashed(true));
        let last = if is_crash { done } else { vector.calls.len() };
        let checked = expect(
            "the registry",
            rows_of(node.state.registry()),
            sorted(expected.registry),
        )
        .and_then(|()| expect("gct", gct(node.strategy.timestamps()), expected.gct))
        .and_then(|()| expect("the answer", answer, expected.result.map(in_order)))
        .and_then(|()| match done == states {
            true => expect("the number of calls", done, last),
            false => expect("a crash", is_crash, false),
        });
        checked.map_err(|reason| format!("after call {}, {reason}", index + 1))?;
    }
    expect("the number of states", done, states)
}

fn in_order(answer: Answer) -> Answer {
    match answer {
        Answer::LocalSyncData(data) => Answer::LocalSyncData(sorted(data)),
        Answer::Broadcastable(Broadcastable::Data(data)) => {
            Answer::Broadcastable(Broadcastable::Data(sorted(data)))
        }
        Answer::Broadcastable(Broadcastable::Suppress(word)) => {
            Answer::Broadcastable(Broadcastable::Suppress(word))
        }
        Answer::CoordinatorCrashed(crashed) => Answer::CoordinatorCrashed(crashed),
    }
}

/// One node with PubSub, of which nothing is delivered.
struct Node {
    state: NodeState,
    strategy: PubSub,
    runtime: Recorder<PubSubMessage>,
}

impl Node {
    fn new(vector: &Vector, profile: Profile) -> Result<Self, String> {
        let mut state = NodeState::new(NodeId::new(&vector.local), 1, Duration::from_secs(30));
        state.set_view(names(&vector.cluster));
        put_rows(&mut state, &vector.initial.registry);
        let config = PubSubConfig {
            profile,
            ..PubSubConfig::default()
        };
        let mut strategy = PubSub::new(&config).map_err(|error| error.to_string())?;
        strategy.set_timestamps(timestamps(&vector.initial.gct));
        let mut runtime = Recorder::default();
        strategy.init(&mut Context::new(&mut state, &mut runtime));
        Ok(Self {
            state,
            strategy,
            runtime,
        })
    }

    fn call(&mut self, call: &Call) -> Option<Answer> {
        match call {
            Call::AppendData { data } => self.with_data(data, true),
            Call::DetachData { data } => self.with_data(data, false),
            Call::PubsubHandleSynchronization { from, data } => {
                let (from, data) = (NodeId::new(from), snapshot(data));
                let mut cx = Context::new(&mut self.state, &mut self.runtime);
                self.strategy.handle_synchronization(&mut cx, &data, &from);
            }
            Call::PubsubHandleNodeJoinData { from, ts, data } => {
                let join = JoinData {
                    data: snapshot(data),
                    at: *ts,
                };
                let mut cx = Context::new(&mut self.state, &mut self.runtime);
                self.strategy
                    .handle_node_join_data(&mut cx, &join, &NodeId::new(from));
            }
            Call::PidsRegister { children } => return self.request(register(children)),
            Call::PidsUnregister { children } => return self.request(unregister(children)),
            Call::PidUpdate { id, node, pid } => {
                return self.request(Request::PidUpdate {
                    child: ChildId::new(id),
                    node: NodeId::new(node),
                    pid: pid.as_deref().map(Into::into),
                });
            }
            Call::LocalSyncData => {
                let data = self.state.local_data();
                return Some(Answer::LocalSyncData(children_of(&data)));
            }
            Call::BroadcastableLocalData => {
                let mut cx = Context::new(&mut self.state, &mut self.runtime);
                let answer = match self.strategy.broadcastable_local_data(&mut cx) {
                    Some(data) => Broadcastable::Data(children_of(&data)),
                    None => Broadcastable::Suppress("suppress".to_owned()),
                };
                return Some(Answer::Broadcastable(answer));
            }
        }
        None
    }

    /// Handles a request, and says so if that ends the coordinator.
    fn request(&mut self, request: Request) -> Option<Answer> {
        self.runtime.take();
        Context::new(&mut self.state, &mut self.runtime)
            .handle_requests(&Requests::from([request]));
        let crash = Effect::Emit(Event::Mark(COORDINATOR_CRASHED));
        let crashed = self.runtime.take().contains(&crash);
        crashed.then_some(Answer::CoordinatorCrashed(true))
    }

    fn with_data(&mut self, data: &BTreeMap<String, Vec<ChildForm>>, append: bool) {
        let data: Vec<(NodeId, Snapshot)> = data
            .iter()
            .map(|(node, children)| (NodeId::new(node), snapshot(children)))
            .collect();
        let data: Vec<_> = data
            .iter()
            .map(|(node, snapshot)| (node, snapshot))
            .collect();
        self.state.mutate(
            |registry, sink| {
                if append {
                    registry.append_data(&data, sink)
                } else {
                    registry.detach_data(&data, sink)
                }
            },
            |_| {},
        );
    }
}
