//! One answer to what failed: `run`, `fuzz`, `shrink`, `corpus` and `merge` agree about the
//! expectations of every scenario.
//!
//! `HUBLAB_SEEDS` sets how many generated scenarios are looked at, of each strategy. All of it:
//! `HUBLAB_SEEDS=2000 cargo test --release --test agreement`

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use hublab::Catalog;
use hublab::sim::campaign::oracles::OracleSet;
use hublab::sim::campaign::summary::Summary;
use hublab::sim::campaign::trial::{Source, trial};
use hublab::sim::generate::{self, generate};
use hublab::sim::run::Simulation;
use hublab::sim::run::failure::Signature;
use hublab::sim::scenario::{
    After, Claim, Expectation, Scenario, Style, Window, load, render, resolve,
};
use hublab::sim::shrink::findings;
use hublab::sim::watch::judge::Verdict;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The shipped files, and those of faults that were reported, without two that are there to take long.
fn files() -> Vec<PathBuf> {
    const LONG: [&str; 2] = ["slow.toml", "p12-wall-limit.toml"];
    let places = ["scenarios", "tests/data"].map(|place| root().join(place));
    let mut files = load::find(&places).unwrap_or_else(|errors| panic!("{errors:?}"));
    files.retain(|file| !LONG.iter().any(|name| file.ends_with(name)));
    files
}

/// What fails in a run of a file, by all who are asked; a passing run has nothing.
fn agreed(path: &str, text: &str, strategy: &str, seed: u64, catalog: &Catalog) -> Vec<Signature> {
    let read = |text: &str| {
        Scenario::read(path, text.as_bytes(), catalog)
            .unwrap_or_else(|problems| panic!("{path}: {problems:?}"))
    };
    let scenario = read(text);
    let report = Simulation::new(&scenario, catalog)
        .strategy(strategy)
        .expect("a known strategy")
        .seed(seed)
        .run()
        .expect("a known strategy");
    let all = Signature::all(&scenario, &report);
    let place = format!("{path}, {strategy}, seed {seed}");
    assert_eq!(report.verdict == Verdict::Fail, !all.is_empty(), "{place}");

    let source = Source::file(path, text.to_owned(), catalog).expect("it was read before");
    let none = OracleSet::Named(Vec::new());
    let (record, _) = trial(&source, strategy, seed, &none, catalog).expect("a known strategy");
    let found: Vec<Signature> = record
        .findings
        .iter()
        .map(|one| one.signature.clone())
        .collect();
    assert_eq!(found, all, "a campaign: {place}");
    assert_eq!(record.verdict, report.verdict, "a campaign: {place}");
    let mut summary = Summary::default();
    summary.add(&record);
    let groups: Vec<Signature> = summary
        .groups()
        .all()
        .filter_map(|group| group.key.what.signature().cloned())
        .collect();
    assert_eq!(groups, all, "records added up: {place}");

    let mut to_shrink = findings(&scenario, strategy, seed, &[], catalog).expect("it runs");
    to_shrink.sort();
    assert_eq!(to_shrink, all, "shrinking: {place}");

    // A capsule holds the resolved scenario, as text.
    let resolved = read(&render(&resolve(&scenario, seed, catalog), Style::Full));
    assert_eq!(
        Signature::all(&resolved, &report),
        all,
        "a capsule: {place}"
    );
    all
}

#[test]
fn all_agree_about_shipped_and_reported_files() {
    let catalog = Catalog::default();
    let (mut failing, mut passing) = (BTreeSet::new(), 0);
    for path in files() {
        let text = fs::read_to_string(&path).expect("a file");
        let name = path.to_string_lossy();
        let scenario = Scenario::read(&name, text.as_bytes(), &catalog);
        let scenario = scenario.unwrap_or_else(|problems| panic!("{problems:?}"));
        for strategy in &scenario.run.strategies {
            let all = agreed(&name, &text, strategy, scenario.run.seed, &catalog);
            match all.is_empty() {
                true => passing += 1,
                false => drop(failing.insert(path.file_stem().expect("a name").to_owned())),
            }
        }
    }
    assert!(passing > 60, "{passing}");
    let expected = [
        "lost-by-chance",
        "p03-shrink-drifts",
        "r02-two-claims",
        "seldom-converges",
        "too-few-messages",
    ];
    assert_eq!(failing, expected.map(Into::into).into());
}

