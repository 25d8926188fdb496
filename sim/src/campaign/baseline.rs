//! Failures of a baseline: a second strategy is run in the same scenario with the same seed, and failures
//! that it has, too, are taken out of the first one's record.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::record::Record;
use super::trial::{Made, Source};
use crate::catalog::Catalog;
use crate::model::Scenario;
use crate::run::failure::{Signature, always, failures};
use crate::run::{RunError, Simulation};
use crate::watch::judge::Verdict;

/// The strategy that others are held against.
#[derive(Clone, Copy)]
pub(super) struct Baseline<'a> {
    pub(super) name: &'a str,
    pub(super) catalog: &'a Catalog,
}

/// Two failures are the same one for a baseline if these are equal: claim or oracle, and kind of defect.
type Kind = (String, String);

fn kind(signature: &Signature) -> Kind {
    let what = if signature.is_of_claim() {
        &signature.claim
    } else {
        &signature.oracle
    };
    (what.clone(), signature.defect.clone())
}

impl Baseline<'_> {
    /// Takes out of a record what the baseline shows as well, and counts it.
    ///
    /// # Errors
    /// The baseline is unknown or refuses its parameters.
    pub(super) fn subtract(
        self,
        source: &Source,
        oracles: &[&str],
        made: &Made,
        record: &mut Record,
    ) -> Result<(), RunError> {
        if record.findings.is_empty() || record.strategy == self.name {
            return Ok(());
        }
        let parameters = source.parameters(self.name, record.seed, made.level, self.catalog)?;
        let mut scenario = made.scenario.clone();
        scenario
            .expectations
            .extend(oracles.iter().map(|name| always(name)));
        let shown = self.shows(scenario, &parameters, record.seed, made.budget)?;
        let shown: BTreeSet<Kind> = shown.iter().map(kind).collect();
        let found = record.findings.len();
        let findings = &mut record.findings;
        findings.retain(|finding| !shown.contains(&kind(&finding.signature)));
        record.of_baseline = (found - findings.len()) as u64;
        if findings.is_empty() {
            let expectations = made.report.expectations.iter();
            let is_open = |verdict| verdict == Verdict::Inconclusive;
            let mut open = expectations.map(|one| is_open(one.verdict));
            record.verdict = if made.report.reason.is_some() || open.any(|open| open) {
                Verdict::Inconclusive
            } else {
                Verdict::Pass
            };
        }
        Ok(())
    }

    /// Everything that the baseline fails with in a scenario, if it runs with these parameters.
    fn shows(
        self,
        mut scenario: Scenario,
        parameters: &Map<String, Value>,
        seed: u64,
        budget: u64,
    ) -> Result<Vec<Signature>, RunError> {
        let own = scenario.strategies.entry(self.name.to_owned());
        own.or_insert_with(|| parameters.clone());
        let report = Simulation::new(&scenario, self.catalog)
            .strategy(self.name)?
            .seed(seed)
            .budget(budget)
            .unmeasured()
            .run()?;
        let all = failures(&scenario, &report).into_iter();
        Ok(all.map(|failure| failure.signature).collect())
    }
}

/// Sees to it that a shrunk failure stays one that the baseline does not show.
pub(super) struct Beyond<'a> {
    pub(super) baseline: Baseline<'a>,
    /// The baseline's parameters in the scenario that is shrunk.
    pub(super) parameters: Map<String, Value>,
    pub(super) signature: &'a Signature,
    /// The most events of a run.
    pub(super) budget: u64,
}

impl Beyond<'_> {
    /// True if the baseline does not show the failure in a candidate, which expects nothing else.
    pub(super) fn accepts(&self, candidate: &Scenario) -> bool {
        let seed = candidate.run.seed;
        let shown = self
            .baseline
            .shows(candidate.clone(), &self.parameters, seed, self.budget);
        let is_same = |one: &Signature| one.defect == self.signature.defect;
        shown.is_ok_and(|shown| !shown.iter().any(is_same))
    }
}
