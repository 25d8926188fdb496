//! Step tests of what the golden vectors do not show: who gets what, and in which order.

use super::*;
use crate::child::{ChildSpec, Metadata};
use crate::recorder::{Effect, Recorder};
use crate::request::{Registration, Request};
use crate::runtime::Event;
use crate::state::NodeState;

struct Node {
    state: NodeState,
    strategy: PubSub,
    recorder: Recorder<PubSubMessage>,
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
        }
    }

    fn hosting() -> Self {
        let mut node = Self::new();
        node.step(|_, cx| {
            cx.upsert(
                &ChildSpec::new("a", ""),
                &"n2".into(),
                None,
                &Metadata::default(),
            )
        });
        node
    }

    /// One step; answers the receivers in order, with "here" for a change of the registry.
    fn step(&mut self, call: impl FnOnce(&mut PubSub, &mut Cx<'_>)) -> Vec<String> {
        call(
            &mut self.strategy,
            &mut Context::new(&mut self.state, &mut self.recorder),
        );
        let text = |effect: Effect<PubSubMessage>| match effect {
            Effect::Send { to, message, .. } => {
                let to: Vec<_> = to.iter().map(NodeId::as_str).collect();
                format!("{} to {}", message.kind(), to.join(" "))
            }
            Effect::Emit(Event::Row(_)) => "here".to_owned(),
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
        self.step(|pubsub, cx| pubsub.propagate(cx, requests, &members))
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
    assert!(
        Node::new()
            .step(|pubsub, cx| pubsub.init_sync(cx, &view))
            .is_empty(),
        "suppressed"
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
fn what_reaches_only_connected_peers_never_connects() {
    let data = || Snapshot::new(Vec::new());
    assert!(!PubSubMessage::Requests([].into()).connects());
    assert!(
        !PubSubMessage::Join(JoinData {
            data: data(),
            at: 0
        })
        .connects()
    );
    assert!(PubSubMessage::Sync(data()).connects());
}

#[test]
fn an_interval_of_zero_is_refused() {
    let config = PubSubConfig {
        sync_interval: Duration::ZERO,
    };
    assert_eq!(
        PubSub::new(&config).unwrap_err().to_string(),
        "sync_interval: must be longer than 0"
    );
}
