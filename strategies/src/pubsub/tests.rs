//! Step tests of what the golden vectors do not show: who gets what, and in which order.

use super::*;
use crate::child::{ChildSpec, Entry, Metadata};
use crate::recorder::{Effect, Recorder};
use crate::request::{Registration, Request, Unregistration};
use crate::runtime::Event;
use crate::state::NodeState;
use crate::strategy::EventStrategy;

struct Node {
    state: NodeState,
    strategy: PubSub,
    recorder: Recorder<PubSubMessage>,
    /// True if the last message that was sent may connect.
    connects: bool,
}

impl Node {
    /// n2, connected to n1 and n3; its view also holds n4, which is not connected.
    fn new() -> Self {
        let mut state = NodeState::new("n2".into(), 1, Duration::from_secs(30));
        state.set_view(names(&["n2", "n4", "n1"]));
        state.connect(&"n3".into(), 1);
        state.connect(&"n1".into(), 1);
        Self {
            state,
            strategy: PubSub::default(),
            recorder: Recorder::default(),
            connects: false,
        }
    }

    fn hosting() -> Self {
        let mut node = Self::new();
        node.host("a");
        node
    }

    fn host(&mut self, child: &str) {
        self.step(|_, cx| {
            let (spec, here) = (ChildSpec::new(child, ""), "n2".into());
            cx.upsert(&spec, &here, None, &Metadata::default());
        });
    }

