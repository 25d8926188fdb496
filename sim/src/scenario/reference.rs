//! The reference of the format as Markdown, written from its [`shape`](super::shape).

#![cfg_attr(
    test,
    expect(
        clippy::wildcard_enum_match_arm,
        reason = "the test descends into the kinds that have a shape"
    )
)]

use crate::catalog::{Catalog, CatalogEntry};

use super::shape::{
    BIMODAL, BRANCH, CHANGE, CLUSTER, EXPECT, EXPONENTIAL, FILE, Key, Kind, LATENCY, LINK,
    LOGNORMAL, NETWORK, NODE, PID_UPDATE, REQUEST, ROW, RUN, STEP, Shape, UNREGISTER,
};

/// A part of the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// All of it: `docs/scenarios.md`.
    All,
    /// The actions of steps.
    Steps,
    /// The claims of expectations.
    Claims,
    /// The latency laws.
    Laws,
}

/// A part of the reference, as Markdown; its examples name a strategy of the catalog.
#[must_use]
pub fn reference(part: Part, catalog: &Catalog) -> String {
    let mut out = String::new();
    match part {
        Part::All => {
            out.push_str(INTRODUCTION);
            tables(&mut out);
            steps(&mut out);
            claims(&mut out);
            laws(&mut out);
        }
        Part::Steps => steps(&mut out),
        Part::Claims => claims(&mut out),
        Part::Laws => laws(&mut out),
    }
    named(&out, catalog)
}

/// A text with the examples' strategy and parameter: the first that the catalog has.
fn named(text: &str, catalog: &Catalog) -> String {
    let entry = catalog.entries().next();
    let name = entry.map_or("name", CatalogEntry::name);
    let defaults = entry.map(CatalogEntry::defaults).unwrap_or_default();
    let parameter = defaults.iter().next();
    let parameter = parameter.map(|(key, value)| format!("{key} = {value}"));
    text.replace("<strategy>", name)
        .replace("<parameter>", &parameter.unwrap_or_default())
}

/// The keys of a choice with the line that each has in `list`.
pub fn lines(part: Part) -> impl Iterator<Item = (&'static str, &'static str)> {
    let shapes: Vec<&'static Shape> = match part {
        Part::All => vec![&STEP, &EXPECT, &LATENCY],
        Part::Steps => vec![&STEP],
        Part::Claims => vec![&EXPECT],
        Part::Laws => vec![&LATENCY],
    };
    let keys = shapes.into_iter().flat_map(chosen);
    keys.map(|key| (key.name, key.doc))
}

const INTRODUCTION: &str = "\
# Scenario files: reference

<!-- Written by `hublab list` from the format's declaration: change `sim/src/scenario/shape`, and run
     the tests with UPDATE_EXPECT=1. -->

A scenario file is TOML: a cluster, what happens in it, and what must hold. `hublab check FILE` says
what is wrong with one, `hublab explain FILE` prints it with every default and every drawn time, and
`hublab schema` prints a JSON Schema for editors. Unknown keys are errors.

A *duration* is a number and a unit in quotes: `\"250us\"`, `\"20ms\"`, `\"1.5s\"`, `\"2m\"`, `\"1h\"`; time has a
resolution of 1 us. A *list of nodes* holds names and spans, `[\"n1\", \"n3..n5\"]`; `\"all\"` alone is every
node. A *list of child ids* holds ids and spans, `[\"a\", \"web-1..web-3\"]`. A file may have 1 MiB, one
with `resolved = true` 64 MiB; 10,000 nodes, 100,000 steps, 1,000,000 children.

";

/// The file and the tables that stand once.
fn tables(out: &mut String) {
    out.push_str("## The file\n\n");
    keys(out, &FILE, |_| true);
    for (title, shape) in [
        ("`[run]`", &RUN),
        ("`branch` of `[run]`", &BRANCH),
        ("An element of `changes` of `[run]`", &CHANGE),
        ("`[cluster]`", &CLUSTER),
        ("`[[cluster.node]]`", &NODE),
        ("`[network]`", &NETWORK),
        ("`[[network.link]]`", &LINK),
    ] {
        out.push_str(&format!("## {title}\n\n"));
        choice_of(out, shape);
        keys(out, shape, |_| true);
    }
}

fn steps(out: &mut String) {
    out.push_str("## Steps\n\nA `[[step]]` has `at` and exactly one action.\n\n");
    keys(out, &STEP, |key| key.required);
    for action in chosen(&STEP) {
        entry(out, action, &format!("[[step]]\nat = {}\n", at(&STEP)));
    }
    for (title, shape) in [
        ("A request", &REQUEST),
        ("A row", &ROW),
        ("An element of `unregister`", &UNREGISTER),
        ("`pid_update`", &PID_UPDATE),
    ] {
        out.push_str(&format!("### {title}\n\n"));
        choice_of(out, shape);
        keys(out, shape, |_| true);
    }
}

