//! The simulator knows strategies by their catalog entries: no name of a strategy of the default
//! catalog, of a parameter or of a message kind stands in `sim/src` outside of `processhub`, in code or
//! in strings. Comments and tests do not count.

use std::collections::BTreeSet;

use hublab_sim::Catalog;
use hublab_strategies::Message;
use hublab_strategies::hub::HUB_KINDS;
use hublab_strategies::membership::Announcement;

use crate::sources::{code, sources};

/// The names that belong to the strategies of a catalog alone. The kinds of the hub are those of
/// every strategy.
fn names(catalog: &Catalog) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for entry in catalog.entries() {
        // `tracker` is an ordinary word as well: the watch has trackers of its own.
        if entry.name() != "tracker" {
            names.insert(entry.name().to_owned());
        }
        // A specimen may call a parameter by an ordinary word, like `keep`, or as the hub calls one.
        let is_ordinary = |key: &str| !key.contains('_') || key == "tombstone_ttl";
        let is_its_own = |key: &&String| entry.is_default() || !is_ordinary(key);
        names.extend(entry.defaults().keys().filter(is_its_own).cloned());
        let kinds = entry.kinds().expect("a port says its kinds");
        let is_own = |kind: &&str| !HUB_KINDS.contains(kind) && !Announcement::KINDS.contains(kind);
        names.extend(kinds.into_iter().filter(is_own).map(str::to_owned));
    }
    names
}

/// The names that stand in a line as whole words.
fn named<'n>(line: &str, names: &'n BTreeSet<String>) -> Vec<&'n str> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let stands = |name: &&str| {
        line.match_indices(*name).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let after = line[at + name.len()..].chars().next();
            !before.is_some_and(is_part) && !after.is_some_and(is_part)
        })
    };
    names.iter().map(String::as_str).filter(stands).collect()
}

#[test]
fn no_name_of_a_strategy_stands_outside_of_its_own_module() {
    let names = names(&Catalog::default());
    let mut found = Vec::new();
    for source in sources() {
        if source.module == "processhub" {
            continue;
        }
        for line in code(&source.text).lines() {
            for name in named(line, &names) {
                found.push(format!(
                    "{}: {name}: {}",
                    source.path.display(),
                    line.trim()
                ));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn names_are_found_as_whole_words_in_code_and_strings_alone() {
    let names = names(&Catalog::default());
    for name in [
        "gossip",
        "pubsub",
        "sync_interval",
        "recipients",
        "gossip.sync",
    ] {
        assert!(names.contains(name), "{names:?}");
    }
    let text = "
// gossip
let a = \"[strategy.gossip]\"; // pubsub
let b = gossips + no_pubsub;
let recipients = 1;
#[cfg(test)]
mod tests { const NAME: &str = \"pubsub\"; }
";
    let code = code(text);
    let found: Vec<_> = code.lines().flat_map(|line| named(line, &names)).collect();
    assert_eq!(found, ["gossip", "recipients"]);
}