    /// One step. Returns the receivers in order, with "here" for a change of the registry, and marks.
    fn step(&mut self, call: impl FnOnce(&mut PubSub, &mut Cx<'_>)) -> Vec<String> {
        call(
            &mut self.strategy,
            &mut Context::new(&mut self.state, &mut self.recorder),
        );
        let text = |effect: Effect<PubSubMessage>| match effect {
            Effect::Send {
                to,
                message,
                connects,
                ..
            } => {
                self.connects = connects;
                let to: Vec<_> = to.iter().map(NodeId::as_str).collect();
                format!("{} to {}", message.kind(), to.join(" "))
            }
            Effect::Emit(Event::Row(_)) => "here".to_owned(),
            Effect::Emit(Event::Mark(mark)) => mark.to_owned(),
            Effect::Announce { .. }
            | Effect::SetTimer(..)
            | Effect::CancelTimer(_)
            | Effect::StartChild { .. }
            | Effect::StopChild(_)
            | Effect::Emit(_) => panic!("pubsub asks for nothing else: {effect:?}"),
        };
        self.recorder.take().into_iter().map(text).collect()
    }

    fn propagate(&mut self, members: Members) -> Vec<String> {
        let entries = Default::default();
        let registration = Registration {
            spec: ChildSpec::new("b", ""),
            entries,
            metadata: Metadata::default(),
        };
        let requests: Requests = [Request::Register(vec![registration])].into();
        self.step(|pubsub, cx| Synchronization::propagate(pubsub, cx, requests, &members))
    }
}

fn names(nodes: &[&str]) -> Vec<NodeId> {
    nodes.iter().map(|node| NodeId::new(node)).collect()
}

#[test]
fn requests_go_to_connected_peers_first_and_then_to_oneself() {
    let all = "pubsub.requests to n1 n3";
    assert_eq!(Node::new().propagate(Members::Global), [all, "here"]);
    assert_eq!(Node::new().propagate(Members::External), [all]);
    assert_eq!(Node::new().propagate(Members::Local), ["here"]);
}

#[test]
fn requests_for_a_list_go_in_its_order_to_those_in_reach() {
    let list = Members::Nodes(names(&["n3", "n2", "n4", "n1"]));
    assert_eq!(
        Node::new().propagate(list),
        ["pubsub.requests to n3 n1", "here"]
    );
    assert!(
        Node::new()
            .propagate(Members::Nodes(names(&["n4"])))
            .is_empty()
    );
}

#[test]
fn a_round_goes_to_the_view_connected_or_not() {
    let view = names(&["n2", "n4", "n1"]);
    let mut node = Node::hosting();
    assert_eq!(
        node.step(|pubsub, cx| pubsub.init_sync(cx, &view)),
        ["pubsub.sync to n4 n1"]
    );
}

#[test]
fn a_node_that_never_hosted_a_child_is_silent_and_one_that_has_never_again() {
    let mut node = Node::new();
    let to = names(&["n1"]);
    assert_eq!(
        node.step(|pubsub, cx| pubsub.round(cx)),
        ["snapshot_suppressed"]
    );
    assert_eq!(
        node.step(|pubsub, cx| pubsub.nodes_joining(cx, &to)),
        ["snapshot_suppressed"]
    );
    node.host("a");
    assert_eq!(
        node.step(|pubsub, cx| pubsub.round(cx)),
        ["pubsub.sync to n4 n1"]
    );
    node.step(|_, cx| cx.remove(&"a".into(), &"n2".into()));
    assert_eq!(
        node.step(|pubsub, cx| pubsub.round(cx)),
        ["pubsub.sync to n4 n1"]
    );
    assert_eq!(
        node.step(|pubsub, cx| pubsub.nodes_joining(cx, &to)),
        ["pubsub.join to n1"]
    );
}

#[test]
fn a_child_that_came_and_went_between_two_rounds_does_not_count_as_hosted() {
    let mut node = Node::hosting();
    node.step(|_, cx| cx.remove(&"a".into(), &"n2".into()));
    assert_eq!(
        node.step(|pubsub, cx| pubsub.round(cx)),
        ["snapshot_suppressed"]
    );
}

#[test]
fn join_data_go_to_targets_in_reach_and_count_for_oneself() {
    let mut node = Node::hosting();
    let data = node.state.local_data();
    let targets = names(&["n3", "n4", "n2"]);
    let sent = node.step(|pubsub, cx| pubsub.broadcast_local_data(cx, &data, &targets));
    assert_eq!(sent, ["pubsub.join to n3"]);
    let own: Vec<_> = node.strategy.timestamps().iter().collect();
    assert_eq!(own, [(&NodeId::new("n2"), node.recorder.wall_clock)]);
}

#[test]
fn only_rounds_connect() {
    let mut node = Node::hosting();
    node.propagate(Members::Global);
    assert!(!node.connects);
    let targets = names(&["n1"]);
    node.step(|pubsub, cx| pubsub.nodes_joining(cx, &targets));
    assert!(!node.connects);
    node.step(|pubsub, cx| pubsub.round(cx));
    assert!(node.connects);
}

#[test]
fn an_interval_of_zero_is_refused() {
    let config = PubSubConfig {
        sync_interval: Duration::ZERO,
        ..PubSubConfig::default()
    };
    assert_eq!(
        PubSub::new(&config).unwrap_err().to_string(),
        "sync_interval: must be longer than 0"
    );
}

#[test]
fn messages_tell_their_entries() {
    let entry = |node: &str| Entry {
        node: node.into(),
        pid: None,
    };
    let registration = Registration {
        spec: ChildSpec::new("a", ""),
        entries: ["n3", "n1"].map(entry).into_iter().collect(),
        metadata: Metadata::default(),
    };
    let unregistration = Unregistration {
        child: "b".into(),
        nodes: names(&["n1"]),
    };
    let update = Request::PidUpdate {
        child: "c".into(),
        node: "n3".into(),
        pid: None,
    };
    let requests: Requests = [
        Request::Register(vec![registration]),
        Request::Unregister(vec![unregistration]),
        update,
    ]
    .into();
    let data = Node::hosting().state.local_data();
    let join = JoinData {
        data: data.clone(),
        at: 1,
    };
    for (message, told) in [
        (
            PubSubMessage::Requests(requests),
            &[("n1", &["a", "b"][..]), ("n3", &["a", "c"])][..],
        ),
        (PubSubMessage::Sync(data), &[("n2", &["a"])]),
        (PubSubMessage::Join(join), &[("n2", &["a"])]),
    ] {
        let contents = message.entries(&"n2".into()).expect("it tells them");
        let lists = contents.lists().iter().map(|list| {
            let children = list.children.iter().map(ChildId::as_str);
            (list.node.as_str(), children.collect::<Vec<_>>())
        });
        let told = told
            .iter()
            .map(|(node, children)| (*node, children.to_vec()));
        assert!(lists.eq(told), "{contents:?}");
    }
}
