//! The pairs of nodes that were ever used, and their connections.

use std::num::NonZeroU64;
use std::ops::{Index, IndexMut};

use crate::model::NodeIx;
use crate::trace::event::EventId;

/// A pair's place in the order of first use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PairIx(pub(crate) u32);

/// The connection of two nodes: what is rarely looked at.
#[derive(Debug)]
pub(crate) struct Pair {
    /// The nodes, the lower position first.
    pub(crate) nodes: [NodeIx; 2],
    /// True if the two are connected, as far as at least one of them knows.
    pub(crate) up: bool,
    /// The incarnations that connected.
    pub(crate) incarnations: [u32; 2],
    /// The queue number of the end of the silence that runs.
    pub(crate) silence: Option<NonZeroU64>,
    /// The event that began it.
    pub(crate) silenced_by: EventId,
    /// How many silences have begun: the position in their stream.
    pub(crate) silences: u32,
}

/// Every pair that was ever used, in the order of first use.
#[derive(Debug)]
pub(crate) struct Pairs {
    /// By the lower position, then by the distance of the higher. A row is made when first needed.
    rows: Vec<Box<[u32]>>,
    pairs: Vec<Pair>,
}

/// In a row: not used yet.
const UNUSED: u32 = u32::MAX;

impl Pairs {
    pub(crate) fn new(nodes: usize) -> Self {
        Self {
            rows: vec![Box::default(); nodes],
            pairs: Vec::new(),
        }
    }

    /// The pair of two nodes, created if it was never used.
    pub(crate) fn of(&mut self, a: NodeIx, b: NodeIx) -> PairIx {
        let (low, high) = (a.min(b), a.max(b));
        let count = self.rows.len();
        let row = &mut self.rows[low as usize];
        if row.is_empty() {
            *row = vec![UNUSED; count - low as usize].into();
        }
        let slot = &mut row[(high - low) as usize];
        if *slot == UNUSED {
            *slot = u32::try_from(self.pairs.len()).expect("fewer than 2^32 pairs");
            self.pairs.push(Pair {
                nodes: [low, high],
                up: false,
                incarnations: [0; 2],
                silence: None,
                silenced_by: 0,
                silences: 0,
            });
        }
        PairIx(*slot)
    }

    /// The pair of two nodes, if it was ever used.
    pub(crate) fn find(&self, a: NodeIx, b: NodeIx) -> Option<PairIx> {
        let (low, high) = (a.min(b), a.max(b));
        let ix = *self.rows[low as usize].get((high - low) as usize)?;
        (ix != UNUSED).then_some(PairIx(ix))
    }

    /// All pairs.
    pub(crate) fn all(&self) -> impl Iterator<Item = PairIx> + use<> {
        (0..).take(self.pairs.len()).map(PairIx)
    }
}

impl Index<PairIx> for Pairs {
    type Output = Pair;

    fn index(&self, pair: PairIx) -> &Pair {
        &self.pairs[pair.0 as usize]
    }
}

impl IndexMut<PairIx> for Pairs {
    fn index_mut(&mut self, pair: PairIx) -> &mut Pair {
        &mut self.pairs[pair.0 as usize]
    }
}
