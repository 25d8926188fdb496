//! A mutant of low rate: `PubSub` that, once in a thousand rows that a round brings, takes one for
//! absent.

use hublab_strategies::{NodeId, PubSub, Snapshot, Synchronization};

use crate::around::{Around, Cx, Twist};

/// The strategy's name.
pub(crate) const NAME: &str = "leaky";

/// Rows taken in per row lost.
const RATE: u64 = 1_000;

pub(crate) type Leaky = Around<Leak>;

pub(crate) struct Leak;

impl Twist for Leak {
    const NAME: &'static str = NAME;
    const SUMMARY: &'static str = "loses a row now and then";

    fn synchronize(inner: &mut PubSub, cx: &mut Cx<'_>, data: &Snapshot, from: &NodeId) {
        let mut children = data.children().to_vec();
        children.retain(|_| !cx.random().is_multiple_of(RATE));
        inner.handle_synchronization(cx, &Snapshot::new(children), from);
    }
}
