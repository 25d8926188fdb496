//! Branches, changes, and what `blame` makes of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hublab_sim::blame::{Blame, Ended, Job, Limits, Outcome, Question, Runner, blame};
use hublab_sim::capsule::judge::judge;
use hublab_sim::capsule::twice::record;
use hublab_sim::generate::{Options, generate};
use hublab_sim::scenario::{Branch, Change, MessageId, Style, TimerKind, render, resolve};
use hublab_sim::shrink::{Budget, Target, findings, shrink};
use hublab_sim::trace::Sink;
use hublab_sim::trace::event::{Event, Payload};
use hublab_sim::watch::judge::Verdict;
use hublab_sim::{Catalog, Report, Scenario, Simulation};
use hublab_strategies::time::micros;

/// Makes runs one after another.
struct Plain<'a>(&'a Question, &'a Catalog);

impl Runner for Plain<'_> {
    fn run(&mut self, jobs: &[Job]) -> Option<Vec<Outcome>> {
        Some(jobs.iter().map(|job| self.0.run(job, self.1)).collect())
    }
}

#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<Event>>>);

impl Sink for Events {
    fn reads_contents(&self) -> bool {
        false
    }

    fn event(&mut self, event: &Event) {
        self.0.lock().expect("one thread").push(event.clone());
    }
}

fn run(scenario: &Scenario, strategy: &str, seed: u64, catalog: &Catalog) -> (Report, Vec<Event>) {
    let events = Events::default();
    let report = Simulation::new(scenario, catalog)
        .strategy(strategy)
        .expect("a strategy of the catalog")
        .seed(seed)
        .unmeasured()
        .sink(events.clone())
        .run()
        .expect("it can be run");
    let events = std::mem::take(&mut *events.0.lock().expect("one thread"));
    (report, events)
}

fn generated(seed: u64, strategy: &str, catalog: &Catalog) -> Scenario {
    let entry = catalog.get(strategy).expect("a strategy of the catalog");
    generate(seed, entry, &Options::default()).scenario
}

fn branched(scenario: &Scenario, after_us: u64, number: u64) -> Scenario {
    let mut branched = scenario.clone();
    branched.run.branch = Some(Branch {
        after: Duration::from_micros(after_us),
        number,
    });
    branched
}

fn until(events: &[Event], us: u64) -> &[Event] {
    &events[..events.partition_point(|event| event.at.0 <= us)]
}

#[test]
fn a_branch_is_the_run_up_to_its_instant_and_another_one_behind_it() {
    let catalog = Catalog::default();
    let mut other = 0;
    for seed in 0..60 {
        for strategy in ["pubsub", "gossip"] {
            let scenario = generated(seed, strategy, &catalog);
            let (report, events) = run(&scenario, strategy, seed, &catalog);
            let after = events[events.len() / 2].at.0;
            let branch = branched(&scenario, after, 1);
            let (branch_report, branch_events) = run(&branch, strategy, seed, &catalog);
            assert_eq!(
                until(&events, after),
                until(&branch_events, after),
                "seed {seed}"
            );
            other += u32::from(report.digest != branch_report.digest);
            let (again, _) = run(&branch, strategy, seed, &catalog);
            assert_eq!(again.digest, branch_report.digest);
            // Written down and read again it is the same run.
            let text = render(&resolve(&branch, seed, &catalog), Style::Full);
            let read =
                Scenario::read("branch", text.as_bytes(), &catalog).expect("it is a scenario");
            assert_eq!(
                run(&read, strategy, seed, &catalog).0.digest,
                branch_report.digest
            );
            // Behind the end there is nothing to draw.
            let end = branched(&scenario, micros(scenario.run.duration), 1);
            assert_eq!(run(&end, strategy, seed, &catalog).0.digest, report.digest);
        }
    }
    assert!(
        other > 100,
        "{other} of 120 branches differ from their runs"
    );
}

