//! Which runs a campaign has, and in which order.

use std::collections::BTreeSet;
use std::ops::Range;

use super::record::Record;
use super::shard::Shard;
use super::shrinking::RunKey;
use super::trial::{Case, Source};

/// The runs of a campaign: every source with each of its strategies and every seed, seed by seed, so
/// that a campaign that is ended early has seen all strategies alike.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(super) sources: Vec<Source>,
    /// Those of each source, in the order of the sources.
    pub(super) strategies: Vec<Vec<String>>,
    pub(super) seeds: Range<u64>,
    /// Which share of the seeds is its own.
    pub(super) shard: Shard,
    /// The runs that were made before, by their place.
    done: BTreeSet<u64>,
}

impl Plan {
    /// All runs of a shard's seeds. Each source comes with its strategies.
    #[must_use]
    pub fn new(sources: Vec<(Source, Vec<String>)>, seeds: Range<u64>, shard: Shard) -> Self {
        let (sources, strategies) = sources.into_iter().unzip();
        Self {
            sources,
            strategies,
            seeds,
            shard,
            done: BTreeSet::new(),
        }
    }

    fn runs_per_seed(&self) -> u64 {
        self.runs_before(self.sources.len())
    }

    /// How many runs of one seed come before those of a source.
    fn runs_before(&self, source: usize) -> u64 {
        let strategies = self.strategies.iter().take(source);
        strategies.map(|own| own.len() as u64).sum()
    }

    /// How many runs there are in this shard, those that were made before included.
    #[must_use]
    pub fn len(&self) -> u64 {
        let seeds = self.shard.size(&self.seeds);
        seeds.saturating_mul(self.runs_per_seed())
    }

    /// True if there is nothing to run.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The run at a place, counted from 0.
    pub(super) fn case(&self, place: u64) -> Case {
        let (round, within) = (place / self.runs_per_seed(), place % self.runs_per_seed());
        let sources = 1..self.sources.len();
        let source = sources
            .take_while(|source| self.runs_before(*source) <= within)
            .count();
        let own = usize::try_from(within - self.runs_before(source)).unwrap_or(usize::MAX);
        Case {
            source,
            strategy: self.strategies[source][own].clone(),
            seed: self.shard.seed(round, &self.seeds),
        }
    }

    /// The place of a run; `None` if it is none of its own.
    fn place(&self, scenario: &str, strategy: &str, seed: u64) -> Option<u64> {
        let round = self.shard.place(seed, &self.seeds)?;
        let source = self.sources.iter().position(|one| one.name() == scenario)?;
        let mut own = self.strategies[source].iter();
        let strategy = own.position(|one| one == strategy)? as u64;
        Some(round * self.runs_per_seed() + self.runs_before(source) + strategy)
    }

    /// A run of this plan; `None` if it has none like that.
    pub(super) fn find(&self, run: &RunKey) -> Option<Case> {
        let place = self.place(&run.scenario, &run.strategy, run.seed)?;
        Some(self.case(place))
    }

    /// Leaves a run out that was made before; whether it is one of this plan, and was not left
    /// out already.
    pub fn skip(&mut self, record: &Record) -> bool {
        self.place(&record.scenario, &record.strategy, record.seed)
            .is_some_and(|place| self.done.insert(place))
    }

    /// The places of the runs that are still to be made, in order.
    pub(super) fn open(&self) -> impl Iterator<Item = u64> {
        (0..self.len()).filter(|place| !self.done.contains(place))
    }

    /// How many runs are still to be made.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.len() - self.done.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate;

    fn plan() -> Plan {
        let source = Source::Generated(generate::Options::default());
        let strategies = vec!["a".to_owned(), "b".to_owned()];
        Plan::new(vec![(source, strategies)], 10..21, Shard::WHOLE)
    }

    #[test]
    fn shards_have_every_run_once() {
        let mut all = Vec::new();
        for index in 0..4 {
            let plan = Plan {
                shard: Shard::new(index, 4).expect("one of four"),
                ..plan()
            };
            let cases: Vec<Case> = plan.open().map(|place| plan.case(place)).collect();
            assert_eq!(cases.len() as u64, plan.len());
            for (place, case) in (0..).zip(&cases) {
                let known = plan.place("generated", &case.strategy, case.seed);
                assert_eq!(known, Some(place), "{case:?}");
            }
            all.extend(cases);
        }
        all.sort();
        let whole = plan();
        let mut expected: Vec<Case> = whole.open().map(|place| whole.case(place)).collect();
        expected.sort();
        assert_eq!(all, expected);
        assert_eq!(all.len(), 22);
    }

    #[test]
    fn sources_have_strategies_of_their_own() {
        let source = || Source::Generated(generate::Options::default());
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let sources = vec![
            (source(), own(&["a"])),
            (source(), own(&[])),
            (source(), own(&["b", "a"])),
        ];
        let plan = Plan::new(sources, 0..2, Shard::WHOLE);
        let cases: Vec<(usize, String, u64)> = plan
            .open()
            .map(|place| plan.case(place))
            .map(|case| (case.source, case.strategy, case.seed))
            .collect();
        let expected = [0, 1].map(|seed| [(0, "a", seed), (2, "b", seed), (2, "a", seed)]);
        let expected = expected.concat().into_iter();
        let expected = expected.map(|(source, name, seed)| (source, name.to_owned(), seed));
        assert_eq!(cases, expected.collect::<Vec<_>>());
    }

    #[test]
    fn what_is_not_its_own_has_no_place() {
        let plan = plan();
        for (scenario, strategy, seed) in [
            ("other", "a", 10),
            ("generated", "c", 10),
            ("generated", "a", 9),
            ("generated", "a", 21),
        ] {
            assert_eq!(plan.place(scenario, strategy, seed), None);
        }
    }
}
