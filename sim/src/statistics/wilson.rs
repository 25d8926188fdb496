//! The interval of a share by its score test (Wilson 1927), which keeps to 0..=1 and has a width where
//! all or none of few trials succeed.

/// The 97.5 % quantile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// The 95 % interval of a probability of which `hits` of `of` independent trials are known; the whole
/// range without trials.
#[must_use]
pub fn wilson(hits: u32, of: u32) -> (f64, f64) {
    if of == 0 {
        return (0.0, 1.0);
    }
    let n = f64::from(of);
    let share = f64::from(hits) / n;
    let z2 = Z * Z;
    let centre = share + z2 / (2.0 * n);
    let spread = Z * libm::sqrt(share * (1.0 - share) / n + z2 / (4.0 * n * n));
    let scale = 1.0 + z2 / n;
    let (low, high) = ((centre - spread) / scale, (centre + spread) / scale);
    // At the ends the formula gives 0 and 1, but for rounding.
    let low = if hits == 0 { 0.0 } else { low };
    let high = if hits == of { 1.0 } else { high };
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_intervals_are_those_of_the_formula() {
        // 32 of 32: z^2 / (n + z^2) below 1; the half: centred.
        let (low, high) = wilson(32, 32);
        assert!((low - 32.0 / (32.0 + Z * Z)).abs() < 1e-12 && high == 1.0);
        let (low, high) = wilson(16, 32);
        assert!((low + high - 1.0).abs() < 1e-12 && low > 0.33 && high < 0.67);
        assert_eq!(wilson(0, 32).0, 0.0);
        assert_eq!(wilson(0, 0), (0.0, 1.0));
    }
}
