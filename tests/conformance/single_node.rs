//! `single_node.json`: calls on one registry.

use std::collections::BTreeMap;

use std::time::Duration;

use hublab_strategies::pubsub::{JoinData, PubSubMessage};
use hublab_strategies::request::{Request, Requests};
use hublab_strategies::{
    ChildId, Context, NodeId, NodeState, PubSub, Recorder, Snapshot, Synchronization,
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

/// What a call answers.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    LocalSyncData(Vec<ChildForm>),
    Broadcastable(Broadcastable),
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Broadcastable {
    Suppress(String),
    Data(Vec<ChildForm>),
}

pub(crate) fn run(text: &str) -> Result<Outcomes, String> {
    let vectors: Vec<Vector> = read(text)?;
    Ok(vectors
        .into_iter()
        .map(|vector| (vector.name.clone(), check(vector)))
        .collect())
}

fn check(vector: Vector) -> Result<(), String> {
    let mut node = Node::new(&vector.local, &vector.cluster, &vector.initial);
    expect(
        "the number of states",
        vector.expected.len(),
        vector.calls.len(),
    )?;
    for (index, (call, expected)) in vector.calls.iter().zip(vector.expected).enumerate() {
        let answer = node.call(call);
        let checked = expect(
            "the registry",
            rows_of(node.state.registry()),
            sorted(expected.registry),
        )
        .and_then(|()| expect("gct", gct(node.strategy.timestamps()), expected.gct))
        .and_then(|()| expect("the answer", answer, expected.result.map(in_order)));
        checked.map_err(|reason| format!("after call {}, {reason}", index + 1))?;
    }
    Ok(())
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
    }
}

/// One node with PubSub, of which nothing is delivered.
struct Node {
    state: NodeState,
    strategy: PubSub,
    runtime: Recorder<PubSubMessage>,
}

impl Node {
    fn new(local: &str, cluster: &[String], initial: &Initial) -> Self {
        let mut state = NodeState::new(NodeId::new(local), 1, Duration::from_secs(30));
        state.set_view(names(cluster));
        put_rows(&mut state, &initial.registry);
        let mut strategy = PubSub::default();
        strategy.set_timestamps(timestamps(&initial.gct));
        Self {
            state,
            strategy,
            runtime: Recorder::default(),
        }
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
            Call::PidsRegister { children } => self.request(register(children)),
            Call::PidsUnregister { children } => self.request(unregister(children)),
            Call::PidUpdate { id, node, pid } => self.request(Request::PidUpdate {
                child: ChildId::new(id),
                node: NodeId::new(node),
                pid: pid.as_deref().map(Into::into),
            }),
            Call::LocalSyncData => {
                let data = self.state.local_data();
                return Some(Answer::LocalSyncData(children_of(&data)));
            }
            Call::BroadcastableLocalData => {
                let answer = match self.state.broadcastable_local_data() {
                    Some(data) => Broadcastable::Data(children_of(&data)),
                    None => Broadcastable::Suppress("suppress".to_owned()),
                };
                return Some(Answer::Broadcastable(answer));
            }
        }
        None
    }

    fn request(&mut self, request: Request) {
        Context::new(&mut self.state, &mut self.runtime)
            .handle_requests(&Requests::from([request]));
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
