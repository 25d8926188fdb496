//! Random streams: counter-based, one per purpose.
//!
//! The k-th draw of a stream is a pure function of the stream's key and k; the key is a hash of
//! the seed, the purpose and stable names. A stream therefore costs its key alone, can be read at
//! any place, and an extra draw in one stream moves nothing in another.

/// Hashes seed, purpose and names into a key.
#[must_use]
pub fn key(seed: u64, purpose: Purpose, names: &[&str]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.update(&[purpose as u8]);
    for name in names {
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
    }
    let mut bytes = [0; 8];
    hasher.finalize_xof().fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// The purpose of a stream. The numbers are part of what makes a seed reproducible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A directed link: latency, loss, duplication. Names: from and to, each hashed by itself
    /// and joined into one.
    Link = 1,
    /// A node's own draws. Names: node, incarnation.
    Node = 2,
    /// A range of the script. Names: the step's text, its number among equal steps.
    Script = 3,
    /// The length of silences of a pair. Names: the lower, the higher.
    Silence = 4,
    /// The notice of a crash. Names: from, to.
    Notice = 5,
    /// The seed of madsim's own generator.
    World = 6,
    /// A choice of nodes or children by a step. Names: the step's text, its number among equal steps, what
    /// is chosen; or the one that can be chosen.
    Choice = 7,
    /// The order of the tasks of a node's program. Names: node, incarnation.
    Tasks = 8,
}

/// The finish of `MurmurHash3` with Stafford's constants (variant 13): every input bit reaches
/// every output bit.
#[inline]
#[must_use]
pub fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Draw `number` of the stream with this key. Two rounds, so that keys that differ in few bits
/// do not give shifted copies of one sequence.
#[inline]
#[must_use]
pub fn draw(key: u64, number: u64) -> u64 {
    mix(mix(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)) ^ key)
}

/// A sub-stream of a stream: the key of what belongs together but must not share draws.
#[inline]
#[must_use]
pub(crate) fn sub_key(key: u64, index: u64) -> u64 {
    mix(key ^ mix(index.wrapping_add(0x2545_f491_4f6c_dd1d)))
}

/// The key of what lies between two keys, in this order.
#[inline]
#[must_use]
pub(crate) fn pair_key(from: u64, to: u64) -> u64 {
    mix(mix(from).wrapping_add(to.rotate_left(17)))
}

/// A draw as a number in `[0, 1)`, with 53 bits.
#[inline]
#[must_use]
pub fn unit(draw: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    let numerator = (draw >> 11) as f64;
    numerator * (1.0 / 9_007_199_254_740_992.0)
}

/// A draw as an integer in `0..bound`, by multiplication; `bound` 0 gives 0.
#[inline]
#[must_use]
pub fn below(draw: u64, bound: u64) -> u64 {
    ((u128::from(draw) * u128::from(bound)) >> 64) as u64
}

/// A stream that is read in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    key: u64,
    next: u64,
}

impl Stream {
    /// The stream of a key, at its beginning.
    #[must_use]
    pub fn new(key: u64) -> Self {
        Self { key, next: 0 }
    }

    /// Turns into another stream, at the same place; with the same salt again, back.
    pub(crate) fn turn(&mut self, salt: u64) {
        self.key ^= salt;
    }

    /// The next draw.
    pub(crate) fn next_draw(&mut self) -> u64 {
        let value = draw(self.key, self.next);
        self.next += 1;
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_depends_on_key_and_number_alone() {
        let mut stream = Stream::new(7);
        let first: Vec<u64> = (0..3).map(|_| stream.next_draw()).collect();
        assert_eq!(first, (0..3).map(|k| draw(7, k)).collect::<Vec<_>>());
        assert_ne!(draw(7, 0), draw(8, 0));
    }

    #[test]
    fn golden_draws_do_not_change() {
        // A change here is SEED-BREAKING.
        let golden = expect_test::expect![
            "[12275330000295230310, 10362066361650460463, 6238072747940578789, 11385487063155714807, 15839785061582574730, 11112721109134623243]"
        ];
        golden.assert_eq(&format!(
            "{:?}",
            [
                key(1, Purpose::Node, &["n1", "1"]),
                pair_key(
                    key(1, Purpose::Link, &["n1"]),
                    key(1, Purpose::Link, &["n2"])
                ),
                draw(1, 0),
                draw(1, 1),
                draw(2, 0),
                sub_key(1, 0),
            ]
        ));
    }

    #[test]
    fn names_are_framed_so_that_two_lists_never_run_together() {
        assert_ne!(
            key(1, Purpose::Link, &["ab", "c"]),
            key(1, Purpose::Link, &["a", "bc"])
        );
    }

    #[test]
    fn units_and_bounds_stay_in_range() {
        assert!(unit(u64::MAX) < 1.0 && unit(0) == 0.0);
        assert_eq!(below(u64::MAX, 10), 9);
        assert_eq!(below(u64::MAX, 0), 0);
    }
}
