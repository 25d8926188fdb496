//! `merge`: what it puts together, and what it refuses to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

fn hublab(arguments: &[&str], place: &Path) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_hublab"))
        .args(arguments)
        .current_dir(place)
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).expect("the program writes UTF-8");
    (output.status.code(), text)
}

/// Two shards of a campaign that fails, and shards of others: made once, never changed.
fn made() -> &'static Path {
    static MADE: OnceLock<tempfile::TempDir> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let place = tempfile::tempdir().expect("a temporary directory");
        let fuzz = |seeds: &str, shard: &str, out: &str| {
            let file = concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/data/too-few-messages.toml"
            );
            let what = [
                "fuzz", file, "--seeds", seeds, "--shard", shard, "--out", out,
            ];
            let (code, told) = hublab(&what, place.path());
            assert_eq!(code, Some(1), "{told}");
        };
        fuzz("0..5", "0/2", "a");
        fuzz("0..5", "1/2", "b");
        fuzz("0..5", "2/3", "third");
        fuzz("0..6", "1/2", "longer");
        place
    });
    made.path()
}

/// A copy of what was made, to be changed.
fn copied() -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).expect("a directory");
        for entry in fs::read_dir(from).expect("a directory") {
            let path = entry.expect("an entry").path();
            let to = to.join(path.file_name().expect("a name"));
            if path.is_dir() {
                copy(&path, &to);
            } else {
                fs::copy(&path, &to).expect("a copy");
            }
        }
    }
    let place = tempfile::tempdir().expect("a temporary directory");
    copy(made(), place.path());
    place
}

#[track_caller]
fn expect(place: &Path, directories: &[&str], code: i32, words: &[&str]) -> String {
    let (ended, told) = hublab(&[&["merge"], directories].concat(), place);
    assert_eq!(ended, Some(code), "{told}");
    for word in words {
        assert!(told.contains(word), "no `{word}` in:\n{told}");
    }
    told
}

fn results(directory: &Path) -> PathBuf {
    directory.join("results.ndjson")
}

#[test]
fn shards_become_one_campaign_with_every_seed_in_order() {
    let place = copied();
    let told = expect(place.path(), &["b", "a", "--out", "all"], 1, &["shard 0/1"]);
    let last = told.lines().last().unwrap_or_default();
    assert!(last.starts_with("hublab "), "{told}");
    let all = place.path().join("all");
    let text = fs::read_to_string(results(&all)).expect("results");
    let seeds: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a record")["seed"].clone())
        .collect();
    assert_eq!(seeds, [0, 1, 2, 3, 4]);
    expect(place.path(), &["all"], 1, &["shard 0/1"]);
    expect(place.path(), &["a", "b", "--out", "all"], 2, &["already"]);
    let printed = expect(place.path(), &["a", "b", "--format", "json"], 1, &[]);
    assert_eq!(printed, text, "in this order, and nothing else");
}

#[test]
fn what_the_shards_shrank_is_kept() {
    let place = copied();
    expect(place.path(), &["a", "b", "--out", "all"], 1, &[]);
    let names = |directory: &str| -> Vec<_> {
        let entries = fs::read_dir(place.path().join(directory).join("failures"));
        let entries = entries.into_iter().flatten();
        entries
            .map(|entry| entry.expect("an entry").file_name())
            .collect()
    };
    let mut apart = [names("a"), names("b")].concat();
    apart.sort();
    apart.dedup();
    let mut merged = names("all");
    merged.sort();
    assert_eq!(merged, apart);
}

#[test]
fn a_missing_shard_is_named() {
    expect(made(), &["a"], 1, &["missing: shard 1/2"]);
}

#[test]
fn a_shard_that_was_killed_is_named_and_its_torn_line_left_out() {
    let place = copied();
    let directory = place.path().join("b");
    let text = fs::read_to_string(results(&directory)).expect("results");
    fs::write(results(&directory), &text[..text.len() - 20]).expect("a file");
    expect(
        place.path(),
        &["a", "b", "--out", "all"],
        1,
        &["incomplete: shard 1/2 (b) has 1 of 2 runs"],
    );
    let merged = fs::read_to_string(results(&place.path().join("all"))).expect("results");
    assert_eq!(merged.lines().count(), 4);
    assert!(merged.ends_with('\n'));
}

#[test]
fn holes_make_a_campaign_inconclusive_that_would_have_held() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/first-join.toml");
    let what = [
        "fuzz",
        file,
        "--strategy",
        "pubsub",
        "--seeds",
        "0..2",
        "--shard",
        "1/2",
        "--out",
        "b",
    ];
    let (code, told) = hublab(&what, place.path());
    assert_eq!(code, Some(0), "{told}");
    expect(
        place.path(),
        &["b"],
        3,
        &["missing: shard 0/2", "hublab merge b"],
    );
}

