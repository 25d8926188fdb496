//! Who runs when: each node's boots, stops and pauses in the order of time.

use std::collections::BTreeSet;
use std::time::Duration;

use miette::SourceSpan;

use super::{Sink, bounds, order_problem, shown_when};
use crate::model::{Action, NodeIx, Scenario, When};
use crate::scenario::diagnostic::Problem;
use crate::scenario::read::{Named, Sites};
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
pub(super) struct Event {
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

/// A node's state, and what brought it there; nothing for the state at time 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing<'t> {
    pub(super) state: State,
    since: Option<&'t Event>,
}

impl Standing<'_> {
    /// Whether the node runs, be it paused.
    pub(super) fn runs(self) -> bool {
        match self.state {
            State::Up | State::Paused => true,
            State::Never | State::Crashed | State::Left => false,
        }
    }

    /// Where the step stands that brought it there.
    pub(super) fn site(self) -> Option<SourceSpan> {
        self.since.map(|event| event.site)
    }
}

/// The history of every node.
#[derive(Debug)]
pub(super) struct Timeline {
    /// Whether each node is up at time 0.
    started: Vec<bool>,
    /// The changes of each node, in the order of time.
    events: Vec<Vec<Event>>,
    /// The nodes whose history has names that were guessed.
    guessed: BTreeSet<NodeIx>,
}

impl Timeline {
    /// The history that a scenario's steps make; what is impossible in it is reported, and taken
    /// as done.
    pub(super) fn of(scenario: &Scenario, sites: &Sites, report: Sink<'_>) -> Self {
        let nodes = scenario.cluster.nodes.len();
        let mut started = vec![false; nodes];
        scenario
            .cluster
            .start
            .iter()
            .for_each(|node| started[*node as usize] = true);
        let mut timeline = Self {
            started,
            events: vec![Vec::new(); nodes],
            guessed: sites.guessed.clone(),
        };
        for (order, (step, sites)) in scenario.steps.iter().zip(&sites.steps).enumerate() {
            if let Some(change) = change_of(&step.action) {
                timeline.add(change, step.at, order, &sites.subject);
            }
        }
        for node in (0..).take(nodes) {
            timeline.events[node as usize].sort_by_key(|event| (bounds(event.when).0, event.order));
            if timeline.knows(node) {
                timeline.walk(scenario, node, report);
            }
        }
        timeline
    }

    fn add(&mut self, change: Change, when: When, order: usize, subject: &Named) {
        for (site, nodes) in subject.elements() {
            for node in nodes {
                self.events[*node as usize].push(Event {
                    when,
                    order,
                    change,
                    site,
                });
            }
        }
    }

    /// Follows one node through its history.
    fn walk(&self, scenario: &Scenario, node: NodeIx, report: Sink<'_>) {
        let mut standing = Standing {
            state: self.first_state(node),
            since: None,
        };
        for event in &self.events[node as usize] {
            match standing
                .since
                .filter(|last| !last.before(event.when, event.order))
            {
                Some(last) => report(order_problem(scenario, node, last.site, event.site)),
                None => self.transition(scenario, node, standing, event, report),
            }
            standing = Standing {
                state: event.change.result(),
                since: Some(event),
            };
        }
    }

    fn transition(
        &self,
        scenario: &Scenario,
        node: NodeIx,
        before: Standing<'_>,
        event: &Event,
        report: Sink<'_>,
    ) {
        let (at, since) = (event.site, before.site());
        let action = event.change.name();
        let name = name(scenario, node);
        report(match (event.change, before.state) {
            (Change::Join, State::Never)
            | (Change::Restart, State::Crashed | State::Left)
            | (Change::Leave | Change::Crash, State::Up | State::Paused)
            | (Change::Pause, State::Up)
            | (Change::Resume, State::Paused) => return,
            (Change::Join, State::Crashed | State::Left) => Problem::JoinedBefore {
                node: name,
                state: self.told(scenario, node, before),
                at,
                since,
            },
            (Change::Join | Change::Restart, State::Up | State::Paused) => {
                let starts = since.is_none() && event.change == Change::Join;
                let help = starts.then(|| {
                    "leave it out of `start` in [cluster], or leave out this step".to_owned()
                });
                Problem::AlreadyRunning {
                    action,
                    node: name,
                    at,
                    since,
                    help,
                }
            }
            (Change::Restart, State::Never) => Problem::NeverRan { node: name, at },
            (Change::Pause, State::Paused) => Problem::AlreadyPaused {
                node: name,
                at,
                since,
            },
            (Change::Resume, State::Up) => Problem::NotPaused { node: name, at },
            (
                Change::Leave | Change::Crash | Change::Pause | Change::Resume,
                State::Never | State::Crashed | State::Left,
            ) => self.not_running(scenario, node, before, action, at),
        });
    }

    /// Whether the history of a node is what the file says, no name in it guessed.
    pub(super) fn knows(&self, node: NodeIx) -> bool {
        !self.guessed.contains(&node)
    }

    fn first_state(&self, node: NodeIx) -> State {
        if self.started[node as usize] {
            State::Up
        } else {
            State::Never
        }
    }

    /// The state of a node when a step comes.
    ///
    /// # Errors
    /// It depends on the seed: the place of the step that may come before or after.
    pub(super) fn state(
        &self,
        node: NodeIx,
        when: When,
        order: usize,
    ) -> Result<Standing<'_>, SourceSpan> {
        let events = &self.events[node as usize];
        let count = events.partition_point(|event| event.before(when, order));
        if let Some(next) = events.get(count).filter(|next| !next.after(when, order)) {
            return Err(next.site);
        }
        let since = count.checked_sub(1).map(|last| &events[last]);
        Ok(Standing {
            state: since.map_or_else(|| self.first_state(node), |event| event.change.result()),
            since,
        })
    }

    /// The problem of a step that needs a node which does not run.
    pub(super) fn not_running(
        &self,
        scenario: &Scenario,
        node: NodeIx,
        standing: Standing<'_>,
        action: &'static str,
        at: SourceSpan,
    ) -> Problem {
        let help = match standing.state {
            State::Never if self.joins_later(node) => {
                Some("move the step behind the `join`".to_owned())
            }
            State::Never => Some("name it in `start` of [cluster], or `join` it first".to_owned()),
            State::Crashed | State::Left => Some("`restart` it first".to_owned()),
            State::Up | State::Paused => None,
        };
        let state = self.told(scenario, node, standing);
        Problem::NotRunning {
            action,
            node: name(scenario, node),
            state,
            at,
            since: standing.site(),
            help,
        }
    }

    fn joins_later(&self, node: NodeIx) -> bool {
        self.events[node as usize]
            .iter()
            .any(|event| event.change == Change::Join)
    }

    /// A node's state as a clause: "`n1` crashed at 5s".
    pub(super) fn told(&self, scenario: &Scenario, node: NodeIx, standing: Standing<'_>) -> String {
        let name = name(scenario, node);
        let time = standing
            .since
            .map(|event| shown_when(event.when))
            .unwrap_or_default();
        let join = self.events[node as usize]
            .iter()
            .find(|event| event.change == Change::Join);
        match standing.state {
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
