//! Where two traces part: the first event that differs, with the events around it.

use std::collections::VecDeque;
use std::fmt;
use std::io::{Read, Seek};

use crate::capsule::{Build, Capsule, CapsuleError, Cursor, Header};
use crate::trace::event::{Event, EventId};
use crate::trace::text::{Names, printable};

/// How many events are kept on each side of a divergence, unless asked otherwise.
pub const AROUND: usize = 10;

/// The first difference between two traces, the *left* and the *right* one.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Divergence {
    /// The number of the first event that is not the same on both sides.
    pub at_event: EventId,
    /// The last events that both have.
    pub before: Vec<Event>,
    /// The left events from there on; none if the left trace ends there.
    pub left: Vec<Event>,
    /// The right events from there on; none if the right trace ends there.
    pub right: Vec<Event>,
    /// The names of the left trace.
    pub left_names: Names,
    /// The names of the right trace.
    pub right_names: Names,
}

impl fmt::Display for Divergence {
    /// Plain lines: `=` both have it, `<` the left one has it, `>` the right one has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "first difference at event {}", self.at_event)?;
        for event in &self.before {
            write!(f, "\n  = {}", self.left_names.line(event))?;
        }
        for (sign, events, names) in [
            ('<', &self.left, &self.left_names),
            ('>', &self.right, &self.right_names),
        ] {
            if events.is_empty() {
                write!(f, "\n  {sign} the trace ends")?;
            }
            for event in events {
                write!(f, "\n  {sign} {}", names.line(event))?;
            }
        }
        Ok(())
    }
}

/// Compares a capsule, the left side, with events that are handed in one by one.
#[derive(Debug)]
pub(crate) struct Comparer<R> {
    left: Capsule<R>,
    cursor: Cursor,
    around: usize,
    before: VecDeque<Event>,
    at_event: EventId,
    right_names: Names,
    state: State,
}

#[derive(Debug)]
enum State {
    Same,
    Parted { left: Vec<Event>, right: Vec<Event> },
    Failed(CapsuleError),
}

impl<R: Read + Seek> Comparer<R> {
    /// Compares from the first event on; keeps up to `around` events on each side.
    pub(crate) fn new(left: Capsule<R>, around: usize) -> Self {
        let right_names = Names::of_nodes(&left.header().nodes);
        Self {
            cursor: Cursor::default(),
            ..Self::from_block(left, 0, right_names, around)
        }
    }

    fn from_block(left: Capsule<R>, block: usize, right_names: Names, around: usize) -> Self {
        Self {
            left,
            cursor: Cursor::at(block),
            around,
            before: VecDeque::new(),
            at_event: 0,
            right_names,
            state: State::Same,
        }
    }

    /// Takes in the next right event. `false`: no further one can change the outcome.
    pub(crate) fn right(&mut self, event: &Event) -> bool {
        self.right_names.learn(event);
        match &mut self.state {
            State::Same => match self.cursor.next(&mut self.left).transpose() {
                Ok(Some(left)) if left == *event => self.keep(left),
                Ok(left) => self.part(left, Some(event.clone())),
                Err(error) => self.state = State::Failed(error),
            },
            State::Parted { right, .. } if right.len() < self.around => right.push(event.clone()),
            State::Parted { .. } | State::Failed(_) => return false,
        }
        true
    }

    fn keep(&mut self, event: Event) {
        if self.before.len() >= self.around {
            self.before.pop_front();
        }
        if self.around > 0 {
            self.before.push_back(event);
        }
    }

    fn part(&mut self, left: Option<Event>, right: Option<Event>) {
        self.at_event = left.as_ref().or(right.as_ref()).map_or(0, |event| event.id);
        let ended = left.is_none();
        let mut all = Vec::from_iter(left);
        while !ended && all.len() < self.around {
            match self.cursor.next(&mut self.left).transpose() {
                Ok(Some(event)) => all.push(event),
                Ok(None) => break,
                Err(error) => {
                    self.state = State::Failed(error);
                    return;
                }
            }
        }
        self.state = State::Parted {
            left: all,
            right: Vec::from_iter(right),
        };
    }

