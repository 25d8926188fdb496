//! The numbers of windows of a run.

use std::collections::{BTreeMap, BTreeSet};

use hublab_strategies::Time;

use super::{Measure, Measured};
use crate::model::Window;
use crate::trace::counts::Counts;
use crate::trace::event::Event;
use crate::watch::ObserverContext;
use crate::watch::changed::Changed;
use crate::watch::facts::Facts;

/// A window: the counts of the run when it began and ended, if it has, and all else as a fold.
#[derive(Debug)]
struct Part {
    window: Window,
    begun: Option<Counts>,
    ended: Option<Counts>,
    measure: Measure,
}

/// The windows that are measured by themselves.
#[derive(Debug, Default)]
pub(in crate::watch) struct Windows(Vec<Part>);

impl Windows {
    pub(in crate::watch) fn new(
        windows: BTreeSet<Window>,
        measure: impl Fn(Window) -> Measure,
    ) -> Self {
        let part = |window| Part {
            window,
            begun: None,
            ended: None,
            measure: measure(window),
        };
        Self(windows.into_iter().map(part).collect())
    }

    /// The next event comes at that instant; `counts` are those without it.
    pub(in crate::watch) fn come_to(&mut self, at: Time, counts: &Counts) {
        for part in &mut self.0 {
            if part.begun.is_none() && at >= part.window.from {
                part.begun = Some(counts.clone());
            }
            if part.ended.is_none() && part.window.to.is_some_and(|to| at >= to) {
                part.ended = Some(counts.clone());
            }
        }
    }

    /// Takes in an event that is no change of a row.
    pub(in crate::watch) fn event(&mut self, event: &Event, cx: &ObserverContext) {
        for part in &mut self.0 {
            part.measure.event(event, cx);
        }
    }

    /// A step has changed the network.
    pub(in crate::watch) fn acted(&mut self, now: Time, cx: &ObserverContext) {
        for part in &mut self.0 {
            part.measure.acted(now, cx);
        }
    }

    /// Takes in a change of a row.
    pub(in crate::watch) fn row(&mut self, changed: &Changed<'_>, cx: &ObserverContext) {
        for part in &mut self.0 {
            part.measure.row(changed, cx);
        }
    }

    /// The run is over; `counts` are those of all of it.
    pub(in crate::watch) fn finish(
        self,
        (end, counts): (Time, &Counts),
        facts: &Facts,
    ) -> BTreeMap<Window, (Counts, Measured)> {
        let numbers = |part: Part| {
            let until = part.ended.unwrap_or_else(|| counts.clone());
            let counts = match part.begun {
                Some(begun) => until.since(&begun),
                // Nothing has happened in it.
                None => counts.clone().since(counts),
            };
            (part.window, (counts, part.measure.finish(end, facts)))
        };
        self.0.into_iter().map(numbers).collect()
    }
}
