//! Failures by name: each scenario of an anomaly shows that anomaly, and a bug that is none of
//! them gets no name.

mod buggy;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use buggy::around::{Around, Twist};
use hublab_sim::anomaly::Shown;
use hublab_sim::catalog::Catalog;
use hublab_sim::classify::of_run;
use hublab_sim::processhub::{Classifier, anomaly};
use hublab_sim::report::Report;
use hublab_sim::run::Simulation;
use hublab_sim::run::failure::Signature;
use hublab_sim::scenario::resolve::resolve;
use hublab_sim::scenario::{Claim, Instants, On, Scenario, load};
use hublab_sim::trace::{Event, Sink};
use hublab_sim::watch::judge::Verdict;
use hublab_sim::watch::oracle::Violation;

/// The anomalies whose scenarios show no difference between a view and the truth.
const WITHOUT_DEFECT: &[(&str, &str)] = &[
    ("A11", "two entries for two processes are the truth"),
    ("A13", "views are compared as sets"),
    (
        "A18",
        "views are compared without what is raw; see the test of its own",
    ),
    ("G2", "only the number of messages tells"),
    ("G4", "only the number of messages tells"),
    (
        "G6",
        "the scenario is about raw requests; see the test of its own",
    ),
];

struct Collector(Arc<Mutex<Vec<Event>>>);

impl Sink for Collector {
    fn event(&mut self, event: &Event) {
        self.0
            .lock()
            .expect("nobody panics with it")
            .push(event.clone());
    }
}

/// The run of a scenario, with its whole trace.
fn traced(scenario: &Scenario, strategy: &str, catalog: &Catalog) -> (Report, Vec<Event>) {
    let events = Arc::new(Mutex::new(Vec::new()));
    let run = Simulation::new(scenario, catalog)
        .strategy(strategy)
        .expect("a strategy of the catalog")
        .seed(scenario.run.seed)
        .sink(Collector(Arc::clone(&events)))
        .run()
        .expect("a strategy of the catalog");
    let events = std::mem::take(&mut *events.lock().expect("nobody panics with it"));
    (run, events)
}

fn read(name: &str, text: &str, catalog: &Catalog) -> Scenario {
    let scenario = Scenario::read(name, text.as_bytes(), catalog)
        .unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
    resolve(&scenario, scenario.run.seed, catalog)
}

fn anomalies() -> Vec<Scenario> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/anomalies");
    let one = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a readable file");
        read(&path.display().to_string(), &text, &Catalog::default())
    };
    load::find(&[directory])
        .expect("the shipped scenarios")
        .into_iter()
        .map(one)
        .collect()
}

/// A complaint about whatever is wrong at a node at an instant.
fn complaint(oracle: &str, node: &str, at_us: u64) -> Violation {
    Violation::new(oracle, hublab_strategies::Time(at_us), node, String::new())
}

/// The anomaly that a file is named after.
fn id_of(scenario: &Scenario) -> &'static str {
    let found = anomaly::LIST
        .iter()
        .find(|anomaly| matches!(anomaly.shown, Shown::By(name) if name == scenario.name));
    found.expect("each file is that of an anomaly").id
}

/// What the instants are called that a scenario makes a claim about.
fn names_at_claims(scenario: &Scenario, strategy: &str) -> BTreeSet<&'static str> {
    let (_, trace) = traced(scenario, strategy, &Catalog::default());
    let classifier = Classifier::new(scenario, strategy, &trace).expect("a whole trace");
    let mut names = BTreeSet::new();
    for expectation in &scenario.expectations {
        let (Claim::Registry { when, on, .. } | Claim::Entry { when, on, .. }) = &expectation.claim
        else {
            continue;
        };
        let (On::One(on), Instants::At(at)) = (on, when) else {
            continue;
        };
        let node = scenario.cluster.nodes[*on as usize].as_str();
        for oracle in ["convergence", "membership_containment"] {
            let named = classifier.name(&complaint(oracle, node, at.0));
            names.extend(named.map(|named| named.id));
        }
    }
    names
}

