//! [`Plan`]: what is drawn for a seed, before anybody asks whether it is possible. Every number in
//! it means something in every scenario (a node is a number modulo the nodes there are), so that
//! each part can shrink, or go, whatever becomes of the others; [`super::assemble`] makes a
//! scenario of it.

use std::collections::BTreeSet;

use super::character::Character;
use super::family::Family;
use crate::model::{Age, ClockChange, InFlight, Latency, Order, ReleaseOrder};

/// An instant of the active phase: near one of the plan's anchors, by a part of a reach.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) anchor: u8,
    pub(super) delay: Delay,
}

/// A part of one of the times that matter in a cluster.
#[derive(Debug, Clone, Copy)]
pub(super) struct Delay {
    pub(super) reach: Reach,
    /// In 1/256 of the reach.
    pub(super) share: u8,
}

/// A time that matters in a cluster: what happens within it meets what else does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reach {
    /// The latency of a message.
    Latency,
    /// From a crash to the end of the debounce.
    Debounce,
    /// The time between two rounds.
    Sync,
    /// The silence after which a peer is down, at its longest.
    Down,
    /// The whole active phase.
    Active,
}

/// Around what things happen.
#[derive(Debug, Clone, Copy)]
pub(super) enum Anchor {
    /// An instant, in 1/256 of the active phase.
    Any(u8),
    /// A multiple of the time between rounds.
    Round(u8),
    /// A multiple of the time between announcements.
    Announcement(u8),
}

/// One thing to happen.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) at: Moment,
    pub(super) action: PlanAction,
}

/// A planned action. Nodes are numbers modulo their count, sets of nodes are masks.
#[derive(Debug, Clone)]
pub(super) enum PlanAction {
    Start(Start),
    Stop {
        on: u8,
        child: u8,
        via: Option<u8>,
    },
    RestartChild {
        on: u8,
        child: u8,
    },
    Sync(u8),
    Broadcast {
        on: u8,
        to: u32,
    },
    Propagate {
        from: u8,
        audience: Recipients,
        requests: Vec<PlanRequest>,
    },
    Rows {
        on: u8,
        rows: Vec<Row>,
    },
    View {
        on: u8,
        members: u32,
        turn: u8,
    },
    /// The node boots; decided before the walk, so that nothing happens on it before.
    Join(u8),
    NodeFault(NodeFault),
    Cut(Cut),
    Links(Links),
    Clock {
        node: u8,
        change: ClockChange,
    },
}

/// A node stops, for good or for a while.
#[derive(Debug, Clone, Copy)]
pub(super) struct NodeFault {
    pub(super) node: u8,
    pub(super) how: FaultKind,
    pub(super) back: Option<Delay>,
}

/// How a node stops.
#[derive(Debug, Clone, Copy)]
pub(super) enum FaultKind {
    Crash,
    Leave,
    Pause,
}

/// Directions are cut, for good or for a while.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    pub(super) shape: Shape,
    pub(super) fate: InFlight,
    pub(super) back: Option<Delay>,
}

/// Which directions.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// Both, between these nodes and the others.
    Partition(u32),
    /// Both, between this node and the others.
    Isolate(u8),
    /// One.
    OneWay { from: u32, to: u32 },
}

/// Links change for a while.
#[derive(Debug, Clone, Copy)]
pub(super) struct Links {
    pub(super) which: Which,
    pub(super) change: Change,
    pub(super) back: Delay,
}

/// Which links.
#[derive(Debug, Clone, Copy)]
pub(super) enum Which {
    Between {
        from: u32,
        to: u32,
    },
    /// Those from one node.
    Of(u8),
}

/// A change of links.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change {
    /// Latencies up to this.
    Slow(Delay),
    Loss(f64),
    Duplicate(f64),
    Disorder,
    /// Bytes per second.
    Narrow(u64),
}

/// A start of children.
#[derive(Debug, Clone)]
pub(super) struct Start {
    pub(super) on: u8,
    pub(super) child: u8,
    /// How many; one of them is named by an id, more by a prefix.
    pub(super) count: u32,
    pub(super) version: Option<u8>,
    pub(super) replicas: u32,
    pub(super) announce: bool,
    pub(super) via: Option<u8>,
}

/// The nodes that raw requests address.
#[derive(Debug, Clone, Copy)]
pub(super) enum Recipients {
    Global,
    Local,
    External,
    Some(u32),
}

/// A raw request.
#[derive(Debug, Clone)]
pub(super) enum PlanRequest {
    Register(Vec<Row>),
    Unregister { child: u8, nodes: u32 },
    PidUpdate { child: u8, node: u8, pid: u8 },
}

/// A raw row.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) child: u8,
    pub(super) nodes: u32,
    pub(super) pid: u8,
    pub(super) version: Option<u8>,
}

