//! Independence of streams: what is drawn for message k of a link and channel depends on the
//! seed, the names of the two nodes, the channel and k, and on nothing else.

mod tape;

use std::collections::BTreeMap;

use hublab_sim::catalog::Catalog;
use hublab_sim::scenario::{Scenario, Step};
use hublab_sim::trace::event::DropReason;
use hublab_sim::trace::{Event, EventId, Payload};
use hublab_sim::world::Stepping;
use tape::{read, record};

/// The cluster of every scenario here: `{nodes}` and what follows from them are filled in.
const HEAD: &str = r#"
schema = 1
[run]
duration = "70s"
[cluster]
names = [{names}]
start = ["n1", "n2", "n3", "n4"{start}]
discovery_interval = "5s"
down_after = "8s"
[strategy.pubsub]
sync_interval = "7s"
[strategy.gossip]
sync_interval = "7s"
[network]
latency = { lognormal = { median = "3ms", p99 = "30ms" } }
loss = 0.05
duplicate = 0.05
order = "any"
"#;

const STEPS: [&str; 11] = [
    r#"at = "1s..2s"
start_children = { on = "n1", ids = ["a", "b"] }"#,
    r#"at = "1s..2s"
start_children = { on = "n2", count = 4, prefix = "x" }"#,
    r#"at = "3s..9s"
start_children = { on = "n3", ids = ["c"], via = "n4" }"#,
    r#"at = "3s..9s"
sync = { on = "n1" }"#,
    r#"at = "3s..9s"
sync = { on = "n1" }"#,
    r#"at = "10s"
join = { nodes = ["n5"] }"#,
    r#"at = "15s..16s"
partition = { groups = [["n1", "n2", "n5"], ["n3", "n4"]], heal_after = "4s..6s" }"#,
    r#"at = "18s..19s"
restart_child = { on = "n1", id = "a" }"#,
    r#"at = "25s"
crash = { nodes = ["n2"] }"#,
    r#"at = "30s..31s"
stop_children = { on = "n1", ids = ["b"] }"#,
    r#"at = "40s"
restart = { nodes = ["n2"] }"#,
];

/// The position of `crash`, and of the `restart` that needs it.
const CRASH: usize = 8;
const RESTART: usize = 10;

/// A scenario with these nodes beside n1 to n5, and these steps.
fn scenario(first: &str, last: &str, start: &str, steps: &[&str]) -> Scenario {
    let names = format!(r#"{first}"n1", "n2", "n3", "n4", "n5"{last}"#);
    let mut text = HEAD.replace("{names}", &names).replace("{start}", start);
    for step in steps {
        text.push_str("\n[[step]]\n");
        text.push_str(step);
    }
    text.push_str("\n[[expect]]\nalways = \"no_crash\"\n");
    read(&text, &Catalog::default())
}

/// What was drawn for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Drawn {
    Lost,
    /// The latency, and that of a copy.
    Latency(u64, Option<u64>),
}

/// By link, channel and number.
type Draws = BTreeMap<(String, String, u8, u64), Drawn>;

/// Reads the draws off a trace. With order `any`, no gap and no bandwidth limit, the time to
/// arrival is the latency; what was refused for another reason than loss shows nothing.
fn draws(scenario: &Scenario, events: &[Event]) -> Draws {
    let refused: BTreeMap<EventId, DropReason> = events
        .iter()
        .filter_map(|event| {
            let Payload::Dropped { reason, .. } = event.payload else {
                return None;
            };
            Some((event.cause, reason))
        })
        .collect();
    let name = |node: u32| scenario.cluster.nodes[node as usize].to_string();
    let mut draws = Draws::new();
    let mut keys = BTreeMap::new();
    for event in events {
        if let Payload::Sent {
            to,
            channel,
            number,
            due,
            ..
        } = event.payload
        {
            let drawn = match (due, refused.get(&event.id)) {
                (Some(due), _) => Drawn::Latency(due.0 - event.at.0, None),
                (None, Some(DropReason::Loss)) => Drawn::Lost,
                (None, _) => continue,
            };
            let key = (name(event.node), name(to), channel, number);
            keys.insert(event.id, key.clone());
            assert!(
                draws.insert(key, drawn).is_none(),
                "a number is used once: {event:?}"
            );
        } else if let Payload::Duplicated { due, .. } = event.payload
            && let Some(Drawn::Latency(_, copy)) = draws.get_mut(&keys[&event.cause])
        {
            *copy = Some(due.0 - event.at.0);
        }
    }
    draws
}

/// Runs two scenarios and compares every draw that both made. Of the one that makes fewer, most must
/// be common, or nothing would be shown.
fn assert_same_draws(left: &Scenario, right: &Scenario, what: &str) {
    for strategy in ["pubsub", "gossip"] {
        for seed in [1, 2] {
            let tapes = [left, right].map(|scenario| {
                let tape = record(
                    scenario,
                    strategy,
                    seed,
                    &Catalog::default(),
                    Stepping::Slice,
                );
                draws(scenario, &tape.events)
            });
            let [left, right] = &tapes;
            let mut common = 0;
            for (key, drawn) in left {
                if let Some(other) = right.get(key) {
                    assert_eq!(
                        drawn, other,
                        "{what}: {key:?} under {strategy}, seed {seed}"
                    );
                    common += 1;
                }
            }
            assert!(
                common * 2 > left.len().min(right.len()) && common > 200,
                "{what}: only {common} of {} and {} draws in common under {strategy}",
                left.len(),
                right.len()
            );
        }
    }
}

