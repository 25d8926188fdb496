//! [`TestNode`]: one node with a strategy and a recorder, for step tests.

use std::time::Duration;

use crate::child::{ChildSpec, Metadata};
use crate::context::Context;
use crate::fact::{Change, Fact};
use crate::message::Message;
use crate::name::{NodeId, Pid};
use crate::recorder::{Effect, Recorder};
use crate::registry::RowRef;
use crate::state::NodeState;
use crate::strategy::EventStrategy;

/// A message that was sent, with its receivers.
pub(crate) type Sent<M> = (Vec<NodeId>, M);

pub(crate) struct TestNode<S: EventStrategy> {
    pub(crate) state: NodeState,
    pub(crate) strategy: S,
    pub(crate) recorder: Recorder<S::Message>,
    facts: u64,
}

impl<S: EventStrategy> TestNode<S> {
    /// n1 in incarnation 1 with these members, connected in incarnation 1.
    pub(crate) fn new(strategy: S, members: &[&str]) -> Self {
        let state = NodeState::new("n1".into(), 1, Duration::from_secs(30));
        let recorder = Recorder::default();
        let mut node = Self {
            state,
            strategy,
            recorder,
            facts: 0,
        };
        node.step(|strategy, cx| strategy.start(cx));
        for member in members {
            node.connect(member, 1);
        }
        node.view(members);
        node
    }

    /// One step. Returns what was sent.
    pub(crate) fn step(
        &mut self,
        call: impl FnOnce(&mut S, &mut Context<'_, S::Message>),
    ) -> Vec<Sent<S::Message>> {
        let mut cx = Context::new(&mut self.state, &mut self.recorder);
        call(&mut self.strategy, &mut cx);
        let sent = |effect: Effect<S::Message>| {
            if let Effect::Send { to, message, .. } = effect {
                return Some((to, message));
            }
            None
        };
        self.recorder.take().into_iter().filter_map(sent).collect()
    }

    pub(crate) fn receive(&mut self, from: &str, message: &S::Message) -> Vec<Sent<S::Message>> {
        self.step(|strategy, cx| strategy.handle_message(cx, &from.into(), message))
    }

    pub(crate) fn timer(&mut self, key: u64) -> Vec<Sent<S::Message>> {
        self.step(|strategy, cx| strategy.handle_timer(cx, key))
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.recorder.now = self.recorder.now.after(time);
    }

    pub(crate) fn connect(&mut self, node: &str, incarnation: u64) -> Vec<Sent<S::Message>> {
        self.state.connect(&node.into(), incarnation);
        self.step(|strategy, cx| strategy.peer_up(cx, &node.into(), incarnation))
    }

    /// These are the other members from now on, told as a membership tells it.
    pub(crate) fn view(&mut self, others: &[&str]) -> Vec<Sent<S::Message>> {
        let before = self.state.view().to_vec();
        let mut names = vec![NodeId::new("n1")];
        names.extend(others.iter().map(|name| NodeId::new(name)));
        self.state.set_view(names.clone());
        let mut sent = Vec::new();
        for node in names.iter().filter(|node| !before.contains(node)) {
            let incarnation = self.state.incarnation_of(node).unwrap_or(0);
            sent.extend(self.step(|strategy, cx| strategy.member_up(cx, node, incarnation)));
        }
        for node in before.iter().filter(|node| !names.contains(node)) {
            let reason = crate::runtime::DownReason::Closed;
            sent.extend(self.step(|strategy, cx| strategy.member_down(cx, node, reason)));
        }
        sent.extend(self.step(|strategy, cx| strategy.view_changed(cx)));
        sent
    }

    /// A local change, told by its fact.
    pub(crate) fn change(&mut self, child: &str, change: Change) -> Vec<Sent<S::Message>> {
        self.facts += 1;
        let fact = Fact {
            owner: "n1".into(),
            incarnation: 1,
            seq: self.facts,
            child: child.into(),
            change,
        };
        self.step(|strategy, cx| strategy.local_change(cx, &fact))
    }

    /// Starts a child with this pid.
    pub(crate) fn start(&mut self, child: &str, pid: &str) -> Vec<Sent<S::Message>> {
        self.change(child, started(child, pid))
    }

    /// The registry in one line: `a:n1=p1,n2=p2 b:n2=p3`.
    pub(crate) fn rows(&self) -> String {
        let row = |row: RowRef<'_>| {
            let entry = |entry: &crate::Entry| {
                let pid = entry.pid.as_ref().map_or("nil", Pid::as_str);
                format!("{}={pid}", entry.node)
            };
            let entries: Vec<_> = row.entries.iter().map(entry).collect();
            format!("{}:{}", row.child(), entries.join(","))
        };
        let rows: Vec<_> = self.state.registry().rows().map(row).collect();
        rows.join(" ")
    }
}

/// The start of a child.
pub(crate) fn started(child: &str, pid: &str) -> Change {
    Change::Started {
        spec: ChildSpec::new(child, ""),
        pid: Pid::new(pid),
        metadata: Metadata::default(),
    }
}

/// Messages as kinds and receivers: `pubsub.sync to n2 n3`.
pub(crate) fn kinds<M: Message>(sent: &[Sent<M>]) -> Vec<String> {
    let line = |(to, message): &Sent<M>| {
        let to: Vec<_> = to.iter().map(NodeId::as_str).collect();
        format!("{} to {}", message.kind(), to.join(" "))
    };
    sent.iter().map(line).collect()
}

/// The golden bytes of a message: it encodes to them, its size is their number, and they decode to
/// it.
pub(crate) fn assert_bytes<M: Message + PartialEq>(message: &M, bytes: &[u8]) {
    assert_eq!(crate::wire::encode(message), bytes, "{message:?}");
    assert_eq!(message.size_model().bytes(), bytes.len() as u64);
    let decoded: M = crate::wire::decode(bytes).expect("they are a message");
    assert_eq!(decoded, *message);
}
