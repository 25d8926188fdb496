//! One line of `results.ndjson`: what became of one run of a campaign.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{Claim, Over, Scenario};
use crate::report::Report;
use crate::run::failure::{Failure, failures};
use crate::watch::judge::{Verdict, applying};

/// The claims about a campaign, and true for those that the run has shown.
fn over_campaign(scenario: &Scenario, report: &Report) -> BTreeMap<String, bool> {
    let mut all = BTreeMap::new();
    let expectations = applying(scenario, &report.strategy);
    for (expectation, judgement) in expectations.zip(&report.expectations) {
        if let Claim::Sometimes {
            name,
            over: Over::Campaign,
        } = &expectation.claim
        {
            *all.entry(name.clone()).or_default() |= !judgement.unseen;
        }
    }
    all
}

/// The version of the record's shape.
pub const SCHEMA: u32 = 1;

/// Result of one run of a campaign. Everything but `wall_us` is a function of scenario,
/// strategy, seed and oracles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// [`SCHEMA`].
    pub schema: u32,
    /// `generated`, or the path of the scenario file as it was given.
    pub scenario: String,
    /// The strategy.
    pub strategy: String,
    /// The seed.
    pub seed: u64,
    /// Its result.
    pub verdict: Verdict,
    /// BLAKE3 over the events, in hexadecimal; absent if the run did not come to its end.
    pub digest: Option<String>,
    /// How many events there were.
    pub events: u64,
    /// The instant the run came to, in microseconds.
    pub virtual_us: u64,
    /// How long it took, in microseconds of real time; 0 where that is told elsewhere.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub wall_us: u64,
    /// Since when views have equalled the truth, in microseconds.
    pub converged_us: Option<u64>,
    /// The failures, each signature once.
    pub findings: Vec<Failure>,
    /// Counters of what the run exercised, by name (`step.crash`, `fault.loss`, `kind.pubsub.sync`,
    /// `mark.gossip.invalidated`, ...).
    pub reach: BTreeMap<String, u64>,
    /// The fault families that the generator had switched on; empty for files.
    pub families: Vec<String>,
    /// Oracles whose claim's condition the scenario meets.
    pub claimed: Vec<String>,
    /// By the name of each `sometimes` expectation with `over = "campaign"`: true if it was met in this run.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sometimes: BTreeMap<String, bool>,
    /// How many failures of it the campaign's baseline shows, too, in the same scenario: they are none of
    /// `findings`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub of_baseline: u64,
    /// True if it is known to fail, and fails as it is known to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub expected: bool,
    /// Further details: the reason of an inconclusive run, the last output of a worker that died, both
    /// digests of a mismatch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde wants it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Record {
    /// That of a finished run; `name` is the scenario's, as records have it.
    #[must_use]
    pub fn of_run(name: &str, scenario: &Scenario, report: &Report) -> Self {
        let verdict = report.verdict;
        let mut findings = failures(scenario, report);
        findings.sort_by(|one, other| one.signature.cmp(&other.signature));
        Self {
            digest: report.digest.clone(),
            events: report.events,
            virtual_us: report.virtual_us,
            wall_us: report.wall_us,
            converged_us: report.converged_us,
            findings,
            sometimes: over_campaign(scenario, report),
            note: (verdict == Verdict::Inconclusive)
                .then(|| why_open(report))
                .flatten(),
            ..Self::bare(name, &report.strategy, report.seed, verdict)
        }
    }

    /// That of a run of which nothing is known but how it ended.
    #[must_use]
    pub fn bare(scenario: &str, strategy: &str, seed: u64, verdict: Verdict) -> Self {
        Self {
            schema: SCHEMA,
            scenario: scenario.to_owned(),
            strategy: strategy.to_owned(),
            seed,
            verdict,
            digest: None,
            events: 0,
            virtual_us: 0,
            wall_us: 0,
            converged_us: None,
            findings: Vec::new(),
            reach: BTreeMap::new(),
            families: Vec::new(),
            claimed: Vec::new(),
            sometimes: BTreeMap::new(),
            of_baseline: 0,
            expected: false,
            note: None,
        }
    }
}

/// Why a run could not be judged.
fn why_open(report: &Report) -> Option<String> {
    let mut judgements = report.expectations.iter();
    let open = judgements.find(|one| one.verdict == Verdict::Inconclusive);
    let why = open
        .map(|one| one.detail.as_str())
        .or(report.reason.as_deref());
    why.map(|why| format!("{why}, after {} events", report.events))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::run::failure::Signature;

    /// A run that passed.
    pub(in crate::campaign) fn record(strategy: &str, seed: u64) -> Record {
        Record {
            digest: Some(format!("{seed:064x}")),
            events: 100,
            virtual_us: 60_000_000,
            wall_us: 1_000,
            reach: BTreeMap::from([("fault.loss".to_owned(), 3)]),
            families: vec!["loss".to_owned(), "pause".to_owned()],
            claimed: vec!["own_truth".to_owned()],
            ..Record::bare("generated", strategy, seed, Verdict::Pass)
        }
    }

    /// One that failed.
    pub(in crate::campaign) fn failed(strategy: &str, seed: u64) -> Record {
        let signature = Signature {
            strategy: strategy.to_owned(),
            oracle: "own_truth".to_owned(),
            defect: "absent".to_owned(),
            ..Signature::default()
        };
        Record {
            verdict: Verdict::Fail,
            findings: vec![Failure {
                signature,
                at_us: 1_000_000 + seed,
                node: "n1".to_owned(),
                detail: format!("seed {seed}"),
                line: 0,
                event: None,
                hint: None,
                fingerprint: None,
                anomaly: None,
            }],
            ..record(strategy, seed)
        }
    }

    /// One that failed and was shrunk.
    pub(in crate::campaign) fn shrunk(strategy: &str, seed: u64, fingerprint: &str) -> Record {
        let mut record = failed(strategy, seed);
        record.findings[0].fingerprint = Some(fingerprint.to_owned());
        record
    }

    /// One that ended without a finding.
    pub(in crate::campaign) fn ended(strategy: &str, seed: u64, verdict: Verdict) -> Record {
        Record {
            verdict,
            ..record(strategy, seed)
        }
    }

    #[test]
    fn a_record_is_a_line_that_is_read_again() {
        for record in [record("pubsub", 1), failed("gossip", 2)] {
            let line = serde_json::to_string(&record).expect("a record is JSON");
            assert!(!line.contains('\n'));
            assert_eq!(
                serde_json::from_str::<Record>(&line).expect("a record"),
                record
            );
        }
    }
}
