//! What a campaign came to, in words and as an exit code.

use hublab_sim::campaign::group::{Groups, What};
use hublab_sim::campaign::summary::Summary;
use hublab_sim::watch::judge::Verdict;

use super::account::Account;
use crate::cli::exit::ExitStatus;
use crate::cli::render::number::{counted, grouped};

/// What all runs together came to, known failures aside. No run is no result, and what must happen in
/// some run and did in none leaves the campaign open.
pub(in crate::cli) fn exit_of(summary: &Summary) -> ExitStatus {
    if summary.runs() == 0 {
        return ExitStatus::Inconclusive;
    }
    let never = summary.never().map(|_| ExitStatus::Inconclusive);
    let exits = summary.endings().into_iter().map(ExitStatus::from);
    exits.chain(never).max().unwrap_or(ExitStatus::Held)
}

/// What a campaign came to, in one line, and how well.
pub(in crate::cli) fn result(account: Account<'_>) -> (ExitStatus, String) {
    let summary = account.summary;
    let groups = summary.groups();
    let open = summary.ended(Verdict::Inconclusive);
    let exit = exit_of(summary);
    let held = |held: &str| match (groups.known.is_empty(), open) {
        (true, 0) => held.to_owned(),
        (false, 0) => count(&groups),
        (is_empty, _) => {
            let others = if is_empty {
                "the others held".to_owned()
            } else {
                count(&groups)
            };
            let allowed = if exit == ExitStatus::Held {
                " (allowed)"
            } else {
                ""
            };
            format!("{} inconclusive{allowed}, {others}", grouped(open))
        }
    };
    let never = summary.never().count() as u64;
    let held = |word: &str| match never {
        0 => held(word),
        _ => format!(
            "{} never happened, {}",
            counted(never, "expected thing"),
            held("the runs held")
        ),
    };
    let shortfall = account.shortfall();
    let text = match exit {
        ExitStatus::Inconclusive if summary.runs() == 0 => "nothing was run".to_owned(),
        ExitStatus::Held | ExitStatus::Inconclusive if shortfall.is_some() => {
            held("what was made held")
        }
        ExitStatus::Held | ExitStatus::Inconclusive => held("all held"),
        ExitStatus::Failed
        | ExitStatus::Usage
        | ExitStatus::Mismatch
        | ExitStatus::Interrupted
        | ExitStatus::Bug => count(&groups),
    };
    match shortfall {
        Some((least, word)) => (exit.max(least), format!("{word}, {text}")),
        None => (exit, text),
    }
}

/// What a group has in common, in one line, without the strategy:
/// `no_resurrection ghost (deliver gossip.sync)`.
pub(in crate::cli) fn title(what: &What) -> String {
    match what {
        What::Failure { signature, .. } => {
            let text = signature.to_string();
            let named = text.strip_prefix(&signature.strategy);
            named.map_or(text.clone(), |rest| rest.trim_start().to_owned())
        }
        What::Ended(ending) => in_words(*ending).to_owned(),
    }
}

/// How many groups of failures there are.
pub(in crate::cli) fn count(of: &Groups<'_>) -> String {
    let groups = |of: &[_]| counted(of.len() as u64, "group");
    let (news, known) = (groups(&of.news), groups(&of.known));
    match (of.news.is_empty(), of.known.is_empty()) {
        (true, true) => "no failures".to_owned(),
        (true, false) => format!("no new failures, {known} of known ones"),
        (false, true) => format!("{news} of failures"),
        (false, false) => format!("{news} of failures, {known} of known ones"),
    }
}

/// An ending as people say it.
pub(in crate::cli) fn in_words(ending: Verdict) -> &'static str {
    match ending {
        Verdict::Pass => "passed",
        Verdict::Inconclusive => "inconclusive",
        Verdict::Fail => "failed",
        Verdict::TimedOut => "outlived its wall-clock limit",
        Verdict::WorkerLost => "ended its worker process",
        Verdict::NotReproduced => "failed, but not alone in a fresh process",
        Verdict::Mismatch => "came to another digest when it was made again",
        Verdict::Bug => "met a bug of hublab",
    }
}

#[cfg(test)]
pub(in crate::cli) mod tests {
    use std::ops::Range;

    use hublab_sim::campaign::known::Known;
    use hublab_sim::campaign::manifest::Parameters;
    use hublab_sim::campaign::record::Record;
    use hublab_sim::campaign::trial::GENERATED;
    use hublab_sim::capsule::Build;
    use hublab_sim::run::failure::{Failure, Signature};

    use super::*;
    use crate::cli::campaign::account::Asked;

    /// A run of a generated scenario that passed.
    pub(in crate::cli) fn passed(strategy: &str, seed: u64) -> Record {
        Record {
            events: 100,
            wall_us: 1_000,
            ..Record::bare(GENERATED, strategy, seed, Verdict::Pass)
        }
    }

