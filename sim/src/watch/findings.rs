//! [`Findings`]: what the oracles of a run found, and the verdicts that follow.

use hublab_strategies::Time;
use serde::{Deserialize, Serialize};

use super::judge::{Judged, Verdict};
use crate::watch::oracle::{CLOCK_INDEPENDENCE, Violation};

/// An oracle that could not judge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Inconclusive {
    /// Which.
    pub oracle: String,
    /// Why not.
    pub reason: String,
    /// The first defect so far; absent if none is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<String>,
}

/// The verdict of the run without clock steps on one that does not converge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClockTwin {
    /// It converges: the clocks are to blame.
    Converges,
    /// It does not, either.
    Differs,
    /// It cannot be judged, for this reason.
    Open(String),
}

/// The most violations that a run keeps per oracle.
const KEPT: usize = 100;

/// The violations and open verdicts of a run's oracles.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Findings {
    /// In order of time, at most 100 per oracle.
    pub violations: Vec<Violation>,
    /// How many more there were.
    pub suppressed: u64,
    /// The oracles that could not judge.
    pub inconclusive: Vec<Inconclusive>,
    /// The bounds of oracles that have one, in words.
    pub bounds: Vec<(&'static str, String)>,
}

impl Findings {
    /// Adds violations.
    pub(crate) fn keep(&mut self, found: Vec<Violation>) {
        for violation in found {
            let known = self
                .violations
                .iter()
                .filter(|known| known.oracle == violation.oracle)
                .count();
            if known < KEPT {
                self.violations.push(violation);
            } else {
                self.suppressed += 1;
            }
        }
    }

    /// True if an oracle has found a violation.
    pub(crate) fn has(&self, oracle: &str) -> bool {
        self.first(oracle).is_some()
    }

    fn first(&self, oracle: &str) -> Option<&Violation> {
        self.violations
            .iter()
            .find(|violation| violation.oracle == oracle)
    }

    fn open(&self, oracle: &str) -> Option<String> {
        let mut all = self.inconclusive.iter();
        let open = all.find(|open| open.oracle == oracle)?;
        let pending = open.pending.iter();
        let pending = pending.map(|pending| format!(" (so far, {pending})"));
        Some(open.reason.clone() + &pending.collect::<String>())
    }

    fn bound(&self, oracle: &str) -> String {
        self.bounds
            .iter()
            .find(|(name, _)| *name == oracle)
            .map_or(String::new(), |(_, bound)| format!("; bound: {bound}"))
    }

    /// True if the clocks may be to blame for what was found.
    pub(crate) fn clocks_are_suspect(&self) -> bool {
        self.has(CLOCK_INDEPENDENCE)
    }

    /// Takes back that the clocks are to blame; `reason`, if nobody can tell.
    pub(crate) fn clear_clocks(&mut self, reason: Option<String>) {
        self.violations
            .retain(|violation| violation.oracle != CLOCK_INDEPENDENCE);
        let oracle = CLOCK_INDEPENDENCE.to_owned();
        self.inconclusive.extend(reason.map(|reason| Inconclusive {
            oracle,
            reason,
            pending: None,
        }));
    }

    /// The verdict of `always`, and why.
    pub(crate) fn always(&self, oracle: &str) -> Judged {
        let violated = |at: Time, detail: &str| {
            let detail = format!("{oracle} violated at {at}: {detail}");
            (Verdict::Fail, detail)
        };
        let held = (Verdict::Pass, format!("{oracle} held"));
        self.judge(oracle, violated, held)
    }

    /// The verdict of a claim about an oracle: `violated` for its first violation, or `held`.
    fn judge(
        &self,
        oracle: &str,
        violated: impl FnOnce(Time, &str) -> (Verdict, String),
        held: (Verdict, String),
    ) -> Judged {
        let first = self.first(oracle);
        let (verdict, detail) = match (first, self.open(oracle)) {
            (Some(Violation { at_us, detail, .. }), _) => violated(Time(*at_us), detail),
            (None, Some(reason)) => (
                Verdict::Inconclusive,
                format!("{oracle} cannot be judged: {reason}"),
            ),
            (None, None) => held,
        };
        Judged {
            at: first.map(|first| Time(first.at_us)),
            event: first.and_then(|first| first.event),
            ..Judged::new(verdict, detail + &self.bound(oracle))
        }
    }

    /// The verdict of `violates`, and why.
    pub(crate) fn violates(&self, oracle: &str) -> Judged {
        let violated = |at: Time, detail: &str| {
            let detail = format!("{oracle} violated at {at}, as documented: {detail}");
            (Verdict::Pass, detail)
        };
        let detail = format!("{oracle} held, but the scenario documents its violation");
        self.judge(oracle, violated, (Verdict::Fail, detail))
    }
}
