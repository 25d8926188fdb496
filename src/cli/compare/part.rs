//! A comparison, or one shard of it: which of its runs there are.

use std::ops::Range;

use hublab_sim::campaign::shard::Shard;

use super::setup::{Comparison, Task};

/// The runs of a shard. Those of a comparison are numbered; a shard has every n-th, so that each cell,
/// strategy and length of run is spread over all shards.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'c> {
    pub(super) comparison: &'c Comparison,
    pub(super) shard: Shard,
}

impl Part<'_> {
    /// True if it is the whole comparison.
    pub(super) fn is_whole(&self) -> bool {
        self.shard == Shard::WHOLE
    }

    fn numbers(&self) -> Range<u64> {
        0..self.comparison.count() as u64
    }

    /// How many runs it has.
    pub(super) fn count(&self) -> usize {
        usize::try_from(self.shard.size(&self.numbers())).unwrap_or(usize::MAX)
    }

    /// The number that its run at a place has in the whole comparison.
    pub(super) fn number(&self, place: usize) -> usize {
        let number = self.shard.seed(place as u64, &self.numbers());
        usize::try_from(number).unwrap_or(usize::MAX)
    }

    /// The run at a place.
    pub(super) fn task(&self, place: usize) -> Task {
        self.comparison.task(self.number(place))
    }

    /// Why the run at a place is not made, if it is not.
    pub(super) fn left_out(&self, place: usize) -> Option<&str> {
        let left_out = &self.comparison.left_out;
        // Few comparisons leave anything out, and the question is asked for every run.
        let reason = (!left_out.is_empty()).then(|| left_out.get(&self.task(place).cell));
        reason.flatten().map(String::as_str)
    }
}
