//! `corpus`: failures are saved, listed, and run again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const FAILING: &str = "tests/data/too-few-messages.toml";

#[track_caller]
fn hublab(arguments: &[&str], code: i32) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_hublab"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).expect("the program writes UTF-8");
    assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{text}");
    text
}

/// A directory for a corpus, and its path as an argument.
fn place() -> (tempfile::TempDir, String) {
    let place = tempfile::tempdir().expect("a temporary directory");
    let corpus = place.path().join("corpus").to_string_lossy().into_owned();
    (place, corpus)
}

fn saved(corpus: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(corpus).expect("a corpus");
    entries
        .map(|entry| entry.expect("an entry").path())
        .collect()
}

#[test]
fn a_failing_file_is_saved_once_with_how_it_fails() {
    let (_place, corpus) = place();
    let told = hublab(&["corpus", "add", FAILING, "--corpus", &corpus], 0);
    assert!(told.starts_with("saved "), "{told}");
    let told = hublab(&["corpus", "add", FAILING, "--corpus", &corpus], 0);
    assert!(told.starts_with("known "), "{told}");
    let [file] = &saved(&corpus)[..] else {
        panic!("one file");
    };
    let text = fs::read_to_string(file).expect("a file");
    let marks: Vec<&str> = text.lines().take(2).collect();
    for (mark, start) in marks.iter().zip(["metric #", "registry not running #"]) {
        let start = format!("# signature: pubsub {start}");
        assert!(mark.starts_with(&start), "{text}");
    }
    let told = hublab(&["corpus", "list", "--corpus", &corpus], 0);
    assert_eq!(told.lines().count(), 1);
    assert!(
        told.contains("pubsub metric #") && told.contains("; seed 1, 2 nodes, 3 steps"),
        "{told}"
    );
    hublab(&["run", &file.to_string_lossy()], 1);
}

#[test]
fn a_saved_failure_is_saved_again_as_it_is() {
    let (_place, corpus) = place();
    hublab(&["corpus", "add", FAILING, "--corpus", &corpus], 0);
    let told = hublab(&["corpus", "add", &corpus, "--corpus", &corpus], 0);
    assert!(told.starts_with("known "), "{told}");
}

#[test]
fn saved_failures_are_run_until_they_hold() {
    let (_place, corpus) = place();
    hublab(&["corpus", "add", FAILING, "--corpus", &corpus], 0);
    let told = hublab(&["corpus", "run", "--corpus", &corpus], 1);
    assert!(told.contains("1 saved failure: 0 hold now"), "{told}");
    assert!(
        told.lines()
            .last()
            .is_some_and(|line| line.starts_with("hublab run ")),
        "{told}"
    );

    let file = saved(&corpus).remove(0);
    let text = fs::read_to_string(&file).expect("a file");
    let (marks, rest) = text.split_at(text.find("schema").expect("a scenario"));
    let comments = marks.lines().skip(2).collect::<Vec<_>>().join("\n");
    let old =
        format!("# signature: pubsub metric\n# signature: pubsub registry\n{comments}\n{rest}");
    fs::write(&file, old).expect("a file");
    let told = hublab(&["corpus", "run", "--corpus", &corpus], 1);
    assert!(
        told.contains("fails  "),
        "as earlier versions saved it: {told}"
    );
    let renamed = text.replace("# signature: pubsub ", "# signature: pubsub other_");
    fs::write(&file, &renamed).expect("a file");
    let told = hublab(&["corpus", "run", "--corpus", &corpus], 1);
    assert!(told.contains("fails otherwise"), "{told}");

    let mended = text
        .replace("max = 3", "max = 3000")
        .replace("has = [\"late\"]", "lacks = [\"late\"]");
    fs::write(&file, mended).expect("a file");
    let told = hublab(&["corpus", "run", "--corpus", &corpus], 0);
    assert!(told.contains("holds now"), "{told}");
}

#[test]
fn the_failure_of_a_capsule_is_saved_with_its_strategy_and_seed() {
    let (place, corpus) = place();
    let out = place.path().join("out").to_string_lossy().into_owned();
    hublab(&["run", FAILING, "--seed", "7", "--out", &out], 1);
    let capsule = Path::new(&out).join("too-few-messages-pubsub-7.capsule");
    hublab(
        &[
            "corpus",
            "add",
            &capsule.to_string_lossy(),
            "--corpus",
            &corpus,
        ],
        0,
    );
    let told = hublab(&["corpus", "list", "--corpus", &corpus], 0);
    assert!(
        told.contains("pubsub registry absent #") && told.contains("; seed 7"),
        "{told}"
    );
    hublab(&["corpus", "run", "--corpus", &corpus], 1);
}

