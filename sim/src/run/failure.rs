//! The failures of a run: one function that every command uses.
//!
//! [`failures`] is a function of a scenario and the report of its run. `run` takes its verdict from
//! it; campaigns, shrinking, the corpus and the classification of anomalies take what they work on.
//! A violation that the scenario documents with `violates` is no failure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use hublab_strategies::time::micros;
use hublab_strategies::{NodeId, Time};
use serde::{Deserialize, Serialize};

use crate::model::{After, Claim, Expectation, Instants, NodeIx, Scenario};
use crate::report::Report;
use crate::scenario::resolve::default_claim;
use crate::watch::defect::Kind;
use crate::watch::judge::{Judgement, LATE, Verdict, applying};
use crate::watch::oracle::Violation;

/// The kind of a failure, without place and time: shrinking keeps it, and campaigns group by it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Signature {
    /// The strategy.
    pub strategy: String,
    /// The oracle; for an expectation of a file, its claim's key.
    pub oracle: String,
    /// The kind of defect: `absent`, `ghost`, `wrong`, ...; empty where no view is at fault.
    pub defect: String,
    /// The kind of event that made it: `deliver pubsub.sync`, `peer_down`, ...; may be empty.
    pub cause: String,
    /// Which expectation of the file it is: a hash of the claim as it was written, the same in
    /// every build, which shrinking carries along unchanged. Empty for oracles.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub claim: String,
}

impl Signature {
    /// The signature of a violation.
    #[must_use]
    pub fn of(strategy: &str, violation: &Violation) -> Self {
        Self {
            strategy: strategy.to_owned(),
            oracle: violation.oracle.clone(),
            defect: violation.defect.clone(),
            cause: violation.cause.clone(),
            claim: String::new(),
        }
    }

    /// Everything that fails in a run, each once, sorted.
    #[must_use]
    pub fn all(scenario: &Scenario, report: &Report) -> Vec<Self> {
        let mut all: Vec<Self> = failures(scenario, report)
            .into_iter()
            .map(|failure| failure.signature)
            .collect();
        all.sort();
        all
    }

    /// True if this is the failure of an expectation, and not of an oracle.
    #[must_use]
    pub fn is_of_claim(&self) -> bool {
        !self.claim.is_empty()
    }

    /// True if a view differs from the truth, and that is what fails. An expectation can also contradict
    /// the truth, and views be right.
    #[must_use]
    pub(crate) fn is_of_view(&self) -> bool {
        const KINDS: [Kind; 4] = [Kind::Absent, Kind::Ghost, Kind::Wrong, Kind::Metadata];
        // Nodes that are apart are no view.
        let kind = self.defect.strip_prefix(LATE).unwrap_or(&self.defect);
        KINDS.iter().any(|one| one.as_str() == kind)
    }

    /// True if it is a view that does not become right by the end of the run, where it was to.
    #[must_use]
    pub(crate) fn is_lasting(&self) -> bool {
        let is_converged = self.is_of_claim() && self.oracle == "converged";
        is_converged && self.is_of_view() && !self.defect.starts_with(LATE)
    }

    /// True if two signatures differ in nothing but which expectation they are of: in a scenario
    /// with a single expectation, whose text a shrink may have changed, they are the same failure.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let parts = |one: &Self| {
            (
                one.strategy.clone(),
                one.oracle.clone(),
                one.defect.clone(),
                one.cause.clone(),
                one.is_of_claim(),
            )
        };
        parts(self) == parts(other)
    }
}

impl fmt::Display for Signature {
    /// `gossip no_resurrection ghost (deliver gossip.sync)`; of an expectation
    /// `gossip registry absent #5a572dbd`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.strategy, self.oracle)?;
        if !self.defect.is_empty() {
            write!(f, " {}", self.defect)?;
        }
        if !self.cause.is_empty() {
            write!(f, " ({})", self.cause)?;
        }
        if self.is_of_claim() {
            write!(f, " #{}", self.claim)?;
        }
        Ok(())
    }
}

/// One thing that failed in a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What.
    pub signature: Signature,
    /// When it was broken first, in microseconds.
    pub at_us: u64,
    /// Where; empty if on no node.
    pub node: String,
    /// How, in words.
    pub detail: String,
    /// For an expectation, the line of its header in the file; 0 for anything else.
    #[serde(default)]
    pub line: u32,
    /// The event that broke it, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<u64>,
    /// The known anomaly that the run itself looks like: another cause may hide behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The group it belongs to, once it has been shrunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// The known anomaly that the shrunk run shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anomaly: Option<String>,
}

