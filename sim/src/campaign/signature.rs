//! What makes two failures the same one.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::run::report::Report;
use crate::watch::judge::Verdict;
use crate::watch::oracle::Violation;

/// What fails, without where and when: shrinking keeps it, and campaigns group by it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Signature {
    /// The strategy.
    pub strategy: String,
    /// The oracle; for an expectation of a file, its claim's key.
    pub oracle: String,
    /// The kind of defect: `absent`, `ghost`, `wrong`, ...; empty for an expectation.
    pub defect: String,
    /// The kind of event that made it: `deliver pubsub.sync`, `peer_down`, ...; may be empty.
    pub cause: String,
}

impl Signature {
    /// That of a violation.
    #[must_use]
    pub fn of(strategy: &str, violation: &Violation) -> Self {
        Self {
            strategy: strategy.to_owned(),
            oracle: violation.oracle.clone(),
            defect: violation.defect.clone(),
            cause: violation.cause.clone(),
        }
    }

    /// Everything that fails in a run, each once, in order: violations, and expectations of the
    /// file that do not follow from one.
    #[must_use]
    pub fn all(report: &Report) -> Vec<Self> {
        let mut all: Vec<Self> = report
            .violations
            .iter()
            .map(|violation| Self::of(&report.strategy, violation))
            .collect();
        let failed = report
            .expectations
            .iter()
            .filter(|judgement| judgement.verdict == Verdict::Fail && judgement.claim != "always");
        all.extend(failed.map(|judgement| Self {
            strategy: report.strategy.clone(),
            oracle: judgement.claim.clone(),
            defect: String::new(),
            cause: String::new(),
        }));
        all.sort();
        all.dedup();
        all
    }
}

impl fmt::Display for Signature {
    /// `gossip no_resurrection ghost (deliver gossip.sync)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.strategy, self.oracle)?;
        if !self.defect.is_empty() {
            write!(f, " {}", self.defect)?;
        }
        if !self.cause.is_empty() {
            write!(f, " ({})", self.cause)?;
        }
        Ok(())
    }
}
