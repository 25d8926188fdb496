//! How long a pair is silent before its ends declare each other down.

use hublab_strategies::NodeId;
use hublab_strategies::time::micros;

use crate::model::Cluster;
use crate::stream::{self, Purpose, unit};

/// How long a silence of a pair lasts, the lower position first, until the two are declared down:
/// `down_after` times a factor drawn from 1 - spread to 1 + spread, in microseconds. `number` counts
/// the silences of the pair.
pub(crate) fn silence_us(cluster: &Cluster, seed: u64, [a, b]: [&NodeId; 2], number: u32) -> u64 {
    let whole = micros(cluster.down_after);
    let spread = cluster.down_spread;
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
