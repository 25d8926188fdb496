//! The run without clock steps, which `clock_independence` compares a run with.

use crate::catalog::Catalog;
use crate::model::{Action, Claim, ClockChange, Expectation, Scenario};
use crate::run::{Options, RunError, Simulation};
use crate::watch::findings::ClockTwin;
use crate::watch::oracle::{CLOCK_INDEPENDENCE, CONVERGENCE, Violation};
use crate::watch::{Outcome, judge};

/// Runs a resolved scenario with the same seed, all clocks right from the start, and clock steps that
/// change nothing.
pub(super) fn twin(
    resolved: &Scenario,
    strategy: &str,
    catalog: &Catalog,
    options: Options,
) -> Result<ClockTwin, RunError> {
    let mut scenario = resolved.clone();
    for step in &mut scenario.steps {
        // A step that does nothing, in place of none: what is counted by steps stays as it is.
        if let Action::Clock { change, .. } = &mut step.action {
            *change = ClockChange::Jump(0);
        }
    }
    for of_nodes in &mut scenario.cluster.overrides {
        of_nodes.clock = None;
    }
    scenario.expectations = vec![Expectation {
        strategy: None,
        claim: Claim::Always(CONVERGENCE.to_owned()),
        line: 0,
    }];
    let report = Simulation::with_options(&scenario, strategy, catalog, options).run()?;
    let is_broken = |violation: &Violation| violation.oracle == CONVERGENCE;
    if report.violations.iter().any(is_broken) {
        return Ok(ClockTwin::Differs);
    }
    let open = report.inconclusive.into_iter().next();
    Ok(open.map_or(ClockTwin::Converges, |open| {
        ClockTwin::Open(format!("the run without clock steps: {}", open.reason))
    }))
}

/// Judges `clock_independence` anew with the verdict of the run without clock steps.
pub(crate) fn judge_clock_independence(
    outcome: &mut Outcome,
    twin: ClockTwin,
    resolved: &Scenario,
    strategy: &str,
) {
    outcome.clock_twin = Some(twin.clone());
    let reason = match twin {
        ClockTwin::Converges => return,
        ClockTwin::Differs => None,
        ClockTwin::Open(reason) => Some(reason),
    };
    outcome.findings.clear_clocks(reason);
    let applying = judge::applying(resolved, strategy);
    for (judgement, expectation) in outcome.judgements.iter_mut().zip(applying) {
        let verdict = match &expectation.claim {
            Claim::Always(name) if name == CLOCK_INDEPENDENCE => outcome.findings.always(name),
            Claim::Violates(name) if name == CLOCK_INDEPENDENCE => outcome.findings.violates(name),
            Claim::Always(_)
            | Claim::Violates(_)
            | Claim::Converged { .. }
            | Claim::Registry { .. }
            | Claim::Entry { .. }
            | Claim::View { .. }
            | Claim::Connected { .. }
            | Claim::Owners { .. }
            | Claim::Sometimes { .. }
            | Claim::Metric { .. } => continue,
        };
        judgement.replace(verdict);
    }
}
