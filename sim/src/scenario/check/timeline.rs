//! Who runs when: each node's boots, stops and pauses in the order of time.

use std::time::Duration;

use miette::SourceSpan;

use super::{Sink, bounds, order_problem, shown_when};
use crate::scenario::diagnostic::Problem;
use crate::scenario::model::{Action, NodeIx, Scenario, When};
use crate::scenario::read::{Named, StepSites};
use crate::scenario::suggest;

/// What a node is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It has not been booted yet.
    Never,
    /// It runs.
    Up,
    /// It runs, and is paused.
    Paused,
    /// It crashed.
    Crashed,
    /// It left.
    Left,
}

/// What a step does to a node's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Join,
    Leave,
    Crash,
    Restart,
    Pause,
    Resume,
}

impl Change {
    fn name(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Leave => "leave",
            Self::Crash => "crash",
            Self::Restart => "restart",
            Self::Pause => "pause",
            Self::Resume => "resume",
        }
    }

    /// The state after it.
    fn result(self) -> State {
        match self {
            Self::Join | Self::Restart | Self::Resume => State::Up,
            Self::Leave => State::Left,
            Self::Crash => State::Crashed,
            Self::Pause => State::Paused,
        }
    }
}

/// One change of one node's state.
#[derive(Debug, Clone, Copy)]
struct Event {
    when: When,
    /// The position of its step in the file.
    order: usize,
    change: Change,
    site: SourceSpan,
}

impl Event {
    /// Whether it comes before a step with this time and position, with every seed.
    fn before(&self, when: When, order: usize) -> bool {
        let (last, first): (Duration, Duration) = (bounds(self.when).1, bounds(when).0);
        last < first || (last == first && self.order < order)
    }

    /// Whether it comes after a step with this time and position, with every seed.
    fn after(&self, when: When, order: usize) -> bool {
        let (first, last): (Duration, Duration) = (bounds(self.when).0, bounds(when).1);
        first > last || (first == last && self.order > order)
    }
}

/// The history of every node.
#[derive(Debug)]
pub(super) struct Timeline {
    /// Whether each node is up at time 0.
    started: Vec<bool>,
    /// The changes of each node, in the order of time.
    events: Vec<Vec<Event>>,
}

impl Timeline {
    /// The history that a scenario's steps make; what is impossible in it is reported, and taken
    /// as done.
    pub(super) fn of(scenario: &Scenario, sites: &[StepSites], report: Sink<'_>) -> Self {
        let nodes = scenario.cluster.nodes.len();
        let mut started = vec![false; nodes];
        scenario.cluster.start.iter().for_each(|node| started[*node as usize] = true);
        let mut timeline = Self { started, events: vec![Vec::new(); nodes] };
        for (order, (step, sites)) in scenario.steps.iter().zip(sites).enumerate() {
            if let Some(change) = change_of(&step.action) {
                timeline.add(change, step.at, order, &sites.subject);
            }
        }
        for node in (0..).take(nodes) {
            timeline.events[node as usize].sort_by_key(|event| (bounds(event.when).0, event.order));
            timeline.walk(scenario, node, report);
        }
        timeline
    }

    fn add(&mut self, change: Change, when: When, order: usize, subject: &Named) {
        for (site, nodes) in subject.elements() {
            for node in nodes {
                self.events[*node as usize].push(Event { when, order, change, site });
            }
        }
    }

    /// Follows one node through its history.
    fn walk(&self, scenario: &Scenario, node: NodeIx, report: Sink<'_>) {
        let mut state = self.first_state(node);
        let mut last: Option<&Event> = None;
        for event in &self.events[node as usize] {
            match last.filter(|last| !last.before(event.when, event.order)) {
                Some(last) => report(order_problem(scenario, node, last.site, event.site)),
                None => self.transition(scenario, node, (state, last), event, report),
            }
            state = event.change.result();
            last = Some(event);
        }
    }

    fn transition(
        &self,
        scenario: &Scenario,
        node: NodeIx,
        (state, last): (State, Option<&Event>),
        event: &Event,
        report: Sink<'_>,
    ) {
        let (at, since) = (event.site, last.map(|last| last.site));
        let action = event.change.name();
        let name = name(scenario, node);
        report(match (event.change, state) {
            (Change::Join, State::Never)
            | (Change::Restart, State::Crashed | State::Left)
            | (Change::Leave | Change::Crash, State::Up | State::Paused)
            | (Change::Pause, State::Up)
            | (Change::Resume, State::Paused) => return,
            (Change::Join, State::Crashed | State::Left) => {
                let state = self.told(scenario, node, state, last);
                Problem::JoinedBefore { node: name, state, at, since }
            }
            (Change::Join | Change::Restart, State::Up | State::Paused) => {
                let starts = last.is_none() && event.change == Change::Join;
                let help = starts.then(|| "leave it out of `start` in [cluster], or leave out this step".to_owned());
                Problem::AlreadyRunning { action, node: name, at, since, help }
            }
            (Change::Restart, State::Never) => Problem::NeverRan { node: name, at },
            (Change::Pause, State::Paused) => Problem::AlreadyPaused { node: name, at, since },
            (Change::Resume, State::Up) => Problem::NotPaused { node: name, at },
            (Change::Leave | Change::Crash | Change::Pause | Change::Resume, State::Never | State::Crashed | State::Left) => {
                self.stopped(scenario, node, (state, last), action, at)
            }
        });
    }