#[test]
fn each_scenario_of_an_anomaly_shows_it_at_the_instants_it_makes_claims_about() {
    for scenario in anomalies() {
        let id = id_of(&scenario);
        let has_defect = WITHOUT_DEFECT.iter().all(|(other, _)| *other != id);
        let mut names = BTreeSet::new();
        for strategy in &scenario.run.strategies {
            names.extend(names_at_claims(&scenario, strategy));
        }
        assert_eq!(
            names.contains(id),
            has_defect,
            "{}: {names:?}",
            scenario.name
        );
    }
}

#[test]
fn what_an_oracle_reports_in_the_scenario_of_an_anomaly_is_that_anomaly() {
    let catalog = Catalog::default();
    let mut judged = 0;
    for scenario in anomalies() {
        let id = id_of(&scenario);
        let mut promised = Vec::new();
        for expectation in &scenario.expectations {
            if let Claim::Violates(oracle) = &expectation.claim {
                promised.push(oracle);
            }
        }
        for strategy in &scenario.run.strategies {
            let (report, _) = traced(&scenario, strategy, &catalog);
            let shown = report
                .violations
                .iter()
                .find(|found| promised.contains(&&found.oracle));
            let Some(violation) = shown else { continue };
            let signature = Signature::of(strategy, violation);
            let named = of_run(&scenario, strategy, scenario.run.seed, &signature, &catalog);
            assert_eq!(
                named,
                Some(id),
                "{} under {strategy}: {signature}",
                scenario.name
            );
            let listed = catalog
                .anomaly(strategy, id)
                .expect("an id of the list")
                .seen_by;
            assert!(
                listed.contains(&violation.oracle.as_str()),
                "{id}: {signature}"
            );
            judged += 1;
        }
    }
    assert!(judged >= 10, "{judged}");
}

/// A raw request for one node, which Gossip hands to all of them.
const ADDRESSED: &str = r#"
schema = 1
[run]
duration = "9s"
[cluster]
nodes = 3
[[step]]
at = "3s"
start_children = { on = "n2", ids = ["a"] }
[[step]]
at = "5s"
propagate = { from = "n1", members = "MEMBERS", requests = [{ unregister = [{ child = "a", nodes = ["n2"] }] }] }
[[expect]]
violates = "single_writer"
"#;

#[test]
fn a_clock_that_stands_still_from_the_start_has_its_anomaly() {
    let text = "schema = 1\n[run]\nduration = '60s'\nstrategies = ['gossip']\n[cluster]\nnodes = 2\n\
         [[cluster.node]]\nnames = ['n1']\nclock = { rate_ppm = -1000000 }\n\
         [[step]]\nat = '1s'\nstart_children = { on = 'n1', ids = ['a'] }\n\
         [[step]]\nat = '20s'\nstart_children = { on = 'n1', ids = ['b'], announce = false }\n\
         [[expect]]\nat = '50s'\nregistry = { on = 'n2', lacks = ['b'] }\n";
    let scenario = read("frozen", text, &Catalog::default());
    let (run, _) = traced(&scenario, "gossip", &Catalog::default());
    assert_eq!(
        run.verdict,
        Verdict::Pass,
        "n2 refuses every round after the first"
    );
    assert_eq!(
        names_at_claims(&scenario, "gossip"),
        BTreeSet::from(["G11"])
    );
}

