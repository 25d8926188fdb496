//! Every kind of mistake has a golden file: `tests/diagnostics/NAME.toml` is read, and what a
//! person is told is compared with `NAME.txt`. `UPDATE_EXPECT=1` rewrites the latter.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect_file;
use hublab_sim::catalog::Catalog;
use hublab_sim::scenario::{LoadError, Scenario, load};
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/diagnostics")
}

fn rendered(diagnostic: &dyn Diagnostic) -> String {
    let mut out = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .with_width(100)
        .with_links(false)
        .render_report(&mut out, diagnostic)
        .expect("it can be told");
    out.lines()
        .map(str::trim_end)
        .fold(String::new(), |text, line| text + line + "\n")
}

/// The codes that a source file gives its variants.
fn codes(source: &str) -> BTreeSet<String> {
    let codes: BTreeSet<String> = source
        .split("code(scenario::")
        .skip(1)
        .map(|rest| {
            rest.split_once(')')
                .map_or(rest, |(code, _)| code)
                .to_owned()
        })
        .collect();
    assert_eq!(
        codes.len(),
        source.matches("#[error(").count(),
        "every variant has a code of its own"
    );
    codes
}

/// Files that would be clumsy to keep.
fn made(name: &str) -> Option<Vec<u8>> {
    let cluster = "schema = 1\n[cluster]\nnodes = 2\n";
    match name {
        "file_too_large" => Some(format!("{cluster}# {}\n", "x".repeat(1 << 20)).into_bytes()),
        "not_utf8" => Some([cluster.as_bytes(), b"names = [\"caf\xe9\"]\n"].concat()),
        "empty_file" => Some(b"# nothing yet\n".to_vec()),
        "too_many_keys" => Some(format!("{cluster}{}", "a=1\n".repeat(250_001)).into_bytes()),
        "too_many_steps" => Some(format!("{cluster}{}", "[[step]]\n".repeat(100_001)).into_bytes()),
        "too_many_names" => {
            let step = "[[step]]\nat = \"1s\"\nlink = { from = \"all\", to = \"all\" }\n";
            Some(format!("schema = 1\n[cluster]\nnodes = 10000\n{}", step.repeat(251)).into_bytes())
        }
        _ => None,
    }
}

#[test]
fn every_mistake_in_a_file_is_told_as_its_golden_file_says() {
    let directory = directory();
    for name in codes(include_str!("../src/scenario/diagnostic.rs")) {
        let path = directory.join(format!("{name}.toml"));
        let bytes = made(&name).unwrap_or_else(|| {
            fs::read(&path).unwrap_or_else(|_| panic!("{name} has no golden file"))
        });
        let problems =
            Scenario::read(&format!("{name}.toml"), &bytes, &Catalog::default()).unwrap_err();
        let told = rendered(&problems);
        assert!(
            told.contains(&format!("scenario::{name}\n")),
            "{name}.toml does not show {name}:\n{told}"
        );
        expect_file![directory.join(format!("{name}.txt"))].assert_eq(&told);
    }
}

/// A file with claims of every kind of instant.
const CLAIMS: &str = "schema = 1\n[run]\nduration = '20s'\n[cluster]\nnodes = 2\n\
    [[step]]\nat = '1s'\nheal = true\n\
    [[expect]]\nat = '2s'\nregistry = { on = 'n1', has = ['a'] }\n\
    [[expect]]\nduring = '2s..3s'\nview = { on = 'n1', nodes = ['n2'] }\n\
    [[expect]]\nby = '9s'\nentry = { on = 'n1', child = 'a', owner = 'n2' }\n\
    [[expect]]\nat = '9s'\nowners = { child = 'a', exactly = ['n1'] }\n\
    [[expect]]\nconverged = { within = '5s' }\n";

/// [`CLAIMS`] with another text behind each `=`, in turn.
fn with_values(other: &str) -> impl Iterator<Item = String> {
    CLAIMS.match_indices("= ").map(move |(place, _)| {
        let rest = &CLAIMS[place..];
        let end = place + rest.find(['\n', ',', '}']).expect("an end");
        format!("{}={other}{}", &CLAIMS[..place], &CLAIMS[end..])
    })
}

