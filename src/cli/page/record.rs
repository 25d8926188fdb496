//! The events of the window, in columns; and the state of nodes before them.

use std::collections::BTreeMap;

use hublab_sim::model::NodeIx;
use hublab_sim::trace::diagram::Diagram;
use hublab_sim::trace::event::{KindIx, Payload, WORLD};
use hublab_sim::trace::text::{EVENT_KINDS, kind_of, row_text};
use hublab_sim::trace::{Event, Names};
use hublab_strategies::ChildId;
use serde::Serialize;

use super::cells::{CellChange, Defects};
use super::flights::{Flights, flights};
use super::pack::{Column, Packed, PackedTexts, Rising, Table, Texts};
use super::window::Window;

/// Lists of children that messages carry have at most this many names, all together: more would make a
/// report that no browser opens. Filters by child do not find messages beyond that.
const LISTED_MAX: usize = 1_000_000;

/// Events in columns. First come those before the window that led to events in it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Events {
    pub(super) count: u64,
    /// How many of them are before the window.
    pub(super) before: u64,
    id: Packed,
    at: Packed,
    /// One more than the number of the node; 0 for none.
    node: Packed,
    /// How many events back its cause is; 0 if it has none.
    cause: Packed,
    /// Its place in the list of kinds of events.
    kind: Packed,
    /// One more than the number of the other node; 0 for none.
    peer: Packed,
    /// One more than the number of the kind of message; 0 for none.
    message: Packed,
    /// One more than the number of the list of children that it concerns; 0 for none.
    about: Packed,
    /// Of a timer, a row, a view, a start: one more than the number of its text among `notes`.
    note: Packed,
    text: PackedTexts,
}

/// What nodes believe, at the beginning of the window.
#[derive(Debug, Default, Serialize)]
pub(super) struct State {
    /// Node, child, text of the row.
    rows: Vec<(NodeIx, u32, u32)>,
    /// Child, where it runs, its pid.
    truth: Vec<(u32, NodeIx, u32)>,
    /// Node, and the text of its view.
    views: Vec<(NodeIx, u32)>,
    /// Node, child, and how it differs: a sum of 1 absent, 2 ghost, 4 wrong.
    cells: Vec<(NodeIx, u32, u32)>,
    /// Changes of cells within the window: when, where, what.
    at: Packed,
    node: Packed,
    child: Packed,
    defects: Packed,
}

/// All of the window.
#[derive(Debug, Default, Serialize)]
pub(super) struct Recorded {
    pub(super) events: Events,
    pub(super) flights: Flights,
    pub(super) state: State,
    /// The names of children.
    children: Packed,
    /// Lists of children: how many, and their numbers.
    lists: Packed,
    /// How many lists there are.
    list_count: usize,
    /// Texts of rows, views, timers and pids.
    notes: Packed,
    /// True if some messages do not tell which children they carry.
    pub(super) is_partly_untold: bool,
}

impl Recorded {
    /// About how long it is in a file.
    pub(super) fn len(&self) -> usize {
        let Self {
            events,
            flights,
            state,
            ..
        } = self;
        let events = [
            &events.id,
            &events.at,
            &events.node,
            &events.cause,
            &events.kind,
            &events.peer,
            &events.message,
            &events.about,
            &events.note,
            &events.text.templates,
            &events.text.which,
            &events.text.numbers,
        ];
        let flights = flights.columns();
        let state = [&state.at, &state.node, &state.child, &state.defects];
        let tables = [&self.children, &self.lists, &self.notes];
        let all = events.iter().chain(&flights).chain(&state).chain(&tables);
        all.map(|packed| packed.len()).sum()
    }
}

#[derive(Debug, Default)]
struct Columns {
    count: u64,
    before: u64,
    id: Rising,
    at: Rising,
    node: Column,
    cause: Column,
    kind: Column,
    peer: Column,
    message: Column,
    about: Column,
    note: Column,
    text: Texts,
}

/// Records events: those before the window as a state, those in it in columns.
#[derive(Debug)]
pub(super) struct Recorder {
    window: Window,
    columns: Columns,
    children: Table<ChildId>,
    lists: Table<Vec<u32>>,
    listed: usize,
    notes: Table<String>,
    is_partly_untold: bool,
    rows: BTreeMap<(NodeIx, u32), u32>,
    truth: BTreeMap<(u32, NodeIx), u32>,
    views: BTreeMap<NodeIx, u32>,
}

