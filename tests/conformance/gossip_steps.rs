//! `gossip_steps.json`: single steps of Gossip.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use hublab_strategies::gossip::{
    Acks, GossipMessage, Memory, NodesData, Propagation, Reference, Round, SharedRequests,
    TimestampedSnapshot,
};
use hublab_strategies::request::{Members, Registration, Request, Requests};
use hublab_strategies::{
    ChildSpec, Context, Effect, Entry, Event, Gossip, GossipConfig, Metadata, NodeId, NodeState,
    Profile, Recorder, Snapshot, Strategy, Synchronization, Time, WallTime,
};
use serde::Deserialize;

use crate::Outcomes;
use crate::forms::{
    ChildForm, Gct, RowForm, children_of, expect, gct, names, put_rows, read, rows_of, snapshot,
    sorted, timestamps,
};

/// The local clock: above every small timestamp of the vectors, below those "in the future".
const NOW: WallTime = 10_000_000_000_000_000;

/// How often a step is repeated, each time with other random numbers.
const SEQUENCES: u64 = 256;

/// The child of the request that counts executions; the vectors use short names.
const PROBE: &str = "conformance probe";

#[derive(Deserialize)]
struct Vector {
    name: String,
    local: String,
    cluster: Vec<String>,
    strategy: Parameters,
    initial: Initial,
    op: Operation,
    expected: Expected,
}

#[derive(Deserialize)]
struct Parameters {
    recipients: u32,
    restricted_init: bool,
}

#[derive(Deserialize)]
struct Initial {
    registry: Vec<RowForm>,
    gct: Gct,
    cache: Option<Cache>,
    latched: bool,
}