impl Failure {
    fn of_violation(strategy: &str, violation: &Violation) -> Self {
        Self {
            signature: Signature::of(strategy, violation),
            at_us: violation.at_us,
            node: violation.node.clone(),
            detail: violation.detail.clone(),
            line: 0,
            event: violation.event,
            hint: None,
            fingerprint: None,
            anomaly: None,
        }
    }

    fn of_judgement(report: &Report, judgement: &Judgement, claim: String) -> Self {
        Self {
            signature: Signature {
                strategy: report.strategy.clone(),
                oracle: judgement.claim.clone(),
                defect: judgement.defect.clone(),
                cause: String::new(),
                claim,
            },
            at_us: judgement.at_us.unwrap_or(report.virtual_us),
            node: judgement.node.clone(),
            detail: judgement.detail.clone(),
            line: judgement.line,
            event: judgement.event,
            hint: None,
            fingerprint: None,
            anomaly: None,
        }
    }
}

/// Everything that failed in a run of a scenario, resolved or not: each signature once, with where
/// and when it was first broken; the first to break is the first.
///
/// Those are the violations of oracles, unless the scenario documents them (`violates`) and does not
/// forbid them as well (`always`), and the expectations that do not hold. An `always` that does not
/// hold is told by its violations.
#[must_use]
pub fn failures(scenario: &Scenario, report: &Report) -> Vec<Failure> {
    let claims: Vec<&Claim> = applying(scenario, &report.strategy)
        .map(|expectation| &expectation.claim)
        .collect();
    let (mut documented, mut forbidden) = (BTreeSet::new(), BTreeSet::new());
    for claim in &claims {
        match claim {
            Claim::Violates(oracle) => drop(documented.insert(oracle.as_str())),
            Claim::Always(oracle) => drop(forbidden.insert(oracle.as_str())),
            Claim::Converged { .. }
            | Claim::Registry { .. }
            | Claim::Entry { .. }
            | Claim::View { .. }
            | Claim::Connected { .. }
            | Claim::Owners { .. }
            | Claim::Sometimes { .. }
            | Claim::Metric { .. } => {}
        }
    }
    let mut first: BTreeMap<Signature, Failure> = BTreeMap::new();
    let mut add = |failure: Failure| {
        let known = first.entry(failure.signature.clone());
        let kept = known.or_insert_with(|| failure.clone());
        if failure.at_us < kept.at_us {
            *kept = failure;
        }
    };
    for violation in &report.violations {
        let oracle = violation.oracle.as_str();
        if forbidden.contains(oracle) || !documented.contains(oracle) {
            add(Failure::of_violation(&report.strategy, violation));
        }
    }
    for (place, judgement) in report.expectations.iter().enumerate() {
        if judgement.verdict == Verdict::Fail && judgement.claim != ALWAYS {
            let identity = identity(claims.get(place).copied(), scenario);
            add(Failure::of_judgement(report, judgement, identity));
        }
    }
    let mut all: Vec<Failure> = first.into_values().collect();
    all.sort_by_key(|failure| failure.at_us);
    all
}

/// The key of the claim that an oracle holds.
const ALWAYS: &str = "always";

/// The verdict of a run: it fails if anything does, and passes if everything could be judged.
pub(crate) fn verdict(scenario: &Scenario, report: &Report, is_whole: bool) -> Verdict {
    let mut judgements = report.expectations.iter();
    if !failures(scenario, report).is_empty() {
        Verdict::Fail
    } else if !is_whole || judgements.any(|one| one.verdict != Verdict::Pass) {
        Verdict::Inconclusive
    } else {
        Verdict::Pass
    }
}

/// Which expectation of a scenario one of them is: [`Signature::claim`] of its failures.
#[must_use]
pub(crate) fn claim_of(expectation: &Expectation, scenario: &Scenario) -> String {
    identity(Some(&expectation.claim), scenario)
}

/// The identity of a claim; `None` stands for the one that is made where there is none. Scenarios without
/// any have the one of [`default_claim`], whose times depend on the seed: it has a name of its own.
fn identity(claim: Option<&Claim>, scenario: &Scenario) -> String {
    let parts = match claim {
        Some(claim) if *claim != default_claim(scenario) => written(claim, &scenario.cluster.nodes),
        Some(_) | None => vec!["default".to_owned()],
    };
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        // Each part with its length before it, so that no two claims hash the same text.
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex()[..8].to_owned()
}

