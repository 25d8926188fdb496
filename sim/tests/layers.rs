//! The layers of `sim/src`: a module uses its own layer and those below, and no two modules use each
//! other, directly or by way of others. Imports and paths are read from the source; documentation and
//! the tests inside modules do not count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The top-level modules from the bottom up, those of one layer in one line. The order within a layer
/// is free as long as there is no circle.
const LAYERS: &[&[&str]] = &[
    &["model", "stream", "statistics"],
    &["network", "node", "trace", "world"],
    &["watch"],
    &["report", "metric", "anomaly"],
    &["catalog"],
    &["scenario", "claims"],
    &["engine"],
    &["simulation", "run", "witness"],
    &["capsule"],
    &["generate", "classify", "processhub"],
    &["shrink", "campaign", "compare"],
];

/// What is still to be mended: the list may only become shorter.
const KNOWN_UPWARD: &[(&str, &str)] = &[];
const KNOWN_CIRCLES: &[&[&str]] = &[];

fn sources(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory of sources");
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.expect("an entry of the directory").path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The text without comments and string literals, up to the tests at its end.
fn code(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
        } else if rest.starts_with("#[cfg(test)]\nmod ") && !rest.starts_with_module_file() {
            break;
        } else if first == '"' {
            rest = after_literal(rest);
        } else if rest.starts_with("'\"'") {
            rest = &rest[3..];
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    code
}

trait Source {
    /// Whether a test module lies in a file of its own, so that code may follow.
    fn starts_with_module_file(&self) -> bool;
}

impl Source for str {
    fn starts_with_module_file(&self) -> bool {
        let declaration = self.lines().nth(1).unwrap_or_default();
        declaration.ends_with(';')
    }
}

fn after_literal(text: &str) -> &str {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == '"' && !escaped {
            return &text[at + 1..];
        }
        escaped = c == '\\' && !escaped;
    }
    ""
}

/// The first segments of all paths that begin with `crate::`, those of groups included.
fn used(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for part in code.split("crate::").skip(1) {
        let names: Vec<&str> = match part.strip_prefix('{') {
            Some(group) => top_level(group),
            None => vec![part],
        };
        used.extend(names.into_iter().map(first_segment));
    }
    used.remove("");
    used
}

fn first_segment(path: &str) -> String {
    path.trim_start()
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

/// The members of a group of imports, up to its closing brace.
fn top_level(group: &str) -> Vec<&str> {
    let (mut depth, mut from, mut members) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                members.push(&group[from..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                members.push(&group[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    members
}

/// Module -> modules that it uses, with a file that shows it.
type Uses = BTreeMap<String, BTreeMap<String, String>>;

fn uses() -> Uses {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut uses = Uses::new();
    let mut files = Vec::new();
    for file in sources(&root) {
        let inside = file.strip_prefix(&root).expect("a file of the sources");
        let first = inside.components().next().expect("a name").as_os_str();
        let module = first.to_string_lossy().replace(".rs", "");
        let is_test = inside.file_stem().is_some_and(|stem| stem == "tests");
        if module != "lib" && !is_test {
            uses.entry(module.clone()).or_default();
            files.push((module, file));
        }
    }
    for (module, file) in files {
        let text = fs::read_to_string(&file).expect("a source file");
        let name = file.display().to_string();
        for other in used(&code(&text)) {
            if other != module && uses.contains_key(&other) {
                let of_module = uses.entry(module.clone()).or_default();
                of_module.entry(other).or_insert_with(|| name.clone());
            }
        }
    }
    uses
}

fn layer(module: &str) -> usize {
    LAYERS
        .iter()
        .position(|layer| layer.contains(&module))
        .unwrap_or_else(|| panic!("`{module}` has no layer: give it one in this test"))
}

#[test]
fn no_module_uses_one_of_an_upper_layer() {
    let mut upward = BTreeMap::new();
    for (module, others) in uses() {
        for (other, file) in others {
            if layer(&module) < layer(&other) {
                upward.insert((module.clone(), other), file);
            }
        }
    }
    let known: BTreeSet<_> = KNOWN_UPWARD
        .iter()
        .map(|(from, to)| ((*from).to_owned(), (*to).to_owned()))
        .collect();
    let found: BTreeSet<_> = upward.keys().cloned().collect();
    assert_eq!(found, known, "found and known differ: {upward:#?}");
}

#[test]
fn no_modules_use_each_other() {
    let mut uses = uses();
    for (from, to) in KNOWN_UPWARD {
        uses.entry((*from).to_owned()).or_default().remove(*to);
    }
    let reached = |from: &str| {
        let mut reached = BTreeSet::new();
        let mut next = vec![from.to_owned()];
        while let Some(module) = next.pop() {
            let others = uses.get(&module).into_iter().flat_map(BTreeMap::keys);
            next.extend(
                others
                    .filter(|other| reached.insert((*other).clone()))
                    .cloned(),
            );
        }
        reached
    };
    let all: BTreeMap<&str, BTreeSet<String>> = uses
        .keys()
        .map(|module| (module.as_str(), reached(module)))
        .collect();
    let mut circles = BTreeSet::new();
    for (module, others) in &all {
        if others.contains(*module) {
            let back = |other: &&&str| others.contains(**other) && all[**other].contains(*module);
            circles.insert(all.keys().filter(back).copied().collect::<Vec<_>>());
        }
    }
    let known: BTreeSet<Vec<&str>> = KNOWN_CIRCLES.iter().map(|circle| circle.to_vec()).collect();
    assert_eq!(circles, known, "circles found and known differ: {uses:#?}");
}

#[test]
fn imports_are_read_with_groups_and_without_comments_strings_and_tests() {
    let text = r#"
//! [`crate::documented`]
use crate::{one, two::{inner, other}, three::x};
use crate::four::Five;
fn f() { crate::six::g("crate::quoted \" crate::quoted"); let quote = '"'; crate::seven::h(); }
#[cfg(test)]
mod tests;
pub(crate) fn g() { crate::eight::h() }
#[cfg(test)]
mod inside {
    use crate::tested;
}
"#;
    let found: Vec<_> = used(&code(text)).into_iter().collect();
    assert_eq!(
        found,
        ["eight", "four", "one", "seven", "six", "three", "two"]
    );
}
