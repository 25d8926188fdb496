//! Step tests of what the golden vectors do not show: time, references, sharing, parameters.

use super::*;
use crate::child::{ChildSpec, Metadata};
use crate::recorder::{Effect, Recorder};
use crate::request::Request;
use crate::state::NodeState;

struct Node {
    state: NodeState,
    strategy: Gossip,
    recorder: Recorder<GossipMessage>,
}

impl Node {
    fn new(name: &str, view: &[&str]) -> Self {
        let mut state = NodeState::new(name.into(), 1, Duration::from_secs(30));
        state.set_view(names(view));
        Self {
            state,
            strategy: Gossip::default(),
            recorder: Recorder::default(),
        }
    }

    fn hosting(name: &str, view: &[&str]) -> Self {
        let mut node = Self::new(name, view);
        let here = NodeId::new(name);
        node.step(|_, cx| cx.upsert(&ChildSpec::new("a", ""), &here, None, &Metadata::default()));
        node
    }

    /// One step; answers what was sent.
    fn step(
        &mut self,
        call: impl FnOnce(&mut Gossip, &mut Cx<'_>),
    ) -> Vec<(Vec<NodeId>, GossipMessage)> {
        call(
            &mut self.strategy,
            &mut Context::new(&mut self.state, &mut self.recorder),
        );
        let sent = |effect| match effect {
            Effect::Send { to, message, .. } => Some((to, message)),
            Effect::Emit(_) => None,
            Effect::Announce { .. }
            | Effect::SetTimer(..)
            | Effect::CancelTimer(_)
            | Effect::StartChild { .. }
            | Effect::StopChild(_) => panic!("gossip asks for nothing else: {effect:?}"),
        };
        self.recorder.take().into_iter().filter_map(sent).collect()
    }

    fn propagate(&mut self) -> Vec<(Vec<NodeId>, GossipMessage)> {
        self.step(|gossip, cx| gossip.propagate(cx, update(), &Members::Local))
    }

    fn receive(&mut self, message: &GossipMessage) -> Vec<(Vec<NodeId>, GossipMessage)> {
        self.step(|gossip, cx| gossip.handle_message(cx, &"elsewhere".into(), message))
    }
}

fn names(nodes: &[&str]) -> Vec<NodeId> {
    nodes.iter().map(|node| NodeId::new(node)).collect()
}

fn update() -> Requests {
    [Request::PidUpdate {
        child: "a".into(),
        node: "n1".into(),
        pid: None,
    }]
    .into()
}

#[test]
fn the_originator_of_a_propagation_remembers_nothing_of_it() {
    let mut node = Node::new("n1", &["n1", "n2", "n3"]);
    let sent = node.propagate();
    assert_eq!(sent[0].0, names(&["n2", "n3"]), "members are ignored");
    assert_eq!(node.strategy.refs(), 0);
    // It comes back, and is handled and passed on once more: anomaly G6.
    let (_, message) = sent.into_iter().next().unwrap();
    let GossipMessage::Propagate(mut message) = message else {
        panic!("a propagation")
    };
    message.acks = Acks::new(names(&["n2"]));
    assert_eq!(
        node.receive(&GossipMessage::Propagate(message))[0].0,
        names(&["n1", "n3"])
    );
    assert_eq!(node.strategy.refs(), 1);
}

#[test]
fn every_propagation_and_round_has_its_own_reference() {
    let mut node = Node::hosting("n1", &["n1", "n2"]);
    let mut references = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let (_, message) = node.propagate().remove(0);
        let GossipMessage::Propagate(message) = message else {
            panic!("a propagation")
        };
        references.insert(message.reference);
        let (_, message) = node
            .step(|gossip, cx| gossip.init_sync(cx, &names(&["n1", "n2"])))
            .remove(0);
        let GossipMessage::Sync(round) = message else {
            panic!("a round")
        };
        references.insert(round.reference);
    }
    assert_eq!(references.len(), 6);
}

#[test]
fn a_memory_that_expired_is_seen_until_the_janitor_comes() {
    let mut node = Node::new("n1", &["n1", "n2"]);
    let message = Propagation {
        reference: Reference {
            number: 1,
            incarnation: 1,
            origin: "n2".into(),
        },
        acks: Acks::new(names(&["n2"])),
        requests: SharedRequests::new(update()),
    };
    let message = GossipMessage::Propagate(message);
    assert_eq!(
        node.receive(&message)[0].0,
        names(&["n1"]),
        "handled, and itself a candidate"
    );
    node.recorder.now = Time(15_000_000);
    assert!(
        node.receive(&message).is_empty(),
        "expired, and still known"
    );
    node.strategy.purge(Time(29_999_999));
    assert_eq!(node.strategy.refs(), 1, "the second visit renewed it");
    node.strategy.purge(Time(30_000_000));
    assert_eq!(node.strategy.refs(), 0);
    assert_eq!(node.receive(&message).len(), 1, "handled again: anomaly G5");
}