/// A claim part by part, nodes by their names. Independent of how files are rendered.
fn written(claim: &Claim, nodes: &[NodeId]) -> Vec<String> {
    let name = |node: NodeIx| {
        let name = nodes.get(node as usize);
        name.map_or_else(String::new, |name| name.as_str().to_owned())
    };
    let mut parts = vec![claim.name().to_owned()];
    let mut put = |key: &str, values: &mut dyn Iterator<Item = String>| {
        parts.push(format!("{key}="));
        parts.extend(values);
    };
    match claim.when() {
        Some(Instants::At(at)) => put("at", &mut [at.0.to_string()].into_iter()),
        Some(Instants::During(from, to)) => {
            put(
                "during",
                &mut [from, to].map(|at| at.0.to_string()).into_iter(),
            );
        }
        Some(Instants::By(at)) => put("by", &mut [at.0.to_string()].into_iter()),
        None => {}
    }
    let named = |nodes: &[NodeIx]| nodes.iter().map(|node| name(*node)).collect::<Vec<_>>();
    match claim {
        Claim::Converged {
            within,
            after,
            nodes,
            whole,
        } => {
            let after = match after {
                After::LastStep => "last_step".to_owned(),
                After::Heal => "heal".to_owned(),
                After::Time(at) => micros(*at).to_string(),
            };
            put("within", &mut [micros(*within).to_string()].into_iter());
            put("after", &mut [after].into_iter());
            if let Some(nodes) = nodes {
                put("nodes", &mut nodes.iter().map(|node| name(*node)));
            }
            if *whole {
                put("whole", &mut std::iter::empty());
            }
        }
        Claim::View {
            on, is, has, lacks, ..
        } => {
            put("on", &mut named(on.nodes()).into_iter());
            if let Some(is) = is {
                put("is", &mut named(is).into_iter());
            }
            put("has", &mut named(has).into_iter());
            put("lacks", &mut named(lacks).into_iter());
        }
        Claim::Owners {
            child, min, max, ..
        } => {
            put("child", &mut [child.to_string()].into_iter());
            put("min", &mut min.iter().map(ToString::to_string));
            put("max", &mut max.iter().map(ToString::to_string));
        }
        Claim::Sometimes { name, .. } => put("name", &mut [name.clone()].into_iter()),
        Claim::Connected { nodes, .. } => {
            if let Some(nodes) = nodes {
                put("nodes", &mut nodes.iter().map(|node| name(*node)));
            }
        }
        Claim::Registry { on, has, lacks, .. } => {
            put("on", &mut named(on.nodes()).into_iter());
            put("has", &mut has.iter().map(ToString::to_string));
            put("lacks", &mut lacks.iter().map(ToString::to_string));
        }
        Claim::Entry {
            when: _,
            on,
            child,
            nodes,
            pids,
            metadata,
            first,
            count,
        } => {
            put("on", &mut named(on.nodes()).into_iter());
            put("child", &mut [child.to_string()].into_iter());
            if let Some(nodes) = nodes {
                put("nodes", &mut nodes.iter().map(ToString::to_string));
            }
            if let Some(pids) = pids {
                let pairs = pids.iter().map(|(node, pid)| format!("{node}={pid}"));
                put("pids", &mut pairs.into_iter());
            }
            if let Some(metadata) = metadata {
                let pairs = metadata.iter().map(|(key, value)| format!("{key}={value}"));
                put("metadata", &mut pairs.into_iter());
            }
            if let Some(first) = first {
                put("first", &mut [first.to_string()].into_iter());
            }
            if let Some(count) = count {
                put("count", &mut [count.to_string()].into_iter());
            }
        }
        Claim::Always(oracle) | Claim::Violates(oracle) => {
            put("oracle", &mut [oracle.clone()].into_iter());
        }
        Claim::Metric {
            name,
            min,
            max,
            window,
        } => {
            put("name", &mut [name.clone()].into_iter());
            put("min", &mut min.iter().map(ToString::to_string));
            put("max", &mut max.iter().map(ToString::to_string));
            let (from, to) = (window.from, window.to);
            let from = (from > Time::ZERO).then(|| from.to_string());
            put("from", &mut from.into_iter());
            put("to", &mut to.iter().map(ToString::to_string));
        }
    }
    parts
}

