//! First steps: `init`, `completions`, `man`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use super::{files, hublab, names, program, text};

#[test]
fn a_first_scenario_has_no_warning_and_passes_on_many_seeds() {
    let place = files(&[]);
    let first = place.path().join("some where/first");
    let told = hublab(&["init", text(&first)]).expect(0);
    assert_eq!(names(&first), ["first.toml"]);
    let next = format!("hublab run '{}'", text(&first));
    assert!(
        told.out.lines().any(|line| line.trim() == next),
        "{}",
        told.out
    );
    let ran = hublab(&["run", text(&first), "--strict", "--format", "json"]).expect(0);
    assert_eq!(ran.json().len(), 2, "with each strategy");
    for run in ran.json() {
        assert_eq!(run["verdict"], "pass");
        assert_eq!(run["expectations"].as_array().map(Vec::len), Some(3));
    }
    hublab(&["run", text(&first), "--seeds", "0..100"]).expect(0);
}

#[test]
fn nothing_is_overwritten_and_nothing_half_written() {
    let place = files(&[("first.toml", b"mine"), ("other.toml", b"stays")]);
    let told = hublab(&["init", text(place.path())]).expect(2);
    assert!(told.err.contains("first.toml: is there"), "{}", told.err);
    assert_eq!(fs::read(place.path().join("first.toml")).unwrap(), b"mine");
    assert_eq!(told.out, "");

    // A file in the way of a directory is found only while writing.
    let place = files(&[("src", b"a file"), ("README", b"stays")]);
    let crate_at = |path: &Path| hublab(&["init", "--strategy", "last-writer", text(path)]);
    let told = crate_at(place.path()).expect(2);
    assert!(told.err.contains("cannot write"), "{}", told.err);
    assert_eq!(names(place.path()), ["README", "src"]);

    let place = files(&[("Cargo.toml", b"another")]);
    let told = crate_at(place.path()).expect(2);
    assert!(told.err.contains("Cargo.toml: is there"), "{}", told.err);
    assert_eq!(names(place.path()), ["Cargo.toml"]);

    let told = hublab(&["init", text(&place.path().join("Cargo.toml/below"))]).expect(2);
    assert!(told.err.contains("cannot write"), "{}", told.err);
}

#[test]
fn a_name_or_a_directory_that_does_not_do_is_refused_with_help() {
    let place = files(&[("Cargo.toml", b"name = \"another\"\n")]);
    let out = place.path().join("out");
    for (name, word) in [
        ("Not A Name", "as in `my-strategy`"),
        ("gossip", "hublab list strategies"),
        ("serde", "as in `my-serde`"),
        ("fn", "as in `my-fn`"),
    ] {
        let told = hublab(&["init", "--strategy", name, text(&out)]).expect(2);
        assert!(told.err.contains(word), "{}", told.err);
    }
    for path in [place.path(), Path::new("no/such/directory")] {
        let made = [
            "init",
            "--strategy",
            "one",
            text(&out),
            "--path",
            text(path),
        ];
        let told = hublab(&made).expect(2);
        assert!(told.err.contains("--path: "), "{}", told.err);
    }
    hublab(&["init", text(&out), "--path", "."]).expect(2);
    assert!(!out.exists());
}

/// The commands in the list of the program's help.
fn commands() -> Vec<String> {
    let help = hublab(&["--help"]).expect(0).out;
    let list = help.split("Commands:\n").nth(1).expect("a list");
    let lines = list.lines().take_while(|line| !line.is_empty());
    let named = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    named
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn completions_know_every_command_and_strategy_and_nothing_hidden() {
    let commands = commands();
    assert!(commands.len() > 20, "{commands:?}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = hublab(&["completions", shell]).expect(0).out;
        for word in &commands {
            assert!(script.contains(word), "{shell}: {word}");
        }
        // The generator has no values for the other two.
        let has_values = ["bash", "zsh", "fish"].contains(&shell);
        assert_eq!(script.contains("owner_log"), has_values, "{shell}");
        for hidden in ["__worker", "__capsule"] {
            assert!(!script.contains(hidden), "{shell}: {hidden}");
        }
    }
    hublab(&["completions", "cmd.exe"]).expect(2);
}

#[test]
fn a_reader_of_completions_that_goes_away_is_no_error() {
    let mut child = program()
        .args(["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut line = String::new();
    let mut out = BufReader::with_capacity(16, child.stdout.take().expect("it is piped"));
    out.read_line(&mut line).unwrap();
    drop(out);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stderr, b"");
}

#[test]
fn the_script_for_bash_completes_a_command() {
    let script = hublab(&["completions", "bash"]).expect(0).out;
    let completed = "COMP_WORDS=(hublab repro); COMP_CWORD=1; _hublab hublab repro hublab; \
                     printf '%s\\n' \"${COMPREPLY[@]}\"";
    let output = std::process::Command::new("bash")
        .args(["-c", &format!("{script}\n{completed}")])
        .output()
        .expect("there is bash");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "reproduce\n");
}

#[test]
fn there_is_a_page_per_command_with_its_examples_line_by_line() {
    let place = files(&[]);
    let pages = place.path().join("man/man1");
    let told = hublab(&["man", text(&pages)]).expect(0);
    let written = names(&pages);
    assert!(told.out.contains(&format!("wrote {} pages", written.len())));
    let page = |name: &str| {
        let path = pages.join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    for command in commands() {
        let text = page(&format!("hublab-{command}.1"));
        let examples = text.split(".SH EXAMPLES\n.nf\n").nth(1);
        let examples = examples.unwrap_or_else(|| panic!("{command} has no examples"));
        let call = format!("hublab {command}");
        let first = examples.replace("\\-", "-");
        assert!(first.starts_with(&call), "{command}: {first}");
    }
    page("hublab-corpus-add.1");
    let top = page("hublab.1");
    assert!(top.contains("Exit codes: 0 all held"), "{top}");
    assert!(!top.contains("__"), "{top}");
    assert!(
        written
            .iter()
            .all(|name| !name.to_string_lossy().contains("__"))
    );
    hublab(&["man", text(&pages)]).expect(0);
    hublab(&["man", text(&pages.join("hublab.1"))]).expect(2);
}