#[test]
fn all_agree_about_generated_scenarios() {
    let seeds = env::var("HUBLAB_SEEDS").map_or(8, |text| text.parse().expect("a number"));
    let catalog = Catalog::default();
    // What does not hold in all of them, and a violation that is documented.
    let hard = [
        Claim::Converged {
            within: Duration::from_millis(1),
            after: After::LastStep,
            nodes: None,
            whole: false,
        },
        Claim::Always("no_false_absence".to_owned()),
        Claim::Violates("no_resurrection".to_owned()),
        Claim::Metric {
            name: "rows".to_owned(),
            min: Some(3),
            max: None,
            window: Window::default(),
        },
    ];
    let mut failed = 0;
    for strategy in catalog.names() {
        let entry = catalog.get(strategy).expect("a known strategy");
        for seed in 0..seeds {
            let mut scenario = generate(seed, entry, &generate::Options::default()).scenario;
            if seed % 2 == 1 {
                let hard = hard.iter().cloned().map(|claim| Expectation {
                    strategy: None,
                    claim,
                    line: 0,
                });
                scenario.expectations.extend(hard);
            }
            let text = render(&scenario, Style::Brief);
            let name = format!("generated-{seed}.toml");
            failed += agreed(&name, &text, strategy, seed, &catalog).len();
        }
    }
    assert!(failed > 0, "some of them fail");
}

struct Desk(tempfile::TempDir);

impl Desk {
    fn hublab(&self, line: &str, code: i32) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_hublab"))
            .args(line.split(' '))
            .current_dir(self.0.path())
            .env_remove("COLUMNS")
            .stdin(Stdio::null())
            .output()
            .expect("the program starts");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).expect("the program writes UTF-8");
        assert_eq!(output.status.code(), Some(code), "{line}\n{text}");
        text
    }
}

/// A directory with copies of some files of the repository.
fn desk(files: &[&str]) -> Desk {
    let desk = tempfile::tempdir().expect("a directory");
    for file in files {
        let from = root().join(file);
        let name = from.file_name().expect("a name");
        fs::copy(&from, desk.path().join(name)).expect("a file");
    }
    Desk(desk)
}

#[test]
fn a_documented_violation_is_a_pass_everywhere_and_is_saved_only_when_named() {
    let desk = desk(&["scenarios/anomalies/a02-ghost-after-unregister.toml"]);
    let file = "a02-ghost-after-unregister.toml";
    desk.hublab(&format!("run {file} --out out"), 0);
    desk.hublab(&format!("fuzz {file} --seeds 1..3 --out one"), 0);
    desk.hublab("merge one", 0);
    let capsules = fs::read_dir(desk.0.path().join("out")).expect("capsules");
    let mut names: Vec<String> = capsules
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    let capsule = format!("out/{}", names[0]);
    let told = desk.hublab(&format!("shrink {capsule}"), 2);
    assert!(told.contains("nothing fails in this run"), "{told}");
    let told = desk.hublab(&format!("corpus add {capsule} --corpus saved"), 2);
    assert!(told.contains("nothing failed in this run"), "{told}");
    let told = desk.hublab(&format!("corpus add {file} --corpus saved"), 2);
    assert!(told.contains("nothing fails in it"), "{told}");

    let named = "--oracle no_resurrection --expect fails";
    desk.hublab(&format!("corpus add {capsule} --corpus saved {named}"), 0);
    let told = desk.hublab("corpus run --corpus saved", 0);
    assert!(told.contains("fails as known"), "{told}");
    assert!(
        told.contains("1 saved failure: 0 hold now, 1 fail as known"),
        "{told}"
    );
    let saved = fs::read_dir(desk.0.path().join("saved")).expect("a corpus");
    let saved = saved.last().expect("a file").expect("an entry").path();
    let text = fs::read_to_string(&saved).expect("a file");
    assert!(
        text.starts_with("# expect = \"fails\"\n# signature: "),
        "{text}"
    );
    assert!(
        text.contains("always = \"no_resurrection\"") && !text.contains("violates"),
        "{text}"
    );
    // Once it holds, a failure that is kept as known is told of.
    let mended = text.replace("always = \"no_resurrection\"", "always = \"no_crash\"");
    fs::write(&saved, mended).expect("a file");
    let told = desk.hublab("corpus run --corpus saved", 1);
    assert!(told.contains("it is kept as a known failure"), "{told}");
}

#[test]
fn files_are_fuzzed_each_with_its_own_strategies() {
    let desk = desk(&["scenarios/busy-sender.toml", "scenarios/clock-step.toml"]);
    let files = "busy-sender.toml clock-step.toml";
    let fuzz = |more: &str, code| desk.hublab(&format!("fuzz {files} --seeds 1..3 {more}"), code);
    let told = fuzz("--out whole", 0);
    let lists = ["busy-sender.toml", "clock-step.toml"].map(|file| {
        let text = fs::read_to_string(desk.0.path().join(file)).expect("a file");
        let scenario = Scenario::read(file, text.as_bytes(), &Catalog::default());
        scenario.expect("a good file").run.strategies
    });
    assert_ne!(lists[0], lists[1], "or there is nothing to see");
    let runs = 2 * (lists[0].len() + lists[1].len());
    assert!(told.contains(&format!("{runs} runs of")), "{told}");
    for shard in 0..2 {
        fuzz(&format!("--shard {shard}/2 --out shard-{shard}"), 0);
    }
    let told = desk.hublab("merge shard-0 shard-1 --out joined", 0);
    assert!(told.contains(&format!("{runs} runs, ")), "{told}");
    assert!(
        !told.contains("missing") && !told.contains("incomplete"),
        "{told}"
    );
    fuzz("--resume --out joined", 0);
}

