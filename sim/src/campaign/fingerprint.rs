//! The key by which campaigns group shrunk failures.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::Scenario;
use crate::run::failure::Signature;
use crate::shrink::step_kinds;

/// The group of a failure: what fails, what it takes to make it fail, and its name if it has one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fingerprint {
    /// What fails.
    pub signature: Signature,
    /// The kinds of the steps that are left after shrinking, each once, in order.
    pub steps: Vec<String>,
    /// The anomaly that it is, as `A5`; `None` if none matches.
    pub anomaly: Option<String>,
}

impl Fingerprint {
    /// That of a shrunk scenario.
    #[must_use]
    pub fn new(signature: Signature, shrunk: &Scenario, anomaly: Option<&str>) -> Self {
        Self {
            signature,
            steps: step_kinds(shrunk).into_iter().map(str::to_owned).collect(),
            anomaly: anomaly.map(str::to_owned),
        }
    }

    /// A name for files: some of its words for people, and 8 hexadecimal digits of a hash over all
    /// of it. Lower-case letters, digits, `-` and `_`; the same in every build.
    #[must_use]
    pub fn slug(&self) -> String {
        let signature = &self.signature;
        let words = [
            signature.strategy.as_str(),
            signature.oracle.as_str(),
            signature.defect.as_str(),
            self.anomaly.as_deref().unwrap_or_default(),
            &self.hash(),
        ];
        let words: Vec<String> = words
            .into_iter()
            .filter(|word| !word.is_empty())
            .map(file_word)
            .collect();
        words.join("-")
    }

    /// Each part with its length before it, so that no two fingerprints hash the same text.
    fn hash(&self) -> String {
        let signature = &self.signature;
        let parts = [
            signature.strategy.as_str(),
            signature.oracle.as_str(),
            signature.defect.as_str(),
            signature.cause.as_str(),
            self.anomaly.as_deref().unwrap_or_default(),
        ];
        let claim = Some(signature.claim.as_str()).filter(|claim| !claim.is_empty());
        let mut hasher = blake3::Hasher::new();
        for part in parts
            .into_iter()
            .chain(claim)
            .chain(self.steps.iter().map(String::as_str))
        {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finalize().to_hex()[..8].to_owned()
    }
}

impl fmt::Display for Fingerprint {
    /// `A2: gossip no_resurrection ghost (deliver gossip.sync) after start_children, stop_children`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(anomaly) = &self.anomaly {
            write!(f, "{anomaly}: ")?;
        }
        write!(f, "{}", self.signature)?;
        if self.steps.is_empty() {
            write!(f, " without a step")
        } else {
            write!(f, " after {}", self.steps.join(", "))
        }
    }
}

/// A word of a file name: other strategies may be called anything.
fn file_word(word: &str) -> String {
    const LONGEST: usize = 40;
    word.chars()
        .take(LONGEST)
        .map(|c| match c.to_ascii_lowercase() {
            c if c.is_ascii_alphanumeric() || c == '_' => c,
            _ => '_',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Fingerprint {
        Fingerprint {
            signature: Signature {
                strategy: "gossip".to_owned(),
                oracle: "no_resurrection".to_owned(),
                defect: "ghost".to_owned(),
                cause: "deliver gossip.sync".to_owned(),
                claim: String::new(),
            },
            steps: vec!["start_children".to_owned(), "stop_children".to_owned()],
            anomaly: Some("A2".to_owned()),
        }
    }

    #[test]
    fn it_reads_as_a_sentence_and_names_a_file() {
        let one = example();
        assert_eq!(
            one.to_string(),
            "A2: gossip no_resurrection ghost (deliver gossip.sync) after start_children, stop_children"
        );
        assert_eq!(one.slug(), "gossip-no_resurrection-ghost-a2-5a572dbd");
    }

    #[test]
    fn each_part_makes_another_name() {
        let one = example();
        let mut others = vec![one.clone(), one.clone(), one.clone(), one.clone()];
        others[0].anomaly = None;
        others[1].signature.cause = "peer_down".to_owned();
        others.push(one.clone());
        others[4].signature.claim = "5a572dbd".to_owned();
        others[2].steps.pop();
        others[3].steps.insert(0, "crash".to_owned());
        for other in others {
            assert_ne!(one.slug(), other.slug());
        }
    }

    #[test]
    fn no_name_of_a_strategy_leads_out_of_a_directory() {
        let mut one = example();
        one.signature.strategy = "../\0x".to_owned();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        assert!(one.slug().chars().all(plain), "{}", one.slug());
    }
}