fn claims(out: &mut String) {
    out.push_str("## Expectations\n\nAn `[[expect]]` has exactly one claim.\n\n");
    let beside = |key: &Key| EXPECT.choice(key.name).is_none();
    keys(out, &EXPECT, beside);
    for claim in chosen(&EXPECT) {
        let needs_at = EXPECT
            .choice(claim.name)
            .is_some_and(|keys| keys.contains(&"at"));
        let at = needs_at.then(|| format!("at = {}\n", at(&EXPECT)));
        let head = format!("[[expect]]\n{}", at.unwrap_or_default());
        entry(out, claim, &head);
    }
}

fn laws(out: &mut String) {
    out.push_str("## Latency laws\n\n`latency` is a table with exactly one law.\n\n");
    keys(out, &LATENCY, |_| true);
    for (name, shape) in [
        ("exponential", &EXPONENTIAL),
        ("lognormal", &LOGNORMAL),
        ("bimodal", &BIMODAL),
    ] {
        out.push_str(&format!("### `{name}`\n\n"));
        keys(out, shape, |_| true);
    }
}

/// The example of `at` in a table.
fn at(shape: &Shape) -> &'static str {
    shape.key("at").map_or("", Key::example)
}

/// The keys that begin the alternatives of a choice.
fn chosen(shape: &'static Shape) -> impl Iterator<Item = &'static Key> {
    let first = shape.choices.iter().map(|keys| keys[0]);
    first.filter_map(|name| shape.key(name))
}

/// An action or a claim: a sentence, an example, its keys.
fn entry(out: &mut String, key: &'static Key, head: &str) {
    let example = example(key);
    out.push_str(&format!(
        "### `{}`\n\n{}\n\n```toml\n{head}{} = {example}\n```\n\n",
        key.name, key.doc, key.name
    ));
    if let Kind::Table(shape) = key.kind {
        choice_of(out, shape);
        keys(out, shape, |_| true);
    }
}

/// The alternatives.
fn choice_of(out: &mut String, shape: &Shape) {
    let listed = |keys: &[&str], by: &str| {
        let quoted: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
        quoted.join(by)
    };
    if !shape.choices.is_empty() {
        let choices = shape.choices.iter().map(|keys| listed(keys, " with "));
        let choices: Vec<String> = choices.collect();
        out.push_str(&format!("Exactly one of {}.\n\n", choices.join(", ")));
    }
    for (one, other) in shape.apart {
        out.push_str(&format!("`{other}` does not go together with `{one}`.\n\n"));
    }
    if !shape.at_least_one.is_empty() {
        let keys = listed(shape.at_least_one, ", ");
        out.push_str(&format!("At least one of {keys}.\n\n"));
    }
}

/// The keys of a table that are wanted.
fn keys(out: &mut String, shape: &'static Shape, wanted: impl Fn(&Key) -> bool) {
    out.push_str(
        "| key | value | default | meaning | example |\n| --- | --- | --- | --- | --- |\n",
    );
    for key in shape.keys.iter().filter(|key| wanted(key)) {
        let default = match key.default {
            Some(default) => format!("`{default}`"),
            None if key.required => "required".to_owned(),
            None => String::new(),
        };
        let example = match example(key) {
            text if text.is_empty() => text,
            text => format!("`{text}`"),
        };
        out.push_str(&format!(
            "| `{}` | {} | {default} | {} | {example} |\n",
            key.name,
            key.kind.words(),
            key.doc
        ));
    }
    out.push('\n');
}

/// An example of a key, as TOML text: of a table without one of its own, what it needs.
fn example(key: &'static Key) -> String {
    match (key.example(), &key.kind) {
        ("", Kind::Table(shape)) => table(shape, None),
        ("", Kind::Tables(shape) | Kind::SomeTables(_, shape)) => {
            format!("[{}]", table(shape, None))
        }
        (text, _) => text.to_owned(),
    }
}

/// The keys that a table needs to be one, with the one that it must have.
fn needed(shape: &'static Shape, with: Option<&Key>) -> Vec<&'static Key> {
    let alternative = shape.choices.iter().find(|keys| {
        let has = |key: &Key| keys.contains(&key.name);
        with.is_some_and(has)
    });
    let in_choice = alternative.or(shape.choices.first()).copied();
    let any = shape.at_least_one.first().copied();
    let has_one = with.is_some_and(|key| shape.at_least_one.contains(&key.name));
    let keys = shape.keys.iter();
    keys.filter(|key| {
        key.required
            || with.is_some_and(|with| with.name == key.name)
            || in_choice.unwrap_or_default().contains(&key.name)
            || (!has_one && any == Some(key.name))
    })
    .collect()
}

/// An inline table with what it needs, and with one key more.
fn table(shape: &'static Shape, with: Option<&Key>) -> String {
    let pairs = needed(shape, with).into_iter();
    let pairs: Vec<String> = pairs
        .map(|key| format!("{} = {}", key.name, example(key)))
        .collect();
    format!("{{ {} }}", pairs.join(", "))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::scenario::Scenario;

    #[test]
    fn the_reference_in_the_repository_is_that_of_the_format() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/scenarios.md");
        expect_test::expect_file![path].assert_eq(&reference(Part::All, &Catalog::default()));
    }

    /// A cluster in which every example of a step is possible at 10 s.
    const CAST: &str = r#"
schema = 1
[run]
duration = "10m"
[cluster]
nodes = 5
start = ["n1..n4"]
[[step]]
at = "1s"
start_children = { on = "n1", count = 9, prefix = "web" }
[[step]]
at = "2s"
crash = { nodes = ["n4"] }
[[step]]
at = "3s"
pause = { nodes = ["n3"] }
"#;

    fn accept(file: &str) {
        let catalog = Catalog::default().with_program("<program>", |_| async {});
        let file = named(file, &catalog);
        let read = Scenario::read("example.toml", file.as_bytes(), &catalog);
        if let Err(problems) = read {
            panic!("{file}\n{:?}", problems.problems());
        }
    }

    /// Tries a key with every example that stands below it.
    fn try_all(key: &'static Key, file: &dyn Fn(&str) -> String, deep: u32) {
        accept(&file(&format!("{} = {}", key.name, example(key))));
        // Their nodes are not those that the shape, which others share, has as its example.
        if ["join", "restart", "resume"].contains(&key.name) {
            return;
        }
        let (shape, wrap): (_, fn(String) -> String) = match key.kind {
            Kind::Table(shape) => (shape, |table| table),
            Kind::Tables(shape) | Kind::SomeTables(_, shape) => {
                (shape, |table| format!("[{table}]"))
            }
            _ => return,
        };
        for inner in shape.keys {
            let around = |line: &str| {
                let others = needed(shape, Some(inner)).into_iter();
                let others = others.filter(|other| other.name != inner.name);
                let mut pairs: Vec<String> = others
                    .map(|other| format!("{} = {}", other.name, example(other)))
                    .collect();
                pairs.push(line.to_owned());
                let table = wrap(format!("{{ {} }}", pairs.join(", ")));
                file(&format!("{} = {table}", key.name))
            };
            if deep > 0 {
                try_all(inner, &around, deep - 1);
            }
        }
    }

    #[test]
    fn every_example_of_the_reference_is_accepted() {
        for key in chosen(&STEP) {
            try_all(
                key,
                &|line| format!("{CAST}[[step]]\nat = \"10s\"\n{line}\n"),
                4,
            );
        }
        for key in chosen(&EXPECT) {
            let at = EXPECT
                .choice(key.name)
                .is_some_and(|keys| keys.contains(&"at"));
            let at = if at { "at = \"30s\"\n" } else { "" };
            try_all(key, &|line| format!("{CAST}[[expect]]\n{at}{line}\n"), 2);
        }
        for key in RUN.keys {
            let head = "schema = 1\n[cluster]\nnodes = 5\n[run]\n";
            try_all(key, &|line| format!("{head}{line}\n"), 0);
        }
        for key in CLUSTER.keys {
            let nodes = if CLUSTER.choice(key.name).is_some() {
                ""
            } else {
                "nodes = 5\n"
            };
            try_all(
                key,
                &|line| format!("schema = 1\n[cluster]\n{nodes}{line}\n"),
                0,
            );
        }
        for key in NODE.keys {
            let names = if key.required {
                "send_gap = \"1ms\"\n"
            } else {
                "names = [\"n1\"]\n"
            };
            let head = "schema = 1\n[cluster]\nnodes = 5\n[[cluster.node]]\n";
            try_all(key, &|line| format!("{head}{names}{line}\n"), 0);
        }
        for key in NETWORK.keys {
            let head = "schema = 1\n[cluster]\nnodes = 5\n[network]\n";
            try_all(key, &|line| format!("{head}{line}\n"), 4);
        }
        for key in FILE.keys {
            let needed = match key.name {
                "schema" => "cluster = { nodes = 5 }\n",
                "cluster" => "schema = 1\n",
                _ => "schema = 1\ncluster = { nodes = 5 }\n",
            };
            let is_script = matches!(key.kind, Kind::Tables(_));
            if !is_script {
                try_all(key, &|line| format!("{needed}{line}\n"), 0);
            }
        }
    }

    #[test]
    fn every_key_has_a_sentence_an_example_and_a_kind_in_words() {
        let mut shapes: Vec<&'static Shape> = vec![&FILE];
        let mut seen = 0;
        while let Some(shape) = shapes.get(seen).copied() {
            seen += 1;
            for key in shape.keys {
                assert!(key.doc.ends_with('.'), "{} of {}", key.name, shape.name);
                assert!(!key.kind.words().is_empty());
                let next = match key.kind {
                    Kind::Table(next) | Kind::Tables(next) | Kind::SomeTables(_, next) => next,
                    _ => {
                        assert!(!example(key).is_empty(), "{} of {}", key.name, shape.name);
                        continue;
                    }
                };
                if !shapes.iter().any(|known| std::ptr::eq(*known, next)) {
                    shapes.push(next);
                }
            }
        }
        assert!(seen > 25, "{seen}");
    }
}