#[test]
fn a_lost_message_moves_no_other_draw() {
    let catalog = Catalog::default();
    let mut compared = 0;
    for seed in 0..40 {
        let scenario = generated(seed, "pubsub", &catalog);
        let (_, events) = run(&scenario, "pubsub", seed, &catalog);
        let sent: Vec<(MessageId, u64, u64)> = messages(&events);
        let Some((lost, at, _)) = sent.get(sent.len() / 2).copied() else {
            continue;
        };
        let mut changed = scenario.clone();
        changed.run.changes = vec![Change::Lose(lost)];
        let (_, other) = run(&changed, "pubsub", seed, &catalog);
        assert_eq!(
            until(&events, at.saturating_sub(1)),
            until(&other, at.saturating_sub(1))
        );
        let others: BTreeMap<MessageId, (u64, u64)> = messages(&other)
            .into_iter()
            .map(|(id, at, due)| (id, (at, due)))
            .collect();
        assert!(!others.contains_key(&lost), "seed {seed}: it is lost");
        if scenario.network.base.bytes_per_second > 0 {
            continue;
        }
        for (id, at, due) in sent {
            // What is sent at the same instant under the same number has the same latency, but for what
            // waits behind others.
            if let Some((other_at, other_due)) = others.get(&id)
                && *other_at == at
                && (id.from, id.to, id.channel) != (lost.from, lost.to, lost.channel)
            {
                compared += 1;
                assert_eq!(*other_due, due, "seed {seed}: {id:?}");
            }
        }
    }
    assert!(compared > 1_000, "{compared} messages were compared");
}

/// The messages that arrive: which, sent when, due when.
fn messages(events: &[Event]) -> Vec<(MessageId, u64, u64)> {
    let message = |event: &Event| {
        let Payload::Sent {
            to,
            channel,
            number,
            due,
            ..
        } = &event.payload
        else {
            return None;
        };
        let id = MessageId {
            from: event.node,
            to: *to,
            channel: *channel,
            number: u32::try_from(*number).expect("few messages"),
        };
        Some((id, event.at.0, (*due)?.0))
    };
    events.iter().filter_map(message).collect()
}

const SMALL: &str = "
schema = 1
[run]
duration = '40s'
[cluster]
nodes = 2
[network]
latency = { constant = '5ms' }
[[step]]
at = '3s'
start_children = { on = 'n1', ids = ['a'] }
";

fn small(changes: Vec<Change>) -> Vec<Event> {
    let catalog = Catalog::default();
    let mut scenario = Scenario::read("small", SMALL.as_bytes(), &catalog).expect("a scenario");
    scenario.run.changes = changes;
    run(&scenario, "pubsub", 1, &catalog).1
}

#[test]
fn each_change_does_what_it_says() {
    let message = MessageId {
        from: 0,
        to: 1,
        channel: 0,
        number: 0,
    };
    let handled = |events: &[Event]| -> Vec<u64> {
        let is_it = |event: &&Event| {
            matches!(
                event.payload,
                Payload::Delivered {
                    from: 0,
                    number: 0,
                    ..
                }
            ) && event.node == 1
                && (3_000_000..9_000_000).contains(&event.at.0)
        };
        events
            .iter()
            .filter(is_it)
            .map(|event| event.at.0)
            .collect()
    };
    let at = |us| Duration::from_micros(us);
    assert_eq!(handled(&small(vec![])), [3_005_000]);
    assert!(handled(&small(vec![Change::Lose(message)])).is_empty());
    let moved = |us| {
        vec![Change::Arrive {
            message,
            at: at(us),
        }]
    };
    assert_eq!(handled(&small(moved(3_100_000))), [3_100_000]);
    assert_eq!(
        handled(&small(moved(3_001_000))),
        [3_001_000],
        "earlier, too"
    );
    assert_eq!(
        handled(&small(moved(1_000))),
        [3_000_000],
        "not before it is sent"
    );
    let doubled = vec![Change::Double {
        message,
        at: at(4_000_000),
    }];
    assert_eq!(handled(&small(doubled)), [3_005_000, 4_000_000]);

    let rounds = |events: &[Event]| -> Vec<u64> {
        let is_round = |event: &&Event| {
            event.node == 0
                && matches!(
                    event.payload,
                    Payload::Timer(hublab_strategies::TimerKey::Sync)
                )
        };
        events
            .iter()
            .filter(is_round)
            .map(|event| event.at.0)
            .collect()
    };
    let plain = rounds(&small(vec![]));
    let first = plain[0];
    let fire = Change::Fire {
        node: 0,
        timer: TimerKind::Sync,
        key: 0,
        due: at(first),
        at: at(first - 1_000),
    };
    assert_eq!(rounds(&small(vec![fire]))[0], first - 1_000);
}