    /// The right side is over: what came of it.
    pub(crate) fn finish(mut self) -> Result<Option<Divergence>, CapsuleError> {
        if matches!(self.state, State::Same)
            && let Some(left) = self.cursor.next(&mut self.left).transpose()?
        {
            self.part(Some(left), None);
        }
        match self.state {
            State::Same => Ok(None),
            State::Failed(error) => Err(error),
            State::Parted { left, right } => Ok(Some(Divergence {
                at_event: self.at_event,
                before: self.before.into(),
                left,
                right,
                left_names: self.left.names(),
                right_names: self.right_names,
            })),
        }
    }
}

/// One thing that two capsules say differently before their events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderDifference {
    /// The scenarios; the first line that is not the same.
    Scenario {
        /// Its number, from 1.
        line: usize,
        /// The left one; empty behind the end.
        left: String,
        /// The right one; empty behind the end.
        right: String,
    },
    /// The strategies.
    Strategy(String, String),
    /// The seeds.
    Seed(u64, u64),
    /// The programs that made them.
    Build(Build, Build),
}

impl fmt::Display for HeaderDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scenario { line, left, right } => {
                let [left, right] = [left, right].map(|text| printable(text));
                write!(
                    f,
                    "different scenarios, first in line {line}: `{left}` and `{right}`"
                )
            }
            Self::Strategy(left, right) => {
                write!(
                    f,
                    "different strategies: {} and {}",
                    printable(left),
                    printable(right)
                )
            }
            Self::Seed(left, right) => write!(f, "different seeds: {left} and {right}"),
            Self::Build(left, right) => write!(f, "made by different programs: {left} and {right}"),
        }
    }
}

fn header_differences(left: &Header, right: &Header) -> Vec<HeaderDifference> {
    let mut found = Vec::new();
    if left.scenario != right.scenario {
        let same = left
            .scenario
            .lines()
            .zip(right.scenario.lines())
            .take_while(|(a, b)| a == b)
            .count();
        let line = |text: &str| text.lines().nth(same).unwrap_or_default().to_owned();
        found.push(HeaderDifference::Scenario {
            line: same + 1,
            left: line(&left.scenario),
            right: line(&right.scenario),
        });
    }
    if left.strategy != right.strategy {
        found.push(HeaderDifference::Strategy(
            left.strategy.clone(),
            right.strategy.clone(),
        ));
    }
    if left.seed != right.seed {
        found.push(HeaderDifference::Seed(left.seed, right.seed));
    }
    if left.build != right.build {
        found.push(HeaderDifference::Build(
            left.build.clone(),
            right.build.clone(),
        ));
    }
    found
}

/// Result of comparing two capsules.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Comparison {
    /// Differences between their headers; none of them alone makes traces differ.
    pub headers: Vec<HeaderDifference>,
    /// Where their traces part; `None` if they are the same.
    pub divergence: Option<Divergence>,
}

/// Compares two capsules. What their checkpoints show to be the same is not read.
///
/// # Errors
/// A capsule turns out to be corrupt, or cannot be read.
pub fn diff<L: Read + Seek, R: Read + Seek>(
    left: Capsule<L>,
    mut right: Capsule<R>,
    around: usize,
) -> Result<Comparison, CapsuleError> {
    let headers = header_differences(left.header(), right.header());
    let common = left.common_blocks(&right);
    if common == left.block_count() && common == right.block_count() {
        return Ok(Comparison {
            headers,
            divergence: None,
        });
    }
    // The block before the first difference is read again, for the events around it.
    let start = common.saturating_sub(1);
    let right_names = right.names();
    let mut comparer = Comparer::from_block(left, start, right_names, around);
    let mut cursor = Cursor::at(start);
    while let Some(event) = cursor.next(&mut right) {
        if !comparer.right(&event?) {
            break;
        }
    }
    Ok(Comparison {
        headers,
        divergence: comparer.finish()?,
    })
}