#[test]
fn a_deleted_step_moves_no_draw_of_the_network() {
    let whole = scenario("", "", "", &STEPS);
    for (deleted, step) in STEPS.iter().enumerate() {
        // A restart needs the crash before it.
        let also = if deleted == CRASH { RESTART } else { deleted };
        let steps: Vec<&str> = (0..)
            .zip(STEPS)
            .filter(|(index, _)| *index != deleted && *index != also)
            .map(|(_, step)| step)
            .collect();
        let what = format!("without `{step}`");
        assert_same_draws(&whole, &scenario("", "", "", &steps), &what);
    }
}

#[test]
fn a_deleted_step_moves_no_other_step() {
    let instants = |steps: &[&str]| {
        let scenario = scenario("", "", "", steps);
        let resolved = hublab_sim::scenario::resolve(&scenario, 7, &Catalog::default());
        let written = |step: &Step| (step.at, step.action.clone());
        resolved.steps.iter().map(written).collect::<Vec<_>>()
    };
    let whole = instants(&STEPS);
    for (deleted, step) in STEPS.iter().enumerate() {
        let also = if deleted == CRASH { RESTART } else { deleted };
        let is_kept = |index: usize| index != deleted && index != also;
        let steps: Vec<&str> = (0..)
            .zip(STEPS)
            .filter(|(index, _)| is_kept(*index))
            .map(|(_, step)| step)
            .collect();
        let mut expected: Vec<_> = (0..)
            .zip(whole.clone())
            .filter(|(index, _)| is_kept(*index))
            .map(|(_, step)| step)
            .collect();
        // Two steps are equal: of these the first draw goes to whichever stands first.
        if deleted == 3 {
            expected[3] = whole[3].clone();
        }
        assert_eq!(instants(&steps), expected, "without `{step}`");
    }
    assert_ne!(
        whole[3].0, whole[4].0,
        "equal steps have draws of their own"
    );
}

#[test]
fn a_node_that_is_never_started_moves_no_draw() {
    let plain = scenario("", "", "", &STEPS);
    assert_same_draws(
        &plain,
        &scenario("", r#", "n6""#, "", &STEPS),
        "n6 behind the others",
    );
    assert_same_draws(
        &plain,
        &scenario(r#""n0", "#, "", "", &STEPS),
        "n0 before the others",
    );
}

#[test]
fn a_node_that_is_never_started_changes_nothing_at_all() {
    let plain = scenario("", "", "", &STEPS);
    let larger = scenario("", r#", "n6""#, "", &STEPS);
    for strategy in ["pubsub", "gossip"] {
        let digest = |scenario| {
            record(scenario, strategy, 3, &Catalog::default(), Stepping::Slice)
                .report
                .digest
        };
        assert_eq!(digest(&plain), digest(&larger), "{strategy}");
    }
}

#[test]
fn a_node_cut_off_from_all_moves_no_draw_of_the_others() {
    let plain = scenario("", "", "", &STEPS);
    let cut = r#"at = "0s"
partition = { groups = [["n1..n5"], ["n6"]] }"#;
    let born_apart = r#"at = "1s"
join = { nodes = ["n6"] }"#;
    // The file's own partition needs a place for n6.
    let steps = |more: &[&'static str]| {
        let grouped = STEPS[6].replace(r#"["n3", "n4"]]"#, r#"["n3", "n4"], ["n6"]]"#);
        let mut steps: Vec<String> = more.iter().map(|step| (*step).to_owned()).collect();
        steps.extend((0..).zip(STEPS).map(|(index, step)| {
            if index == 6 {
                grouped.clone()
            } else {
                step.to_owned()
            }
        }));
        steps
    };
    for (start, more) in [(r#", "n6""#, &[cut][..]), ("", &[cut, born_apart])] {
        let steps = steps(more);
        let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
        let larger = scenario("", r#", "n6""#, start, &steps);
        assert_same_draws(
            &plain,
            &larger,
            if start.is_empty() {
                "n6 joins cut off"
            } else {
                "n6 is cut off at once"
            },
        );
    }
}

#[test]
fn another_seed_moves_every_stream() {
    let scenario = scenario("", "", "", &STEPS);
    let catalog = Catalog::default();
    let [one, two] = [1, 2].map(|seed| {
        draws(
            &scenario,
            &record(&scenario, "pubsub", seed, &catalog, Stepping::Slice).events,
        )
    });
    let common: Vec<_> = one
        .iter()
        .filter_map(|(key, drawn)| Some((drawn, two.get(key)?)))
        .collect();
    let equal = common.iter().filter(|(left, right)| left == right).count();
    assert!(common.len() > 200, "{}", common.len());
    assert!(
        equal * 50 < common.len(),
        "{equal} of {} draws are equal",
        common.len()
    );
}