#[test]
fn a_change_of_what_does_not_occur_leaves_the_run_inconclusive() {
    let catalog = Catalog::default();
    let at = Duration::from_millis;
    let message = |channel, number| MessageId {
        from: 0,
        to: 1,
        channel,
        number,
    };
    let first = Change::Lose(message(0, 0));
    let sync = |key, due| Change::Fire {
        node: 0,
        timer: TimerKind::Sync,
        key,
        due: at(due),
        at: at(2_000),
    };
    let draw = |ms| Change::Draw {
        node: 1,
        at: at(ms),
        number: 1,
    };
    let report = |changes: &[Change]| {
        let mut scenario = Scenario::read("small", SMALL.as_bytes(), &catalog).expect("a scenario");
        scenario.run.changes = changes.to_vec();
        record(&scenario, "pubsub", 1, &catalog).expect("it can be run")
    };
    let events = small(vec![]);
    let round = events.iter().find(|event| {
        event.node == 0
            && matches!(
                event.payload,
                Payload::Timer(hublab_strategies::TimerKey::Sync)
            )
    });
    let due = round.expect("a round").at.0 / 1_000;
    for met in [first, sync(0, due), draw(3_000)] {
        let (report, _) = report(&[met]);
        assert_eq!(report.unmet_changes, [""; 0], "{met:?}");
        assert_ne!(report.verdict, Verdict::Inconclusive, "{met:?}");
    }
    let never = [
        Change::Lose(message(0, 4_000)),
        Change::Arrive {
            message: message(9, 0),
            at: at(1),
        },
        Change::Double {
            message: MessageId {
                from: 1,
                to: 1,
                ..message(0, 0)
            },
            at: at(1),
        },
        sync(0, due + 1),
        sync(7, due),
        draw(86_400_000),
    ];
    for unmet in never {
        // Beside one that is met, which is not named.
        let (told, mut capsule) = report(&[first, unmet]);
        assert_eq!(told.unmet_changes.len(), 1, "{unmet:?}");
        assert_eq!(told.verdict, Verdict::Inconclusive, "{unmet:?}");
        let reason = told.reason.as_deref().expect("a reason");
        assert!(reason.contains("does not occur"), "{reason}");
        let again = judge(&mut capsule, &catalog, &[]).expect("it is judged");
        assert_eq!(again.report.verdict, told.verdict);
        assert_eq!(again.report.reason, told.reason);
    }
}

#[test]
fn an_arrival_passes_a_cut_and_a_loss() {
    let catalog = Catalog::default();
    let text = format!("{SMALL}[[step]]\nat = '2s'\ncut = {{ from = ['n1'], to = ['n2'] }}\n");
    let mut scenario = Scenario::read("cut", text.as_bytes(), &catalog).expect("a scenario");
    let shows = |scenario: &Scenario| {
        let (_, events) = run(scenario, "pubsub", 1, &catalog);
        let row = |event: &Event| event.node == 1 && matches!(event.payload, Payload::Row { .. });
        events.iter().any(row)
    };
    assert!(!shows(&scenario));
    let message = MessageId {
        from: 0,
        to: 1,
        channel: 0,
        number: 0,
    };
    scenario.run.changes = vec![Change::Arrive {
        message,
        at: Duration::from_secs(5),
    }];
    assert!(shows(&scenario));
}

#[test]
fn a_choice_drawn_anew_is_another_choice_and_all_later_ones_stay() {
    let catalog = Catalog::default();
    let text = SMALL.replace("nodes = 2", "nodes = 8");
    let mut scenario = Scenario::read("choice", text.as_bytes(), &catalog).expect("a scenario");
    let (plain, events) = run(&scenario, "gossip", 1, &catalog);
    let at = events.iter().find(|event| {
        event.node == 0 && event.at.0 >= 3_000_000 && matches!(event.payload, Payload::Sent { .. })
    });
    let at = at.expect("n1 tells others of its child").at.0;
    let digests: std::collections::BTreeSet<_> = (1..=8)
        .map(|number| {
            let at = Duration::from_micros(at);
            scenario.run.changes = vec![Change::Draw {
                node: 0,
                at,
                number,
            }];
            let (report, other) = run(&scenario, "gossip", 1, &catalog);
            assert_eq!(
                until(&events, micros(at) - 1),
                until(&other, micros(at) - 1)
            );
            report.digest
        })
        .collect();
    assert!(digests.len() > 2, "{} different runs", digests.len());
    // PubSub draws nothing.
    scenario.run.changes.clear();
    let (plain_pubsub, _) = run(&scenario, "pubsub", 1, &catalog);
    scenario.run.changes = vec![Change::Draw {
        node: 0,
        at: Duration::from_micros(at),
        number: 1,
    }];
    assert_eq!(
        run(&scenario, "pubsub", 1, &catalog).0.digest,
        plain_pubsub.digest
    );
    assert_ne!(plain.digest, plain_pubsub.digest);
}