#[test]
fn a_value_that_is_no_value_is_a_mistake_of_the_file() {
    for junk in ["!'30s'", " !", " @", "", " =", " 'a' !"] {
        for text in with_values(junk) {
            let read = Scenario::read("t.toml", text.as_bytes(), &Catalog::default());
            assert!(read.is_err(), "{text}");
        }
    }
}

#[test]
fn a_value_of_another_type_is_told_if_it_is_wrong() {
    let catalog = Catalog::default();
    let mut refused = 0;
    for value in ["30x", "''", "5", "-1", "1.5", "true", "[]", "{}", "['30x']"] {
        let quoted = format!(" '{value}'");
        let plain = format!(" {value}");
        for text in with_values(&plain).chain(with_values(&quoted)) {
            // Whether it is right depends on the key.
            let read = Scenario::read("t.toml", text.as_bytes(), &catalog);
            refused += usize::from(read.is_err());
        }
    }
    assert!(refused > 200, "{refused}");
}

#[test]
fn every_warning_is_told_as_its_golden_file_says() {
    let directory = directory();
    for name in codes(include_str!("../src/scenario/warning.rs")) {
        let path = directory.join(format!("{name}.toml"));
        let bytes = fs::read(&path).unwrap_or_else(|_| panic!("{name} has no golden file"));
        let read =
            Scenario::read_with_warnings(&format!("{name}.toml"), &bytes, &Catalog::default());
        let (_, warnings) = read.unwrap_or_else(|problems| panic!("{}", rendered(&problems)));
        let told = rendered(&warnings);
        assert!(
            told.contains(&format!("scenario::{name}\n")),
            "{name}.toml does not show {name}:\n{told}"
        );
        expect_file![directory.join(format!("{name}.txt"))].assert_eq(&told);
    }
}

#[test]
fn every_reason_for_finding_no_file_is_told_as_its_golden_file_says() {
    let root = tempfile::tempdir().unwrap();
    let empty = root.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let refused = LoadError::Unreadable {
        path: root.path().join("secret.toml"),
        reason: std::io::Error::from(std::io::ErrorKind::PermissionDenied),
    };
    let errors = [
        (
            "no_such_path",
            load::find(&[root.path().join("nothing.toml")])
                .unwrap_err()
                .remove(0),
        ),
        ("no_scenarios", load::find(&[empty]).unwrap_err().remove(0)),
        (
            "not_a_file",
            LoadError::NotAFile {
                path: root.path().join("pipe"),
            },
        ),
        ("unreadable", refused),
    ];
    let names: BTreeSet<String> = errors.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names, codes(include_str!("../src/scenario/load.rs")));
    for (name, error) in errors {
        let told = rendered(&error).replace(root.path().to_str().unwrap(), "/files");
        assert!(told.contains(&format!("scenario::{name}\n")), "{told}");
        expect_file![directory().join(format!("{name}.txt"))].assert_eq(&told);
    }
}

#[test]
fn every_override_that_leads_nowhere_is_told_as_its_golden_file_says() {
    let file = "schema = 1\n[cluster]\nnodes = 2\n";
    let paths = [
        ("bad_set_key", "network..loss"),
        ("no_such_table", "cluster.nodes.x"),
        ("no_such_element", "step.4.at"),
        ("set_of_a_table", "cluster"),
    ];
    let names: BTreeSet<String> = paths.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names, codes(include_str!("../src/scenario/set.rs")));
    let file = format!("{file}[[step]]\nat = \"1s\"\nheal = true\n");
    for (name, path) in paths {
        let error =
            hublab_sim::scenario::apply_overrides(&file, &[(path.to_owned(), "1".to_owned())])
                .unwrap_err();
        let told = rendered(&error);
        assert!(told.contains(&format!("scenario::{name}\n")), "{told}");
        expect_file![directory().join(format!("{name}.txt"))].assert_eq(&told);
    }
}

#[test]
fn no_golden_file_is_left_over() {
    let sources = [
        include_str!("../src/scenario/diagnostic.rs"),
        include_str!("../src/scenario/load.rs"),
        include_str!("../src/scenario/set.rs"),
        include_str!("../src/scenario/warning.rs"),
    ];
    let known: BTreeSet<String> = sources.into_iter().flat_map(codes).collect();
    for entry in fs::read_dir(directory()).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(
            known.contains(&stem),
            "{} belongs to no kind of mistake",
            path.display()
        );
    }
}
