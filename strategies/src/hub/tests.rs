//! Step tests of the hub: one input in, and the effects, one line each.

mod children;
mod cluster;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::*;
use crate::child::{ChildSpec, RowChange};
use crate::fact::{Change, Fact};
use crate::membership::Announcement;
use crate::message::Message;
use crate::recorder::{Effect, Recorder};
use crate::request::{Members, Request, Requests};
use crate::time::Time;

/// A strategy that does nothing but say what it is asked for, in the order of effects: each
/// call is a send to nobody real. Requests of its own it handles at once, if they address it.
struct Spy;

/// One call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Call(String);

impl Message for Call {
    const KINDS: &'static [&'static str] = &["spy.call"];

    fn kind(&self) -> &'static str {
        "spy.call"
    }
}

fn say(cx: &mut Context<'_, Call>, text: String) {
    cx.send(&[NodeId::new("spy")], Channel::SYNC, Call(text));
}

fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items
        .into_iter()
        .map(|item| item.to_string())
        .collect::<Vec<_>>()
        .join(" ")
}

fn describe(request: &Request) -> String {
    match request {
        Request::Register(rows) => {
            format!("register {}", list(rows.iter().map(|row| row.spec.id())))
        }
        Request::Unregister(rows) => {
            format!("unregister {}", list(rows.iter().map(|row| &row.child)))
        }
        Request::PidUpdate { child, node, pid } => format!("pid_update {child} {node} {pid:?}"),
    }
}

impl EventStrategy for Spy {
    type Message = Call;

    fn start(&mut self, cx: &mut Context<'_, Call>) {
        say(cx, "start".into());
    }

    fn propagate(&mut self, cx: &mut Context<'_, Call>, requests: Requests, members: &Members) {
        let text: Vec<_> = requests.iter().map(describe).collect();
        say(cx, format!("propagate {members:?}: {}", text.join("; ")));
        if *members == Members::Global {
            cx.handle_requests(&requests);
        }
    }

    fn round(&mut self, cx: &mut Context<'_, Call>) {
        say(cx, format!("round in view {}", list(cx.view())));
    }

    fn round_interval(&self) -> Option<Duration> {
        Some(Duration::from_secs(30))
    }

    fn nodes_joining(&mut self, cx: &mut Context<'_, Call>, nodes: &[NodeId]) {
        let data = cx.local_data();
        let children = list(data.children().iter().map(|child| child.spec.id()));
        let view = list(cx.view());
        say(
            cx,
            format!("joining {} with [{children}] in view {view}", list(nodes)),
        );
    }

    fn handle_message(&mut self, cx: &mut Context<'_, Call>, from: &NodeId, message: &Call) {
        say(cx, format!("message {} from {from}", message.0));
    }

    fn view_changed(&mut self, cx: &mut Context<'_, Call>) {
        say(cx, format!("view_changed to {}", list(cx.view())));
    }

    fn peer_up(&mut self, cx: &mut Context<'_, Call>, node: &NodeId, incarnation: u64) {
        say(cx, format!("peer_up {node} {incarnation}"));
    }

    fn peer_down(&mut self, cx: &mut Context<'_, Call>, node: &NodeId, reason: DownReason) {
        say(cx, format!("peer_down {node} {reason:?}"));
    }

    fn suspect(&mut self, cx: &mut Context<'_, Call>, node: &NodeId) {
        say(cx, format!("suspect {node}"));
    }

    fn handle_timer(&mut self, cx: &mut Context<'_, Call>, key: u64) {
        say(cx, format!("timer {key}"));
    }

    fn member_up(&mut self, cx: &mut Context<'_, Call>, node: &NodeId, incarnation: u64) {
        say(cx, format!("member_up {node} {incarnation}"));
    }

    fn member_down(&mut self, cx: &mut Context<'_, Call>, node: &NodeId, reason: DownReason) {
        say(cx, format!("member_down {node} {reason:?}"));
    }

    fn local_change(&mut self, cx: &mut Context<'_, Call>, fact: &Fact) {
        say(cx, format!("local_change {}", fact.seq));
    }
}

type Letter = Envelope<Call, Announcement>;

/// The node n1 and its recorder.
struct Node {
    hub: HubCore<Spy>,
    recorder: Recorder<Letter>,
}

impl Node {
    /// Not booted.
    fn new() -> Self {
        let hub = HubCore::new(
            "n1".into(),
            1,
            Spy,
            Discovery::default(),
            HubConfig::default(),
        );
        Self {
            hub,
            recorder: Recorder::default(),
        }
    }

    /// Hosts these children, registered and announced; nothing of that is listed.
    fn hosting(children: &[&str]) -> Self {
        let mut node = Self::new();
        node.start(children, &["n1"], true);
        node.all_started();
        node
    }

    fn handle(&mut self, input: Input<'_, Call, Announcement>) -> Vec<String> {
        self.hub.handle(input, &mut self.recorder);
        self.recorder.take().into_iter().map(line).collect()
    }

    fn command(&mut self, command: Command) -> Vec<String> {
        self.handle(Input::Command(command))
    }

    fn letter(&mut self, from: &str, message: &Letter) -> Vec<String> {
        self.handle(Input::Message {
            from: &from.into(),
            message,
        })
    }

    fn timer(&mut self, key: TimerKey) -> Vec<String> {
        self.handle(Input::Timer(key))
    }

    fn announcement_of(&mut self, from: &str) -> Vec<String> {
        self.letter(from, &Envelope::Membership(Announcement { incarnation: 1 }))
    }

