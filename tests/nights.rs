//! Campaigns over many nights and commits: `trend` and `bisect`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

fn ran(command: &mut Command) -> Ran {
    let output = command.stdin(Stdio::null()).output().expect("it starts");
    Ran {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).expect("UTF-8"),
        err: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

#[track_caller]
fn hublab(arguments: &str, place: &Path, code: i32) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hublab"));
    command.args(arguments.split_whitespace());
    let ran = ran(command.current_dir(place).env("COLUMNS", "100"));
    assert_eq!(ran.code, Some(code), "{}\n{}", ran.out, ran.err);
    ran
}

/// A scenario in which a row that nobody wrote stays.
const GHOST: &str = "schema = 1\n[run]\nduration = '2m'\nstrategies = ['pubsub']\n[cluster]\nnodes = 2\n\
    [[step]]\nat = '5s'\nrows = { on = 'n1', rows = [{ child = 'a', nodes = { n2 = 'p' } }] }\n\
    [[expect]]\nconverged = { within = '60s' }\n";

#[test]
fn a_trend_says_what_is_new_what_stands_and_what_is_gone() {
    let place = tempfile::tempdir().expect("a directory");
    let place = place.path();
    fs::write(place.join("a.toml"), GHOST).expect("a file");
    let night = |name: &str, files: &str| {
        hublab(
            &format!("fuzz {files} --strategy pubsub --seeds 0..2 --out {name}"),
            place,
            1,
        )
    };
    fs::write(
        place.join("c.toml"),
        GHOST.replace("'a'", "'c'").replace("'n1'", "'n2'"),
    )
    .expect("a file");
    night("1", "a.toml");
    night("2", "a.toml c.toml");
    night("3", "c.toml");

    let all = "trend 1 2 3";
    let json = hublab(&format!("{all} --format json"), place, 0).out;
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["schema"], 1);
    assert_eq!(json["campaigns"].as_array().expect("a list").len(), 3);
    assert_eq!(json["campaigns"][1]["runs"], 4);
    let groups = json["groups"].as_array().expect("a list");
    let of = |scenario: &str| {
        let mut all = groups.iter().filter(|group| group["scenario"] == scenario);
        let one = all
            .next()
            .unwrap_or_else(|| panic!("{scenario}: {groups:?}"));
        assert!(all.next().is_none(), "{groups:?}");
        one
    };
    let gone = of("a.toml");
    assert_eq!(
        (&gone["state"], &gone["first"], &gone["last"]),
        (&"gone".into(), &"1".into(), &"2".into())
    );
    assert_eq!(gone["runs"], serde_json::json!([2, 2, 0]));
    assert_eq!((&gone["campaigns"], &gone["seed"]), (&2.into(), &0.into()));
    assert_eq!(gone["builds"].as_array().expect("a list").len(), 1);
    let standing = of("c.toml");
    assert_eq!(standing["state"], "standing");
    let json = hublab("trend 1 3 --format json", place, 0).out;
    assert!(
        json.contains(r#""state":"new","strategy":"pubsub","scenario":"c.toml""#),
        "{json}"
    );

    let human = hublab(all, place, 0).out;
    for words in [
        "new: 0 groups",
        "standing: 1 group",
        "gone: 1 group",
        "in 2 of 3 campaigns, 4 runs: 1 to 2",
    ] {
        assert!(human.contains(words), "{words}: {human}");
    }
    let table = hublab(&format!("{all} --format markdown"), place, 0).out;
    assert!(table.contains("| gone | 2 | 2, 2, 0 | 1 | 2 |"), "{table}");

    let empty = "fuzz a.toml --seeds 0..2 --budget 0s --out none";
    hublab(empty, place, 3);
    let told = hublab("trend 1 none", place, 3).err;
    assert!(told.contains("none has no run"), "{told}");
    hublab("trend", place, 2);
    let told = hublab("trend 1 nowhere", place, 2).err;
    assert!(told.contains("nowhere"), "{told}");
}

/// A repository in which a stand-in for the program is built: from the fifth commit on it says that the
/// run fails; the third does not build, and the fourth refuses the file.
fn repository(place: &Path) {
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=t", "-c", "user.email=t@example.org"]);
        let done = ran(command.args(arguments).current_dir(place));
        assert_eq!(done.code, Some(0), "{arguments:?}: {}", done.err);
    };
    git(&["init", "--quiet", "--initial-branch", "main"]);
    for number in 1..=8 {
        let code = match number {
            4 => 2,
            1..=3 => 0,
            _ => 1,
        };
        let makes = if number == 3 {
            "exit 7"
        } else {
            "mkdir -p out"
        };
        let script = format!(
            "# {number}\n{makes}\nprintf '#!/bin/sh\\ntest \"$1\" = run && test -f \"$2\" || exit 9\\nexit {code}\\n' > out/lab\n\
            chmod +x out/lab\n"
        );
        fs::write(place.join("build.sh"), script).expect("a file");
        git(&["add", "."]);
        git(&["commit", "--quiet", "-m", &format!("commit {number}")]);
        git(&["tag", &format!("c{number}")]);
    }
}

