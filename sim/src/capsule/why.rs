//! Why a child's row stands at a node as it does: the changes of that row, each with the chain of
//! events that led to it.
//!
//! The row is followed forwards through the trace, the causes backwards through the blocks of the
//! capsule, each block read at most once more. Memory is bounded by 32 changes and
//! [`EVENTS_MAX`], however long the trace.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::io::{Read, Seek};

use hublab_strategies::{ChildId, Row, Time};
use serde_json::{Value, json};

use crate::capsule::{Capsule, CapsuleError};
use crate::model::NodeIx;
use crate::trace::event::{Event, EventId, Payload};
use crate::trace::text::{Names, RowText, concerns, printable, row_json};

/// How many changes are told: the last ones.
pub(crate) const CHANGES_MAX: usize = 32;

/// How many events all chains together may have; chains that are longer lack their beginning.
pub const EVENTS_MAX: usize = 10_000;

/// The history of one row at one node.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Why {
    /// The node.
    pub node: String,
    /// The child.
    pub child: String,
    /// Up to when; `None`: to the end.
    pub at: Option<Time>,
    /// The row then; `None` if there was none.
    pub row: Option<Row>,
    /// The changes that led there, the oldest first; at most 32.
    pub changes: Vec<Change>,
    /// How many earlier changes there were.
    pub omitted: u64,
    /// The names in the events.
    pub names: Names,
}

/// One change of the row.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Change {
    /// Its effect on the row.
    pub effect: Effect,
    /// The events that led to it, the first cause first; the last one is the change itself.
    pub chain: Vec<Event>,
    /// True if the beginning of the chain was left out.
    pub cut: bool,
}

