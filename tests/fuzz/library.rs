//! Campaigns of a program's own tests: [`Campaign::worker`] makes its runs in processes of this
//! program, whose `main` is that of the command line.

use std::env;
use std::ops::ControlFlow;
use std::panic::catch_unwind;
use std::process::Command;
use std::time::Duration;

use hublab::sim::campaign::record::Record;
use hublab::sim::campaign::{Campaign, CampaignError, Observer};
use hublab::sim::watch::judge::Verdict;

use crate::catalog;
use crate::place::scale;

pub(crate) const TESTS: &[(&str, fn())] = &[
    (
        "workers_and_threads_make_the_same_runs",
        workers_and_threads_make_the_same_runs,
    ),
    (
        "a_worker_that_dies_or_hangs_takes_one_run_along",
        a_worker_that_dies_or_hangs_takes_one_run_along,
    ),
    (
        "a_test_says_what_its_campaign_found",
        a_test_says_what_its_campaign_found,
    ),
    (
        "a_program_that_is_no_worker_is_told_of",
        a_program_that_is_no_worker_is_told_of,
    ),
];

/// The command that the documentation of campaigns tells to give.
fn worker() -> Command {
    let mut command = Command::new(env::current_exe().expect("a program knows its file"));
    command.arg("__worker");
    command
}

fn campaign(strategy: &str) -> Campaign {
    Campaign::new(strategy).catalog(catalog())
}

/// All records of a campaign by seed, without what differs from time to time.
#[derive(Default)]
struct Records(Vec<Record>);

impl Observer for Records {
    fn record(&mut self, record: &Record) -> ControlFlow<()> {
        self.0.push(Record {
            wall_us: 0,
            ..record.clone()
        });
        ControlFlow::Continue(())
    }
}

fn records(campaign: &Campaign) -> Vec<Record> {
    let mut records = Records::default();
    campaign.run(&mut records).expect("workers can be started");
    records.0.sort_by_key(|record| record.seed);
    records.0
}

fn endings(records: &[Record]) -> Vec<Verdict> {
    records.iter().map(|record| record.verdict).collect()
}

fn workers_and_threads_make_the_same_runs() {
    let campaign = || campaign("forgetful").seeds(0..10 * scale()).jobs(2);
    let by_threads = records(&campaign());
    assert_eq!(by_threads.len() as u64, 10 * scale());
    assert!(endings(&by_threads).contains(&Verdict::Fail));
    assert_eq!(records(&campaign().worker(worker)), by_threads);
}

fn a_worker_that_dies_or_hangs_takes_one_run_along() {
    for (strategy, ending) in [
        ("deep", Verdict::WorkerLost),
        ("endless", Verdict::TimedOut),
    ] {
        let campaign = campaign(strategy)
            .seeds(0..2)
            .wall_limit(Duration::from_secs(1))
            .worker(worker);
        assert_eq!(endings(&records(&campaign)), [ending; 2], "{strategy}");
    }
}

fn a_test_says_what_its_campaign_found() {
    campaign("pubsub").seeds(0..5).worker(worker).assert_clean();
    let failing = || {
        campaign("forgetful")
            .seeds(0..5)
            .worker(worker)
            .assert_clean()
    };
    let panic = catch_unwind(failing).expect_err("it is not clean");
    let said = panic.downcast::<String>().expect("a text");
    assert!(
        said.contains("of 5 runs failed") && said.contains("forgetful own_truth"),
        "{said}"
    );
}

fn a_program_that_is_no_worker_is_told_of() {
    let other = campaign("pubsub")
        .seeds(0..5)
        .worker(|| Command::new("true"));
    assert!(matches!(other.run(&mut ()), Err(CampaignError::Worker(_))));
    let missing = campaign("pubsub")
        .seeds(0..5)
        .worker(|| Command::new("/no/such/program"));
    assert!(matches!(missing.run(&mut ()), Err(CampaignError::Start(_))));
}
