//! How many seeds a test takes.

/// `HUBLAB_SEEDS`, or this many.
pub(crate) fn seeds(default: u64) -> u64 {
    std::env::var("HUBLAB_SEEDS").map_or(default, |text| {
        text.parse().expect("HUBLAB_SEEDS is a number of seeds")
    })
}
