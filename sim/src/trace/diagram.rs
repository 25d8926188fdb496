//! A stretch of a trace as a space-time diagram: a lane per node, and messages between them. Data
//! only; who draws it decides on lengths and colours.

use std::collections::BTreeMap;

use hublab_strategies::{ChildId, Time};

use super::event::{DropReason, Event, EventId, KindIx, Payload, WORLD};
use super::text::{Filter, Names, concerns};
use crate::model::{Lifecycle, NodeIx};

/// How many messages, and how many changes of rows, a diagram has at most.
pub(crate) const DIAGRAM_MAX: usize = 2_000;

/// A diagram.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Diagram {
    /// The names in it.
    pub names: Names,
    /// The nodes that have a lane, from top to bottom.
    pub lanes: Vec<NodeIx>,
    /// The instants it begins and ends at.
    pub window: (Time, Time),
    /// When nodes did not run, or were paused.
    pub stretches: Vec<Stretch>,
    /// Messages, in the order in which they were sent.
    pub messages: Vec<Flight>,
    /// Changes of rows, in the order of the trace.
    pub rows: Vec<RowChange>,
    /// Steps of the script.
    pub steps: Vec<(Time, String)>,
    /// Messages and changes of rows for which there was no room: see [`Draft::with_room_for`].
    pub left_out: (u64, u64),
}

/// A node that is not at work for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stretch {
    /// The node.
    pub node: NodeIx,
    /// From when on.
    pub from: Time,
    /// Until when.
    pub to: Time,
    /// True if it is paused, false if it does not run.
    pub is_paused: bool,
}

/// A message on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flight {
    /// The event of its sending, or of the making of a copy.
    pub id: EventId,
    /// Its sender.
    pub from: NodeIx,
    /// Its receiver.
    pub to: NodeIx,
    /// Its kind.
    pub kind: KindIx,
    /// When it was sent.
    pub sent: Time,
    /// How it ended.
    pub end: FlightEnd,
    /// True for a copy that the network made.
    pub is_copy: bool,
    /// When it was to arrive, as its sending says; `None` if that was not known then.
    pub due: Option<Time>,
    /// The event that ended it; 0 if it is under way.
    pub ended_by: EventId,
}

impl Flight {
    /// True if it was handled at another instant than it was due: held by the script, or by a receiver
    /// that was paused or busy.
    #[must_use]
    pub fn is_held(&self) -> bool {
        match self.end {
            FlightEnd::Delivered(at) => self.due != Some(at),
            FlightEnd::Dropped(..) | FlightEnd::UnderWay => false,
        }
    }
}

/// The end of a message's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlightEnd {
    /// The receiver handled it.
    Delivered(Time),
    /// It was lost.
    Dropped(Time, DropReason),
    /// It was still under way when the window, or the run, ended.
    UnderWay,
}

impl FlightEnd {
    /// When it ended; `None` if it did not.
    #[must_use]
    pub fn at(self) -> Option<Time> {
        match self {
            Self::Delivered(at) | Self::Dropped(at, _) => Some(at),
            Self::UnderWay => None,
        }
    }
}

/// A change of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RowChange {
    /// The event.
    pub id: EventId,
    /// When.
    pub at: Time,
    /// Whose registry.
    pub node: NodeIx,
    /// The child of the row.
    pub child: ChildId,
    /// True if the row has entries now.
    pub has_entries: bool,
}

/// Makes a diagram of the events of a run, which are given in their order.
#[derive(Debug)]
pub struct Draft {
    filter: Filter,
    names: Names,
    lives: Vec<(Lifecycle, Time)>,
    has_lane: Vec<bool>,
    /// How many messages, and how many changes of rows, it keeps.
    most: usize,
    /// Messages whose end is not known, by their event.
    flying: BTreeMap<EventId, Flight>,
    /// Copies by the event of the message they were made of: both end with that as their cause.
    copies: BTreeMap<EventId, EventId>,
    diagram: Diagram,
}

