//! Bad input: each kind has its own message, and the number is always 2.

use std::fs;

use super::{FAILING, FIRST_JOIN, files, hublab, text};

#[test]
fn each_bad_input_has_its_own_message() {
    let many: Vec<u8> = b"schema = 1\n"
        .iter()
        .copied()
        .chain(std::iter::repeat_n(b'#', 1 << 20))
        .collect();
    let cases: [(&str, &[u8], &str); 9] = [
        ("empty.toml", b"", "the file is empty"),
        (
            "utf8.toml",
            b"schema = 1\nname = \"\xff\xfe\"\n",
            "not UTF-8",
        ),
        ("binary.toml", &[0, 159, 146, 150, 0, 1, 2, 3], "not UTF-8"),
        ("nul.toml", b"\0\0\0\0", "not TOML"),
        (
            "nodes.toml",
            b"schema = 1\n[cluster]\nnodes = 10001\n",
            "10001 nodes are too many",
        ),
        (
            "late.toml",
            b"schema = 1\n[cluster]\nnodes = 2\n[[step]]\nat = \"9999999h\"\nheal = true\n",
            "longer than 10000h",
        ),
        (
            "nan.toml",
            b"schema = 1\n[cluster]\nnodes = 2\n[network]\nloss = nan\n",
            "nan is not a number",
        ),
        ("long.toml", &many, "longer than 1 MiB"),
        ("text.toml", b"hello world\n", "not TOML"),
    ];
    let directory = files(&cases.map(|(name, content, _)| (name, content)));
    for (name, _, message) in cases {
        for command in ["run", "check", "explain"] {
            let ran = hublab(&[command, text(&directory.path().join(name))]).expect(2);
            assert!(ran.err.contains(message), "{command} {name}: {}", ran.err);
            assert_eq!(ran.out, "");
        }
    }
    let all = hublab(&["run", text(directory.path())]).expect(2);
    assert!(
        cases
            .iter()
            .all(|(_, _, message)| all.err.contains(message)),
        "all are told at once: {}",
        all.err
    );
}

#[test]
fn paths_that_give_no_scenario_are_told_apart() {
    let directory = files(&[("notes.md", b"nothing")]);
    let ran = hublab(&["run", text(directory.path())]).expect(2);
    assert!(
        ran.err.contains("the directory has no scenario files"),
        "{}",
        ran.err
    );
    let missing = directory.path().join("missing.toml");
    let ran = hublab(&["run", text(&missing)]).expect(2);
    assert!(
        ran.err.contains("there is no such file or directory"),
        "{}",
        ran.err
    );
    let ran = hublab(&["run", "/dev/null"]).expect(2);
    assert!(
        ran.err.contains("neither a file nor a directory"),
        "{}",
        ran.err
    );
    let long = directory.path().join("x".repeat(300)).join("y.toml");
    let ran = hublab(&["run", text(&long)]).expect(2);
    assert!(ran.err.contains("cannot be read"), "{}", ran.err);
}

#[test]
fn a_large_cluster_is_estimated_and_wants_big() {
    let large = b"schema = 1\n[cluster]\nnodes = 10000\n[[step]]\nat = \"1s\"\nstart_children = { on = \"n1\", count = 1000000, prefix = \"c\" }\n";
    let directory = files(&[("large.toml", large)]);
    let path = directory.path().join("large.toml");
    let checked = hublab(&["check", text(&path)]).expect(0);
    assert!(
        checked
            .out
            .contains("10,000 nodes, 1 step, 1,000,000 children"),
        "{}",
        checked.out
    );
    assert!(checked.out.contains("needs --big"), "{}", checked.out);
    let ran = hublab(&["run", text(&path)]).expect(2);
    assert!(
        ran.err.contains("10,000 nodes, about 2.0 TB of memory"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("need --big"), "{}", ran.err);
}

#[test]
fn a_bad_file_does_not_keep_the_good_ones_from_running_and_its_number_counts() {
    let directory = files(&[("bad.toml", b"schema = 2\n")]);
    let bad = directory.path().join("bad.toml");
    let ran = hublab(&["run", text(&bad), FAILING, FIRST_JOIN, "--format", "json"]).expect(2);
    assert_eq!(ran.json().len(), 3);
    assert!(ran.err.contains("unknown schema 2"), "{}", ran.err);
}

#[test]
fn a_directory_for_capsules_that_cannot_be_made_is_told_before_anything_runs() {
    let ran = hublab(&["run", FIRST_JOIN, "--out", "/dev/null/capsules"]).expect(2);
    assert!(
        ran.err.contains("/dev/null/capsules: cannot hold capsules"),
        "{}",
        ran.err
    );
    assert_eq!(ran.out, "");
    let directory = files(&[]);
    for name in ["a.toml", "b.toml"] {
        fs::copy(FIRST_JOIN, directory.path().join(name)).unwrap();
    }
    let out = directory.path().join("out");
    let ran = hublab(&["run", text(directory.path()), "--out", text(&out)]).expect(2);
    assert!(
        ran.err.contains("two files hold a scenario `first-join`"),
        "{}",
        ran.err
    );
}
