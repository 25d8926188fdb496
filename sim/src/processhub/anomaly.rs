//! The known anomalies of the original's synchronization: what each is, and which shipped
//! scenario shows it.
//!
//! The two ports are faithful, so they have these faults too. A scenario under
//! `scenarios/anomalies/` is the smallest that makes one of them happen.

use crate::anomaly::{Anomaly, Shown};

const fn shown(
    id: &'static str,
    title: &'static str,
    summary: &'static str,
    by: &'static str,
    seen_by: &'static [&'static str],
) -> Anomaly {
    Anomaly {
        id,
        title,
        summary,
        shown: Shown::By(by),
        seen_by,
    }
}

const fn never(
    id: &'static str,
    title: &'static str,
    summary: &'static str,
    why: &'static str,
) -> Anomaly {
    Anomaly {
        id,
        title,
        summary,
        shown: Shown::Never(why),
        seen_by: &[],
    }
}

/// Every anomaly, in the order of ids: `A1` to `A17` concern PubSub or both strategies, `G1` to `G12`
/// Gossip, `M1` to `M4` membership.
pub const LIST: &[Anomaly] = &[
    shown(
        "A1",
        "stale snapshot detaches a fresh row",
        "a snapshot taken before a registration is handled after it, and deletes the row until the owner's next round",
        "a01-stale-snapshot-detaches-fresh-row",
        &["no_false_absence"],
    ),
    shown(
        "A2",
        "ghost after unregister",
        "a snapshot taken before an unregistration is handled after it, and brings the dead pid back",
        "a02-ghost-after-unregister",
        &["no_resurrection"],
    ),
    shown(
        "A3",
        "pid update reverted",
        "a snapshot taken before a pid update is handled after it, and brings the old pid back",
        "a03-stale-snapshot-reverts-pid",
        &["no_false_absence", "no_resurrection"],
    ),
    shown(
        "A4",
        "unregister is not pid-aware",
        "a stop and a start of one child arrive in the other order, and the row of the running child is emptied",
        "a04-unregister-ignores-pid",
        &["no_false_absence", "no_resurrection", "convergence"],
    ),
    shown(
        "A5",
        "rows of departed nodes",
        "a message of a node that was already removed is handled, and its rows stay for ever",
        "a05-row-of-departed-node",
        &[
            "membership_containment",
            "convergence",
            "no_permanent_ghost",
        ],
    ),
    shown(
        "A6",
        "join data never detach under PubSub",
        "a child stopped while a peer was away stays in that peer's view until the owner's next round",
        "a06-join-data-never-detach",
        &["no_resurrection", "convergence"],
    ),
    shown(
        "A7",
        "clock step back",
        "a node whose wall clock was set back is ignored until the clock has caught up",
        "a07-clock-step-back",
        &["convergence", "clock_independence"],
    ),
    shown(
        "A8",
        "suppressed empty snapshots leave ghosts",
        "a node that is back quickly and hosts nothing never says so, and its old rows stay on all peers",
        "a08-suppressed-empties-leave-ghosts",
        &["convergence"],
    ),
    shown(
        "A9",
        "metadata diverge",
        "replicas registered with different metadata keep, on each node, whatever came first",
        "a09-metadata-diverge",
        &["metadata_agreement", "convergence"],
    ),
    shown(
        "A10",
        "lost propagation is silent",
        "nothing acknowledges a propagation: a lost one is repaired by the owner's next round, or never",
        "a10-lost-propagate-is-silent",
        &["convergence"],
    ),
    shown(
        "A11",
        "partition",
        "a child started on both sides of a partition has two entries after healing, and no rule chooses one",
        "a11-partition-doubles-a-child",
        &[],
    ),
    never(
        "A12",
        "self snapshot",
        "a snapshot attributed to the receiver itself detaches its own rows; nothing guards it",
        "no scripted message carries a forged sender",
    ),
    shown(
        "A13",
        "order of entries differs between nodes",
        "the same set of entries stands in another order, so nodes disagree about the first pid",
        "a13-order-of-replicas-differs",
        &[],
    ),
    shown(
        "A14",
        "requests ignore the cluster view",
        "PubSub's requests reach every connected node, its snapshots only the nodes of the view",
        "a14-requests-ignore-the-view",
        &["membership_containment"],
    ),
    never(
        "A15",
        "worker timeout kills a request",
        "a request that takes over 5 s is dropped without notice",
        "a handled message is one atomic step here",
    ),
    never(
        "A16",
        "pid update of an unknown child",
        "crashed the coordinator of version 0.4.1",
        "the version that is ported ignores it",
    ),
    never(
        "A17",
        "duplicate keys",
        "a registration that repeats a node is stored with the repetition",
        "a scenario file cannot name a node twice in one table",
    ),
    shown(
        "A18",
        "requests about other nodes",
        "whoever sends a request may register and remove the entries of any node, its recipient included",
        "a18-request-about-its-recipient",
        &["single_writer"],
    ),
    shown(
        "G1",
        "one absent member stalls every round",
        "a node that is in a view but gone is always missing, so data are only forwarded and nobody applies",
        "g01-absent-member-stalls-rounds",
        &["convergence", "no_permanent_ghost", "repair_progress"],
    ),
    shown(
        "G2",
        "acknowledgements dropped on first contact",
        "a node forgets who has acknowledged a round it hears of first, and messages multiply",
        "g02-acks-dropped-on-first-contact",
        &[],
    ),
    never(
        "G3",
        "no second apply after one's own acknowledgement",
        "newer data merged later in a round are passed on but not applied",
        "seen in the step tests of Gossip",
    ),
    shown(
        "G4",
        "messages to oneself",
        "candidates are computed before a node's own acknowledgement, and include the node",
        "g04-propagation-picks-itself",
        &[],
    ),
    shown(
        "G5",
        "late duplicate handled again",
        "a propagation that arrives after its reference was purged is handled a second time",
        "g05-late-copy-handled-again",
        &["no_resurrection"],
    ),
    shown(
        "G6",
        "members are ignored",
        "a Gossip propagation goes to everybody, its originator included, whomever it addresses",
        "g06-members-ignored",
        &["single_writer", "membership_containment"],
    ),
    shown(
        "G7",
        "lost message ends a chain",
        "with one recipient a single loss ends a propagation, and the loss of a round's first message the round",
        "g07-one-loss-ends-the-chain",
        &["convergence", "no_permanent_ghost"],
    ),
    shown(
        "G8",
        "empty initiator blocks all rounds",
        "the first node by name has hosted nothing, so it starts no round, and nobody else does",
        "g08-empty-initiator-blocks-rounds",
        &["convergence", "repair_progress"],
    ),
    shown(
        "G9",
        "join broadcast under a stale view",
        "the joiner does not yet know the others, applies and acknowledges alone, and nobody gets its rows",
        "g09-joiner-data-stay-with-it",
        &["convergence", "repair_progress"],
    ),
    shown(
        "G10",
        "stale snapshot inside a round",
        "a row propagated while a round is under way is detached by the older entry of that round",
        "g10-stale-snapshot-inside-a-round",
        &[
            "no_false_absence",
            "no_resurrection",
            "convergence",
            "repair_progress",
        ],
    ),
    shown(
        "G11",
        "timestamps of different clocks",
        "data stamped by a clock set back, or at an equal instant, are refused",
        "g11-equal-timestamp-refused",
        &["convergence", "clock_independence"],
    ),
    never(
        "G12",
        "join and sync rounds in different processes",
        "both read, change and write the same rows without a lock",
        "a handled message is one atomic step here",
    ),
    shown(
        "M1",
        "restart hidden by the debounce",
        "a node that is down and back within the debounce is neither down nor new: nobody tells it anything",
        "m01-restart-hidden-by-debounce",
        &["convergence", "join_prompt"],
    ),
    shown(
        "M2",
        "views differ while batches run",
        "nodes flush joins and downs at different instants, and their views disagree meanwhile",
        "m02-views-differ-during-a-join",
        &["convergence"],
    ),
    shown(
        "M3",
        "endless debounce",
        "a debounce as long as the discovery interval is restarted again and again, and never flushes",
        "m03-endless-debounce",
        &[
            "membership_containment",
            "convergence",
            "no_permanent_ghost",
            "repair_progress",
        ],
    ),
    shown(
        "M4",
        "leave processed twice or late",
        "an explicit leave acts at once, the connection's end after the debounce, and between them a node can rejoin",
        "m04-late-leave-removes-the-living",
        &[],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_complete_and_in_order() {
        let families = [('A', 18), ('G', 12), ('M', 4)];
        let ids = families.iter().flat_map(|(family, count)| {
            (1..=*count).map(move |number| format!("{family}{number}"))
        });
        assert_eq!(
            ids.collect::<Vec<_>>(),
            LIST.iter().map(|anomaly| anomaly.id).collect::<Vec<_>>()
        );
    }

    #[test]
    fn what_reports_an_anomaly_is_an_oracle() {
        for anomaly in LIST {
            for name in anomaly.seen_by {
                assert!(
                    crate::catalog::Catalog::empty().oracle(name).is_some(),
                    "{}: {name}",
                    anomaly.id
                );
            }
        }
    }
}