impl Draft {
    /// A diagram of what `filter` allows. Its nodes choose lanes, its kinds messages and `row`, its
    /// children the changes of rows.
    #[must_use]
    pub fn new(names: Names, nodes: usize, filter: Filter) -> Self {
        let is_named = |node: usize| {
            let name = NodeIx::try_from(node).ok().and_then(|ix| names.node(ix));
            name.is_some_and(|name| filter.nodes.iter().any(|wanted| wanted == name))
        };
        let has_lane: Vec<bool> = (0..nodes)
            .map(|node| filter.nodes.is_empty() || is_named(node))
            .collect();
        let lanes = (0..).zip(&has_lane).filter(|(_, has)| **has);
        let diagram = Diagram {
            names: names.clone(),
            lanes: lanes.map(|(node, _)| node).collect(),
            window: (filter.from.unwrap_or(Time::ZERO), Time::ZERO),
            stretches: Vec::new(),
            messages: Vec::new(),
            rows: Vec::new(),
            steps: Vec::new(),
            left_out: (0, 0),
        };
        Self {
            filter,
            names,
            lives: vec![(Lifecycle::Never, Time::ZERO); nodes],
            has_lane,
            most: DIAGRAM_MAX,
            flying: BTreeMap::new(),
            copies: BTreeMap::new(),
            diagram,
        }
    }

    /// The same, with room for so many messages, and changes of rows, instead of 2,000 of each.
    #[must_use]
    pub fn with_room_for(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// True if the diagram has no use for this event or any later one.
    #[must_use]
    pub fn is_over(&self, event: &Event) -> bool {
        self.filter.is_over(event)
    }

    /// Takes in the next event.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a fold looks at the events that concern it"
    )]
    pub fn event(&mut self, event: &Event) {
        self.names.learn(event);
        let (at, node) = (event.at, event.node);
        if let Some(life) = event.payload.lifecycle() {
            self.live(node, life, at);
        }
        match &event.payload {
            Payload::Step {
                index,
                healing,
                action,
            } if self.is_in(at) => {
                let again = if *healing { " ends" } else { "" };
                let text = format!("{index} {action}{again}");
                self.diagram.steps.push((at, text));
            }
            Payload::Sent { to, kind, due, .. } => {
                let flight = flight(event, (*to, *kind), *due, false);
                self.flying.insert(event.id, flight);
            }
            Payload::Duplicated { to, kind, due, .. } => {
                let flight = flight(event, (*to, *kind), Some(*due), true);
                self.flying.insert(event.id, flight);
                self.copies.insert(event.cause, event.id);
            }
            Payload::Delivered { .. } => self.ended(event, FlightEnd::Delivered(at)),
            Payload::Dropped { reason, .. } => {
                self.ended(event, FlightEnd::Dropped(at, *reason));
            }
            Payload::Row { child, after, .. } => {
                let has_entries = after.as_ref().is_some_and(|row| !row.is_empty());
                self.row(event, child, has_entries);
            }
            _ => {}
        }
    }

    /// The diagram; the run, or what was read of it, ended at `end`.
    #[must_use]
    pub fn finish(mut self, end: Time) -> Diagram {
        let until = self.filter.to.map_or(end, |to| to.min(end));
        self.diagram.window.1 = until.max(self.diagram.window.0);
        for node in 0..self.lives.len() {
            if let Ok(node) = NodeIx::try_from(node) {
                self.live(node, Lifecycle::Up, until);
            }
        }
        for flight in std::mem::take(&mut self.flying).into_values() {
            self.keep(flight);
        }
        let mut diagram = self.diagram;
        diagram.messages.sort_by_key(|flight| flight.id);
        diagram.names = self.names;
        diagram
    }

    fn is_in(&self, at: Time) -> bool {
        at >= self.diagram.window.0 && self.filter.to.is_none_or(|to| at <= to)
    }

    fn lane(&self, node: NodeIx) -> bool {
        self.has_lane.get(node as usize).copied().unwrap_or(false)
    }

    /// The node's life changes: the stretch until now is over.
    fn live(&mut self, node: NodeIx, life: Lifecycle, at: Time) {
        let Some(known) = self.lives.get_mut(node as usize) else {
            return;
        };
        let (was, from) = std::mem::replace(known, (life, at));
        let from = from.max(self.diagram.window.0);
        if was != Lifecycle::Up && at > from && self.lane(node) {
            self.diagram.stretches.push(Stretch {
                node,
                from,
                to: self.filter.to.map_or(at, |to| to.min(at)),
                is_paused: was.is_paused(),
            });
        }
    }

    /// A message ended, or the copy of it: whichever is due now, and else the message.
    fn ended(&mut self, event: &Event, end: FlightEnd) {
        let (id, at) = (event.cause, event.at);
        let copy = self.copies.get(&id).copied();
        let due = |id| self.flying.get(&id).map(|flight| flight.due);
        let is_copy = match (due(id), copy.and_then(due)) {
            (Some(due), Some(of_copy)) => due != Some(at) && of_copy == Some(at),
            (None, _) => true,
            (Some(_), None) => false,
        };
        let ended = if is_copy {
            self.copies.remove(&id)
        } else {
            Some(id)
        };
        if let Some(flight) = ended.and_then(|id| self.flying.remove(&id)) {
            let ended_by = event.id;
            self.keep(Flight {
                end,
                ended_by,
                ..flight
            });
        }
    }

    fn keep(&mut self, flight: Flight) {
        let kinds = &self.filter.kinds;
        let kind = self.names.kind(flight.kind).unwrap_or_default();
        let is_wanted = kinds.is_empty() || kinds.iter().any(|wanted| wanted == kind);
        let is_before = flight.end.at().is_some_and(|at| at < self.diagram.window.0);
        let is_behind = self.filter.to.is_some_and(|to| flight.sent > to);
        let has_lanes = self.lane(flight.from) && self.lane(flight.to);
        if !is_wanted || is_before || is_behind || !has_lanes {
            return;
        }
        if self.diagram.messages.len() == self.most {
            self.diagram.left_out.0 += 1;
        } else {
            self.diagram.messages.push(flight);
        }
    }

    fn row(&mut self, event: &Event, child: &ChildId, has_entries: bool) {
        let Filter {
            children, kinds, ..
        } = &self.filter;
        let is_wanted = kinds.is_empty() || kinds.iter().any(|kind| kind == "row");
        let is_about = children.is_empty() || concerns(event, children);
        if !is_wanted || !is_about || event.node == WORLD {
            return;
        }
        if !self.is_in(event.at) || !self.lane(event.node) {
            return;
        }
        if self.diagram.rows.len() == self.most {
            self.diagram.left_out.1 += 1;
            return;
        }
        self.diagram.rows.push(RowChange {
            id: event.id,
            at: event.at,
            node: event.node,
            child: child.clone(),
            has_entries,
        });
    }
}

