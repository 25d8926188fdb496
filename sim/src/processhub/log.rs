//! [`Log`]: a trace, indexed for questions about rows, messages, lives and views.

use std::collections::BTreeMap;

use hublab_strategies::{ChildId, Metadata, NodeId, Pid, Row, Time, TimerKey};

use crate::model::{Action, ClockChange, NodeIx, Scenario};
use crate::node::clock::WallClock;
use crate::trace::event::{DropReason, Event, EventId, KindIx, Payload};

/// Where what concerns an event stands in a table of all events.
pub(super) fn place(id: EventId) -> usize {
    usize::try_from(id).unwrap_or(usize::MAX)
}

/// One process of a child, from its start to its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Life<'a> {
    pub(super) pid: &'a Pid,
    pub(super) metadata: &'a Metadata,
    pub(super) started: EventId,
    /// When it ended; `None` if it still runs at the end of the trace.
    pub(super) ended: Option<EventId>,
}

impl Life<'_> {
    pub(super) fn runs_at(&self, id: EventId) -> bool {
        self.started <= id && self.ended.is_none_or(|ended| ended > id)
    }
}

/// One incarnation of a node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Boot {
    pub(super) from: EventId,
    /// When it stopped; `None` if it runs at the end of the trace.
    pub(super) to: Option<EventId>,
}

/// A message that was handled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a> {
    pub(super) kind: &'a str,
    pub(super) from: NodeIx,
    /// The event of its sending.
    pub(super) sent: EventId,
    /// The event of its handling.
    pub(super) handled: EventId,
    /// The first message of the chain that it belongs to: the start of its round or propagation;
    /// itself if it was not passed on.
    pub(super) root: EventId,
}

/// The fate of a message and its copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// At least one was handled.
    Handled,
    /// None was, and one was lost.
    Lost(DropReason),
    /// It should have arrived: its receiver is paused or busy, or it is held back.
    Waiting,
    /// It is not due yet.
    OnTheWay,
}

/// One entry of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shown<'a> {
    pub(super) pid: Option<&'a Pid>,
    pub(super) metadata: &'a Metadata,
}

