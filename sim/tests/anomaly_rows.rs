//! `why` about the row of each shipped anomaly names the message, or the omission, that the anomaly is
//! about.

use hublab_sim::capsule::twice::record;
use hublab_sim::capsule::why::why;
use hublab_sim::{Catalog, Scenario};
use hublab_strategies::Time;

/// A row of an anomaly, and what `why` must say of it.
struct Case {
    file: &'static str,
    strategy: &'static str,
    /// Node, child, instant in milliseconds.
    row: (&'static str, &'static str, u64),
    /// Pieces of the answer, in this order.
    says: &'static [&'static str],
}

const fn case(
    file: &'static str,
    strategy: &'static str,
    row: (&'static str, &'static str, u64),
    says: &'static [&'static str],
) -> Case {
    Case {
        file,
        strategy,
        row,
        says,
    }
}

const CASES: &[Case] = &[
    // The snapshot that was taken before.
    case(
        "a01",
        "pubsub",
        ("n2", "fresh", 16_000),
        &[
            "removed",
            "n1 sent pubsub.sync #0 to n2",
            "14s n2 got pubsub.sync #0",
        ],
    ),
    case(
        "a02",
        "pubsub",
        ("n2", "a", 16_000),
        &[
            "14s put there",
            "n1 sent pubsub.sync #0 to n2",
            "n2 got pubsub.sync #0",
        ],
    ),
    case(
        "a03",
        "pubsub",
        ("n2", "a", 16_000),
        &[
            "14s changed",
            "n2 got pubsub.sync #0",
            "n1=n1.1.2 -> n1=n1.1.1",
        ],
    ),
    // The request that was overtaken.
    case(
        "a04",
        "pubsub",
        ("n2", "again", 16_000),
        &["14s emptied", "stop_children", "n2 got pubsub.requests #1"],
    ),
    case(
        "a04",
        "pubsub",
        ("n2", "brief", 16_000),
        &[
            "n2 has changed it since",
            "14s put there",
            "n2 got pubsub.requests #2",
        ],
    ),
    // The snapshot of the one that left.
    case(
        "a05",
        "pubsub",
        ("n1", "a", 16_000),
        &[
            "emptied",
            "hub.leave",
            "14s put there",
            "n1 got pubsub.sync #0 from n2",
        ],
    ),
    // The join data that list it no more.
    case(
        "a06",
        "pubsub",
        ("n2", "gone", 17_000),
        &["changed nothing", "n2 got pubsub.join #0 from n1; n1: new"],
    ),
    // The refusal.
    case(
        "a07",
        "pubsub",
        ("n2", "late", 7_000),
        &[
            "n2 refused what told it last (pubsub.stale_stamp)",
            "n1 sent pubsub.join #1",
        ],
    ),
    case(
        "a07",
        "gossip",
        ("n2", "late", 74_000),
        &[
            "n2 refused what told it last (gossip.stale_stamp)",
            "n1 sent gossip.sync",
        ],
    ),
    // The silence of a node that hosts nothing.
    case(
        "a08",
        "pubsub",
        ("n1", "a", 56_000),
        &[
            "n2 sends no snapshots before it has hosted a child",
            "snapshot_suppressed",
        ],
    ),
    case(
        "a08",
        "gossip",
        ("n1", "a", 56_000),
        &[
            "n2 sends no snapshots before it has hosted a child",
            "snapshot_suppressed",
        ],
    ),
    // The registration that fills the one place for metadata.
    case(
        "a09",
        "pubsub",
        ("n1", "a", 56_000),
        &[
            "changed",
            "n1 got pubsub.requests #0 from n2",
            "{version=1} -> n1=n1.1.1, n2=n2.1.1 {version=2}",
        ],
    ),
    case(
        "a09",
        "gossip",
        ("n1", "a", 56_000),
        &[
            "changed",
            "n1 got gossip.propagate #0 from n2",
            "{version=2}",
        ],
    ),
    // The loss.
    case(
        "a10",
        "pubsub",
        ("n2", "new", 29_000),
        &[
            "what told n2 last was lost (cut)",
            "n2 never gets pubsub.requests #2 from n1",
        ],
    ),
    case(
        "a10",
        "pubsub",
        ("n2", "old", 29_000),
        &["what told n2 last was lost (cut)"],
    ),
    // The data for the node that is back.
    case(
        "a11",
        "pubsub",
        ("n1", "a", 56_000),
        &["18s put there", "changed", "n1 got pubsub.join #0 from n2"],
    ),
    case(
        "a13",
        "pubsub",
        ("n2", "a", 56_000),
        &[
            "3s put there",
            "changed",
            "n2 got pubsub.requests #0 from n1",
        ],
    ),
    case(
        "a14",
        "pubsub",
        ("n2", "told", 400),
        &["put there", "n2 got pubsub.requests #0 from n1"],
    ),
    case(
        "a14",
        "pubsub",
        ("n2", "untold", 400),
        &["n2 is not in the view of n1, which told it nothing"],
    ),
    case(
        "a18",
        "pubsub",
        ("n1", "mine", 8_000),
        &["emptied", "n1 got pubsub.requests #1 from n2"],
    ),
    case(
        "a18",
        "pubsub",
        ("n1", "never-started", 8_000),
        &["put there", "n1 got pubsub.requests #0 from n2"],
    ),
    // The round that went to the silent one alone, and the one that nobody applied.
    case(
        "g01",
        "gossip",
        ("n1", "b", 16_000),
        &[
            "others were told, and n1 was not",
            "n2 sent gossip.sync #0 to n3",
        ],
    ),
    case(
        "g01",
        "gossip",
        ("n2", "a", 29_000),
        &["changed nothing", "n2 got gossip.sync #0 from n1"],
    ),
    // About the number of messages; the row comes by the first of them.
    case(
        "g02",
        "gossip",
        ("n3", "a", 13_000),
        &["put there", "n3 got gossip.propagate #0 from n1"],
    ),
    case(
        "g04",
        "gossip",
        ("n5", "a", 4_000),
        &[
            "put there",
            "n4 sent gossip.propagate #0 to n4",
            "n5 got gossip.propagate #0 from n4",
        ],
    ),
    case(
        "g05",
        "gossip",
        ("n3", "a", 54_000),
        &[
            "52.005s put there",
            "n2 sent gossip.propagate #0 to n3",
            "52.005s n3 got gossip.propagate #0 from n2",
        ],
    ),
    case(
        "g06",
        "gossip",
        ("n1", "external", 8_000),
        &["put there", "world step 1: propagate"],
    ),
    case(
        "g07",
        "gossip",
        ("n2", "a", 29_000),
        &[
            "what told n2 last was lost (loss)",
            "n2 never gets gossip.sync #0 from n1",
        ],
    ),
    case(
        "g08",
        "gossip",
        ("n3", "b", 49_000),
        &["nobody has been told", "n2 runs b"],
    ),
    case(
        "g09",
        "gossip",
        ("n1", "b", 11_000),
        &["n1 is not in the view of n2, which told it nothing"],
    ),
    case(
        "g10",
        "gossip",
        ("n2", "fresh", 12_000),
        &[
            "9s removed",
            "n1 sent gossip.sync #0 to n2",
            "n2 got gossip.sync #0",
        ],
    ),
    case(
        "g11",
        "gossip",
        ("n2", "late", 44_000),
        &[
            "n2 refused what told it last (gossip.stale_stamp)",
            "n1 sent gossip.sync #1",
        ],
    ),
    case(
        "m01",
        "pubsub",
        ("n2", "x", 29_000),
        &["n2 crashed", "lost with the memory of the node"],
    ),
    case(
        "m01",
        "pubsub",
        ("n1", "a", 41_000),
        &["changed nothing", "n1 got pubsub.join #0 from n2; n2: b"],
    ),
    case(
        "m02",
        "gossip",
        ("n1", "b", 16_000),
        &["others were told, and n1 was not"],
    ),
    case(
        "m03",
        "gossip",
        ("n2", "a", 63_000),
        &["n2 is not in the view of n1, which told it nothing"],
    ),
    case(
        "m04",
        "pubsub",
        ("n1", "b", 16_000),
        &[
            "14s emptied",
            "n2 sent hub.leave #0 to n1",
            "14s n1 got hub.leave #0",
        ],
    ),
];