fn ask(question: &Question, catalog: &Catalog) -> Blame {
    blame(question, Limits::default(), &mut Plain(question, catalog))
}

fn anomaly(file: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/anomalies");
    let found = std::fs::read_dir(folder).expect("the anomalies are there");
    let path = found
        .map(|entry| entry.expect("readable").path())
        .find(|path| {
            path.file_stem()
                .is_some_and(|stem| stem.to_string_lossy().starts_with(file))
        });
    std::fs::read_to_string(path.expect("one of that name")).expect("readable")
}

/// The anomalies that campaigns with all oracles meet most, of which a single message or timer is what
/// their descriptions name: file, strategy, oracle, what must be added to ask about it, and the pivot.
const NAMED: &[(&str, &str, Option<&str>, &str, &str)] = &[
    (
        "a01",
        "pubsub",
        None,
        "",
        "pubsub.sync #0 from n1; n1: old) comes after",
    ),
    (
        "a02",
        "pubsub",
        None,
        "",
        "pubsub.sync #0 from n1; n1: a) comes after",
    ),
    (
        "a03",
        "pubsub",
        None,
        "",
        "pubsub.sync #0 from n1; n1: a) comes after",
    ),
    ("a04", "pubsub", None, "", "pubsub.requests #1 from n1"),
    ("a05", "pubsub", None, "", "pubsub.sync #0 from n2"),
    (
        "a08",
        "gossip",
        Some("convergence"),
        "",
        "gossip.propagate #0 from n2",
    ),
    (
        "a10",
        "pubsub",
        None,
        "[[expect]]\nat = '29s'\nregistry = { on = 'n2', has = ['new'] }\n",
        "never gets pubsub.requests #2 from n1",
    ),
    ("a18", "pubsub", None, "", "pubsub.requests #0 from n2"),
    ("g05", "gossip", None, "", "gossip.propagate #0 from n1"),
    ("g10", "gossip", None, "", "gossip.sync #0 from n1"),
    ("m01", "pubsub", Some("join_prompt"), "", "comes before"),
];