#[test]
fn what_does_not_fail_is_not_saved() {
    let (place, corpus) = place();
    let good = "tests/data/first-join.toml";
    let told = hublab(&["corpus", "add", good, FAILING, "--corpus", &corpus], 2);
    assert!(told.contains("nothing fails in it"), "{told}");
    assert_eq!(saved(&corpus).len(), 1, "the other one is saved");
    let out = place.path().join("out").to_string_lossy().into_owned();
    hublab(
        &[
            "run",
            good,
            "--strategy",
            "pubsub",
            "--seed",
            "7",
            "--out",
            &out,
        ],
        0,
    );
    let capsule = saved(&out).remove(0);
    let told = hublab(
        &[
            "corpus",
            "add",
            &capsule.to_string_lossy(),
            "--corpus",
            &corpus,
        ],
        2,
    );
    assert!(told.contains("nothing failed in this run"), "{told}");
    hublab(&["corpus", "add", "Cargo.lock", "--corpus", &corpus], 2);
}

#[test]
fn a_corpus_that_is_not_there_is_an_error_and_an_empty_one_checks_nothing() {
    let (place, corpus) = place();
    let told = hublab(&["corpus", "list", "--corpus", &corpus], 2);
    assert!(told.contains("no such directory"), "{told}");
    let empty = place.path().to_string_lossy().into_owned();
    hublab(&["corpus", "run", "--corpus", &empty], 3);
    hublab(&["corpus", "list", "--corpus", &empty], 0);
}

#[test]
fn a_campaign_runs_saved_failures_first() {
    let (_place, corpus) = place();
    hublab(&["corpus", "add", FAILING, "--corpus", &corpus], 0);
    let fuzz = |shard: &str, code: i32| {
        let good = "tests/data/first-join.toml";
        let what = [
            "fuzz", good, "--seeds", "0..2", "--shard", shard, "--corpus", &corpus,
        ];
        hublab(&what, code)
    };
    let told = fuzz("0/2", 1);
    assert!(told.contains("1 saved failure: 0 hold now"), "{told}");
    assert!(
        told.contains("groups of failures") && !told.contains("all held"),
        "{told}"
    );
    let told = fuzz("1/2", 0);
    assert!(!told.contains("saved failure"), "{told}");
}

/// In each output of a campaign, and of what its shards are joined to.
#[test]
fn a_saved_failure_is_a_case_everywhere() {
    let (place, corpus) = place();
    let path = |name: &str| place.path().join(name).to_string_lossy().into_owned();
    hublab(&["corpus", "add", FAILING, "--corpus", &corpus], 0);
    let good = "tests/data/first-join.toml";
    let campaign = |out: &str, shard: &str, code: i32| {
        let what = [
            "fuzz", good, "--seeds", "0..2", "--corpus", &corpus, "--shard", shard,
        ];
        let how = ["--out", out, "--format", "github"];
        hublab(&[&what[..], &how].concat(), code)
    };
    let junit = |out: &str| {
        let cases = fs::read_to_string(format!("{out}/junit.xml")).expect("a JUnit file");
        let count = |word: &str| cases.matches(word).count();
        (count("<failure"), count("<skipped message=\"known"))
    };
    let whole = path("whole");
    let told = campaign(&whole, "0/1", 1);
    assert_eq!(told.matches("::error file=").count(), 2, "{told}");
    assert!(
        told.contains("2 groups of failures") && told.contains("5 of 5 runs"),
        "{told}"
    );
    assert!(told.contains("hublab run "), "{told}");
    assert_eq!(junit(&whole), (2, 0));
    let (one, other, all) = (path("one"), path("other"), path("all"));
    campaign(&one, "0/2", 1);
    campaign(&other, "1/2", 0);
    let told = hublab(
        &["merge", &other, &one, "--out", &all, "--format", "github"],
        1,
    );
    assert_eq!(told.matches("::error file=").count(), 2, "{told}");
    assert_eq!(junit(&all), (2, 0));
    for name in ["corpus.ndjson", "results.ndjson", "campaign.json"] {
        let read = |out: &str| fs::read(format!("{out}/{name}")).expect("a file");
        assert_eq!(read(&whole), read(&all), "{name}");
    }

    // One that is kept as a known one is told as such, until it holds.
    fs::remove_dir_all(&corpus).expect("it can be removed");
    let known = [
        "corpus", "add", FAILING, "--corpus", &corpus, "--expect", "fails",
    ];
    hublab(&known, 0);
    let out = path("known");
    let told = campaign(&out, "0/1", 0);
    assert!(
        told.contains("no new failures, 2 groups of known ones"),
        "{told}"
    );
    assert_eq!(junit(&out), (0, 2));
    let [file] = &saved(&corpus)[..] else {
        panic!("one file");
    };
    let text = fs::read_to_string(file).expect("a file");
    let (mended, _) = text.split_once("[[expect]]").expect("it expects something");
    fs::write(file, mended).expect("it can be written");
    let out = path("mended");
    let told = campaign(&out, "0/1", 1);
    assert!(told.contains("corpus holds now"), "{told}");
    assert_eq!(junit(&out), (1, 0));
}