/// A campaign that holds, in two shards, `a` and `b`.
fn held() -> tempfile::TempDir {
    let place = tempfile::tempdir().expect("a temporary directory");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/first-join.toml");
    for (shard, out) in [("0/2", "a"), ("1/2", "b")] {
        let what = [
            "fuzz",
            file,
            "--strategy",
            "pubsub",
            "--seeds",
            "0..8",
            "--shard",
            shard,
        ];
        let (code, told) = hublab(&[&what[..], &["--out", out]].concat(), place.path());
        assert_eq!(code, Some(0), "{told}");
    }
    place
}

#[test]
fn what_is_there_of_a_campaign_is_told() {
    let place = held();
    let told = expect(
        place.path(),
        &["a", "b"],
        0,
        &["2 of 2 shards, 100 % of planned runs", "8 of 8 runs"],
    );
    assert!(!told.contains("incomplete"), "{told}");
    expect(
        place.path(),
        &["a"],
        3,
        &[
            "1 of 2 shards, 50 % of planned runs",
            "4 of 8 runs",
            "incomplete, what was made held",
        ],
    );
}

#[test]
fn results_that_were_deleted_or_cut_off_are_missed() {
    let place = held();
    let path = results(&place.path().join("b"));
    let whole = fs::read_to_string(&path).expect("results");
    let one = whole.split_inclusive('\n').next().expect("a line");
    for text in [Some(one), Some(""), None] {
        match text {
            Some(text) => fs::write(&path, text).expect("a file"),
            None => fs::remove_file(&path).expect("a file"),
        }
        expect(
            place.path(),
            &["a", "b"],
            3,
            &[
                "it had made 4, and results.ndjson has lost some",
                "incomplete",
            ],
        );
    }
    // A shard alone, too.
    expect(place.path(), &["b"], 3, &["0 of 8 runs"]);
}

#[test]
fn a_floor_is_the_least_share_of_runs() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/too-few-messages.toml"
    );
    // Each run fails, so that each shard stops after its first, as it was told to.
    for (shard, out) in [("0/2", "a"), ("1/2", "b")] {
        let what = [
            "fuzz",
            file,
            "--seeds",
            "0..8",
            "--shard",
            shard,
            "--no-shrink",
        ];
        let few = ["--max-failures", "1", "--known", "none", "--out", out];
        fs::create_dir_all(place.path().join("none")).expect("a directory");
        hublab(&[&what[..], &few].concat(), place.path());
    }
    let told = expect(
        place.path(),
        &["a", "b"],
        1,
        &["it stopped where it was told to"],
    );
    assert!(!told.contains("--floor"), "{told}");
    expect(
        place.path(),
        &["a", "b", "--floor", "10"],
        1,
        &["2 of 2 shards"],
    );
    expect(
        place.path(),
        &["a", "b", "--floor", "90"],
        1,
        &["fewer than the 90 % that --floor asks for"],
    );
    let place = held();
    let path = place.path().join("b/campaign.json");
    let text = fs::read_to_string(&path).expect("a manifest");
    fs::write(&path, text.replace("\"done\": 4", "\"done\": 1")).expect("a file");
    let all = fs::read_to_string(results(&place.path().join("b"))).expect("results");
    let one = all.split_inclusive('\n').next().expect("a line");
    fs::write(results(&place.path().join("b")), one).expect("a file");
    expect(place.path(), &["a", "b"], 0, &["62.5 % of planned runs"]);
    expect(place.path(), &["a", "b", "--floor", "62"], 0, &["all held"]);
    expect(
        place.path(),
        &["a", "b", "--floor", "63"],
        3,
        &["incomplete"],
    );
}

#[test]
fn what_is_missing_can_be_made_up_for() {
    let place = copied();
    expect(place.path(), &["a", "--out", "all"], 1, &["missing"]);
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/too-few-messages.toml"
    );
    let what = [
        "fuzz", file, "--seeds", "0..5", "--shard", "0/1", "--out", "all", "--resume",
    ];
    let (code, told) = hublab(&what, place.path());
    assert_eq!(code, Some(1), "{told}");
    let told = expect(place.path(), &["all"], 1, &["5 runs"]);
    assert!(!told.contains("incomplete"), "{told}");
}