#[test]
fn two_claims_of_one_kind_are_two_failures_for_all_who_tell_of_them() {
    let desk = desk(&["tests/data/reports/r02-two-claims.toml"]);
    let file = "r02-two-claims.toml";
    let told = desk.hublab(
        &format!("fuzz {file} --seeds 0..2 --no-shrink --out one"),
        1,
    );
    let merged = desk.hublab("merge one", 1);
    for text in [&told, &merged] {
        assert!(text.contains("n1 at 5s: n1 lacks b"), "{text}");
        assert!(text.contains("n3 at 6s: n3 has a"), "{text}");
        assert!(text.contains("2 groups of failures"), "{text}");
    }
    let told = desk.hublab(&format!("corpus add {file} --corpus saved"), 0);
    assert!(told.starts_with("saved "), "{told}");
    let told = desk.hublab("corpus list --corpus saved", 0);
    assert_eq!(told.matches("pubsub registry").count(), 2, "{told}");
    let told = desk.hublab("corpus run --corpus saved", 1);
    assert!(told.contains("fails  "), "{told}");
}

#[test]
fn a_shrunk_claim_keeps_the_kind_of_its_defect_and_a_name_that_fits() {
    let desk = desk(&["tests/data/reports/p03-shrink-drifts.toml"]);
    desk.hublab("run p03-shrink-drifts.toml --seed 0 --out o", 1);
    let told = desk.hublab(
        "shrink o/p03-shrink-drifts-gossip-0.capsule --out small.toml",
        0,
    );
    let text = fs::read_to_string(desk.0.path().join("small.toml")).expect("a file");
    let top = text.lines().next().unwrap_or_default();
    assert!(top.contains("gossip converged ghost"), "{told}\n{text}");
    assert!(top.starts_with("# A5, "), "{told}\n{text}");
    let told = desk.hublab("run small.toml", 1);
    assert!(told.contains("still shows"), "{told}");
}

/// A row that stays behind a cut, and an expectation that it goes.
const BEHIND_A_CUT: &str = "schema = 1
[run]
duration = '60s'
strategies = ['pubsub']
[cluster]
nodes = 3
[[step]]
at = '2s'
start_children = { on = 'n1', ids = ['a', 'b'] }
[[step]]
at = '10s'
cut = { from = ['n1'], to = ['n3'] }
[[step]]
at = '10s'
cut = { from = ['n3'], to = ['n1'] }
[[step]]
at = '12s'
stop_children = { on = 'n1', ids = ['a'] }
[[expect]]
at = '20s'
registry = { on = 'n3', lacks = ['a'] }
";

#[test]
fn what_is_there_rightly_is_no_shrunk_form_of_what_is_not() {
    let desk = desk(&[]);
    fs::write(desk.0.path().join("cut.toml"), BEHIND_A_CUT).expect("a file");
    desk.hublab("run cut.toml --out o", 1);
    desk.hublab("shrink o/cut-pubsub-1.capsule --out small.toml", 0);
    let text = fs::read_to_string(desk.0.path().join("small.toml")).expect("a file");
    assert!(text.contains("registry ghost"), "{text}");
    assert!(
        text.contains("cut = {"),
        "the row would be right without it: {text}"
    );
}

/// Loss that fails some seeds.
const LOSSY: &str = "schema = 1
[run]
duration = '9s'
strategies = ['pubsub']
[cluster]
nodes = 4
[network]
latency = { uniform = ['1ms', '30ms'] }
loss = 0.2
[[step]]
at = '5s'
start_children = { on = 'n1', ids = ['a', 'b', 'c'] }
[[expect]]
converged = { within = '2s' }
";

#[test]
fn faults_get_weaker_and_stronger_only_when_asked() {
    let desk = desk(&[]);
    fs::write(desk.0.path().join("lossy.toml"), LOSSY).expect("a file");
    desk.hublab("run lossy.toml --seeds 0..8 --out o", 1);
    let told = desk.hublab("run lossy.toml --seeds 0..8 --format csv", 1);
    let failed = told
        .lines()
        .find(|line| line.contains(",fail,"))
        .expect("a failure");
    let seed = failed.split(',').nth(2).expect("a seed");
    let capsule = format!("o/lossy-pubsub-{seed}.capsule");
    desk.hublab(&format!("shrink {capsule} --out weak.toml"), 0);
    desk.hublab(&format!("shrink {capsule} --stronger --out strong.toml"), 0);
    let loss = |file: &str| {
        let text = fs::read_to_string(desk.0.path().join(file)).expect("a file");
        let scenario = Scenario::read(file, text.as_bytes(), &Catalog::default());
        scenario.expect("a good file").network.base.loss
    };
    assert!(
        (0.01..=0.2).contains(&loss("weak.toml")),
        "{}",
        loss("weak.toml")
    );
    assert!(loss("strong.toml") > 0.9, "{}", loss("strong.toml"));
}