fn flight(event: &Event, (to, kind): (NodeIx, KindIx), due: Option<Time>, is_copy: bool) -> Flight {
    Flight {
        id: event.id,
        from: event.node,
        to,
        kind,
        sent: event.at,
        end: FlightEnd::UnderWay,
        is_copy,
        due,
        ended_by: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::event::StopReason;
    use std::borrow::Cow;

    fn event(id: EventId, at: u64, node: NodeIx, cause: EventId, payload: Payload) -> Event {
        Event {
            id,
            at: Time(at),
            node,
            cause,
            payload,
        }
    }

    fn sent(to: NodeIx, due: Option<u64>) -> Payload {
        Payload::Sent {
            to,
            kind: 0,
            channel: 0,
            number: 0,
            bytes: 10,
            hops: 1,
            due: due.map(Time),
            contents: None,
        }
    }

    fn got(from: NodeIx) -> Payload {
        Payload::Delivered {
            from,
            kind: 0,
            number: 0,
            contents: None,
        }
    }

    fn draft(filter: Filter) -> Draft {
        let nodes = ["a", "b"].map(hublab_strategies::NodeId::new);
        let mut draft = Draft::new(Names::of_nodes(&nodes), 2, filter);
        let name = "x.y".to_owned();
        draft.event(&event(1, 0, WORLD, 0, Payload::Kind { kind: 0, name }));
        draft
    }

    #[test]
    fn messages_end_where_they_ended_and_copies_by_when_they_were_due() {
        let mut draft = draft(Filter::default());
        draft.event(&event(2, 10, 0, 0, sent(1, Some(50))));
        let copy = Payload::Duplicated {
            to: 1,
            kind: 0,
            number: 0,
            due: Time(30),
        };
        draft.event(&event(3, 10, 0, 2, copy));
        draft.event(&event(4, 20, 1, 0, sent(0, None)));
        let lost = Payload::Dropped {
            from: 1,
            kind: 0,
            number: 0,
            reason: DropReason::Loss,
            contents: None,
        };
        draft.event(&event(5, 20, 0, 4, lost));
        draft.event(&event(6, 30, 1, 2, got(0)));
        draft.event(&event(7, 50, 1, 2, got(0)));
        draft.event(&event(8, 60, 0, 0, sent(1, Some(90))));
        let diagram = draft.finish(Time(70));
        let ends: Vec<_> = diagram
            .messages
            .iter()
            .map(|flight| (flight.id, flight.is_copy, flight.end))
            .collect();
        assert_eq!(
            ends,
            [
                (2, false, FlightEnd::Delivered(Time(50))),
                (3, true, FlightEnd::Delivered(Time(30))),
                (4, false, FlightEnd::Dropped(Time(20), DropReason::Loss)),
                (8, false, FlightEnd::UnderWay),
            ]
        );
        assert_eq!(diagram.window, (Time(0), Time(70)));
    }

    #[test]
    fn a_window_keeps_what_reaches_into_it_and_lanes_shade_what_does_not_run() {
        let mut draft = draft(Filter {
            from: Some(Time(40)),
            to: Some(Time(60)),
            ..Filter::default()
        });
        let up = |name: &str| Payload::Booted {
            name: hublab_strategies::NodeId::new(name),
            incarnation: 1,
        };
        draft.event(&event(2, 0, 0, 0, up("a")));
        draft.event(&event(3, 0, 1, 0, up("b")));
        draft.event(&event(4, 10, 0, 0, sent(1, Some(20))));
        draft.event(&event(5, 20, 1, 4, got(0)));
        draft.event(&event(6, 30, 0, 0, sent(1, Some(50))));
        draft.event(&event(7, 45, 0, 0, Payload::Paused));
        draft.event(&event(8, 50, 1, 6, got(0)));
        let action = Cow::Borrowed("crash");
        let step = Payload::Step {
            index: 3,
            healing: false,
            action,
        };
        draft.event(&event(9, 55, WORLD, 0, step));
        draft.event(&event(10, 55, 1, 9, Payload::Stopped(StopReason::Crash)));
        let diagram = draft.finish(Time(100));
        let ids: Vec<_> = diagram.messages.iter().map(|flight| flight.id).collect();
        assert_eq!(ids, [6]);
        let shaded: Vec<_> = diagram
            .stretches
            .iter()
            .map(|it| (it.node, it.from.0, it.to.0, it.is_paused))
            .collect();
        assert_eq!(shaded, [(0, 45, 60, true), (1, 55, 60, false)]);
        assert_eq!(diagram.steps, [(Time(55), "3 crash".to_owned())]);
    }

    #[test]
    fn what_is_too_much_is_counted_and_filters_choose_lanes_and_kinds() {
        let only_a = Filter {
            nodes: vec!["a".to_owned()],
            ..Filter::default()
        };
        let mut draft_a = draft(only_a);
        draft_a.event(&event(2, 10, 0, 0, sent(1, Some(20))));
        let diagram = draft_a.finish(Time(30));
        assert_eq!((diagram.lanes.len(), diagram.messages.len()), (1, 0));

        let mut many = draft(Filter::default());
        let beyond = 5;
        for id in 0..(DIAGRAM_MAX as u64 + beyond) {
            many.event(&event(2 + id, 10, 0, 0, sent(1, Some(20))));
        }
        let diagram = many.finish(Time(30));
        assert_eq!(diagram.messages.len(), DIAGRAM_MAX);
        assert_eq!(diagram.left_out, (beyond, 0));
    }
}
