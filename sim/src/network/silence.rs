//! How long a pair is silent before its ends declare each other down.

use hublab_strategies::NodeId;
use hublab_strategies::time::micros;

use crate::model::{NodeIx, NodeSettings, Scenario};
use crate::stream::{self, Purpose, sub_key, unit};

/// The silences of a run: how long each lasts.
#[derive(Debug)]
pub(crate) struct Silences {
    seed: u64,
    names: Vec<NodeId>,
    /// By node: its `down_after`, in microseconds.
    down_after: Vec<u64>,
    /// `down_spread`.
    spread: f64,
}

impl Silences {
    /// Those of a resolved scenario, whose nodes have these settings.
    pub(crate) fn new(scenario: &Scenario, settings: &[NodeSettings]) -> Self {
        Self {
            seed: scenario.run.seed,
            names: scenario.cluster.nodes.clone(),
            down_after: settings.iter().map(|of| micros(of.down_after)).collect(),
            spread: scenario.cluster.down_spread,
        }
    }

    /// Silences that begin from now on are those of a branch.
    pub(crate) fn branch(&mut self, number: u64) {
        self.seed = sub_key(self.seed, number);
    }

    /// How long a silence of a pair lasts, the lower position first, until the two are declared down, in
    /// microseconds: see [`length`]. Of two ends' `down_after` the smaller counts; one that is paused
    /// declares nothing.
    pub(crate) fn us(&self, ends: [NodeIx; 2], number: u32, is_paused: [bool; 2]) -> u64 {
        let [a, b] = ends.map(|node| self.down_after[node as usize]);
        let whole = match is_paused {
            [true, false] => b,
            [false, true] => a,
            [false, false] | [true, true] => a.min(b),
        };
        let names = ends.map(|node| &self.names[node as usize]);
        length(whole, self.spread, self.seed, names, number)
    }
}

/// `down_after` times a factor drawn from 1 - spread to 1 + spread, in microseconds. `number` counts the
/// silences of the pair.
fn length(whole: u64, spread: f64, seed: u64, [a, b]: [&NodeId; 2], number: u32) -> u64 {
    if spread == 0.0 {
        return whole;
    }
    let key = stream::key(seed, Purpose::Silence, &[a.as_str(), b.as_str()]);
    let draw = unit(stream::draw(key, u64::from(number)));
    #[expect(
        clippy::cast_precision_loss,
        reason = "durations are far below 2^53 us"
    )]
    let length = whole as f64 * (1.0 - spread + 2.0 * spread * draw);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to 2 x 10,000 hours"
    )]
    let length = libm::floor(length + 0.5) as u64;
    length
}
