//! Numbers that a person would write.

use std::time::Duration;

/// The units that durations are rounded to, the coarsest first.
const UNITS: &[Duration] = &[
    Duration::from_secs(10),
    Duration::from_secs(1),
    Duration::from_millis(100),
    Duration::from_millis(10),
    Duration::from_millis(1),
];

/// A duration rounded down and up to each unit, the coarsest first, but not up to the coarsest;
/// then half of it.
pub(super) fn rounded(duration: Duration) -> Vec<Duration> {
    let both = UNITS[1..]
        .iter()
        .flat_map(|unit| [down(duration, *unit), up(duration, *unit)]);
    let mut all = vec![down(duration, UNITS[0])];
    all.extend(both);
    let half = duration / 2;
    let fits = UNITS
        .iter()
        .find(|unit| down(half, **unit) > Duration::ZERO);
    all.extend(fits.map(|unit| down(half, *unit)));
    all.dedup();
    all.retain(|other| *other != duration);
    all
}

/// [`rounded`], without zero.
pub(super) fn rounded_above_zero(duration: Duration) -> Vec<Duration> {
    let mut all = rounded(duration);
    all.retain(|other| !other.is_zero());
    all
}

/// The largest multiple of a unit that is no longer.
pub(super) fn down(duration: Duration, unit: Duration) -> Duration {
    let rest = duration.as_nanos() % unit.as_nanos().max(1);
    duration.saturating_sub(Duration::from_nanos(
        u64::try_from(rest).unwrap_or(u64::MAX),
    ))
}

/// The smallest multiple of a unit that is no shorter.
pub(super) fn up(duration: Duration, unit: Duration) -> Duration {
    let down = down(duration, unit);
    if down == duration { down } else { down + unit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_rounded_to_ever_finer_units() {
        let ms = Duration::from_millis;
        assert_eq!(
            rounded(Duration::from_micros(13_759_157)),
            [
                ms(10_000),
                ms(13_000),
                ms(14_000),
                ms(13_700),
                ms(13_800),
                ms(13_750),
                ms(13_760),
                ms(13_759),
                ms(13_760),
                ms(6_000),
            ]
        );
        assert!(rounded_above_zero(Duration::from_micros(1)).starts_with(&[ms(1_000)]));
    }
}