/// An expectation that an oracle holds.
#[must_use]
pub fn always(oracle: &str) -> Expectation {
    Expectation {
        strategy: None,
        claim: Claim::Always(oracle.to_owned()),
        line: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use crate::run::{EVENT_BUDGET, Simulation};
    use crate::scenario::resolve::resolve;

    fn read(text: &str) -> Scenario {
        let catalog = Catalog::default();
        let read = Scenario::read("failures.toml", text.as_bytes(), &catalog);
        read.unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    fn report(scenario: &Scenario) -> Report {
        ended(scenario, 1, EVENT_BUDGET)
    }

    fn ended(scenario: &Scenario, seed: u64, budget: u64) -> Report {
        let catalog = Catalog::default();
        let run = Simulation::new(scenario, &catalog).strategy("pubsub");
        let run = run.and_then(|run| run.seed(seed).budget(budget).run());
        run.expect("a known strategy")
    }

    const TWO: &str = "schema = 1\n[run]\nduration = '20s'\n[cluster]\nnodes = 3\n\
        [[step]]\nat = '1s'\nstart_children = { on = 'n1', ids = ['a'] }\n\
        [[expect]]\nat = '5s'\nregistry = { on = 'n1', has = ['b'] }\n\
        [[expect]]\nat = '6s'\nregistry = { on = 'n3', lacks = ['a'] }\n";

    #[test]
    fn two_claims_of_one_kind_are_two_failures_at_their_own_instants() {
        let scenario = read(TWO);
        let found = failures(&scenario, &report(&scenario));
        let seen: Vec<(u64, &str, &str)> = found
            .iter()
            .map(|one| (one.at_us, one.node.as_str(), one.signature.defect.as_str()))
            .collect();
        assert_eq!(
            seen,
            [
                (5_000_000, "n1", "not running"),
                (6_000_000, "n3", "present")
            ]
        );
        assert_ne!(found[0].signature.claim, found[1].signature.claim);
    }

    #[test]
    fn what_was_broken_before_a_run_is_ended_stays_broken() {
        let scenario = read(TWO);
        let all = report(&scenario).events;
        let mut seen = BTreeSet::new();
        for budget in (1..all).step_by(3) {
            let report = ended(&scenario, 1, budget);
            assert!(report.reason.is_some());
            let verdicts: Vec<Verdict> =
                report.expectations.iter().map(|one| one.verdict).collect();
            let broken = |at: u64| {
                if report.virtual_us > at {
                    Verdict::Fail
                } else {
                    Verdict::Inconclusive
                }
            };
            assert_eq!(
                verdicts,
                [broken(5_000_000), broken(6_000_000)],
                "{report:#?}"
            );
            assert_eq!(report.verdict, broken(5_000_000));
            seen.insert(report.verdict);
        }
        assert_eq!(seen.len(), 2);
    }

    #[test]
    fn a_claim_is_the_same_one_wherever_it_is_written_and_whatever_is_resolved() {
        let scenario = read(TWO);
        let all = Signature::all(&scenario, &report(&scenario));
        let resolved = resolve(&scenario, 1, &Catalog::default());
        assert_eq!(Signature::all(&resolved, &report(&resolved)), all);
        let turned = TWO.replace("nodes = 3", "names = ['n3', 'n2', 'n1']");
        let mut turned = read(&turned);
        turned.expectations.reverse();
        assert_eq!(Signature::all(&turned, &report(&turned)), all);
        let hashes: Vec<&str> = all.iter().map(|one| one.claim.as_str()).collect();
        assert_eq!(hashes, ["fcfc3d17", "140e1584"], "the same in every build");
    }

    #[test]
    fn what_a_scenario_documents_is_no_failure_unless_it_forbids_it_too() {
        let text = "schema = 1\n[run]\nduration = '20s'\n[cluster]\nnodes = 2\n\
            [[step]]\nat = '5s'\nrows = { on = 'n1', rows = [{ child = 'a', nodes = { n2 = 'p' } }] }\n\
            [[expect]]\nviolates = 'convergence'\n";
        let mut scenario = read(text);
        let mut report = report(&scenario);
        let violation = Violation::new("convergence", Time(7), "n1", "a ghost".to_owned());
        report.violations = vec![violation.with_defect("ghost")];
        report.expectations[0].verdict = Verdict::Pass;
        assert_eq!(failures(&scenario, &report), []);
        scenario.expectations.push(always("convergence"));
        assert_eq!(failures(&scenario, &report).len(), 1);
    }

    #[test]
    fn a_default_expectation_is_one_whatever_the_seed_makes_of_its_times() {
        let text = "schema = 1\n[run]\nduration = '20s'\n[cluster]\nnodes = 2\n\
            [[step]]\nat = '5s..15s'\nrows = { on = 'n1', rows = [{ child = 'a', nodes = { n2 = 'p' } }] }\n";
        let scenario = read(text);
        let catalog = Catalog::default();
        let mut claims = BTreeSet::new();
        for seed in 0..3 {
            let resolved = resolve(&scenario, seed, &catalog);
            let report = ended(&scenario, seed, EVENT_BUDGET);
            for of in [&scenario, &resolved] {
                let found = failures(of, &report);
                assert_eq!(found.len(), 1, "{report:#?}");
                claims.insert(found[0].signature.claim.clone());
            }
        }
        assert_eq!(claims.len(), 1);
    }
}