    fn first_state(&self, node: NodeIx) -> State {
        if self.started[node as usize] { State::Up } else { State::Never }
    }

    /// The state of a node when a step comes.
    ///
    /// # Errors
    /// It depends on the seed: the place of the step that may come before or after.
    pub(super) fn state(&self, node: NodeIx, when: When, order: usize) -> Result<State, SourceSpan> {
        let events = &self.events[node as usize];
        let count = events.partition_point(|event| event.before(when, order));
        match events.get(count).filter(|next| !next.after(when, order)) {
            Some(next) => Err(next.site),
            None => Ok(count.checked_sub(1).map_or_else(|| self.first_state(node), |last| events[last].change.result())),
        }
    }

    /// The problem of a step that needs a node which does not run.
    pub(super) fn not_running(
        &self,
        scenario: &Scenario,
        node: NodeIx,
        state: State,
        action: &'static str,
        at: SourceSpan,
    ) -> Problem {
        let last = self.events[node as usize].iter().rfind(|event| event.change.result() == state);
        self.stopped(scenario, node, (state, last), action, at)
    }

    fn stopped(
        &self,
        scenario: &Scenario,
        node: NodeIx,
        (state, last): (State, Option<&Event>),
        action: &'static str,
        at: SourceSpan,
    ) -> Problem {
        let help = match state {
            State::Never if self.joins_later(node) => Some("move the step behind the `join`".to_owned()),
            State::Never => Some("name it in `start` of [cluster], or `join` it first".to_owned()),
            State::Crashed | State::Left => Some("`restart` it first".to_owned()),
            State::Up | State::Paused => None,
        };
        let told = self.told(scenario, node, state, last);
        Problem::NotRunning { action, node: name(scenario, node), state: told, at, since: last.map(|last| last.site), help }
    }

    fn joins_later(&self, node: NodeIx) -> bool {
        self.events[node as usize].iter().any(|event| event.change == Change::Join)
    }

    /// A node's state as a clause: "it crashed at 5s".
    pub(super) fn told_at(&self, scenario: &Scenario, node: NodeIx, state: State) -> (String, Option<SourceSpan>) {
        let last = self.events[node as usize].iter().rfind(|event| event.change.result() == state);
        (self.told(scenario, node, state, last), last.map(|last| last.site))
    }

    fn told(&self, scenario: &Scenario, node: NodeIx, state: State, last: Option<&Event>) -> String {
        let name = name(scenario, node);
        let time = last.map(|last| shown_when(last.when)).unwrap_or_default();
        let join = self.events[node as usize].iter().find(|event| event.change == Change::Join);
        match state {
            State::Never => join.map_or_else(
                || format!("`{name}` is never booted"),
                |join| format!("`{name}` joins at {}", shown_when(join.when)),
            ),
            State::Up => format!("`{name}` runs"),
            State::Paused => format!("`{name}` is paused since {time}"),
            State::Crashed => format!("`{name}` crashed at {time}"),
            State::Left => format!("`{name}` left at {time}"),
        }
    }
}

fn change_of(action: &Action) -> Option<Change> {
    match action {
        Action::Join(_) => Some(Change::Join),
        Action::Leave(_) => Some(Change::Leave),
        Action::Crash(_) => Some(Change::Crash),
        Action::Restart(_) => Some(Change::Restart),
        Action::Pause(_) => Some(Change::Pause),
        Action::Resume(_) => Some(Change::Resume),
        Action::Partition { .. }
        | Action::Cut { .. }
        | Action::Heal
        | Action::Link(_)
        | Action::Clock { .. }
        | Action::StartChildren { .. }
        | Action::StopChildren { .. }
        | Action::RestartChild { .. }
        | Action::Propagate { .. }
        | Action::Sync(_)
        | Action::Broadcast { .. }
        | Action::Rows { .. }
        | Action::View { .. } => None,
    }
}

/// A node's name as messages show it.
pub(super) fn name(scenario: &Scenario, node: NodeIx) -> String {
    suggest::shown(scenario.cluster.nodes[node as usize].as_str())
}
