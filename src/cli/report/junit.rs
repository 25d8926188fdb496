//! `junit.xml`: a campaign as CI systems show test results.
//!
//! A suite is a strategy. Its cases are not its runs, which would be too many to show, but:
//!
//! - per group of failures one case that failed, with the first failure, the scenario file and the
//!   command that shows it again; an *error* where no oracle judged: a run that outlived its time,
//!   a lost worker, a run that did not come to the same twice; one that was *skipped* if the
//!   failure is known;
//! - per 1,000 seeds (more in campaigns over 100,000) one case that passed, which says how many of
//!   its runs did; or that was skipped, if none did;
//! - one case that was skipped, if runs were inconclusive, which says how many.
//!
//! A campaign that has fewer runs than planned has a suite `incomplete`, whose only case is skipped and
//! says why.
//!
//! A case's class is the strategy, with the scenario's path where it is a file. Times are those of
//! the runs one after another, not of the campaign.

use std::collections::BTreeMap;
use std::time::Duration;

use hublab_sim::campaign::group::{Group, What};
use hublab_sim::campaign::summary::{Chunk, Suite, Summary};
use hublab_sim::run::failure::Failure;
use hublab_sim::watch::judge::Verdict;
use hublab_strategies::Time;
use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

use super::{Reporter, Setting, Target, Totals};
use crate::cli::campaign::account::Account;
use crate::cli::campaign::words::title;
use crate::cli::render::number::{counted, grouped};
use crate::cli::{Context, Stop};

/// The suite of a campaign that has fewer runs than planned.
const INCOMPLETE: &str = "incomplete";

struct Junit;

pub(super) fn make(_setting: Setting, _context: &Context) -> Box<dyn Reporter> {
    Box::new(Junit)
}

impl Reporter for Junit {
    fn close(&mut self, totals: &Totals<'_>, to: &mut Target) -> Result<(), Stop> {
        to.text(&text(totals.account)?)
    }
}

/// The whole file.
///
/// # Errors
/// The writer of XML fails.
pub(super) fn text(account: Account<'_>) -> Result<String, Stop> {
    render(account).map_err(|error| Stop::Usage(error.to_string()))
}

fn render(account: Account<'_>) -> Result<String, SerializeError> {
    let summary = account.summary;
    let groups = summary.groups();
    let mut suites: BTreeMap<&str, TestSuite> = BTreeMap::new();
    for ((strategy, scenario), suite) in &summary.suites {
        let new = || {
            let mut suite = TestSuite::new(strategy.as_str());
            suite.add_property(("shard", account.shard.to_string().as_str()));
            suite
        };
        let cases = suites.entry(strategy).or_insert_with(new);
        let class = Account::suite(strategy, scenario);
        for (groups, is_known) in [(&groups.news, false), (&groups.known, true)] {
            let own = groups
                .iter()
                .filter(|group| group.key.strategy == *strategy && group.key.scenario == *scenario);
            for group in own {
                cases.add_test_case(failure(account, &class, group, is_known));
            }
        }
        cases.add_test_cases(passes(summary, &class, suite));
        cases.add_test_cases(inconclusive(&class, suite));
        let time = cases.time.unwrap_or_default();
        cases.set_time(time.saturating_add(Duration::from_micros(suite.wall_us)));
    }
    if let Some(text) = account.incomplete() {
        let cases = suites
            .entry(INCOMPLETE)
            .or_insert_with(|| TestSuite::new(INCOMPLETE));
        let mut status = TestCaseStatus::skipped();
        status.set_message(text);
        cases.add_test_case(TestCase::new("planned runs", status));
    }
    let mut report = Report::new(account.title);
    report.set_time(suites.values().filter_map(|suite| suite.time).sum());
    report.add_test_suites(suites.into_values());
    report.to_string()
}

fn failure(account: Account<'_>, class: &str, group: &Group<'_>, is_known: bool) -> TestCase {
    let key = group.key;
    let kind = match key.what {
        What::Failure { .. } => NonSuccessKind::Failure,
        What::Ended(_) => NonSuccessKind::Error,
    };
    let (mut status, known) = if is_known {
        (TestCaseStatus::skipped(), "known: ")
    } else {
        (TestCaseStatus::non_success(kind), "")
    };
    let (runs, seed) = (counted(group.runs, "run"), group.seed);
    let mut text = format!("strategy: {}\nscenario: {}\n", key.strategy, key.scenario);
    match group.finding {
        Some(finding) => {
            let first = first(finding);
            status.set_message(format!("{known}{runs}; the first is seed {seed}: {first}"));
            status.set_type(finding.signature.oracle.as_str());
        }
        None => {
            status.set_message(format!("{known}{runs}; the first is seed {seed}"));
            status.set_type(title(&key.what));
        }
    }
    for file in account.files(group) {
        text.push_str(&format!("file: {}\n", file.display()));
    }
    text.push_str(&account.repeat(group));
    status.set_description(text);
    let mut case = TestCase::new(name(group), status);
    case.set_classname(class);
    case
}

/// What the group is called. What is new and what is known of it have different fingerprints.
fn name(group: &Group<'_>) -> String {
    let named = group.name().map(|id| format!("{id}: ")).unwrap_or_default();
    let stem = group.fingerprints.first();
    let shrunk = stem.map(|stem| format!(" [{stem}]")).unwrap_or_default();
    format!("{named}{}{shrunk}", title(&group.key.what))
}

/// A finding in words: `n3 at 31s: ...`.
pub(in crate::cli) fn first(finding: &Failure) -> String {
    let at = Time(finding.at_us);
    match finding.node.as_str() {
        "" => format!("at {at}: {}", finding.detail),
        node => format!("{node} at {at}: {}", finding.detail),
    }
}

