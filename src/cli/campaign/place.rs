//! Where in a scenario file a failure is: the line that a reader should look at.

use std::time::Duration;

use hublab_sim::catalog::Catalog;
use hublab_sim::run::failure::Failure;
use hublab_sim::scenario::{Claim, Scenario, resolve};

/// The line of the expectation that failed; or else, for an oracle that the file does not name, of
/// the last step before it was seen; or else the first line.
pub(in crate::cli) fn line(
    scenario: &Scenario,
    strategy: &str,
    seed: u64,
    finding: &Failure,
    catalog: &Catalog,
) -> u32 {
    let known = (finding.line > 0).then_some(finding.line);
    known
        .or_else(|| expectation(scenario, strategy, &finding.signature.oracle))
        .or_else(|| step(&resolve(scenario, seed, catalog), finding))
        .unwrap_or(1)
}

fn expectation(scenario: &Scenario, strategy: &str, oracle: &str) -> Option<u32> {
    let demands = |claim: &Claim| match claim {
        Claim::Always(name) => name == oracle,
        Claim::Converged { .. }
        | Claim::Registry { .. }
        | Claim::Entry { .. }
        | Claim::View { .. }
        | Claim::Connected { .. }
        | Claim::Owners { .. }
        | Claim::Sometimes { .. }
        | Claim::Violates(_)
        | Claim::Metric { .. } => claim.name() == oracle,
    };
    let own = scenario.expectations.iter().find(|expectation| {
        let only = expectation.strategy.as_deref();
        only.is_none_or(|only| only == strategy) && demands(&expectation.claim)
    });
    own.map(|expectation| expectation.line)
        .filter(|line| *line > 0)
}

/// Of a resolved scenario, whose steps are in the order of their times.
fn step(resolved: &Scenario, finding: &Failure) -> Option<u32> {
    let seen = Duration::from_micros(finding.at_us);
    let before = resolved.steps.iter().filter(|step| step.at.first() <= seen);
    before
        .max_by_key(|step| step.at.first())
        .map(|step| step.line)
        .filter(|line| *line > 0)
}

#[cfg(test)]
mod tests {
    use hublab_sim::run::failure::Signature;

    use super::*;

    const FILE: &str = "schema = 1
[cluster]
nodes = 2
[[step]]
at = \"5s\"
crash = { nodes = [\"n2\"] }
[[step]]
at = \"1s\"
start_children = { on = \"n1\", ids = [\"a\"] }
[[expect]]
strategy = \"gossip\"
always = \"own_truth\"
[[expect]]
always = \"own_truth\"
[[expect]]
converged = { within = \"1s\" }
";

    #[track_caller]
    fn expect_line(text: &str, oracle: &str, at_us: u64, expected: &str) {
        let catalog = Catalog::default();
        let scenario = Scenario::read("a.toml", text.as_bytes(), &catalog).expect("a good file");
        let finding = Failure {
            signature: Signature {
                strategy: "pubsub".to_owned(),
                oracle: oracle.to_owned(),
                ..Signature::default()
            },
            at_us,
            node: String::new(),
            detail: String::new(),
            line: 0,
            event: None,
            hint: None,
            fingerprint: None,
            anomaly: None,
        };
        let line = line(&scenario, "pubsub", 7, &finding, &catalog);
        let found: Vec<&str> = text.lines().skip(line as usize - 1).take(3).collect();
        assert!(
            found.join("\n").contains(expected),
            "line {line}: {found:?}"
        );
        assert!(
            line == 1 || found[0].starts_with("[["),
            "line {line}: {found:?}"
        );
    }

    #[test]
    fn a_failed_expectation_is_at_its_own_line() {
        expect_line(FILE, "converged", 9_000_000, "converged");
        expect_line(FILE, "own_truth", 9_000_000, "always");
    }

    #[test]
    fn an_oracle_that_the_file_does_not_name_is_at_the_last_step_before_it() {
        expect_line(FILE, "no_resurrection", 9_000_000, "crash");
        expect_line(FILE, "no_resurrection", 4_000_000, "start_children");
    }

    #[test]
    fn what_has_no_place_is_at_the_first_line() {
        expect_line(FILE, "no_resurrection", 0, "schema");
    }
}