/// What is stored under a reference, or sent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Cache {
    Word(String),
    Known {
        nodes_data: Option<BTreeMap<String, DataForm>>,
        acks: Vec<String>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct DataForm {
    data: DataOrWord,
    ts: TimeForm,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum DataOrWord {
    Data(Vec<ChildForm>),
    Word(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum TimeForm {
    At(WallTime),
    Word(String),
}

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
#[expect(clippy::enum_variant_names, reason = "the vectors' own names")]
enum Operation {
    GossipInitSync {
        cluster_nodes: Vec<String>,
    },
    GossipHandleSynchronization {
        from: String,
        nodes_data: BTreeMap<String, DataForm>,
        acks: Vec<String>,
    },
    GossipHandleNodeJoinData {
        from: String,
        nodes_data: BTreeMap<String, DataForm>,
        acks: Vec<String>,
    },
    GossipHandlePropagation {
        acks: Vec<String>,
    },
    GossipPropagate {},
    GossipBroadcastLocalData {
        targets: Vec<String>,
    },
}

#[derive(Deserialize)]
struct Expected {
    registry: Vec<RowForm>,
    gct: Gct,
    cache: Option<Cache>,
    candidates: Option<Vec<String>>,
    sent_to: Option<Vec<String>>,
    sent_count: usize,
    payload: Option<Cache>,
    handled_locally: usize,
}

pub(crate) fn run(text: &str, profile: Profile) -> Result<Outcomes, String> {
    let vectors: Vec<Vector> = read(text, profile)?;
    Ok(vectors
        .iter()
        .map(|vector| (vector.name.clone(), check(vector, profile)))
        .collect())
}

fn check(vector: &Vector, profile: Profile) -> Result<(), String> {
    let mut picked = BTreeSet::new();
    for seed in 0..SEQUENCES {
        let step = Step::run(vector, profile, seed)?;
        step.check(vector)?;
        picked.extend(step.sent_to);
    }
    match &vector.expected.candidates {
        Some(candidates) => expect(
            "what was ever picked",
            picked,
            candidates.iter().cloned().collect(),
        ),
        None => Ok(()),
    }
}

/// What one step did.
struct Step {
    registry: Vec<RowForm>,
    gct: Gct,
    cache: Option<Cache>,
    payload: Option<Cache>,
    sent_to: Vec<String>,
    handled_locally: usize,
}

impl Step {
    fn run(vector: &Vector, profile: Profile, seed: u64) -> Result<Self, String> {
        let mut state = NodeState::new(NodeId::new(&vector.local), 1, Duration::from_secs(30));
        state.set_view(names(&vector.cluster));
        put_rows(&mut state, &vector.initial.registry);
        let Parameters {
            recipients,
            restricted_init,
        } = vector.strategy;
        let config = GossipConfig {
            recipients,
            restricted_init,
            profile,
            ..GossipConfig::default()
        };
        let mut strategy = Gossip::new(&config).map_err(|error| error.to_string())?;
        strategy.set_timestamps(timestamps(&vector.initial.gct));
        if vector.initial.latched {
            strategy.set_has_hosted();
        }
        if let Some(cache) = &vector.initial.cache {
            strategy.remember(&reference(), memory(cache)?, Time(15_000_000));
        }
        let mut runtime = Recorder::new(seed);
        strategy.init(&mut Context::new(&mut state, &mut runtime));
        runtime.wall_clock = NOW;
        operate(
            &mut strategy,
            &mut Context::new(&mut state, &mut runtime),
            &vector.op,
        )?;
        Self::collect(&state, &strategy, runtime)
    }

    fn collect(
        state: &NodeState,
        strategy: &Gossip,
        mut runtime: Recorder<GossipMessage>,
    ) -> Result<Self, String> {
        let mut handled_locally = 0;
        let mut sent = Vec::new();
        for effect in runtime.take() {
            match effect {
                Effect::Emit(Event::Row(change)) if change.child.as_str() == PROBE => {
                    handled_locally += 1
                }
                Effect::Emit(_) => {}
                Effect::Send { to, message, .. } => sent.push((to, message)),
                Effect::Announce { .. }
                | Effect::SetTimer(..)
                | Effect::CancelTimer(_)
                | Effect::StartChild { .. }
                | Effect::StopChild(_) => return Err(format!("unexpected effect: {effect:?}")),
            }
        }
        expect("the number of sends", sent.len().max(1), 1)?;
        let (sent_to, payload) = match sent.pop() {
            Some((to, message)) => (
                to.iter().map(ToString::to_string).collect(),
                Some(payload(&message)),
            ),
            None => (Vec::new(), None),
        };
        let mut memories = strategy.memories();
        let cache = memories.next().map(|(_, memory)| form(memory));
        expect("the number of further references", memories.count(), 0)?;
        Ok(Self {
            registry: rows_of(state.registry())
                .into_iter()
                .filter(|row| row.id() != PROBE)
                .collect(),
            gct: gct(strategy.timestamps()),
            cache,
            payload,
            sent_to: sorted(sent_to),
            handled_locally,
        })
    }

    fn check(&self, vector: &Vector) -> Result<(), String> {
        let expected = &vector.expected;
        expect(
            "the registry",
            &self.registry,
            &sorted(expected.registry.clone()),
        )?;
        expect("gct", &self.gct, &expected.gct)?;
        expect(
            "the cache",
            &self.cache,
            &expected.cache.clone().map(in_order),
        )?;
        expect(
            "the payload",
            &self.payload,
            &expected.payload.clone().map(in_order),
        )?;
        expect("the number sent", self.sent_to.len(), expected.sent_count)?;
        expect("executions", self.handled_locally, expected.handled_locally)?;
        match &expected.sent_to {
            Some(nodes) => expect("the receivers", &self.sent_to, &sorted(nodes.clone())),
            None => Ok(()),
        }
    }
}

/// The reference that a vector's message carries.
fn reference() -> Reference {
    Reference {
        number: 1,
        incarnation: 1,
        origin: NodeId::new("elsewhere"),
    }
}

fn operate(
    strategy: &mut Gossip,
    cx: &mut Context<'_, GossipMessage>,
    operation: &Operation,
) -> Result<(), String> {
    match operation {
        Operation::GossipInitSync { cluster_nodes } => {
            if strategy.broadcastable_local_data(cx).is_some() {
                strategy.init_sync(cx, &names(cluster_nodes));
            }
        }
        Operation::GossipHandleSynchronization {
            from,
            nodes_data,
            acks,
        } => {
            strategy.handle_synchronization(cx, &round(nodes_data, acks)?, &NodeId::new(from));
        }
        Operation::GossipHandleNodeJoinData {
            from,
            nodes_data,
            acks,
        } => {
            strategy.handle_node_join_data(cx, &round(nodes_data, acks)?, &NodeId::new(from));
        }
        Operation::GossipHandlePropagation { acks } => {
            let requests = SharedRequests::new(probe());
            let message = Propagation {
                reference: reference(),
                acks: Acks::new(names(acks)),
                requests,
            };
            strategy.handle_message(
                cx,
                &NodeId::new("elsewhere"),
                &GossipMessage::Propagate(message),
            );
        }
        Operation::GossipPropagate {} => strategy.propagate(cx, probe(), &Members::Global),
        Operation::GossipBroadcastLocalData { targets } => {
            let data = strategy
                .broadcastable_local_data(cx)
                .unwrap_or_else(|| Snapshot::new(Vec::new()));
            strategy.broadcast_local_data(cx, &data, &names(targets));
        }
    }
    Ok(())
}

/// A request list whose execution shows as one changed row.
fn probe() -> Requests {
    let entry = Entry {
        node: NodeId::new("nowhere"),
        pid: None,
    };
    let (spec, metadata) = (ChildSpec::new(PROBE, ""), Metadata::default());
    let registration = Registration {
        spec,
        entries: [entry].into_iter().collect(),
        metadata,
    };
    Arc::new([Request::Register(vec![registration])])
}

fn round(nodes_data: &BTreeMap<String, DataForm>, acks: &[String]) -> Result<Round, String> {
    Ok(Round {
        reference: reference(),
        data: data(nodes_data)?,
        acks: Acks::new(names(acks)),
    })
}

fn data(nodes_data: &BTreeMap<String, DataForm>) -> Result<NodesData, String> {
    let stamped = |(node, form): (&String, &DataForm)| {
        let data = match &form.data {
            DataOrWord::Data(children) => Some(snapshot(children)),
            DataOrWord::Word(word) if word == "suppressed" => None,
            DataOrWord::Word(word) => return Err(format!("data `{word}`")),
        };
        let at = match &form.ts {
            TimeForm::At(at) => *at,
            TimeForm::Word(word) if word == "NOW" => NOW,
            TimeForm::Word(word) => return Err(format!("timestamp `{word}`")),
        };
        Ok((NodeId::new(node), TimestampedSnapshot { data, at }))
    };
    nodes_data
        .iter()
        .map(stamped)
        .collect::<Result<_, _>>()
        .map(NodesData::new)
}

fn memory(cache: &Cache) -> Result<Memory, String> {
    match cache {
        Cache::Word(word) if word == "invalidated" => Ok(Memory::Invalidated),
        Cache::Word(word) => Err(format!("cache `{word}`")),
        Cache::Known {
            nodes_data: None,
            acks,
        } => Ok(Memory::Propagation(Acks::new(names(acks)))),
        Cache::Known {
            nodes_data: Some(nodes),
            acks,
        } => Ok(Memory::Round(data(nodes)?, Acks::new(names(acks)))),
    }
}

fn form(memory: &Memory) -> Cache {
    match memory {
        Memory::Invalidated => Cache::Word("invalidated".to_owned()),
        Memory::Propagation(acks) => known(None, acks),
        Memory::Round(data, acks) => known(Some(data), acks),
    }
}

fn payload(message: &GossipMessage) -> Cache {
    match message {
        GossipMessage::Propagate(message) => known(None, &message.acks),
        GossipMessage::Sync(round) | GossipMessage::Join(round) => {
            known(Some(&round.data), &round.acks)
        }
    }
}

fn known(data: Option<&NodesData>, acks: &Acks) -> Cache {
    let stamped = |(node, stamped): &(NodeId, TimestampedSnapshot)| {
        let data = match &stamped.data {
            Some(snapshot) => DataOrWord::Data(children_of(snapshot)),
            None => DataOrWord::Word("suppressed".to_owned()),
        };
        (
            node.to_string(),
            DataForm {
                data,
                ts: TimeForm::At(stamped.at),
            },
        )
    };
    Cache::Known {
        nodes_data: data.map(|data| data.nodes().iter().map(stamped).collect()),
        acks: acks.nodes().map(ToString::to_string).collect(),
    }
}

/// An expectation with its children in order and "NOW" as a number.
fn in_order(mut cache: Cache) -> Cache {
    if let Cache::Known {
        nodes_data: Some(nodes),
        ..
    } = &mut cache
    {
        for form in nodes.values_mut() {
            if let DataOrWord::Data(children) = &mut form.data {
                children.sort();
            }
            if form.ts == TimeForm::Word("NOW".to_owned()) {
                form.ts = TimeForm::At(NOW);
            }
        }
    }
    cache
}