#[test]
fn known_failures_fail_a_merged_campaign_only_if_a_shard_was_not_told() {
    let place = copied();
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/too-few-messages.toml"
    );
    for (shard, out) in [("0/2", "known-a"), ("1/2", "known-b")] {
        let what = [
            "fuzz", file, "--seeds", "0..5", "--shard", shard, "--known", "a", "--out", out,
        ];
        let (code, told) = hublab(&what, place.path());
        assert_eq!(code, Some(0), "{told}");
        assert!(told.contains("known: pubsub-"), "{told}");
    }
    let told = expect(
        place.path(),
        &["known-a", "known-b", "--out", "all"],
        0,
        &[
            "known: pubsub-",
            "5 runs",
            "no new failures, 3 groups of known ones",
        ],
    );
    assert!(
        !told.contains("hublab fuzz"),
        "nothing is to be repeated: {told}"
    );
    let cases = fs::read_to_string(place.path().join("all/junit.xml")).expect("a JUnit file");
    assert!(
        cases.contains("failures=\"0\"") && cases.contains("message=\"known: "),
        "{cases}"
    );
    expect(place.path(), &["all"], 0, &["known: pubsub-"]);
    let annotated = expect(
        place.path(),
        &["all", "--format", "github"],
        0,
        &["::notice::3 groups of known"],
    );
    assert!(!annotated.contains("::error"), "{annotated}");
    expect(
        place.path(),
        &["a", "known-b"],
        1,
        &["3 groups of failures"],
    );
}

#[test]
fn different_campaigns_are_not_mixed() {
    expect(
        made(),
        &["a", "longer"],
        2,
        &["different campaigns", "`seeds`"],
    );
    expect(made(), &["a", "third"], 2, &["0/2", "2/3"]);
    expect(made(), &["a", "a"], 2, &["both shard 0/2"]);
}

#[test]
fn a_run_that_is_there_twice_or_in_the_wrong_shard_is_refused() {
    let place = copied();
    let (a, b) = (
        results(&place.path().join("a")),
        results(&place.path().join("b")),
    );
    let text = fs::read_to_string(&a).expect("results");
    let first = text.lines().next().expect("a line");
    fs::write(&a, format!("{text}{first}\n")).expect("a file");
    expect(
        place.path(),
        &["a", "b"],
        2,
        &["the same run", "lines 1 and 4"],
    );
    fs::write(&a, &text).expect("a file");
    fs::write(&b, format!("{first}\n")).expect("a file");
    expect(
        place.path(),
        &["a", "b"],
        2,
        &["b/results.ndjson:1", "is not of shard 1/2"],
    );
}

#[test]
fn what_is_no_campaign_is_refused_with_its_place() {
    let place = copied();
    let path = place.path();
    expect(path, &["nowhere"], 2, &["nowhere"]);
    fs::create_dir(path.join("empty")).expect("a directory");
    expect(path, &["empty"], 2, &["no campaign is in this directory"]);
    let file = results(&path.join("b"));
    for (text, words) in [
        ("{}\n", "b/results.ndjson:1: this is no record of a run"),
        ("\n", "b/results.ndjson:1: this is no record of a run"),
        ("\u{0}\n", "b/results.ndjson:1"),
    ] {
        fs::write(&file, text).expect("a file");
        expect(path, &["a", "b"], 2, &[words]);
    }
    fs::write(&file, vec![b'x'; (1 << 20) + 1]).expect("a file");
    expect(path, &["a", "b"], 2, &["longer than"]);
    fs::write(path.join("b/campaign.json"), "{\"schema\":9}").expect("a file");
    expect(path, &["a", "b"], 2, &["schema 9"]);
    expect(path, &[], 2, &["DIR"]);
}

#[test]
fn what_must_happen_in_some_run_and_did_in_none_leaves_a_campaign_open() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let file = |name: &str, sometimes: &[&str]| {
        let mut text = "schema = 1\n[run]\nduration = '5s'\nstrategies = ['pubsub']\n\
            [cluster]\nnodes = 2\n[network]\nloss = 0.3\n"
            .to_owned();
        for name in sometimes {
            text.push_str("[[expect]]\nsometimes = '");
            text.push_str(name);
            text.push_str("'\nover = 'campaign'\n");
        }
        fs::write(place.path().join(name), text).expect("files can be written");
    };
    file("seen.toml", &["dropped"]);
    file("never.toml", &["dropped", "pause"]);
    let fuzz = |file: &str, more: &[&str], code: i32| {
        let command = [
            &["fuzz", file, "--seeds", "0..12", "--twice-percent", "0"],
            more,
        ]
        .concat();
        let (ended, told) = hublab(&command, place.path());
        assert_eq!(ended, Some(code), "{command:?}\n{told}");
        told
    };
    fuzz("seen.toml", &[], 0);
    let told = fuzz("never.toml", &[], 3);
    assert!(
        told.contains("never: pause in no run of pubsub never.toml"),
        "{told}"
    );
    assert!(!told.contains("never: dropped"), "{told}");
    for (shard, out) in [("0/2", "left"), ("1/2", "right")] {
        fuzz("never.toml", &["--shard", shard, "--out", out], 3);
    }
    let words = ["never: pause in no run", "1 expected thing never happened"];
    expect(place.path(), &["left", "right"], 3, &words);
    let again = ["--out", "left", "--shard", "0/2", "--resume"];
    fuzz("never.toml", &again, 3);
}
