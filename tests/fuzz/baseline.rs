//! `--baseline`: only what another strategy does not show.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::place::Place;

pub(crate) const TESTS: &[(&str, fn())] = &[
    (
        "what_the_baseline_shows_too_is_left_out_and_counted",
        what_the_baseline_shows_too_is_left_out_and_counted,
    ),
    (
        "a_file_fails_only_where_the_baseline_does_not",
        a_file_fails_only_where_the_baseline_does_not,
    ),
    (
        "a_baseline_is_another_strategy_of_the_catalog",
        a_baseline_is_another_strategy_of_the_catalog,
    ),
];

/// Oracle and kind of defect of each failure, by seed, and how many were left out.
fn kinds(place: &Place, out: &str) -> BTreeMap<u64, (Vec<(String, String)>, u64)> {
    let mut kinds = BTreeMap::new();
    for line in place.lines(out) {
        let record: Value = serde_json::from_str(&line).expect("a record");
        let mut found = Vec::new();
        for finding in record["findings"].as_array().expect("a list") {
            let word = |key: &str| finding["signature"][key].as_str().unwrap_or("").to_owned();
            found.push((word("oracle"), word("defect")));
        }
        let left_out = record["of_baseline"].as_u64().unwrap_or(0);
        let seed = record["seed"].as_u64().expect("a seed");
        kinds.insert(seed, (found, left_out));
    }
    kinds
}

fn what_the_baseline_shows_too_is_left_out_and_counted() {
    let place = Place::new();
    let campaign = "fuzz --strategy gossip --seeds 0..40 --oracles all --no-shrink";
    place.expect(&format!("{campaign} --out alone"), 1);
    let told = place.run(&format!("{campaign} --baseline pubsub --out beyond"));
    let (alone, beyond) = (kinds(&place, "alone"), kinds(&place, "beyond"));
    assert_eq!(alone.len(), beyond.len());
    let mut left_out = 0;
    for (seed, (all, _)) in &alone {
        let (found, count) = &beyond[seed];
        assert!(found.iter().all(|one| all.contains(one)), "seed {seed}");
        assert_eq!(found.len() as u64 + count, all.len() as u64, "seed {seed}");
        left_out += count;
    }
    assert!(left_out > 0, "the ports share no failure");
    let words = format!("{left_out} failure");
    assert!(told.err.contains(&words), "{words}: {}", told.err);
}

fn a_file_fails_only_where_the_baseline_does_not() {
    let place = Place::new();
    // A propagation is lost. PubSub's next round repairs it; Gossip's initiator has hosted nothing.
    let lost = "schema = 1\n[run]\nduration = '2m'\n[cluster]\nnodes = 2\n\
        [[step]]\nat = '5s'\ncut = { from = ['n2'], to = ['n1'], heal_after = '1s' }\n\
        [[step]]\nat = '5s'\nstart_children = { on = 'n2', ids = ['a'] }\n\
        [[expect]]\nconverged = { within = '60s' }\n";
    fs::write(place.path("lost.toml"), lost).expect("a file");
    let campaign = "fuzz --strategy gossip --baseline pubsub --seeds 0..2";
    place.expect(&format!("{campaign} lost.toml --out lost"), 1);
    let shrunk = fs::read_dir(place.path("lost/failures")).expect("a directory");
    assert!(shrunk.count() > 0, "it is shrunk, too");
    // A row that nobody takes away: both keep it.
    let ghost = "schema = 1\n[run]\nduration = '2m'\n[cluster]\nnodes = 2\n\
        [[step]]\nat = '5s'\nrows = { on = 'n1', rows = [{ child = 'a', nodes = { n2 = 'p' } }] }\n\
        [[expect]]\nconverged = { within = '60s' }\n";
    fs::write(place.path("ghost.toml"), ghost).expect("a file");
    place.expect("fuzz --strategy gossip --seeds 0..2 ghost.toml", 1);
    let told = place.expect(&format!("{campaign} ghost.toml"), 0);
    assert!(
        told.contains("2 failures of the baseline, too, left out"),
        "{told}"
    );
}

fn a_baseline_is_another_strategy_of_the_catalog() {
    let place = Place::new();
    let told = place.expect("fuzz --strategy pubsub --baseline pubsub --seeds 0..2", 2);
    assert!(told.contains("nothing to hold against it"), "{told}");
    let told = place.expect("fuzz --baseline nobody --seeds 0..2", 2);
    assert!(told.contains("unknown strategy `nobody`"), "{told}");
    // Without --strategy it is all the others.
    place.run("fuzz --baseline pubsub --seeds 0..2 --no-shrink --out others");
    for line in place.lines("others") {
        assert!(!line.contains("\"strategy\":\"pubsub\""), "{line}");
    }
}