impl Recorder {
    pub(super) fn new(window: Window) -> Self {
        Self {
            window,
            columns: Columns::default(),
            children: Table::default(),
            lists: Table::default(),
            listed: 0,
            notes: Table::default(),
            is_partly_untold: false,
            rows: BTreeMap::new(),
            truth: BTreeMap::new(),
            views: BTreeMap::new(),
        }
    }

    /// Takes in an event from before the window that led to one in it; in order, and all before
    /// [`Self::event`] is called for those in the window.
    pub(super) fn ancestor(&mut self, event: &Event, names: &Names) {
        self.columns.before += 1;
        self.put(event, names);
    }

    /// Takes in the next event of the run.
    pub(super) fn event(&mut self, event: &Event, names: &Names) {
        if event.id < self.window.first {
            self.know(event);
        } else if event.id <= self.window.last {
            self.put(event, names);
        }
    }

    /// Before the window, only what comes of an event counts.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a fold looks at the events that concern it"
    )]
    fn know(&mut self, event: &Event) {
        let node = event.node;
        match &event.payload {
            Payload::Row { child, after, .. } => {
                let child = self.children.place(child.clone());
                match after {
                    Some(row) => {
                        let text = self.notes.place(row_text(Some(row)));
                        self.rows.insert((node, child), text);
                    }
                    None => drop(self.rows.remove(&(node, child))),
                }
            }
            Payload::ChildStarted { child, pid, .. } => {
                let child = self.children.place(child.clone());
                let pid = self.notes.place(pid.as_str().to_owned());
                self.truth.insert((child, node), pid);
            }
            Payload::ChildStopped { child, .. } => {
                let child = self.children.place(child.clone());
                self.truth.remove(&(child, node));
            }
            Payload::View(nodes) => {
                let text = self.notes.place(view_text(nodes));
                self.views.insert(node, text);
            }
            Payload::Stopped(_) | Payload::Booted { .. } => {
                self.rows.retain(|(at, _), _| *at != node);
                self.truth.retain(|(_, on), _| *on != node);
                self.views.remove(&node);
            }
            _ => {}
        }
    }

    fn put(&mut self, event: &Event, names: &Names) {
        let columns = &mut self.columns;
        columns.count += 1;
        columns.id.push(event.id);
        columns.at.push(event.at.0);
        columns.node.push(place(event.node));
        let back = event.id.saturating_sub(event.cause);
        columns.cause.push(if event.cause == 0 { 0 } else { back });
        let kind = EVENT_KINDS.iter().position(|kind| *kind == kind_of(event));
        columns.kind.push(kind.unwrap_or_default() as u64);
        columns.peer.push(event.payload.peer().map_or(0, place));
        columns
            .message
            .push(message_of(&event.payload).map_or(0, |kind| u64::from(kind) + 1));
        columns.text.push(&names.words(event));
        let about = self.about(&event.payload);
        self.columns.about.push(about);
        let note = self.note(&event.payload);
        self.columns.note.push(note);
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "few events need more than their line"
    )]
    fn note(&mut self, payload: &Payload) -> u64 {
        let text = match payload {
            Payload::Timer(_) => format!("{payload:?}"),
            Payload::Row {
                after: Some(row), ..
            } => row_text(Some(row)),
            Payload::View(nodes) => view_text(nodes),
            Payload::ChildStarted { pid, .. } => pid.as_str().to_owned(),
            Payload::Step { action, .. } => action.to_string(),
            _ => return 0,
        };
        u64::from(self.notes.place(text)) + 1
    }

    /// The list of the children that `hublab trace --child` would show the event for.
    fn about(&mut self, payload: &Payload) -> u64 {
        let mut list: Vec<u32> = match payload {
            Payload::Row { child, .. }
            | Payload::ChildStarted { child, .. }
            | Payload::ChildStopped { child, .. }
            | Payload::Skipped { child, .. } => vec![self.children.place(child.clone())],
            Payload::Fact(fact) => vec![self.children.place(fact.child.clone())],
            Payload::Answered { results, .. } => {
                let children = results.iter().map(|(child, _)| child.clone());
                children.map(|child| self.children.place(child)).collect()
            }
            Payload::Sent { contents, .. }
            | Payload::Delivered { contents, .. }
            | Payload::Dropped { contents, .. } => {
                let Some(contents) = contents else {
                    self.is_partly_untold = true;
                    return 0;
                };
                let lists = contents.lists().iter();
                let children = lists.flat_map(|list| list.children.iter().cloned());
                children.map(|child| self.children.place(child)).collect()
            }
            Payload::Step { .. }
            | Payload::Kind { .. }
            | Payload::Booted { .. }
            | Payload::Stopped(_)
            | Payload::Paused
            | Payload::Resumed
            | Payload::PeerUp { .. }
            | Payload::PeerDown { .. }
            | Payload::Duplicated { .. }
            | Payload::Timer(_)
            | Payload::View(_)
            | Payload::Mark(_)
            | Payload::Panicked(_)
            | Payload::Connected { .. }
            | Payload::Disconnected { .. }
            | Payload::Queued { .. }
            | Payload::Sizes(_)
            | Payload::Injected { .. } => return 0,
        };
        if list.is_empty() {
            return 0;
        }
        list.sort_unstable();
        list.dedup();
        let known = self.lists.all().len();
        if self.listed + list.len() > LISTED_MAX {
            self.is_partly_untold = true;
            return 0;
        }
        let long = list.len();
        let place = self.lists.place(list);
        if self.lists.all().len() > known {
            self.listed += long;
        }
        u64::from(place) + 1
    }

    pub(super) fn finish(mut self, diagram: &Diagram, changes: &[CellChange]) -> Recorded {
        let state = self.state(changes);
        let columns = &self.columns;
        let events = Events {
            count: columns.count,
            before: columns.before,
            id: columns.id.packed(),
            at: columns.at.packed(),
            node: columns.node.packed(),
            cause: columns.cause.packed(),
            kind: columns.kind.packed(),
            peer: columns.peer.packed(),
            message: columns.message.packed(),
            about: columns.about.packed(),
            note: columns.note.packed(),
            text: columns.text.packed(),
        };
        let mut lists = Column::default();
        for list in self.lists.all() {
            lists.push(list.len() as u64);
            list.iter().for_each(|child| lists.push((*child).into()));
        }
        let children = self.children.all().iter();
        let children: Vec<String> = children.map(|child| child.as_str().to_owned()).collect();
        Recorded {
            events,
            flights: flights(diagram),
            state,
            children: Packed::strings(&children),
            lists: lists.packed(),
            list_count: self.lists.all().len(),
            notes: Packed::strings(self.notes.all()),
            is_partly_untold: self.is_partly_untold,
        }
    }

    fn state(&mut self, changes: &[CellChange]) -> State {
        let mut cells: BTreeMap<(NodeIx, u32), u32> = BTreeMap::new();
        let (mut at, mut node) = (Rising::default(), Column::default());
        let (mut child, mut defects) = (Column::default(), Column::default());
        for change in changes {
            let of = self.children.place(change.child.clone());
            let sum = sum(change.defects);
            if change.at < self.window.from {
                cells.insert((change.node, of), sum);
            } else if change.at <= self.window.to {
                at.push(change.at.0);
                node.push(change.node.into());
                child.push(of.into());
                defects.push(sum.into());
            }
        }
        cells.retain(|_, sum| *sum > 0);
        State {
            rows: self
                .rows
                .iter()
                .map(|((at, of), text)| (*at, *of, *text))
                .collect(),
            truth: self
                .truth
                .iter()
                .map(|((of, on), pid)| (*of, *on, *pid))
                .collect(),
            views: self.views.iter().map(|(at, text)| (*at, *text)).collect(),
            cells: cells
                .iter()
                .map(|((at, of), sum)| (*at, *of, *sum))
                .collect(),
            at: at.packed(),
            node: node.packed(),
            child: child.packed(),
            defects: defects.packed(),
        }
    }
}

/// A node as a column has it: 0 is none.
fn place(node: NodeIx) -> u64 {
    if node == WORLD {
        0
    } else {
        u64::from(node) + 1
    }
}

fn view_text(nodes: &[hublab_strategies::NodeId]) -> String {
    let names: Vec<&str> = nodes.iter().map(|node| node.as_str()).collect();
    names.join(" ")
}

fn sum([absent, ghost, wrong]: Defects) -> u32 {
    u32::from(absent > 0) + 2 * u32::from(ghost > 0) + 4 * u32::from(wrong > 0)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the events of messages, and all others"
)]
fn message_of(payload: &Payload) -> Option<KindIx> {
    match payload {
        Payload::Kind { kind, .. }
        | Payload::Sent { kind, .. }
        | Payload::Duplicated { kind, .. }
        | Payload::Delivered { kind, .. }
        | Payload::Dropped { kind, .. }
        | Payload::Queued { kind, .. } => Some(*kind),
        _ => None,
    }
}