#[test]
fn the_first_pivot_is_the_message_that_the_anomaly_names() {
    let catalog = Catalog::default();
    let mut wrong = Vec::new();
    for (file, strategy, oracle, more, named) in NAMED {
        let text = format!("{}\n{more}", anomaly(file));
        let scenario = Scenario::read(file, text.as_bytes(), &catalog).expect("a scenario");
        let run = (*strategy, scenario.run.seed);
        let question = Question::new(&scenario, run, None, *oracle, &catalog)
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        let answer = ask(&question, &catalog);
        assert_eq!(answer.ended, Ended::Complete, "{file}");
        // All of them have constant latencies and are certain from the start: so is every instant.
        let flat = answer.curve.iter().all(|point| point.fails == point.of);
        assert!(flat && answer.jump.is_none(), "{file}: {:?}", answer.curve);
        let first = answer
            .pivots
            .first()
            .map(|pivot| pivot.sentence(question.names()));
        println!(
            "{file} {strategy}: {}",
            first.as_deref().unwrap_or("no pivot")
        );
        if !first.as_ref().is_some_and(|first| first.contains(named)) {
            wrong.push(format!("{file}: {first:?} does not name {named}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What is lost or not is drawn: the first request is lost in half of the runs.
const CHANCE: &str = "
schema = 1
[run]
duration = '12s'
[cluster]
nodes = 2
[network]
latency = { uniform = ['1ms', '10ms'] }
[[network.link]]
from = ['n1']
to = ['n2']
channels = ['requests']
loss = 0.5
[[step]]
at = '6s'
start_children = { on = 'n1', ids = ['a'] }
[[expect]]
at = '11s'
registry = { on = 'n2', has = ['a'] }
";

#[test]
fn a_curve_jumps_where_it_was_decided_and_is_flat_behind_it() {
    let catalog = Catalog::default();
    let scenario = Scenario::read("chance", CHANCE.as_bytes(), &catalog).expect("a scenario");
    let question = (1..50)
        .find_map(|seed| Question::new(&scenario, ("pubsub", seed), None, None, &catalog).ok());
    let question = question.expect("half of the seeds lose it");
    let answer = ask(&question, &catalog);
    for point in &answer.curve {
        if point.after_us >= 6_000_000 {
            assert_eq!(point.fails, point.of, "certain from 6 s on: {point:?}");
        } else {
            assert!(
                (0.2..0.8).contains(&point.share()),
                "even before: {point:?}"
            );
            assert!(point.low < 0.5 && point.high > 0.5, "{point:?}");
        }
    }
    let (from, to) = answer.jump.expect("it jumps");
    assert!(from.0 < 6_000_000 && to.0 == 6_000_000, "{from} {to}");
    let first = &answer.pivots[0];
    let sentence = first.sentence(question.names());
    assert!(
        sentence.contains("pubsub.requests #0 from n1: loss"),
        "{sentence}"
    );
    assert_eq!((first.fails, first.fails_changed), (32, 0));
    // The same question has the same answer.
    assert_eq!(ask(&question, &catalog), answer);
}

#[test]
fn too_few_runs_give_a_part_of_the_answer() {
    let catalog = Catalog::default();
    let scenario = Scenario::read("chance", CHANCE.as_bytes(), &catalog).expect("a scenario");
    let found = (1..50)
        .find_map(|seed| Question::new(&scenario, ("pubsub", seed), None, None, &catalog).ok());
    let question = found.expect("half of the seeds lose it");
    let limits = Limits {
        runs: 200,
        ..Limits::default()
    };
    let answer = blame(&question, limits, &mut Plain(&question, &catalog));
    assert_eq!(answer.ended, Ended::OutOfRuns);
    assert!(answer.runs <= 200 && !answer.curve.is_empty());
}

#[test]
fn a_question_about_nothing_is_refused_with_what_can_be_asked() {
    let catalog = Catalog::default();
    let refused = |text: &str, oracle: Option<&str>| {
        let scenario = Scenario::read("x", text.as_bytes(), &catalog).expect("a scenario");
        let asked = Question::new(&scenario, ("pubsub", 1), None, oracle, &catalog);
        asked.expect_err("nothing fails").to_string()
    };
    assert_eq!(
        refused(SMALL, None),
        "nothing fails in this run, and it breaks no oracle"
    );
    assert_eq!(
        refused(SMALL, Some("no_crash")),
        "the run does not fail with no_crash; nothing fails in it"
    );
}

/// The first failures of generated runs that an event broke, shrunk as campaigns do.
fn generated_failures(strategy: &str, count: usize, catalog: &Catalog) -> Vec<Question> {
    const ORACLES: [&str; 4] = [
        "no_false_absence",
        "no_resurrection",
        "membership_containment",
        "single_writer",
    ];
    let mut found = Vec::new();
    for seed in 0.. {
        let scenario = generated(seed, strategy, catalog);
        for oracle in ORACLES {
            if found.len() == count {
                return found;
            }
            let signatures = findings(&scenario, strategy, seed, &[oracle], catalog);
            let Some(signature) = signatures
                .expect("it can be run")
                .into_iter()
                .find(|one| one.oracle == oracle)
            else {
                continue;
            };
            let target = Target::new(&scenario, strategy, seed, &signature);
            let budget = Budget {
                runs: 300,
                ..Budget::default()
            };
            let shrunk = shrink(&target, catalog, budget, &mut ()).expect("it fails");
            let run = (strategy, shrunk.scenario.run.seed);
            let question = Question::new(&shrunk.scenario, run, None, Some(oracle), catalog);
            found.push(question.expect("it fails"));
        }
    }
    found
}

#[test]
fn the_chain_of_a_failure_has_the_event_whose_change_prevents_it() {
    let catalog = Catalog::default();
    let limits = Limits {
        branches: 8,
        points: 8,
        runs: 1_000,
    };
    let (mut in_chain, mut all) = (0, 0);
    for strategy in ["pubsub", "gossip"] {
        for question in generated_failures(strategy, 50, &catalog) {
            let answer = blame(&question, limits, &mut Plain(&question, &catalog));
            all += 1;
            let is_there = answer.pivots.iter().any(|pivot| pivot.is_cause);
            in_chain += u32::from(is_there);
            if !is_there {
                let failure = question.failure();
                println!(
                    "{} at {} us: {:?}, {} of {} changes",
                    failure.signature, failure.at_us, failure.detail, answer.flips, answer.tried
                );
            }
        }
    }
    println!("{in_chain} of {all} chains have it");
    assert!(in_chain * 10 >= all * 9, "{in_chain} of {all}");
}
