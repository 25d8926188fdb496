//! [`Family`]: what a generated scenario may contain, each on or off per seed (*swarm testing*):
//! runs that have everything hide what shows only when something is missing.

use std::collections::BTreeSet;
use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;

/// One kind of faults, or of unusual load, that a seed has or has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Messages are lost: everywhere, or on some links for a while.
    Loss,
    /// Messages are duplicated, likewise.
    Duplication,
    /// Channels do not keep their order.
    Reorder,
    /// Some links are slow for a while.
    SlowLink,
    /// All links of one node are slow for a while.
    SlowNode,
    /// Links of little bandwidth.
    NarrowLink,
    /// A sender is busy for a time per message.
    SendGap,
    /// A receiver is busy for a time per message.
    ServiceTime,
    /// The cluster falls into two groups.
    Partition,
    /// One direction of some links is cut.
    OneWayCut,
    /// One node is cut off from all others.
    Isolate,
    /// A node is paused.
    Pause,
    /// A node crashes, and is back after longer than its peers need to notice.
    Crash,
    /// A node crashes, and is back at once.
    FastReturn,
    /// A node leaves, for good or for a while.
    Leave,
    /// A node boots after the start.
    LateJoin,
    /// A wall clock jumps or drifts.
    ClockStep,
    /// A cluster view is overwritten.
    WrongView,
    /// Joins and downs are collected for longer than the time between announcements.
    LongDebounce,
    /// One child id runs on several nodes, be it by `replicas`.
    SharedIds,
    /// A child is started again with other metadata.
    NewMetadata,
    /// Raw requests are handed to the strategy.
    RawRequests,
    /// Rows are put into a registry, nobody told.
    RawRows,
}

impl Family {
    /// Every family, in order.
    pub const ALL: [Self; 23] = [
        Self::Loss,
        Self::Duplication,
        Self::Reorder,
        Self::SlowLink,
        Self::SlowNode,
        Self::NarrowLink,
        Self::SendGap,
        Self::ServiceTime,
        Self::Partition,
        Self::OneWayCut,
        Self::Isolate,
        Self::Pause,
        Self::Crash,
        Self::FastReturn,
        Self::Leave,
        Self::LateJoin,
        Self::ClockStep,
        Self::WrongView,
        Self::LongDebounce,
        Self::SharedIds,
        Self::NewMetadata,
        Self::RawRequests,
        Self::RawRows,
    ];

    /// Its name, as records and the command line have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Duplication => "duplication",
            Self::Reorder => "reorder",
            Self::SlowLink => "slow_link",
            Self::SlowNode => "slow_node",
            Self::NarrowLink => "narrow_link",
            Self::SendGap => "send_gap",
            Self::ServiceTime => "service_time",
            Self::Partition => "partition",
            Self::OneWayCut => "one_way_cut",
            Self::Isolate => "isolate",
            Self::Pause => "pause",
            Self::Crash => "crash",
            Self::FastReturn => "fast_return",
            Self::Leave => "leave",
            Self::LateJoin => "late_join",
            Self::ClockStep => "clock_step",
            Self::WrongView => "wrong_view",
            Self::LongDebounce => "long_debounce",
            Self::SharedIds => "shared_ids",
            Self::NewMetadata => "new_metadata",
            Self::RawRequests => "raw_requests",
            Self::RawRows => "raw_rows",
        }
    }

    /// The family of a name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.name() == name)
    }

    /// True if every node lives through it with its memory, its clock and its view: what a
    /// network does to anybody. Two seeds of three have no other families, so that strategies
    /// which promise little are still held to it often.
    pub(super) fn is_gentle(self) -> bool {
        match self {
            Self::Loss
            | Self::Duplication
            | Self::Reorder
            | Self::SlowLink
            | Self::SlowNode
            | Self::NarrowLink
            | Self::SendGap
            | Self::ServiceTime
            | Self::Partition
            | Self::OneWayCut
            | Self::Isolate
            | Self::Pause => true,
            Self::Crash
            | Self::FastReturn
            | Self::Leave
            | Self::LateJoin
            | Self::ClockStep
            | Self::WrongView
            | Self::LongDebounce
            | Self::SharedIds
            | Self::NewMetadata
            | Self::RawRequests
            | Self::RawRows => false,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The families of one seed. Shrinks towards none.
pub(super) fn swarm() -> impl Strategy<Value = BTreeSet<Family>> {
    let rough = prop_oneof![2 => Just(false), 1 => Just(true)];
    // How many of them: some seeds have hardly any, so that each is seen alone.
    let share = prop_oneof![3 => Just(8_u8), 4 => Just(20), 2 => Just(45)];
    (rough, share, vec(0..100_u8, Family::ALL.len())).prop_map(|(rough, share, draws)| {
        let on = |(family, draw): (Family, u8)| {
            ((rough || family.is_gentle()) && draw >= 100 - share).then_some(family)
        };
        Family::ALL.into_iter().zip(draws).filter_map(on).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_has_a_name_of_its_own() {
        for family in Family::ALL {
            assert_eq!(Family::by_name(family.name()), Some(family));
        }
        assert_eq!(Family::by_name("lightning"), None);
        assert!(Family::ALL.is_sorted());
    }
}