#[test]
fn a_bisection_finds_the_first_bad_commit_or_says_between_which_it_is() {
    let place = tempfile::tempdir().expect("a directory");
    let place = place.path();
    repository(place);
    fs::write(place.join("ghost.toml"), GHOST).expect("a file");
    let with = "--program out/lab -- sh build.sh";
    // c5 is the first bad one; between it and c2 nothing can be tested.
    let told = hublab(&format!("bisect ghost.toml c1 c8 {with}"), place, 3);
    assert!(
        told.out
            .starts_with("one of these is the first bad commit:\n"),
        "{}",
        told.out
    );
    for number in 3..=5 {
        assert!(
            told.out.contains(&format!("commit {number}")),
            "{}",
            told.out
        );
    }
    assert!(
        !told.out.contains("commit 2") && !told.out.contains("commit 6"),
        "{}",
        told.out
    );
    assert!(
        told.err.contains("commit 8: fails") && told.err.contains("commit 1: passes"),
        "{}",
        told.err
    );
    // With what can be tested between them, it is one.
    let fixed = "--program out/lab -- sh -c";
    let mut command = Command::new(env!("CARGO_BIN_EXE_hublab"));
    command.args("bisect 7 c1 c8 --strategy pubsub --oracles all".split(' '));
    command.args(fixed.split(' '));
    // Each commit is as its number says, whatever its script is.
    let build = "mkdir -p out; n=$(git log -1 --format=%s | cut -d' ' -f2); test $n -lt 5; \
        printf \"#!/bin/sh\\ngrep -q always \\\"\\$2\\\" || exit 2\\nexit $?\\n\" > out/lab; \
        test $n -lt 5 || printf '#!/bin/sh\\nexit 1\\n' > out/lab; chmod +x out/lab";
    let told = ran(command.arg(build).current_dir(place));
    assert_eq!(told.code, Some(0), "{}\n{}", told.out, told.err);
    assert!(
        told.out.starts_with("first bad commit: ") && told.out.ends_with(" commit 5\n"),
        "{}",
        told.out
    );
    // The repository is as it was.
    let status = ran(Command::new("git")
        .args(["status", "--porcelain"])
        .current_dir(place));
    assert_eq!(status.out, "?? ghost.toml\n");
    let trees = ran(Command::new("git")
        .args(["worktree", "list"])
        .current_dir(place));
    assert_eq!(trees.out.lines().count(), 1, "{}", trees.out);
}

#[test]
fn a_bisection_that_asks_for_nothing_is_refused() {
    let place = tempfile::tempdir().expect("a directory");
    let place = place.path();
    let with = "--program out/lab -- sh build.sh";
    fs::write(place.join("ghost.toml"), GHOST).expect("a file");
    let told = hublab(&format!("bisect ghost.toml c1 c8 {with}"), place, 2).err;
    assert!(told.contains("git rev-parse"), "no repository: {told}");
    repository(place);
    for (what, words) in [
        (
            "ghost.toml c5 c8 --program out/lab -- sh build.sh",
            "c5 fails, where one that passes is needed",
        ),
        (
            "ghost.toml c1 c2 --program out/lab -- sh build.sh",
            "c2 passes, where one that fails is needed",
        ),
        (
            "ghost.toml c1 c9 --program out/lab -- sh build.sh",
            "there is no commit `c9`",
        ),
        ("ghost.toml c1 c8 -- sh build.sh", "give another --program"),
        ("ghost.toml c1 c8 -- no-such-command", "cannot be run"),
        ("7 c1 c8 -- sh build.sh", "a seed needs its --strategy"),
        ("nowhere.toml c1 c8 -- sh build.sh", "nowhere.toml"),
        ("ghost.toml c1 c8", "BUILD-COMMAND"),
    ] {
        let told = hublab(&format!("bisect {what}"), place, 2).err;
        assert!(told.contains(words), "{what}: {told}");
    }
    let trees = ran(Command::new("git")
        .args(["worktree", "list"])
        .current_dir(place));
    assert_eq!(trees.out.lines().count(), 1, "{}", trees.out);
}
