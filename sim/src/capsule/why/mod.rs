//! Why a child's row stands at a node as it does: the changes of that row, each with the chain of
//! events that led to it.
//!
//! The row is followed forwards through the trace, the causes backwards through the blocks of the
//! capsule, each block read at most once more. Memory is bounded by 32 changes and
//! [`EVENTS_MAX`], however long the trace.

mod story;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::io::{Read, Seek};

use hublab_strategies::{ChildId, Row, Time, TimerKey};
use serde_json::{Value, json};

use crate::capsule::{Capsule, CapsuleError};
use crate::model::NodeIx;
use crate::scenario::nearest;
use crate::trace::event::{Event, EventId, Payload};
use crate::trace::text::{Names, RowText, concerns, printable, row_json};

use story::Story;
pub use story::{Mismatch, Reason};

/// How many changes are told: the last ones.
pub(crate) const CHANGES_MAX: usize = 32;

/// How many children are remembered for the nearest name.
const NAMES_MAX: usize = 10_000;

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
    /// Where the row differs from what runs then, and why: by node.
    pub mismatches: Vec<Mismatch>,
    /// True if a message did not tell its entries: of messages, mismatches know nothing.
    pub is_untold: bool,
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
    #[error("no node `{0}` in this capsule{1}")]
    UnknownNode(String, Nearest),
    /// Nothing in the trace is about such a child.
    #[error("no child `{0}` in this capsule{1}")]
    UnknownChild(String, Nearest),
    /// The capsule cannot be read.
    #[error(transparent)]
    Capsule(#[from] CapsuleError),
}

/// The name that somebody may have meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nearest(pub Option<String>);

impl Nearest {
    fn of<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(nearest(word, names).map(str::to_owned))
    }
}

impl fmt::Display for Nearest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(name) = &self.0 else { return Ok(()) };
        write!(f, "; did you mean `{}`?", printable(name))
    }
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
    let ix = names.find(node).ok_or_else(|| {
        let nearest = Nearest::of(node, names.nodes());
        WhyError::UnknownNode(node.to_owned(), nearest)
    })?;
    let mut history = History::new(ix, ChildId::new(child));
    let mut story = Story::new(ix, ChildId::new(child), &names);
    let (mut is_known, mut is_untold, mut others) = (false, false, BTreeSet::new());
    for event in capsule.events() {
        let event = event?;
        is_known = is_known || concerns(&event, &[child]);
        if let Payload::ChildStarted { child, .. } | Payload::Row { child, .. } = &event.payload
            && !is_known
            && others.len() < NAMES_MAX
        {
            others.insert(child.clone());
        }
        if at.is_none_or(|at| event.at <= at) {
            is_untold |= event.payload.contents_field().is_some_and(Option::is_none);
            story.event(&event);
            history.event(event);
        } else if is_known {
            break;
        }
    }
    if !is_known {
        let nearest = Nearest::of(child, others.iter().map(ChildId::as_str));
        return Err(WhyError::UnknownChild(child.to_owned(), nearest));
    }
    let History {
        row,
        changes,
        omitted,
        ..
    } = history;
    let mismatches = story.finish();
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
        mismatches,
        is_untold,
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

