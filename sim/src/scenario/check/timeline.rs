//! The timeline of each node: its boots, stops and pauses in the order of time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use miette::SourceSpan;

use super::{Sink, order_problem, shown_when};
use crate::model::{Lifecycle, NodeIx, Scenario, Step, Transition, When};
use crate::scenario::diagnostic::Problem;
use crate::scenario::read::{Sites, Spots};
use crate::scenario::suggest;

/// One change of one node's state.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event {
    when: When,
    /// The position of its step in the file.
    order: usize,
    transition: Transition,
    /// The key of the step.
    action: &'static str,
    site: SourceSpan,
}

impl Event {
    /// True if it comes before a step with this time and position, with every seed.
    fn before(&self, when: When, order: usize) -> bool {
        let (last, first) = (self.when.last(), when.first());
        last < first || (last == first && self.order < order)
    }

    /// True if it comes after a step with this time and position, with every seed.
    fn after(&self, when: When, order: usize) -> bool {
        let (first, last) = (self.when.first(), when.last());
        first > last || (first == last && self.order > order)
    }
}

/// A node's state, and what brought it there; nothing for the state at time 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing<'t> {
    pub(super) state: Lifecycle,
    since: Option<&'t Event>,
}

impl Standing<'_> {
    /// True if the node runs, be it paused.
    pub(super) fn runs(self) -> bool {
        self.state.runs()
    }

    /// Where the step stands that brought it there.
    pub(super) fn site(self) -> Option<SourceSpan> {
        self.since.map(|event| event.site)
    }
}

/// The history of every node.
#[derive(Debug)]
pub(super) struct Timeline {
    /// Where each node is in its life at time 0.
    lives: Vec<Lifecycle>,
    /// The changes of each node, in the order of time.
    events: Vec<Vec<Event>>,
    /// The nodes whose history has names that were guessed.
    guessed: BTreeSet<NodeIx>,
    /// From when on, and from which step, the state of a node is drawn or made by a repetition.
    open: BTreeMap<NodeIx, (Duration, usize)>,
}

impl Timeline {
    /// The history that a scenario's steps make; what is impossible in it is reported, and taken
    /// as done.
    pub(super) fn of(scenario: &Scenario, sites: &Sites, report: Sink<'_>) -> Self {
        let nodes = scenario.cluster.nodes.len();
        let mut timeline = Self {
            lives: scenario.cluster.lives(),
            events: vec![Vec::new(); nodes],
            guessed: sites.guessed.clone(),
            open: BTreeMap::new(),
        };
        for (order, (step, sites)) in scenario.steps.iter().zip(&sites.steps).enumerate() {
            if let Some((transition, nodes)) = step.action.transition() {
                if step.pattern.is_some() {
                    timeline.open(nodes, (step.at.first(), order));
                } else {
                    timeline.add(transition, step, order, sites);
                }
            }
        }
        for node in (0..).take(nodes) {
            timeline.events[node as usize].sort_by_key(|event| (event.when.first(), event.order));
            if !timeline.guessed.contains(&node) {
                timeline.walk(scenario, node, report);
            }
        }
        timeline
    }

    fn open(&mut self, nodes: &[NodeIx], from: (Duration, usize)) {
        for node in nodes {
            let first = self.open.entry(*node).or_insert(from);
            *first = from.min(*first);
        }
    }