#[test]
fn only_the_first_by_name_starts_rounds_unless_everyone_may() {
    let view = names(&["n1", "n10", "n2"]);
    let mut second = Node::hosting("n2", &["n1", "n10", "n2"]);
    assert!(
        second
            .step(|gossip, cx| gossip.init_sync(cx, &view))
            .is_empty()
    );
    let mut tenth = Node::hosting("n10", &["n2", "n10"]);
    let sent = tenth.step(|gossip, cx| gossip.init_sync(cx, &names(&["n2", "n10"])));
    assert_eq!(sent[0].0, names(&["n2"]), "n10 comes before n2");
    second.strategy.config.restricted_init = false;
    let sent = second.step(|gossip, cx| gossip.init_sync(cx, &view));
    assert_eq!(sent[0].0, view, "itself among the candidates");
}

#[test]
fn a_round_passes_shared_data_on_without_copying_them() {
    let mut node = Node::hosting("n1", &["n1", "n2", "n3"]);
    let snapshot = Snapshot::new(Vec::new());
    let theirs = TimestampedSnapshot {
        data: Some(snapshot.clone()),
        at: 7,
    };
    let round = Round {
        reference: Reference {
            number: 1,
            incarnation: 1,
            origin: "n2".into(),
        },
        data: NodesData::new(vec![("n2".into(), theirs)]),
        acks: Acks::new(Vec::new()),
    };
    let (to, message) = node.receive(&GossipMessage::Join(round)).remove(0);
    assert_eq!(to, names(&["n3"]), "the one whose data are missing");
    let GossipMessage::Join(round) = message else {
        panic!("a join round stays one")
    };
    let [(own, ours), (_, passed)] = round.data.nodes() else {
        panic!("two nodes")
    };
    assert_eq!((own.as_str(), ours.at), ("n1", node.recorder.wall_clock));
    let passed = passed.data.as_ref().unwrap();
    assert_eq!(passed.children().as_ptr(), snapshot.children().as_ptr());
}

#[test]
fn a_node_outside_its_own_view_passes_requests_on_without_handling_them() {
    let mut node = Node::new("n1", &["n2", "n3"]);
    let message = Propagation {
        reference: Reference {
            number: 1,
            incarnation: 1,
            origin: "n2".into(),
        },
        acks: Acks::new(names(&["n2"])),
        requests: SharedRequests::new(update()),
    };
    let (to, message) = node.receive(&GossipMessage::Propagate(message)).remove(0);
    let GossipMessage::Propagate(message) = message else {
        panic!("a propagation")
    };
    assert_eq!(to, names(&["n3"]));
    assert!(message.acks.nodes().eq(&names(&["n2"])));
}

#[test]
fn long_lists_of_acknowledgements_join_like_short_ones() {
    let view = crate::view::View::from(
        (0..150)
            .map(|n| NodeId::from(format!("n{n}")))
            .collect::<Vec<_>>(),
    );
    let (mut acks, mut plain): (Acks, Vec<NodeId>) = (Acks::new(Vec::new()), Vec::new());
    for step in 0..40_usize {
        let some: Vec<NodeId> = (0..7)
            .map(|k| view[(step * 37 + k * 11) % 150].clone())
            .collect();
        let (joined, others) = Acks::new(some.clone()).join(&acks, &view);
        let mut expected = Vec::new();
        for node in some.into_iter().chain(plain) {
            if !expected.contains(&node) {
                expected.push(node);
            }
        }
        assert!(joined.nodes().eq(&expected));
        let missing: Vec<_> = view
            .iter()
            .filter(|node| !expected.contains(node))
            .cloned()
            .collect();
        assert_eq!(others, missing);
        (acks, plain) = (joined, expected);
    }
}

#[test]
fn parameters_outside_their_range_are_refused_by_name() {
    let config = GossipConfig {
        recipients: 0,
        ..GossipConfig::default()
    };
    assert_eq!(
        Gossip::new(&config).unwrap_err().to_string(),
        "recipients: must be at least 1"
    );
    let config = GossipConfig {
        sync_interval: Duration::ZERO,
        ..GossipConfig::default()
    };
    assert_eq!(Gossip::new(&config).unwrap_err().key, "sync_interval");
}

#[test]
fn parameters_are_written_as_people_write_them() {
    let text = serde_json::to_string(&GossipConfig::default()).unwrap();
    assert_eq!(
        text,
        r#"{"sync_interval":"15s","recipients":3,"restricted_init":true,"profile":"v05_e2"}"#
    );
    assert_eq!(
        serde_json::from_str::<GossipConfig>("{}").unwrap(),
        GossipConfig::default()
    );
    assert!(serde_json::from_str::<GossipConfig>(r#"{"recipient":3}"#).is_err());
}