/// Explains the first failure of a recorded run, in lines for people: why the row that it is about is as
/// it is, or the chain of events that led to the one that broke a claim. `None` if no claim failed, or
/// its failure is about no row and no event.
///
/// # Errors
/// The capsule is corrupt or cannot be read.
pub fn why_it_failed<R: Read + Seek>(
    capsule: &mut Capsule<R>,
) -> Result<Option<String>, CapsuleError> {
    let report = &capsule.footer().report;
    let failed = report.expectations.iter().filter(|it| it.at_us.is_some());
    let Some(first) = failed.min_by_key(|judgement| judgement.at_us).cloned() else {
        return Ok(None);
    };
    let at = first.at_us.map(Time);
    if !first.node.is_empty() && !first.child.is_empty() {
        return match why(capsule, &first.node, &first.child, at) {
            Ok(mut why) => {
                // The last change is the one that counts.
                let last = why.changes.len().saturating_sub(1);
                why.omitted += last as u64;
                why.changes.drain(..last);
                Ok(Some(why.to_string()))
            }
            Err(WhyError::Capsule(error)) => Err(error),
            Err(WhyError::UnknownNode(..) | WhyError::UnknownChild(..)) => Ok(None),
        };
    }
    let Some(event) = first.event else {
        return Ok(None);
    };
    let (names, chain) = (capsule.names(), chain_of(capsule, event)?);
    let lines: Vec<String> = chain
        .iter()
        .map(|event| format!("\n  {}", names.line(event)))
        .collect();
    Ok((!lines.is_empty()).then(|| format!("what led to it:{}", lines.concat())))
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
    let mut found: BTreeMap<EventId, Event> = BTreeMap::new();
    // The timers that events set, as far as they are known.
    let mut timers: BTreeMap<EventId, (NodeIx, TimerKey)> = BTreeMap::new();
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
            let timer = timer_of(&event);
            let sets_itself = timer.is_some() && timers.get(&id) == timer.as_ref();
            if !sets_itself {
                wanted.insert(event.cause);
                timers.extend(timer.map(|timer| (event.cause, timer)));
            }
            found.insert(id, event);
        }
        loaded = Some((block, events));
    }
    Ok(found)
}

fn chain(effect: Effect, change: Event, causes: &BTreeMap<EventId, Event>) -> Change {
    let mut chain = backwards(change.cause, causes);
    let first = chain.first().unwrap_or(&change);
    let cut = first.cause != 0 && !sets_itself(first, causes);
    chain.push(change);
    Change { effect, chain, cut }
}

/// The timer whose firing an event is.
fn timer_of(event: &Event) -> Option<(NodeIx, TimerKey)> {
    if let Payload::Timer(key) = event.payload {
        Some((event.node, key))
    } else {
        None
    }
}

/// True if a timer was set when it fired before: what set it first is long ago.
fn sets_itself(event: &Event, known: &BTreeMap<EventId, Event>) -> bool {
    let before = known.get(&event.cause).and_then(timer_of);
    before.is_some() && before == timer_of(event)
}

/// The events that led to one, as far as they are known, and it itself, in the order of time. A chain
/// begins with a timer that has set itself.
fn backwards(last: EventId, known: &BTreeMap<EventId, Event>) -> Vec<Event> {
    let chain = std::iter::successors(known.get(&last), |event| {
        let cause = known.get(&event.cause);
        cause.filter(|_| !sets_itself(event, known))
    });
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
            "mismatches": self.mismatches.iter().map(|it| self.mismatch_json(it)).collect::<Vec<Value>>(),
            "entries_told": !self.is_untold,
        })
    }
}

impl Why {
    fn mismatch_json(&self, mismatch: &Mismatch) -> Value {
        let events = mismatch.events.iter().map(|event| self.names.json(event));
        json!({
            "owner": self.names.node(mismatch.owner),
            "kind": if mismatch.is_absent { "absent" } else { "ghost" },
            "reason": mismatch.reason.word(),
            "text": mismatch.text(&self.node, &self.names),
            "events": events.collect::<Vec<Value>>(),
            "messages": { "sent": mismatch.sent, "lost": mismatch.lost },
            "next_round_us": mismatch.next_round.map(|at| at.0),
        })
    }
}

impl fmt::Display for Why {
    /// Plain lines: the row, why it differs from what runs, then each change with its chain.
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
        for mismatch in &self.mismatches {
            write!(f, "\n{}", mismatch.text(&self.node, &self.names))?;
            for event in &mismatch.events {
                write!(f, "\n  {}", self.names.line(event))?;
            }
        }
        if self.is_untold && !self.mismatches.is_empty() {
            let untold =
                "not all messages of this strategy tell their entries: of those, nothing is known";
            write!(f, "\n{untold}")?;
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