/// Effect of a change on a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// There was none, or one without entries.
    Put,
    /// It has other entries or metadata.
    Changed,
    /// It has no entries any more: a tombstone.
    Emptied,
    /// It is gone.
    Removed,
    /// The node stopped, and forgot it.
    Lost,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Put => "put there",
            Self::Changed => "changed",
            Self::Emptied => "emptied, a tombstone stays",
            Self::Removed => "removed",
            Self::Lost => "lost with the memory of the node",
        })
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WhyError {
    /// The scenario has no such node.
    #[error("no node `{0}` in this capsule")]
    UnknownNode(String),
    /// Nothing in the trace is about such a child.
    #[error("no child `{0}` in this capsule")]
    UnknownChild(String),
    /// The capsule cannot be read.
    #[error(transparent)]
    Capsule(#[from] CapsuleError),
}

/// Tells why the row of `child` at `node` is as it is, at the end of the instant `at` or of the
/// trace.
///
/// # Errors
/// There is no such node, nothing in the trace is about such a child, or the capsule is corrupt or cannot be read.
pub fn why<R: Read + Seek>(
    capsule: &mut Capsule<R>,
    node: &str,
    child: &str,
    at: Option<Time>,
) -> Result<Why, WhyError> {
    let names = capsule.names();
    let ix = names
        .find(node)
        .ok_or_else(|| WhyError::UnknownNode(node.to_owned()))?;
    let mut history = History::new(ix, ChildId::new(child));
    let mut is_known = false;
    for event in capsule.events() {
        let event = event?;
        is_known = is_known || concerns(&event, &[child]);
        if at.is_none_or(|at| event.at <= at) {
            history.event(event);
        } else if is_known {
            break;
        }
    }
    if !is_known {
        return Err(WhyError::UnknownChild(child.to_owned()));
    }
    let History {
        row,
        changes,
        omitted,
        ..
    } = history;
    let causes = causes(capsule, changes.iter().map(|(_, event)| event.cause))?;
    let changes = changes
        .into_iter()
        .map(|(effect, event)| chain(effect, event, &causes))
        .collect();
    Ok(Why {
        node: node.to_owned(),
        child: child.to_owned(),
        at,
        row,
        changes,
        omitted,
        names,
    })
}

/// Follows one row of one node.
struct History {
    node: NodeIx,
    child: ChildId,
    row: Option<Row>,
    changes: VecDeque<(Effect, Event)>,
    omitted: u64,
}

impl History {
    fn new(node: NodeIx, child: ChildId) -> Self {
        Self {
            node,
            child,
            row: None,
            changes: VecDeque::new(),
            omitted: 0,
        }
    }

    fn event(&mut self, event: Event) {
        if event.node != self.node {
            return;
        }
        let after = match &event.payload {
            Payload::Row { child, after, .. } if *child == self.child => after.as_deref().cloned(),
            // A node that stops tells nobody of its rows.
            Payload::Stopped(_) if self.row.is_some() => None,
            Payload::Row { .. }
            | Payload::Stopped(_)
            | Payload::Step { .. }
            | Payload::Kind { .. }
            | Payload::Booted { .. }
            | Payload::Paused
            | Payload::Resumed
            | Payload::PeerUp { .. }
            | Payload::PeerDown { .. }
            | Payload::Sent { .. }
            | Payload::Duplicated { .. }
            | Payload::Delivered { .. }
            | Payload::Dropped { .. }
            | Payload::Timer(_)
            | Payload::View(_)
            | Payload::ChildStarted { .. }
            | Payload::ChildStopped { .. }
            | Payload::Fact(_)
            | Payload::Answered { .. }
            | Payload::Skipped { .. }
            | Payload::Mark(_)
            | Payload::Panicked(_)
            | Payload::Connected { .. }
            | Payload::Disconnected { .. }
            | Payload::Queued { .. }
            | Payload::Sizes(_)
            | Payload::Injected { .. } => return,
        };
        let had_entries = self.row.as_ref().is_some_and(|row| !row.is_empty());
        let effect = match &after {
            None if matches!(event.payload, Payload::Stopped(_)) => Effect::Lost,
            None => Effect::Removed,
            Some(row) if row.is_empty() => Effect::Emptied,
            Some(_) if had_entries => Effect::Changed,
            Some(_) => Effect::Put,
        };
        self.row = after;
        if self.changes.len() == CHANGES_MAX {
            self.changes.pop_front();
            self.omitted += 1;
        }
        self.changes.push_back((effect, event));
    }
}

/// The chain of events that led to one, the first cause first and the event itself last; empty if the
/// trace has no such event. Of a chain longer than [`EVENTS_MAX`], the beginning is missing.
///
/// # Errors
/// The capsule is corrupt or cannot be read.
pub fn chain_of<R: Read + Seek>(
    capsule: &mut Capsule<R>,
    event: EventId,
) -> Result<Vec<Event>, CapsuleError> {
    let known = causes(capsule, std::iter::once(event))?;
    Ok(backwards(event, &known))
}

/// These events, their causes, the causes of those, and so on, from the last one backwards.
fn causes<R: Read + Seek>(
    capsule: &mut Capsule<R>,
    wanted: impl Iterator<Item = EventId>,
) -> Result<BTreeMap<EventId, Event>, CapsuleError> {
    let mut wanted: BTreeSet<EventId> = wanted.collect();
    let mut found = BTreeMap::new();
    let mut loaded: Option<(usize, Vec<Event>)> = None;
    while let Some(id) = wanted.pop_last() {
        // 0 is no event, and the last that can be wanted.
        let Some(block) = capsule.block_of(id) else {
            break;
        };
        if found.len() == EVENTS_MAX {
            break;
        }
        let events = match loaded.take() {
            Some((at, events)) if at == block => events,
            Some(_) | None => capsule.block(block)?,
        };
        if let Ok(place) = events.binary_search_by_key(&id, |event| event.id) {
            let event = events[place].clone();
            wanted.insert(event.cause);
            found.insert(id, event);
        }
        loaded = Some((block, events));
    }
    Ok(found)
}

fn chain(effect: Effect, change: Event, causes: &BTreeMap<EventId, Event>) -> Change {
    let mut chain = backwards(change.cause, causes);
    let cut = chain.first().unwrap_or(&change).cause != 0;
    chain.push(change);
    Change { effect, chain, cut }
}

/// The events that led to one, as far as they are known, and it itself, in the order of time.
fn backwards(last: EventId, known: &BTreeMap<EventId, Event>) -> Vec<Event> {
    let chain = std::iter::successors(known.get(&last), |event| known.get(&event.cause));
    let mut chain: Vec<Event> = chain.cloned().collect();
    chain.reverse();
    chain
}

impl Why {
    /// The same as JSON: the row, and each change with its events as `trace` has them.
    #[must_use]
    pub fn json(&self) -> Value {
        let changes = self.changes.iter().map(|change| {
            let chain = change.chain.iter().map(|event| self.names.json(event));
            json!({
                "effect": change.effect.to_string(),
                "at_us": change.chain.last().map(|event| event.at.0),
                "chain": chain.collect::<Vec<Value>>(),
                "cut": change.cut,
            })
        });
        json!({
            "node": self.node,
            "child": self.child,
            "at_us": self.at.map(|at| at.0),
            "row": self.row.as_ref().map(row_json),
            "changes": changes.collect::<Vec<Value>>(),
            "omitted": self.omitted,
        })
    }
}

impl fmt::Display for Why {
    /// Plain lines: the row, then each change with its chain.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (node, child) = (printable(&self.node), printable(&self.child));
        let when = self
            .at
            .map_or_else(|| "at the end".to_owned(), |at| format!("at {at}"));
        write!(
            f,
            "row of {child} at {node} {when}: {}",
            RowText(self.row.as_ref())
        )?;
        if self.changes.is_empty() {
            write!(f, "\n{node} has had no row of {child}")?;
        }
        if self.omitted > 0 {
            write!(f, "\n{} earlier changes are not shown", self.omitted)?;
        }
        for Change { effect, chain, cut } in &self.changes {
            let at = chain.last().map_or(Time::ZERO, |event| event.at);
            write!(f, "\n{at} {effect}")?;
            if *cut {
                write!(f, "\n  ... earlier causes are not shown")?;
            }
            for event in chain {
                write!(f, "\n  {}", self.names.line(event))?;
            }
        }
        Ok(())
    }
}
