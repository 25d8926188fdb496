//! PubSub with a bug of its own, under its own name.

#[path = "../around/mod.rs"]
pub(crate) mod around;

use hublab_sim::catalog::Catalog;
use hublab_strategies::strategy::Claim;
use hublab_strategies::{
    LocalChild, Metadata, NodeId, PubSub, Snapshot, Strategy, Synchronization,
};

use around::{Around, Cx, Twist};

/// Rounds take out the last child of each snapshot.
const DROPS_LAST: u8 = 0;
/// Rounds add and never remove.
const NEVER_DETACHES: u8 = 1;
/// There are no rounds.
const NO_ROUNDS: u8 = 2;
/// Rounds bring metadata that nobody gave.
const GARBLES_METADATA: u8 = 3;

/// Each bug, with a catalog whose `pubsub` has it.
pub(crate) fn catalogs() -> [(&'static str, Catalog); 4] {
    let empty = Catalog::empty;
    [
        ("drops last", empty().with::<Faulty<DROPS_LAST>>()),
        ("never detaches", empty().with::<Faulty<NEVER_DETACHES>>()),
        ("no rounds", empty().with::<Faulty<NO_ROUNDS>>()),
        (
            "garbles metadata",
            empty().with::<Faulty<GARBLES_METADATA>>(),
        ),
    ]
}

type Faulty<const BUG: u8> = Around<Bug<BUG>>;

struct Bug<const BUG: u8>;

impl<const BUG: u8> Bug<BUG> {
    fn misread(data: &Snapshot) -> Snapshot {
        let mut children: Vec<LocalChild> = data.children().to_vec();
        if BUG == DROPS_LAST {
            children.pop();
        } else if BUG == GARBLES_METADATA {
            for child in &mut children {
                child.metadata = Metadata::from_iter([("garbled", "yes")]);
            }
        }
        Snapshot::new(children)
    }
}

impl<const BUG: u8> Twist for Bug<BUG> {
    const NAME: &'static str = PubSub::NAME;
    const SUMMARY: &'static str = "PubSub with a bug";

    fn claims() -> &'static [Claim] {
        PubSub::claims()
    }

    fn round(inner: &mut PubSub, cx: &mut Cx<'_>, cluster_nodes: &[NodeId]) {
        if BUG != NO_ROUNDS {
            inner.init_sync(cx, cluster_nodes);
        }
    }

    fn synchronize(_inner: &mut PubSub, cx: &mut Cx<'_>, data: &Snapshot, from: &NodeId) {
        let misread = Self::misread(data);
        cx.append_data(from, &misread);
        if BUG != NEVER_DETACHES {
            cx.detach_data(from, &misread);
        }
    }
}
