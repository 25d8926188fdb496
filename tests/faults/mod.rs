//! Strategies that misbehave: PubSub, with one fault each.

#[path = "../../sim/tests/around/mod.rs"]
mod around;

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hublab::strategies::strategy::{Claim, Condition};
use hublab::strategies::{ChildId, NodeId, PubSub, Synchronization};

use around::{Around, Cx, Twist};

/// What a strategy does that it should not, once it runs.
pub(crate) trait Fault: Send + 'static {
    const NAME: &'static str;
    fn strike(_cx: &mut Cx<'_>) {}
    /// Called when a run is prepared.
    fn prepare() {}
}

/// PubSub with a fault at every periodic round.
pub(crate) type Unruly<F> = Around<Struck<F>>;

pub(crate) struct Struck<F>(PhantomData<F>);

impl<F: Fault> Twist for Struck<F> {
    const NAME: &'static str = F::NAME;
    const SUMMARY: &'static str = "PubSub with a fault";

    fn claims() -> &'static [Claim] {
        const {
            &[Claim {
                oracle: "own_truth",
                condition: Condition::ALWAYS,
                narrowed_by: &[],
            }]
        }
    }

    fn prepare() {
        F::prepare();
    }

    fn round(inner: &mut PubSub, cx: &mut Cx<'_>, cluster_nodes: &[NodeId]) {
        F::strike(cx);
        inner.init_sync(cx, cluster_nodes);
    }
}

/// Behaves differently in every process.
pub(crate) struct Moody;

impl Fault for Moody {
    const NAME: &'static str = "moody";

    fn strike(cx: &mut Cx<'_>) {
        cx.set_timer(
            0,
            Duration::from_micros(1_000 + u64::from(std::process::id())),
        );
    }
}

/// Panics.
pub(crate) struct Nervous;

impl Fault for Nervous {
    const NAME: &'static str = "nervous";

    fn strike(_: &mut Cx<'_>) {
        panic!("out of nerve");
    }
}

/// Panics where no run catches it, as only a bug does.
pub(crate) struct Stillborn;

impl Fault for Stillborn {
    const NAME: &'static str = "stillborn";

    fn prepare() {
        panic!("never began");
    }
}

/// Never returns.
pub(crate) struct Endless;

impl Fault for Endless {
    const NAME: &'static str = "endless";

    fn strike(_: &mut Cx<'_>) {
        loop {
            std::hint::spin_loop();
        }
    }
}

/// Takes all the memory that it can get.
pub(crate) struct Greedy;

impl Fault for Greedy {
    const NAME: &'static str = "greedy";

    fn strike(_: &mut Cx<'_>) {
        let mut hoard = Vec::new();
        loop {
            hoard.push(vec![1_u8; 1 << 20]);
        }
    }
}

/// Calls itself until its stack ends.
pub(crate) struct Deep;

impl Deep {
    fn fall(depth: u64) -> u64 {
        let here = std::hint::black_box([depth; 64]);
        if std::hint::black_box(true) {
            Self::fall(depth + 1) + here[7]
        } else {
            0
        }
    }
}

impl Fault for Deep {
    const NAME: &'static str = "deep";

    fn strike(_: &mut Cx<'_>) {
        std::hint::black_box(Self::fall(0));
    }
}

/// Throws its own children out of its registry.
pub(crate) struct Forgetful;

impl Fault for Forgetful {
    const NAME: &'static str = "forgetful";

    fn strike(cx: &mut Cx<'_>) {
        let node = cx.node().clone();
        let own: Vec<ChildId> = cx.registry().children_of(&node).cloned().collect();
        for child in own {
            cx.remove(&child, &node);
        }
    }
}

/// How often a strategy of this process was made.
static MADE: AtomicU64 = AtomicU64::new(0);

/// Does something else the longer its process lives.
pub(crate) struct Aging;

impl Fault for Aging {
    const NAME: &'static str = "aging";

    fn prepare() {
        MADE.fetch_add(1, Ordering::Relaxed);
    }

    fn strike(cx: &mut Cx<'_>) {
        let age = MADE.load(Ordering::Relaxed);
        cx.set_timer(0, Duration::from_micros(1_000 + age));
    }
}

/// Panics, but not in the first runs of a process.
pub(crate) struct Weary;

impl Fault for Weary {
    const NAME: &'static str = "weary";

    fn prepare() {
        MADE.fetch_add(1, Ordering::Relaxed);
    }

    fn strike(_: &mut Cx<'_>) {
        assert!(MADE.load(Ordering::Relaxed) < 60, "too old for this");
    }
}

/// Writes to standard output, as if it was debugged, and into the middle of lines.
pub(crate) struct Chatty;

impl Fault for Chatty {
    const NAME: &'static str = "chatty";

    #[expect(clippy::print_stdout, reason = "that is its fault")]
    fn strike(_: &mut Cx<'_>) {
        println!("hublab-worker {{\"number\":1}}");
        print!("hublab-worker ");
    }
}
