//! Capsules beside each other, and beside the run made again.

use expect_test::expect;
use hublab_sim::capsule::diff::{AROUND, HeaderDifference};
use hublab_sim::capsule::twice::check_twice;
use hublab_sim::capsule::{Build, Header, Limits, Recording, ReplayError, diff, replay};
use hublab_sim::capsule::{CHECKPOINT, MemoryCapsule};
use hublab_sim::catalog::Catalog;

use super::{CAPSULE, SHORT, STORY, listened, open, recorded, scenario};

#[test]
fn equal_capsules_have_no_difference() {
    let found = diff(open(&CAPSULE.0).unwrap(), open(&CAPSULE.0).unwrap(), AROUND).unwrap();
    assert_eq!((found.headers, found.divergence), (vec![], None));
}

#[test]
fn the_first_difference_is_the_first_event_that_is_not_the_same() {
    // Equal for thousands of events, and then not: the checkpoints are of use, and not in the way.
    let late = STORY.replace(
        "restart = { nodes = [\"n2\"] }",
        "join = { nodes = [\"n2\"] }",
    );
    let late = late.replace("at = \"45s\"\njoin", "at = \"45001ms\"\nrestart");
    let (_, right) = listened(&late, "gossip", 7);
    let expected = CAPSULE
        .1
        .iter()
        .zip(&right)
        .position(|(a, b)| a != b)
        .unwrap();
    assert!(expected as u64 > CHECKPOINT);
    let found = diff(open(&CAPSULE.0).unwrap(), recorded(&late, "gossip", 7), 3).unwrap();
    assert!(
        matches!(
            found.headers.as_slice(),
            [HeaderDifference::Scenario { .. }]
        ),
        "{:?}",
        found.headers
    );
    let divergence = found.divergence.unwrap();
    assert_eq!(divergence.at_event, expected as u64 + 1);
    assert_eq!(divergence.before, CAPSULE.1[expected - 3..expected]);
    assert_eq!(divergence.left, CAPSULE.1[expected..expected + 3]);
    assert_eq!(divergence.right, right[expected..expected + 3]);
}

#[test]
fn a_trace_that_ends_early_differs_where_it_ends() {
    let short = STORY.replace("60s", "50s");
    let (_, events) = listened(&short, "gossip", 7);
    for (left, right) in [(STORY, short.as_str()), (short.as_str(), STORY)] {
        let found = diff(recorded(left, "gossip", 7), recorded(right, "gossip", 7), 2)
            .unwrap()
            .divergence
            .unwrap();
        assert_eq!(found.at_event, events.len() as u64 + 1);
        assert_eq!(found.left.is_empty(), left == short);
        assert_eq!(found.right.is_empty(), right == short);
        assert!(found.to_string().contains("the trace ends"));
    }
}

#[test]
fn headers_that_differ_are_told_apart() {
    let found = diff(
        recorded(SHORT, "pubsub", 1),
        recorded(SHORT, "gossip", 2),
        1,
    )
    .unwrap();
    let told: Vec<String> = found.headers.iter().map(ToString::to_string).collect();
    assert_eq!(
        told[1..],
        [
            "different strategies: pubsub and gossip",
            "different seeds: 1 and 2"
        ]
    );
    expect!["different scenarios, first in line 7: `seed = 1` and `seed = 2`"].assert_eq(&told[0]);
    let shown = found.divergence.unwrap().to_string();
    assert!(shown.starts_with("first difference at event "), "{shown}");
}

#[test]
fn a_replay_is_the_same_run() {
    for (text, strategy) in [(STORY, "pubsub"), (STORY, "gossip"), (SHORT, "gossip")] {
        let capsule = recorded(text, strategy, 5);
        let digest = capsule.footer().digest.clone();
        let again = replay(capsule, &Catalog::default()).unwrap();
        assert_eq!(again.divergence, None);
        assert_eq!(again.other_build, None);
        assert_eq!(again.report.digest, Some(digest));
        assert_eq!(again.report.verdict, again.recorded.verdict);
    }
}

/// The capsule with another header: what its run was, and what it says it was, are two things.
fn with_header(change: impl FnOnce(&mut Header)) -> MemoryCapsule {
    let capsule = open(&CAPSULE.0).unwrap();
    let mut header = capsule.header().clone();
    change(&mut header);
    let recording = Recording::in_memory(&header, Limits::default()).unwrap();
    let mut sink = recording.sink();
    CAPSULE.1.iter().for_each(|event| sink.event(event));
    open(
        recording
            .finish(&capsule.footer().report)
            .unwrap()
            .get_ref(),
    )
    .unwrap()
}

#[test]
fn a_replay_that_parts_names_the_first_event_that_differs() {
    let forged =
        with_header(|header| header.scenario = header.scenario.replace("\"45s\"", "\"44s\""));
    let divergence = replay(forged, &Catalog::default())
        .unwrap()
        .divergence
        .unwrap();
    let first = CAPSULE
        .1
        .iter()
        .find(|event| event.at.0 >= 44_000_000)
        .unwrap();
    assert_eq!(divergence.at_event, first.id);
    let shown = divergence.to_string();
    assert!(shown.contains("  > 44s world step 4: restart"), "{shown}");
}

#[test]
fn a_capsule_of_another_build_says_so_and_is_still_compared() {
    let other = Build {
        version: "0.0.1".to_owned(),
        commit: None,
    };
    let capsule = with_header(|header| header.build = other.clone());
    let again = replay(capsule, &Catalog::default()).unwrap();
    assert_eq!((again.other_build, again.divergence), (Some(other), None));
}

#[test]
fn a_capsule_whose_scenario_is_not_accepted_is_not_replayed() {
    let unknown = with_header(|header| header.scenario.push_str("\n[surprise]\n"));
    assert!(matches!(
        replay(unknown, &Catalog::default()),
        Err(ReplayError::Scenario(_))
    ));
    let stranger = with_header(|header| header.strategy = "stranger".to_owned());
    assert!(matches!(
        replay(stranger, &Catalog::default()),
        Err(ReplayError::Run(_))
    ));
}

#[test]
fn the_ports_are_deterministic() {
    for strategy in ["pubsub", "gossip"] {
        let found = check_twice(&scenario(STORY), strategy, 11, &Catalog::default()).unwrap();
        assert_eq!(found.divergence, None);
    }
}