fn passes<'a>(
    summary: &Summary,
    class: &'a str,
    suite: &'a Suite,
) -> impl Iterator<Item = TestCase> + use<'a> {
    let size = summary.chunk();
    suite.chunks.iter().map(move |(first, chunk)| {
        let Chunk {
            runs,
            passed,
            wall_us,
            ..
        } = *chunk;
        let (status, of) = if passed > 0 {
            (TestCaseStatus::success(), grouped(passed))
        } else {
            (TestCaseStatus::skipped(), "none".to_owned())
        };
        let name = format!("seeds {first}..{}", first.saturating_add(size));
        let mut case = TestCase::new(name, status);
        case.set_classname(class)
            .set_time(Duration::from_micros(wall_us))
            .set_system_out(format!("{of} of {} passed", counted(runs, "run")));
        case
    })
}

fn inconclusive(class: &str, suite: &Suite) -> Option<TestCase> {
    let runs = suite.ended(Verdict::Inconclusive);
    (runs > 0).then(|| {
        let mut status = TestCaseStatus::skipped();
        status.set_message(format!("{} could not be judged", counted(runs, "run")));
        let mut case = TestCase::new("inconclusive", status);
        case.set_classname(class);
        case
    })
}

#[cfg(test)]
mod tests {
    use hublab_sim::campaign::record::Record;
    use junit_parser::{TestCase, TestStatus, TestSuites};

    use hublab_sim::campaign::shard::Shard;
    use hublab_sim::campaign::summary::Summary;

    use super::*;
    use crate::cli::campaign::account::Source;
    use crate::cli::campaign::words::tests::{asked, ended, failed, known, parameters, passed};

    /// What another crate reads of a campaign with these records.
    fn read_back(records: &[Record]) -> TestSuites {
        knowing(&[], records)
    }

    /// The same, of one that knew these failures.
    fn knowing(fingerprints: &[&str], records: &[Record]) -> TestSuites {
        let parameters = parameters(0..3_000);
        let mut summary = Summary::new(&parameters.seeds).knowing(known(fingerprints));
        records.iter().for_each(|record| summary.add(record));
        let text = render(Account {
            title: "hublab fuzz",
            source: Source::Campaign(asked(&parameters, &summary)),
            shard: Shard::WHOLE,
            summary: &summary,
            folder: None,
        });
        let text = text.expect("XML can be written");
        junit_parser::from_reader(text.as_bytes()).expect("another crate reads it")
    }

    fn names(cases: &[TestCase]) -> Vec<&str> {
        let names = cases.iter().map(|case| case.original_name.as_str());
        names.collect()
    }

    #[test]
    fn groups_chunks_and_endings_are_cases() {
        let report = read_back(&[
            failed("gossip", 7, Some("f")),
            failed("gossip", 8, Some("f")),
            failed("gossip", 1_009, None),
            passed("gossip", 5),
            passed("pubsub", 5),
            ended("pubsub", 2_500, Verdict::Inconclusive),
            ended("pubsub", 6, Verdict::TimedOut),
        ]);
        let [gossip, pubsub] = report.suites.as_slice() else {
            panic!("{report:#?}");
        };
        let title = "no_resurrection ghost (deliver gossip.sync)";
        assert_eq!(
            names(&gossip.cases),
            [
                &format!("A2: {title} [f]"),
                title,
                "seeds 0..1000",
                "seeds 1000..2000"
            ]
        );
        let counts = (gossip.tests, gossip.failures, gossip.errors, gossip.skipped);
        assert_eq!(counts, (4, 2, 0, 1), "no run of seeds 1000..2000 passed");
        let late = "outlived its wall-clock limit";
        assert_eq!(
            names(&pubsub.cases),
            [late, "seeds 0..1000", "seeds 2000..3000", "inconclusive"]
        );
        assert_eq!((pubsub.failures, pubsub.errors, pubsub.skipped), (0, 1, 2));
        assert_eq!(
            pubsub.cases[1].system_out.as_deref(),
            Some("1 of 2 runs passed")
        );
    }

    #[test]
    fn a_known_failure_is_skipped_and_a_new_one_is_not() {
        let records = [
            failed("gossip", 7, Some("f")),
            failed("gossip", 8, Some("g")),
        ];
        let report = knowing(&["f"], &records);
        let suite = &report.suites[0];
        assert_eq!((suite.failures, suite.errors), (1, 0));
        let known = suite
            .cases
            .iter()
            .find(|case| case.original_name.ends_with("[f]"));
        let Some(TestStatus::Skipped(known)) = known.map(|case| &case.status) else {
            panic!("{suite:#?}");
        };
        let begin = "known: 1 run; the first is seed 7: n3 at 31s";
        assert!(known.message.starts_with(begin), "{known:?}");
        let report = knowing(&["f", "g"], &records);
        assert_eq!(report.suites[0].failures, 0);
    }

    #[test]
    fn a_failure_says_what_where_and_how_to_see_it_again() {
        let report = read_back(&[failed("gossip", 7, None), failed("gossip", 9, None)]);
        let case = &report.suites[0].cases[0];
        let TestStatus::Failure(failure) = &case.status else {
            panic!("{case:?}");
        };
        assert_eq!(failure.failure_type, "no_resurrection");
        assert!(
            failure.message.starts_with(
                "2 runs; the first is seed 7: n3 at 31s: child <a> of seed 7 is \"back\" & 100%"
            ),
            "{failure:?}"
        );
        assert!(
            failure
                .text
                .contains("hublab fuzz --seeds 7..8 --strategy gossip"),
            "{failure:?}"
        );
    }
}