/// The trace of one run. Events are told apart by their numbers, which are their order, too.
pub(super) struct Log<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) strategy: &'a str,
    pub(super) events: &'a [Event],
    pub(super) kinds: Vec<&'a str>,
    rows: BTreeMap<(NodeIx, &'a ChildId), Vec<EventId>>,
    lives: BTreeMap<(NodeIx, &'a ChildId), Vec<Life<'a>>>,
    boots: Vec<Vec<Boot>>,
    views: Vec<Vec<EventId>>,
    steps: Vec<EventId>,
    pub(super) handled: Vec<Vec<EventId>>,
    pub(super) timers: Vec<Vec<EventId>>,
    peers: BTreeMap<(NodeIx, NodeIx), Vec<EventId>>,
    /// (cause, effect), in order.
    effects: Vec<(EventId, EventId)>,
    /// For each event that sends or handles a message, the first message of its chain.
    pub(super) roots: Vec<EventId>,
    /// The first message of a kind that a node sent for a cause, where that begins a chain.
    firsts: BTreeMap<(EventId, NodeIx, KindIx), EventId>,
}

impl<'a> Log<'a> {
    /// Indexes a whole trace; `None` if its beginning is missing.
    pub(super) fn new(
        scenario: &'a Scenario,
        strategy: &'a str,
        events: &'a [Event],
    ) -> Option<Self> {
        if events.first()?.id != 1 {
            return None;
        }
        let nodes = scenario.cluster.nodes.len();
        let mut log = Self {
            scenario,
            strategy,
            events,
            kinds: Vec::new(),
            rows: BTreeMap::new(),
            lives: BTreeMap::new(),
            boots: vec![Vec::new(); nodes],
            views: vec![Vec::new(); nodes],
            steps: Vec::new(),
            handled: vec![Vec::new(); nodes],
            timers: vec![Vec::new(); nodes],
            peers: BTreeMap::new(),
            effects: Vec::with_capacity(events.len()),
            roots: vec![0; events.len() + 1],
            firsts: BTreeMap::new(),
        };
        for event in events {
            log.effects.push((event.cause, event.id));
            log.take_in(event);
        }
        log.effects.sort_unstable();
        Some(log)
    }

    fn take_in(&mut self, event: &'a Event) {
        let (id, node) = (event.id, event.node);
        match &event.payload {
            Payload::Kind { name, .. } => self.kinds.push(name),
            Payload::Booted { .. } => self.boots[node as usize].push(Boot { from: id, to: None }),
            Payload::Stopped(_) => {
                if let Some(boot) = self.boots[node as usize].last_mut() {
                    boot.to = Some(id);
                }
            }
            Payload::PeerUp { peer, .. } | Payload::PeerDown { peer, .. } => {
                self.peers.entry((node, *peer)).or_default().push(id);
            }
            Payload::Sent { .. } => self.roots[place(id)] = self.root_of_send(event),
            Payload::Delivered { .. } => {
                self.roots[place(id)] = self.roots[place(event.cause)];
                self.handled[node as usize].push(id);
            }
            Payload::Timer(_) => self.timers[node as usize].push(id),
            Payload::Row { child, .. } => self.rows.entry((node, child)).or_default().push(id),
            Payload::View(_) => self.views[node as usize].push(id),
            Payload::ChildStarted {
                child,
                pid,
                metadata,
            } => self.lives.entry((node, child)).or_default().push(Life {
                pid,
                metadata,
                started: id,
                ended: None,
            }),
            Payload::ChildStopped { child, pid } => {
                let lives = self.lives.entry((node, child)).or_default();
                if let Some(life) = lives.iter_mut().rev().find(|life| life.pid == pid) {
                    life.ended = Some(id);
                }
            }
            Payload::Step { .. } => self.steps.push(id),
            Payload::Paused
            | Payload::Resumed
            | Payload::Duplicated { .. }
            | Payload::Dropped { .. }
            | Payload::Fact(_)
            | Payload::Answered { .. }
            | Payload::Skipped { .. }
            | Payload::Mark(_)
            | Payload::Panicked(_)
            | Payload::Connected { .. }
            | Payload::Disconnected { .. }
            | Payload::Queued { .. }
            | Payload::Sizes(_)
            | Payload::Injected { .. } => {}
        }
    }

    /// A message sent while one of its kind is handled passes that one on; what a node sends to
    /// several others at once is one.
    fn root_of_send(&mut self, event: &Event) -> EventId {
        let Payload::Sent { kind, .. } = &event.payload else {
            return 0;
        };
        match self.event(event.cause).map(|cause| &cause.payload) {
            Some(Payload::Delivered { kind: other, .. }) if other == kind => {
                self.roots[place(event.cause)]
            }
            Some(_) | None => {
                let first = (event.cause, event.node, *kind);
                *self.firsts.entry(first).or_insert(event.id)
            }
        }
    }

    /// The event of a number; `None` for 0.
    pub(super) fn event(&self, id: EventId) -> Option<&'a Event> {
        let place = usize::try_from(id.checked_sub(1)?).ok()?;
        self.events.get(place)
    }

    /// The cause of an event.
    pub(super) fn cause(&self, id: EventId) -> EventId {
        self.event(id).map_or(0, |event| event.cause)
    }

    /// The last event at or before an instant, in microseconds.
    pub(super) fn last_at(&self, at_us: u64) -> EventId {
        self.events.partition_point(|event| event.at.0 <= at_us) as EventId
    }

    /// The events of an instant, in microseconds.
    pub(super) fn during(&self, at_us: u64) -> impl Iterator<Item = &'a Event> {
        let from = self.events.partition_point(|event| event.at.0 < at_us);
        self.events[from..]
            .iter()
            .take_while(move |event| event.at.0 == at_us)
    }

    /// The events that an event caused, in order.
    pub(super) fn effects(&self, cause: EventId) -> impl Iterator<Item = &'a Event> + '_ {
        let from = self.effects.partition_point(|(other, _)| *other < cause);
        self.effects[from..]
            .iter()
            .take_while(move |(other, _)| *other == cause)
            .filter_map(|(_, effect)| self.event(*effect))
    }

    /// Every child that is named anywhere, in order.
    pub(super) fn children(&self) -> Vec<&'a ChildId> {
        let mut all: Vec<_> = self.rows.keys().map(|(_, child)| *child).collect();
        all.extend(self.lives.keys().map(|(_, child)| *child));
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The position of a node.
    pub(super) fn position(&self, name: &NodeId) -> Option<NodeIx> {
        (0..)
            .zip(&self.scenario.cluster.nodes)
            .find(|(_, other)| *other == name)
            .map(|(ix, _)| ix)
    }

    pub(super) fn name(&self, node: NodeIx) -> &'a NodeId {
        &self.scenario.cluster.nodes[node as usize]
    }

    /// The positions of all nodes.
    pub(super) fn nodes(&self) -> impl Iterator<Item = NodeIx> + use<> {
        (0..).take(self.scenario.cluster.nodes.len())
    }

    /// The incarnation of a node that an event falls into.
    pub(super) fn boot_at(&self, node: NodeIx, id: EventId) -> Option<Boot> {
        self.boots[node as usize]
            .iter()
            .rev()
            .find(|boot| boot.from <= id && boot.to.is_none_or(|to| to > id))
            .copied()
    }

    /// When a node last stopped before an event.
    pub(super) fn stopped_before(&self, node: NodeIx, id: EventId) -> Option<EventId> {
        self.boots[node as usize]
            .iter()
            .rev()
            .filter_map(|boot| boot.to)
            .find(|to| *to < id)
    }

    /// The processes of a child on a node, in order.
    pub(super) fn lives(&self, node: NodeIx, child: &'a ChildId) -> &[Life<'a>] {
        self.lives.get(&(node, child)).map_or(&[], Vec::as_slice)
    }

    /// The process under an id on a node right after an event.
    pub(super) fn life_at(
        &self,
        node: NodeIx,
        child: &'a ChildId,
        id: EventId,
    ) -> Option<Life<'a>> {
        let lives = self.lives(node, child).iter().rev();
        lives.copied().find(|life| life.runs_at(id))
    }

    /// The changes of a row since its node booted, up to and including an event.
    pub(super) fn changes(&self, node: NodeIx, child: &'a ChildId, id: EventId) -> &[EventId] {
        let Some(changes) = self.rows.get(&(node, child)) else {
            return &[];
        };
        let from = self.boot_at(node, id).map_or(id, |boot| boot.from);
        let (from, to) = (
            changes.partition_point(|change| *change < from),
            changes.partition_point(|change| *change <= id),
        );
        changes.get(from..to).unwrap_or(&[])
    }

    /// The events after which a node may be right or wrong about a child of another one: changes
    /// of the row or of the view, starts and ends of the child, the end of the node. In order.
    pub(super) fn turns(
        &self,
        node: NodeIx,
        (child, owner): (&'a ChildId, NodeIx),
        after: EventId,
    ) -> Vec<EventId> {
        let rows = self.rows.get(&(node, child)).into_iter().flatten().copied();
        let lives = self.lives(owner, child).iter();
        let lives = lives.flat_map(|life| [Some(life.started), life.ended]);
        let stops = self.boots[node as usize].iter().map(|boot| boot.to);
        let views = self.views[node as usize].iter().copied();
        let mut turns: Vec<EventId> = rows
            .chain(views)
            .chain(lives.chain(stops).flatten())
            .collect();
        turns.retain(|turn| *turn > after);
        turns.sort_unstable();
        turns
    }

    /// The row that a change left; `None` if it left none.
    pub(super) fn row_after(&self, change: EventId) -> Option<&'a Row> {
        let Payload::Row { after, .. } = &self.event(change)?.payload else {
            return None;
        };
        after.as_deref()
    }

    /// The entry of a child on `owner` in a node's registry, right after an event.
    pub(super) fn shown_at(
        &self,
        node: NodeIx,
        child: &'a ChildId,
        owner: NodeIx,
        id: EventId,
    ) -> Option<Shown<'a>> {
        let row = self.row_after(*self.changes(node, child, id).last()?)?;
        shown(row, self.name(owner))
    }

    /// The entry of a child of its own in a node's snapshot, if it is taken while an event is
    /// handled.
    pub(super) fn snapshot_at(
        &self,
        owner: NodeIx,
        child: &'a ChildId,
        id: EventId,
    ) -> Option<&'a Pid> {
        self.shown_at(owner, child, owner, id)?.pid
    }

    /// The cluster view of a node right after an event; empty if that is the node alone.
    pub(super) fn view_at(&self, node: NodeIx, id: EventId) -> &'a [NodeId] {
        let Some(boot) = self.boot_at(node, id) else {
            return &[];
        };
        let views = &self.views[node as usize];
        let place = views.partition_point(|view| *view <= id);
        let last = place.checked_sub(1).map(|place| views[place]);
        match last
            .filter(|view| *view >= boot.from)
            .and_then(|view| self.event(view))
        {
            Some(Event {
                payload: Payload::View(view),
                ..
            }) => view,
            Some(_) | None => &[],
        }
    }

    /// Since when a node's view has been what it is after an event: its last change, or the boot.
    pub(super) fn view_since(&self, node: NodeIx, id: EventId) -> EventId {
        let boot = self.boot_at(node, id).map_or(id, |boot| boot.from);
        let views = &self.views[node as usize];
        let place = views.partition_point(|view| *view <= id);
        let last = place.checked_sub(1).map_or(0, |place| views[place]);
        last.max(boot)
    }

    /// True if a node has another one in its view right after an event.
    pub(super) fn is_member(&self, of: NodeIx, node: NodeIx, id: EventId) -> bool {
        of == node || self.view_at(of, id).contains(self.name(node))
    }

    /// True if a node's view held another one all the time between two events.
    pub(super) fn stayed_member(
        &self,
        of: NodeIx,
        node: NodeIx,
        from: EventId,
        to: EventId,
    ) -> bool {
        let mut views = self.views_between(of, from, to);
        self.is_member(of, node, from) && views.all(|view| self.is_member(of, node, view))
    }

    /// True if a node's view held another one at some time between two events.
    pub(super) fn was_member(&self, of: NodeIx, node: NodeIx, from: EventId, to: EventId) -> bool {
        let mut views = self.views_between(of, from, to);
        self.is_member(of, node, from) || views.any(|view| self.is_member(of, node, view))
    }

    /// True if no view that a node got between two events held another one.
    pub(super) fn stayed_out(&self, of: NodeIx, node: NodeIx, from: EventId, to: EventId) -> bool {
        let mut views = self.views_between(of, from, to);
        views.all(|view| !self.is_member(of, node, view))
    }

    /// The changes of a node's view from one event to another, both included.
    fn views_between(
        &self,
        of: NodeIx,
        from: EventId,
        to: EventId,
    ) -> impl Iterator<Item = EventId> + '_ {
        let views = self.views[of as usize].iter().copied();
        views.filter(move |view| (from..=to).contains(view))
    }

    /// True if a node believes that the connection to another one is up, right after an event.
    pub(super) fn is_connected(&self, node: NodeIx, peer: NodeIx, id: EventId) -> bool {
        let Some(boot) = self.boot_at(node, id) else {
            return false;
        };
        let Some(news) = self.peers.get(&(node, peer)) else {
            return false;
        };
        let place = news.partition_point(|other| *other <= id);
        let last = place.checked_sub(1).map(|place| news[place]);
        last.filter(|last| *last >= boot.from)
            .and_then(|last| self.event(last))
            .is_some_and(|event| matches!(event.payload, Payload::PeerUp { .. }))
    }

    /// The changes of a node's connection to another one between two events.
    pub(super) fn connection_news(
        &self,
        node: NodeIx,
        peer: NodeIx,
        (from, to): (EventId, EventId),
    ) -> impl Iterator<Item = &'a Event> + '_ {
        let news = self.peers.get(&(node, peer)).map_or(&[][..], Vec::as_slice);
        news.iter()
            .filter(move |id| (from..=to).contains(id))
            .filter_map(|id| self.event(*id))
    }

    /// True if an event started a process of a child on a node.
    pub(super) fn starts(&self, cause: EventId, node: NodeIx, child: &'a ChildId) -> bool {
        let lives = self.lives(node, child).iter();
        lives
            .into_iter()
            .any(|life| self.cause(life.started) == cause)
    }

    /// True if a node looked at its own data, to send them, while it had some: since its boot, up to
    /// an event. As long as it has not, it sends none.
    pub(super) fn has_latched(&self, node: NodeIx, id: EventId) -> bool {
        let Some(boot) = self.boot_at(node, id) else {
            return false;
        };
        let window = (boot.from, id);
        let timers = self.timers(node, TimerKey::Sync, window);
        let rounds = self.handled(node, window);
        let rounds = rounds.filter(|message| super::case::is_round(message.kind));
        let views = self.views[node as usize].iter().copied();
        let steps = self.steps.iter().copied().filter(|step| {
            matches!(
                self.action(*step),
                Some(Action::Sync(on) | Action::Broadcast { on, .. }) if *on == node
            )
        });
        let mut looks = timers.chain(rounds.map(|message| message.handled)).chain(
            views
                .chain(steps)
                .filter(|look| boot.from < *look && *look <= id),
        );
        let own: Vec<_> = self.children_of(node).collect();
        looks.any(|look| {
            own.iter()
                .any(|child| self.snapshot_at(node, child, look).is_some())
        })
    }

    /// The children that a node has, or had, rows of.
    fn children_of(&self, node: NodeIx) -> impl Iterator<Item = &'a ChildId> + '_ {
        let keys = self.rows.keys().filter(move |(other, _)| *other == node);
        keys.map(|(_, child)| *child)
    }

    /// A node's wall clock at an event.
    pub(super) fn wall_clock(&self, node: NodeIx, id: EventId) -> u64 {
        let settings = self.scenario.node_settings();
        let mut clock = WallClock::new(settings[node as usize].clock);
        let Some(event) = self.event(id) else {
            return 0;
        };
        for (at, change) in self.clock_changes(node, id) {
            clock.change(at, change);
        }
        clock.read(event.at)
    }

    /// The action of a step that was carried out; `None` for any other event.
    pub(super) fn action(&self, step: EventId) -> Option<&'a Action> {
        let Payload::Step { index, .. } = self.event(step)?.payload else {
            return None;
        };
        Some(&self.scenario.steps.get(index as usize)?.action)
    }

    /// The steps up to an event that overwrote a node's view, and what with.
    pub(super) fn overwritten_views(
        &self,
        node: NodeIx,
        to: EventId,
    ) -> impl Iterator<Item = (EventId, &'a [NodeIx])> + '_ {
        let before = self.events.iter().take_while(move |event| event.id <= to);
        before.filter_map(move |event| {
            let Some(Action::View { on, nodes }) = self.action(event.id) else {
                return None;
            };
            (*on == node).then_some((event.id, nodes.as_slice()))
        })
    }

    /// The changes of a node's wall clock up to an event.
    fn clock_changes(
        &self,
        node: NodeIx,
        id: EventId,
    ) -> impl Iterator<Item = (Time, ClockChange)> + '_ {
        let steps = self.steps.iter().take_while(move |step| **step <= id);
        steps.filter_map(move |step| {
            let event = self.event(*step)?;
            let Payload::Step { index, .. } = event.payload else {
                return None;
            };
            let Action::Clock { nodes, change } = &self.scenario.steps.get(index as usize)?.action
            else {
                return None;
            };
            nodes.contains(&node).then_some((event.at, *change))
        })
    }
}

/// The entry of a row for a child on a node.
pub(super) fn shown<'a>(row: &'a Row, owner: &NodeId) -> Option<Shown<'a>> {
    let entry = row.entries.iter().find(|entry| entry.node == *owner)?;
    Some(Shown {
        pid: entry.pid.as_ref(),
        metadata: row.metadata_on(owner),
    })
}
