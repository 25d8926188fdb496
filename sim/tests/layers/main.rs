//! The layers of `sim/src`: a module uses its own layer and those below, and no two modules use each
//! other, directly or by way of others. Imports and paths are read from the source; documentation and
//! the tests inside modules do not count.

mod api;
mod names;
mod sources;

use std::collections::{BTreeMap, BTreeSet};

use sources::{code_without_strings, sources};

/// The top-level modules from the bottom up, those of one layer in one line. The order within a layer
/// is free as long as there is no circle.
const LAYERS: &[&[&str]] = &[
    &["model", "stream", "statistics", "memory"],
    &["network", "node", "trace", "world"],
    &["watch"],
    &["report", "metric", "anomaly"],
    &["catalog"],
    &["scenario", "claims"],
    &["engine"],
    &["simulation", "run", "witness"],
    &["capsule"],
    &["generate", "classify", "processhub"],
    &["shrink", "campaign", "compare", "blame"],
];

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
    let sources = sources();
    let mut uses: Uses = sources
        .iter()
        .map(|source| (source.module.clone(), BTreeMap::new()))
        .collect();
    for source in sources {
        let name = source.path.display().to_string();
        for other in used(&code_without_strings(&source.text)) {
            if other != source.module && uses.contains_key(&other) {
                let of_module = uses.entry(source.module.clone()).or_default();
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
    assert!(upward.is_empty(), "{upward:#?}");
}

#[test]
fn no_modules_use_each_other() {
    let uses = uses();
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
    assert!(circles.is_empty(), "{circles:?} in {uses:#?}");
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
    let found: Vec<_> = used(&code_without_strings(text)).into_iter().collect();
    assert_eq!(
        found,
        ["eight", "four", "one", "seven", "six", "three", "two"]
    );
}
