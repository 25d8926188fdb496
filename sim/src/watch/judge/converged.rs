//! The claim of convergence, over a stretch of the run without steps.

use std::time::Duration;

use hublab_strategies::time::micros;
use hublab_strategies::{ChildId, Time};

use super::{Judged, LATE, NAMED, Verdict};
use crate::model::script::{Planned, planned};
use crate::model::{Action, After, NodeIx, Scenario};
use crate::watch::ObserverContext;
use crate::watch::defect::Defect;

/// A claim of convergence: some stretch without steps must end converged, having become so in
/// time.
#[derive(Debug)]
pub(super) struct Stretch {
    /// The step that it begins with: its index, and whether it is its healing; `None` if it begins at
    /// an instant.
    first: Option<(u32, bool)>,
    /// When it begins; `None` until its step has taken place, which in a run of real hubs is later
    /// than the file has it.
    from: Option<Time>,
    within: Duration,
    observers: Vec<NodeIx>,
    /// True if all pairs of running nodes must be connected, too.
    whole: bool,
    /// Observers out of order at the end of the last instant.
    disordered: usize,
    /// The same with the pairs that are down, if it must be whole.
    out: usize,
    since: Time,
    /// Since when it had been converged when it held, and the pairs that were down then.
    held: Option<(Time, Option<String>)>,
    /// The defect when the deadline passed.
    at_deadline: Option<Vec<Defect>>,
}

impl Stretch {
    pub(super) fn new(
        within: Duration,
        after: After,
        nodes: Option<&[NodeIx]>,
        whole: bool,
        scenario: &Scenario,
    ) -> Self {
        let (first, from) = origin(after, scenario);
        let count = NodeIx::try_from(scenario.cluster.nodes.len()).unwrap_or(NodeIx::MAX);
        Self {
            first,
            from,
            within,
            observers: nodes.map_or_else(|| (0..count).collect(), <[NodeIx]>::to_vec),
            whole,
            disordered: 0,
            out: 0,
            since: Time::ZERO,
            held: None,
            at_deadline: None,
        }
    }

    /// A step of the script (its index, and whether it is its healing) or an injection begins: the
    /// stretch without steps so far ends, and the one that is claimed may begin.
    pub(super) fn step_begins(
        &mut self,
        at: Time,
        step: Option<(u32, bool)>,
        cx: &ObserverContext,
    ) {
        self.close(at, cx);
        if self.first.is_some() && self.first == step {
            self.from = Some(at);
        }
    }

    pub(super) fn settle(&mut self, now: Time, next: Time, cx: &ObserverContext) {
        let convergence = cx.views();
        if !convergence.flipped().is_empty() {
            self.disordered = self
                .observers
                .iter()
                .filter(|node| !convergence.is_in_order(**node))
                .count();
        }
        let pairs = if self.whole {
            convergence.pairs_down()
        } else {
            0
        };
        let was = std::mem::replace(&mut self.out, self.disordered + pairs);
        if was > 0 && self.out == 0 {
            self.since = now;
        }
        if self.at_deadline.is_none()
            && self.deadline().is_some_and(|deadline| next > deadline)
            && self.held.is_none()
            && self.out > 0
        {
            self.at_deadline = Some(self.pending(cx));
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.from.map(|from| from.after(self.within))
    }

    /// The defects that keep the claim open.
    fn pending(&self, cx: &ObserverContext) -> Vec<Defect> {
        let mut found = cx.views().pending(&self.observers, cx, NAMED);
        if self.whole {
            let apart = cx.views().down_pairs().take(NAMED - found.len());
            found.extend(apart.map(|pair| Defect::apart(pair, cx)));
        }
        found
    }

    /// True if nothing that happens at `end` or later changes the verdict.
    pub(super) fn is_decided(&self, end: Time) -> bool {
        let is_missed = |deadline| end > deadline && (self.out > 0 || self.since > deadline);
        self.held.is_some() || self.at_deadline.is_some() || self.deadline().is_some_and(is_missed)
    }

    /// A stretch without steps ends just before `end`.
    pub(super) fn close(&mut self, end: Time, cx: &ObserverContext) {
        let Some((from, deadline)) = self.from.zip(self.deadline()) else {
            return;
        };
        let since = self.since.max(from);
        if self.out == 0 && since <= deadline && since < end && self.held.is_none() {
            self.held = Some((since, pairs_down(cx)));
        }
    }

    pub(super) fn verdict(self, end: Time, cx: &ObserverContext) -> Judged {
        let Some((from, deadline)) = self.from.zip(self.deadline()) else {
            let detail = "the step that it is to come after has not taken place".to_owned();
            return Judged::new(Verdict::Inconclusive, detail).at(end);
        };
        if let Some((since, down)) = self.held {
            let took = Time(since.since(from));
            let down = down.map_or_else(String::new, |pairs| format!("; {pairs}"));
            let detail = format!("converged at {since}, {took} after {from}{down}");
            return Judged::new(Verdict::Pass, detail).at(since);
        }
        let is_late = self.out == 0;
        let late = if is_late {
            format!(
                "; converged at {}, {} too late",
                self.since,
                Time(self.since.since(deadline))
            )
        } else {
            String::new()
        };
        let pending = match self.at_deadline {
            Some(ref pending) => pending.clone(),
            None => self.pending(cx),
        };
        let detail = format!("at {deadline}: {}{late}", list(&pending));
        let judged = Judged::new(Verdict::Fail, detail).at(deadline);
        let Some(first) = pending.first() else {
            return judged;
        };
        let kind = first.kind.as_str();
        Judged {
            event: first.event,
            node: cx.name(first.observer).to_string(),
            child: first
                .child
                .as_ref()
                .map(ChildId::to_string)
                .unwrap_or_default(),
            defect: if is_late {
                format!("{LATE}{kind}")
            } else {
                kind.to_owned()
            },
            ..judged
        }
    }
}

/// The step that `after` names, or the instant.
fn origin(after: After, scenario: &Scenario) -> (Option<(u32, bool)>, Option<Time>) {
    let heals = |entry: &Planned| {
        let step = scenario.steps.get(entry.step as usize);
        entry.healing || step.is_some_and(|step| step.action == Action::Heal)
    };
    let last = match after {
        After::Time(at) => return (None, Some(Time(micros(at)))),
        After::LastStep => planned(scenario).pop(),
        After::Heal => planned(scenario).into_iter().rfind(heals),
    };
    match last {
        Some(Planned { step, healing, .. }) => (Some((step, healing)), None),
        None => (None, Some(Time::ZERO)),
    }
}

fn list(defects: &[Defect]) -> String {
    if defects.is_empty() {
        "it did not last".to_owned()
    } else {
        let texts: Vec<&str> = defects.iter().map(|defect| defect.text.as_str()).collect();
        texts.join("; ")
    }
}

/// The pairs of running nodes that are not connected, in words; `None` if all are.
fn pairs_down(cx: &ObserverContext) -> Option<String> {
    const SHOWN: usize = 4;
    let count = cx.views().pairs_down();
    let pairs = cx.views().down_pairs().take(SHOWN);
    let pairs: Vec<String> = pairs
        .map(|(a, b)| format!("{}-{}", cx.name(a), cx.name(b)))
        .collect();
    let verb = match count {
        0 => return None,
        1 => "1 pair is",
        _ => &format!("{count} pairs are"),
    };
    let more = if count > SHOWN { ", ..." } else { "" };
    Some(format!("{verb} not connected: {}{more}", pairs.join(", ")))
}