    /// One in which a ghost came back.
    pub(in crate::cli) fn failed(strategy: &str, seed: u64, fingerprint: Option<&str>) -> Record {
        let signature = Signature {
            strategy: strategy.to_owned(),
            oracle: "no_resurrection".to_owned(),
            defect: "ghost".to_owned(),
            cause: format!("deliver {strategy}.sync"),
            ..Signature::default()
        };
        Record {
            verdict: Verdict::Fail,
            findings: vec![Failure {
                signature,
                at_us: 31_000_000,
                node: "n3".to_owned(),
                detail: format!("child <a> of seed {seed} is \"back\" & 100% | there\nagain"),
                line: 0,
                event: None,
                hint: None,
                fingerprint: fingerprint.map(str::to_owned),
                anomaly: fingerprint.map(|_| "A2".to_owned()),
            }],
            ..passed(strategy, seed)
        }
    }

    /// One that ended without a finding.
    pub(in crate::cli) fn ended(strategy: &str, seed: u64, verdict: Verdict) -> Record {
        Record {
            verdict,
            ..passed(strategy, seed)
        }
    }

    /// A campaign over generated scenarios.
    pub(in crate::cli) fn parameters(seeds: Range<u64>) -> Parameters {
        Parameters {
            build: Build::current(),
            files: Vec::new(),
            strategies: vec!["pubsub".to_owned(), "gossip".to_owned()],
            seeds,
            oracles: "claims".to_owned(),
            baseline: None,
            without: Vec::new(),
            set: Vec::new(),
            twice_percent: 0,
        }
    }

    /// All of a campaign whose runs are those of a summary.
    pub(in crate::cli) fn asked<'a>(parameters: &'a Parameters, summary: &Summary) -> Asked<'a> {
        Asked {
            parameters,
            planned: summary.runs(),
            end: None,
            has_holes: false,
            coverage: None,
        }
    }

    /// These are known.
    pub(in crate::cli) fn known(fingerprints: &[&str]) -> Known {
        Known::new(fingerprints.iter().copied().map(str::to_owned))
    }

    fn knowing(fingerprints: &[&str], records: &[Record]) -> Summary {
        let mut summary = Summary::new(&(0..1_000)).knowing(known(fingerprints));
        records.iter().for_each(|record| summary.add(record));
        summary
    }

    #[test]
    fn a_group_is_called_by_what_fails() {
        let summary = knowing(&[], &[failed("gossip", 1, Some("f"))]);
        let groups = summary.groups();
        assert_eq!(
            title(&groups.news[0].key.what),
            "no_resurrection ghost (deliver gossip.sync)"
        );
    }

    #[test]
    fn the_exit_is_that_of_the_worst_run() {
        for (how, code) in [
            (Verdict::Pass, 0),
            (Verdict::Inconclusive, 3),
            (Verdict::Fail, 1),
            (Verdict::TimedOut, 1),
            (Verdict::WorkerLost, 1),
            (Verdict::NotReproduced, 4),
            (Verdict::Mismatch, 4),
            (Verdict::Bug, 70),
        ] {
            let tally = knowing(&[], &[ended("gossip", 1, how), passed("gossip", 2)]);
            assert_eq!(exit_of(&tally).code(), code, "{how:?}");
        }
    }

    #[test]
    fn what_is_known_does_not_fail_a_campaign_and_what_is_new_does() {
        let shrunk = failed("pubsub", 1, Some("f"));
        let alike = failed("pubsub", 2, None);
        let other = failed("pubsub", 4, Some("g"));
        let exit = |known: &str, records: &[&Record]| {
            let records: Vec<Record> = records.iter().copied().cloned().collect();
            exit_of(&knowing(&[known], &records))
        };
        assert_eq!(exit("f", &[&shrunk]), ExitStatus::Held);
        assert_eq!(exit("g", &[&shrunk]), ExitStatus::Failed);
        let both = [&shrunk, &alike, &passed("pubsub", 3)];
        assert_eq!(
            exit("f", &both),
            ExitStatus::Held,
            "it looks like the known one"
        );
        assert_eq!(
            exit("f", &[&alike]),
            ExitStatus::Failed,
            "nothing tells what it is"
        );
        assert_eq!(exit("f", &[&shrunk, &other]), ExitStatus::Failed);
        assert_eq!(
            count(&knowing(&["f"], &[other, alike, shrunk]).groups()),
            "2 groups of failures, 1 group of known ones",
            "what looks like both may be the other one"
        );
    }

    #[test]
    fn a_lost_worker_is_news_whatever_is_known() {
        for (how, exit) in [
            (Verdict::WorkerLost, ExitStatus::Failed),
            (Verdict::Inconclusive, ExitStatus::Inconclusive),
            (Verdict::Fail, ExitStatus::Failed),
        ] {
            let records = [failed("pubsub", 1, Some("f")), ended("pubsub", 2, how)];
            assert_eq!(exit_of(&knowing(&["f"], &records)), exit, "{how:?}");
        }
    }
}