    fn add(&mut self, transition: Transition, step: &Step, order: usize, sites: &Spots) {
        for (_, site, nodes) in sites.subjects() {
            for node in nodes {
                self.events[*node as usize].push(Event {
                    when: step.at,
                    order,
                    transition,
                    action: step.action.name(),
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
            if !self.knows(node, event.when, event.order) {
                return;
            }
            match standing
                .since
                .filter(|last| !last.before(event.when, event.order))
            {
                Some(last) => report(order_problem(scenario, node, last.site, event.site)),
                None => self.transition(scenario, node, standing, event, report),
            }
            standing = Standing {
                state: event.transition.target(),
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
        let action = event.action;
        let name = name(scenario, node);
        if before.state.after(event.transition).is_some() {
            return;
        }
        report(match event.transition {
            Transition::Join | Transition::Restart if before.state.runs() => {
                let starts = since.is_none() && event.transition == Transition::Join;
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
            Transition::Join => Problem::JoinedBefore {
                node: name,
                state: self.told(scenario, node, before),
                at,
                since,
            },
            Transition::Restart => Problem::NeverRan { node: name, at },
            Transition::Pause if before.state.runs() => Problem::AlreadyPaused {
                node: name,
                at,
                since,
            },
            Transition::Resume if before.state.runs() => Problem::NotPaused { node: name, at },
            Transition::Leave | Transition::Crash | Transition::Pause | Transition::Resume => {
                self.not_running(scenario, node, before, action, at)
            }
        });
    }

    /// True if the state of a node when a step comes is what the file says: no name in its history is
    /// guessed, and nothing before is drawn or repeated.
    pub(super) fn knows(&self, node: NodeIx, when: When, order: usize) -> bool {
        let is_open = self.open.get(&node);
        !self.guessed.contains(&node)
            && is_open.is_none_or(|(from, step)| {
                when.last() < *from || when.last() == *from && order < *step
            })
    }

    /// True if a node may run when a step comes, because its state is drawn or made by a repetition.
    pub(super) fn is_open(&self, node: NodeIx, when: When, order: usize) -> bool {
        !self.guessed.contains(&node) && !self.knows(node, when, order)
    }

    fn first_state(&self, node: NodeIx) -> Lifecycle {
        self.lives[node as usize]
    }

    /// The state of a node when a step comes; of two that differ only in a pause, the earlier.
    ///
    /// # Errors
    /// True if it runs depends on the seed: the place of the step that may come before or after.
    pub(super) fn state(
        &self,
        node: NodeIx,
        when: When,
        order: usize,
    ) -> Result<Standing<'_>, SourceSpan> {
        let events = &self.events[node as usize];
        let count = events.partition_point(|event| event.before(when, order));
        let runs = |place: usize| {
            let last = place.checked_sub(1).map(|last| events[last].transition);
            last.map_or_else(|| self.first_state(node), Transition::target)
                .runs()
        };
        let unsure = (count..events.len()).take_while(|place| !events[*place].after(when, order));
        for place in unsure {
            if runs(place + 1) != runs(count) {
                return Err(events[place].site);
            }
        }
        let since = count.checked_sub(1).map(|last| &events[last]);
        Ok(Standing {
            state: since.map_or_else(|| self.first_state(node), |event| event.transition.target()),
            since,
        })
    }

    /// True if a node can run at some time from then on.
    pub(super) fn runs_after(&self, node: NodeIx, from: Duration) -> bool {
        let events = &self.events[node as usize];
        let past = events.partition_point(|event| event.when.last() <= from);
        let last = past.checked_sub(1).map(|last| events[last].transition);
        let now = last.map_or_else(|| self.first_state(node), Transition::target);
        now.runs()
            || self.open.contains_key(&node)
            || events[past..]
                .iter()
                .any(|event| event.transition.target().runs())
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
            Lifecycle::Never if self.joins_later(node) => {
                Some("move the step behind the `join`".to_owned())
            }
            Lifecycle::Never => {
                Some("name it in `start` of [cluster], or `join` it first".to_owned())
            }
            Lifecycle::Crashed | Lifecycle::Left => Some("`restart` it first".to_owned()),
            Lifecycle::Up | Lifecycle::Paused => None,
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
            .any(|event| event.transition == Transition::Join)
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
            .find(|event| event.transition == Transition::Join);
        match standing.state {
            Lifecycle::Never => join.map_or_else(
                || format!("`{name}` is never booted"),
                |join| format!("`{name}` joins at {}", shown_when(join.when)),
            ),
            Lifecycle::Up => format!("`{name}` runs"),
            Lifecycle::Paused => format!("`{name}` is paused since {time}"),
            Lifecycle::Crashed => format!("`{name}` crashed at {time}"),
            Lifecycle::Left => format!("`{name}` left at {time}"),
        }
    }
}

/// A node's name as messages show it.
pub(super) fn name(scenario: &Scenario, node: NodeIx) -> String {
    suggest::shown(scenario.cluster.nodes[node as usize].as_str())
}
