//! What CI systems are given: a JUnit file that another program reads, annotations at the lines of
//! scenario files, and a step's summary.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use junit_parser::{TestStatus, TestSuites};

const FAILING: &str = "tests/data/too-few-messages.toml";

/// Runs it where the files of the repository are; whether it ended with that number.
fn hublab(arguments: &[&str], code: i32, variables: &[(&str, &Path)]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_hublab"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("GITHUB_STEP_SUMMARY")
        .env_remove("GITHUB_WORKSPACE")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    let told = String::from_utf8_lossy(&output.stderr);
    let text = String::from_utf8(output.stdout).expect("the program writes UTF-8");
    assert_eq!(output.status.code(), Some(code), "{text}\n{told}");
    text
}

fn junit(directory: &Path) -> TestSuites {
    let file = fs::File::open(directory.join("junit.xml")).expect("there is a JUnit file");
    junit_parser::from_reader(std::io::BufReader::new(file)).expect("another crate reads it")
}

#[test]
fn a_junit_file_is_read_back_by_another_crate() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let out = place.path().join("out");
    let path = out.to_string_lossy();
    let what = [
        "fuzz",
        FAILING,
        "--seeds",
        "0..3",
        "--no-shrink",
        "--out",
        &path,
    ];
    hublab(&what, 1, &[]);
    let report = junit(&out);
    let [suite] = report.suites.as_slice() else {
        panic!("{report:?}");
    };
    assert_eq!(suite.name, "pubsub");
    assert_eq!(
        (suite.tests, suite.failures, suite.errors),
        (4, 3, 0),
        "{suite:#?}"
    );
    let failed: Vec<_> = suite
        .cases
        .iter()
        .filter(|case| case.status.is_failure())
        .collect();
    let names: Vec<&str> = failed
        .iter()
        .filter_map(|case| case.original_name.split_whitespace().next())
        .collect();
    // The child is not known because it came too late, which looks like A10, or because a pair is down.
    assert_eq!(names, ["metric", "A10?:", "registry"]);
    let TestStatus::Failure(failure) = &failed[0].status else {
        panic!("{failed:?}");
    };
    assert!(
        failure.message.starts_with("3 runs; the first is seed 0"),
        "{failure:?}"
    );
    assert!(
        failure
            .text
            .contains("hublab fuzz tests/data/too-few-messages.toml --seeds 0..1"),
        "{failure:?}"
    );
    let class = failed[0].classname.as_deref();
    assert_eq!(class, Some("pubsub tests/data/too-few-messages.toml"));
}

#[test]
fn a_campaign_that_holds_has_a_case_that_passed() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let out = place.path().join("out");
    let path = out.to_string_lossy();
    hublab(
        &[
            "fuzz",
            "tests/data/first-join.toml",
            "--seeds",
            "5..9",
            "--out",
            &path,
        ],
        0,
        &[],
    );
    let report = junit(&out);
    assert!(!report.suites.is_empty());
    for suite in &report.suites {
        assert_eq!(
            (suite.tests, suite.failures, suite.errors, suite.skipped),
            (1, 0, 0, 0)
        );
        assert_eq!(suite.cases[0].original_name, "seeds 0..1000");
        assert_eq!(
            suite.cases[0].system_out.as_deref(),
            Some("4 of 4 runs passed")
        );
    }
}

#[test]
fn annotations_point_to_the_expectations_that_failed() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let summary = place.path().join("summary.md");
    fs::write(&summary, "before\n").expect("a file");
    let what = [
        "fuzz",
        FAILING,
        "--seeds",
        "0..2",
        "--no-shrink",
        "--format",
        "github",
    ];
    let told = hublab(&what, 1, &[("GITHUB_STEP_SUMMARY", &summary)]);
    let file =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(FAILING)).expect("a file");
    let mut found = Vec::new();
    for line in told.lines().filter(|line| line.starts_with("::error ")) {
        let path = line
            .split("file=")
            .nth(1)
            .and_then(|rest| rest.split(',').next());
        assert!(path.is_some_and(|path| path.ends_with(FAILING)), "{line}");
        let number = line
            .split(",line=")
            .nth(1)
            .and_then(|rest| rest.split(',').next());
        let number: usize = number
            .and_then(|number| number.parse().ok())
            .expect("a line");
        let about: Vec<&str> = file
            .lines()
            .skip(number - 1)
            .take_while(|line| !line.is_empty())
            .collect();
        assert_eq!(about[0], "[[expect]]", "{line}");
        found.push(about.join(" "));
    }
    assert_eq!(found.len(), 3, "{told}");
    let last = told.lines().last().unwrap_or_default();
    assert!(last.starts_with("hublab fuzz "), "{told}");
    assert!(
        found[0].contains("metric") && found[1].contains("registry"),
        "{found:?}"
    );
    let text = fs::read_to_string(&summary).expect("a summary");
    assert!(
        text.starts_with("before\n## hublab: 3 groups of failures\n"),
        "{text}"
    );
    assert!(
        text.contains("hublab fuzz tests/data/too-few-messages.toml"),
        "{text}"
    );
}

#[test]
fn annotations_name_files_as_the_workspace_has_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let what = [
        "fuzz",
        FAILING,
        "--seeds",
        "0..1",
        "--no-shrink",
        "--format",
        "github",
    ];
    let told = hublab(&what, 1, &[("GITHUB_WORKSPACE", &root.join("tests"))]);
    assert!(
        told.contains("::error file=data/too-few-messages.toml,line="),
        "{told}"
    );
}