/// The text of the first piece that is not there behind the one before it.
fn missing<'a>(text: &str, says: &[&'a str]) -> Option<&'a str> {
    let mut rest = text;
    for piece in says {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return Some(piece),
        }
    }
    None
}

#[test]
fn why_names_what_each_anomaly_is_about() {
    let catalog = Catalog::default();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/anomalies");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the anomalies are there")
        .map(|entry| entry.expect("readable").path())
        .collect();
    files.sort();
    let mut wrong = Vec::new();
    for path in files {
        let name = path
            .file_stem()
            .expect("a file")
            .to_string_lossy()
            .into_owned();
        let bytes = std::fs::read(&path).expect("readable");
        let scenario = Scenario::read(&name, &bytes, &catalog).expect("a scenario");
        let mut cases = CASES
            .iter()
            .filter(|case| name.starts_with(case.file))
            .peekable();
        assert!(
            cases.peek().is_some(),
            "{name}: no row of it is asked about"
        );
        for Case {
            strategy,
            row: (node, child, at),
            says,
            ..
        } in cases
        {
            let run = record(&scenario, strategy, scenario.run.seed, &catalog);
            let (_, mut capsule) = run.expect("it can be run");
            let told = why(&mut capsule, node, child, Some(Time(at * 1_000))).expect("an answer");
            if let Some(piece) = missing(&told.to_string(), says) {
                wrong.push(format!("{name} {strategy}: no `{piece}` in\n{told}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