    fn up(&mut self, node: &str) -> Vec<String> {
        self.handle(Input::PeerUp {
            node: &node.into(),
            incarnation: 7,
        })
    }

    fn down(&mut self, node: &str) -> Vec<String> {
        self.handle(Input::PeerDown {
            node: &node.into(),
            reason: DownReason::Closed,
        })
    }

    /// Connects and takes nodes into the view; nothing of that is listed.
    fn with_members(mut self, nodes: &[&str]) -> Self {
        for node in nodes {
            self.up(node);
            self.announcement_of(node);
        }
        self.timer(TimerKey::Debounce);
        self
    }

    fn start(&mut self, children: &[&str], targets: &[&str], announce: bool) -> Vec<String> {
        self.command(Command::StartChildren {
            ticket: 5,
            specs: specs(children),
            metadata: Metadata::default(),
            targets: names(targets),
            announce,
        })
    }

    fn stop(&mut self, children: &[&str], target: &str) -> Vec<String> {
        let children = children.iter().map(|child| ChildId::new(child)).collect();
        self.command(Command::StopChildren {
            ticket: 6,
            children,
            target: target.into(),
        })
    }

    fn children(&mut self, events: Vec<ChildEvent>) -> Vec<String> {
        self.handle(Input::Children(events))
    }

    /// Every process whose start was not answered yet runs.
    fn all_started(&mut self) -> Vec<String> {
        let pids = (1..=self.hub.children.last_pid()).map(|k| Pid::from(format!("n1.1.{k}")));
        let events = pids.map(ChildEvent::Started).collect();
        self.children(events)
    }

    /// The registry in one line: `a: n1=n1.1.1 n2=p`.
    fn registry(&self) -> Vec<String> {
        let entry = |entry: &crate::child::Entry| format!("{}={:?}", entry.node, entry.pid);
        self.hub
            .registry()
            .rows()
            .map(|row| format!("{}: {}", row.child(), list(row.entries.iter().map(entry))))
            .collect()
    }

    fn view(&self) -> String {
        list(self.hub.view())
    }
}

fn names(nodes: &[&str]) -> Vec<NodeId> {
    nodes.iter().map(|node| NodeId::new(node)).collect()
}

fn specs(children: &[&str]) -> Vec<ChildSpec> {
    children
        .iter()
        .map(|child| ChildSpec::new(*child, "test"))
        .collect()
}

fn line(effect: Effect<Letter>) -> String {
    match effect {
        Effect::Send {
            message: Envelope::Strategy(call),
            ..
        } => format!("spy: {}", call.0),
        Effect::Send {
            to,
            channel,
            message,
            connects: _,
        } => {
            format!(
                "send {} to {}: {}",
                channel.name,
                list(to),
                letter(&message)
            )
        }
        Effect::Announce { channel, message } => {
            format!("announce {}: {}", channel.name, letter(&message))
        }
        Effect::SetTimer(key, delay) => format!("timer {key:?} in {}ms", delay.as_millis()),
        Effect::CancelTimer(key) => format!("cancel {key:?}"),
        Effect::StartChild { spec, pid, .. } => format!("start {} as {pid}", spec.id()),
        Effect::StopChild(pid) => format!("stop {pid}"),
        Effect::Emit(event) => event_line(&event),
    }
}

fn letter(message: &Letter) -> String {
    let outcomes = |results: &[crate::runtime::ChildResult]| {
        list(
            results
                .iter()
                .map(|result| format!("{}={:?}", result.child, result.outcome)),
        )
    };
    match message {
        Envelope::Membership(announcement) => format!("discovery {}", announcement.incarnation),
        Envelope::Leave => "leave".to_owned(),
        Envelope::Strategy(call) => call.0.clone(),
        Envelope::Children(ChildrenMessage::Start { ticket, specs, .. }) => {
            format!("start {ticket}: {}", list(specs.iter().map(ChildSpec::id)))
        }
        Envelope::Children(ChildrenMessage::Stop { ticket, children }) => {
            format!("stop {ticket}: {}", list(children))
        }
        Envelope::Children(ChildrenMessage::Answer { ticket, results }) => {
            format!("answer {ticket}: {}", outcomes(results))
        }
    }
}

fn event_line(event: &Event) -> String {
    match event {
        Event::Row(RowChange {
            child, after: None, ..
        }) => format!("row {child} gone"),
        Event::Row(RowChange {
            child,
            after: Some(row),
            ..
        }) => {
            let nodes = list(
                row.entries
                    .iter()
                    .map(|entry| format!("{}={:?}", entry.node, entry.pid)),
            );
            format!("row {child}: {nodes}")
        }
        Event::View(view) => format!("view {}", list(view)),
        Event::Fact(fact) => match &fact.change {
            Change::Started { pid, .. } => {
                format!("fact {} {} started {pid}", fact.seq, fact.child)
            }
            Change::Restarted { pid } => {
                format!("fact {} {} restarted {pid}", fact.seq, fact.child)
            }
            Change::Stopped { pid } => format!("fact {} {} stopped {pid}", fact.seq, fact.child),
        },
        Event::Answer {
            ticket,
            node,
            results,
        } => {
            let results = list(
                results
                    .iter()
                    .map(|result| format!("{}={:?}", result.child, result.outcome)),
            );
            format!("answered {ticket} by {node}: {results}")
        }
        Event::Skipped { child, action } => format!("skipped {action} {child}"),
        Event::Mark(mark) => format!("mark {mark}"),
    }
}