/// The times of the cluster, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) sync: u64,
    pub(super) discovery: u64,
    /// In percent of `discovery`.
    pub(super) debounce: u64,
    /// In percent of `discovery`, if the debounce is long.
    pub(super) long_debounce: u64,
    pub(super) down: u64,
    pub(super) exact_down: bool,
    pub(super) crash: u64,
    pub(super) active: u64,
}

/// The network, as far as it is the same all the time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Net {
    pub(super) latency: Latency,
    pub(super) loss: f64,
    pub(super) duplicate: f64,
    pub(super) order: Order,
    pub(super) bytes_per_second: u64,
    pub(super) send_gap_us: u64,
    pub(super) service_time_us: u64,
}

/// Draws for a strategy's parameters, beside the time between rounds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameters {
    pub(super) count: u32,
    pub(super) flag: bool,
}

/// Some nodes differ from the others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mixed {
    pub(super) nodes: u32,
    /// Their time between rounds, in percent of the others'.
    pub(super) sync: u64,
    pub(super) parameters: Parameters,
    /// In percent of the others'.
    pub(super) discovery: Option<u64>,
    /// In percent of the others'.
    pub(super) down: Option<u64>,
    pub(super) service_time_us: Option<u64>,
}

/// How changes of links are meant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wires {
    /// A bit for each channel that they are about; 0 is all.
    pub(super) channels: u8,
    /// The links back are changed, too.
    pub(super) both: bool,
}

/// Messages that wait for a while, and then arrive in some order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) at: Moment,
    pub(super) length: Delay,
    pub(super) from: u32,
    pub(super) to: u32,
    /// As of [`Wires`].
    pub(super) channels: u8,
    pub(super) count: Option<u64>,
    pub(super) order: ReleaseOrder,
}

/// Children that start at some rate, and perhaps stop again, in steps that repeat.
#[derive(Debug, Clone, Copy)]
pub(super) struct Steady {
    pub(super) at: Moment,
    /// On which node; `None`: on one that is drawn for each.
    pub(super) on: Option<u8>,
    /// Between two, in milliseconds.
    pub(super) gap: u64,
    pub(super) gaps_are_drawn: bool,
    pub(super) times: u32,
    pub(super) stops: Option<Age>,
}

/// A partition whose groups follow from the nodes that run then.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parted {
    pub(super) at: Moment,
    pub(super) fate: InFlight,
    pub(super) back: Option<Delay>,
    pub(super) groups: Groups,
}

/// The groups of such a partition.
#[derive(Debug, Clone, Copy)]
pub(super) enum Groups {
    /// Two of equal size, drawn or in the order of the file.
    Halves { shuffle: bool },
    /// One node, which is drawn, is alone.
    Alone,
    /// These nodes, and all others.
    Rest(u32),
}

/// All that is drawn for a seed.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) families: BTreeSet<Family>,
    pub(super) nodes: usize,
    pub(super) times: Times,
    pub(super) net: Net,
    pub(super) parameters: Parameters,
    /// Every node gets a child soon after its first boot, one node later than another by this many
    /// milliseconds.
    pub(super) hosts: Option<u64>,
    /// How far apart nodes come back when the quiet phase begins, in milliseconds.
    pub(super) back_gap: u64,
    pub(super) anchors: Vec<Anchor>,
    /// The load, whatever the families.
    pub(super) load: Vec<Event>,
    /// The faults, each with the family it belongs to.
    pub(super) faults: Vec<(Family, Event)>,
    pub(super) character: Character,
    pub(super) mixed: Option<Mixed>,
    pub(super) wires: Option<Wires>,
    pub(super) held: Option<Held>,
    pub(super) steady: Option<Steady>,
    pub(super) parted: Option<Parted>,
}

impl Plan {
    /// True if messages may be held: to a strategy that is a cut, and disorder.
    pub(super) fn may_hold(&self) -> bool {
        let has = |family| self.families.contains(&family);
        let is_cut = [Family::Partition, Family::OneWayCut, Family::Isolate];
        has(Family::Reorder) && is_cut.into_iter().any(has)
    }

    /// Takes away what makes a run long; more at each level, see [`super::thinned`].
    pub(super) fn thin(&mut self, level: u8) {
        const FEW_NODES: usize = 3;
        if level >= 1 {
            let mut is_second = false;
            self.load.retain(|_| {
                is_second = !is_second;
                is_second
            });
        }
        if level >= 2 {
            self.families.retain(|family| family.is_gentle());
        }
        if level >= 3 {
            self.mixed = None;
            self.steady = None;
            self.families.clear();
        }
        if level >= 4 {
            self.nodes = self.nodes.min(FEW_NODES);
        }
    }
}