#[test]
fn a_request_that_takes_effect_where_it_was_not_addressed_is_g6_and_elsewhere_a18() {
    let catalog = Catalog::default();
    for (members, id) in [("local", "G6"), ("global", "A18")] {
        let text = ADDRESSED.replace("MEMBERS", members);
        let scenario = read("addressed", &text, &catalog);
        let (report, trace) = traced(&scenario, "gossip", &catalog);
        let violation = report.violations.first().expect("n2 loses its own entry");
        let classifier = Classifier::new(&scenario, "gossip", &trace).expect("a whole trace");
        let named = classifier.name(violation).expect("a name");
        assert_eq!(named.id, id, "{members}");
        assert_eq!((named.observer, named.owner), (1, 1));
        assert_eq!((named.from_us / 1_000_000, named.until_us), (5, None));
    }
}

/// News are lost, a clock is set back, a node restarts, and rounds pass.
const TROUBLE: &str = r#"
schema = 1
[run]
duration = "100s"
[cluster]
nodes = 3
join_debounce = "2s"
[strategy.pubsub]
sync_interval = "10s"
[[step]]
at = "3s"
start_children = { on = "n1", ids = ["a", "b"], metadata = { team = "blue" } }
[[step]]
at = "4s"
start_children = { on = "n2", ids = ["c", "d"] }
[[step]]
at = "21s"
link = { from = ["n1"], to = ["n2", "n3"], loss = 1.0 }
[[step]]
at = "22s"
stop_children = { on = "n1", ids = ["a"] }
[[step]]
at = "23s"
start_children = { on = "n1", ids = ["e"] }
[[step]]
at = "24s"
heal = true
[[step]]
at = "41s"
crash = { nodes = ["n3"] }
[[step]]
at = "42s"
restart = { nodes = ["n3"] }
"#;

#[test]
fn a_bug_that_is_none_of_the_anomalies_gets_no_name() {
    for (bug, catalog) in buggy::catalogs() {
        let scenario = read("trouble", TROUBLE, &catalog);
        let (report, trace) = traced(&scenario, "pubsub", &catalog);
        assert_eq!(report.converged_us, None, "{bug} does no harm");
        let classifier = Classifier::new(&scenario, "pubsub", &trace).expect("a whole trace");
        for node in ["n1", "n2", "n3"] {
            let at_end = complaint("convergence", node, 100_000_000);
            assert_eq!(classifier.name(&at_end), None, "{bug} at {node}");
        }
    }
    let (report, _) = traced(
        &read("trouble", TROUBLE, &Catalog::default()),
        "pubsub",
        &Catalog::default(),
    );
    assert!(report.converged_us.is_some(), "without a bug it converges");
}

/// PubSub, step for step, under another name.
struct Renamed;

impl Twist for Renamed {
    const NAME: &'static str = "renamed";
    const SUMMARY: &'static str = "PubSub under another name";
}

#[test]
fn a_strategy_without_known_anomalies_gets_no_name_whatever_it_does() {
    let catalog = Catalog::default().with::<Around<Renamed>>();
    let mut scenario = anomalies()
        .into_iter()
        .find(|scenario| id_of(scenario) == "A2")
        .expect("the scenario of A2");
    scenario.run.strategies.push(Renamed::NAME.to_owned());
    let params = scenario.strategies.get("pubsub").cloned();
    let params = params.map(|params| (Renamed::NAME.to_owned(), params));
    scenario.strategies.extend(params);
    let named = |strategy: &str| {
        let (report, _) = traced(&scenario, strategy, &catalog);
        let violation = report.violations.first().expect("it brings a ghost back");
        let signature = Signature::of(strategy, violation);
        of_run(&scenario, strategy, scenario.run.seed, &signature, &catalog)
    };
    assert_eq!(named("pubsub"), Some("A2"));
    assert_eq!(named(Renamed::NAME), None);
}

#[test]
fn a_trace_without_its_beginning_has_no_names() {
    let scenario = anomalies().remove(0);
    let (_, trace) = traced(&scenario, "pubsub", &Catalog::default());
    assert!(Classifier::new(&scenario, "pubsub", &trace[1..]).is_none());
    assert!(Classifier::new(&scenario, "pubsub", &[]).is_none());
}
