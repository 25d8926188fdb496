//! Distributions: what intervals and tests need, in double precision.

/// The terms of the continued fraction: for the parameters that occur (up to some millions), it
/// needs O(sqrt(max(a, b))).
const TERMS_MAX: u32 = 100_000;

/// The regularized incomplete beta function `I_x(a, b)`, for a, b > 0 and x in 0..=1.
///
/// Lentz's evaluation of the continued fraction (Press et al., *Numerical Recipes*, 3rd edition,
/// section 6.4; Abramowitz and Stegun, 26.5.8).
pub(super) fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    beta(a, b, x, 1.0 - x)
}

/// The same with `y` = 1 - x, which may have more digits than the difference.
fn beta(a: f64, b: f64, x: f64, y: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if y <= 0.0 {
        return 1.0;
    }
    let log = |part: f64, rest: f64| {
        if part < 0.5 {
            libm::log(part)
        } else {
            libm::log1p(-rest)
        }
    };
    let front = libm::exp(
        libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b) + a * log(x, y) + b * log(y, x),
    );
    if x < (a + 1.0) / (a + b + 2.0) {
        front * continued_fraction(a, b, x) / a
    } else {
        1.0 - front * continued_fraction(b, a, y) / b
    }
}

fn continued_fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away_from_zero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for term in 1..TERMS_MAX {
        let m = f64::from(term);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / away_from_zero(1.0 + even * d);
        c = away_from_zero(1.0 + even / c);
        fraction *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / away_from_zero(1.0 + odd * d);
        c = away_from_zero(1.0 + odd / c);
        fraction *= d * c;
        if (d * c - 1.0).abs() < 1e-15 {
            break;
        }
    }
    fraction
}

/// The chance that |T| exceeds `t` >= 0, for Student's t with `degrees` > 0 of freedom.
pub(super) fn t_two_sided(degrees: f64, t: f64) -> f64 {
    let whole = degrees + t * t;
    beta(degrees / 2.0, 0.5, degrees / whole, t * t / whole)
}

/// The t that |T| exceeds with a chance of 5 %, for `degrees` >= 1 of freedom: half the width of a
/// 95 % interval in standard errors. By Newton's method: the chance falls ever slower, so from the
/// normal quantile, which is less, every step falls short of the solution and none goes past it.
pub(super) fn t_critical(degrees: f64) -> f64 {
    const STEPS_MAX: usize = 100;
    let front = libm::exp(libm::lgamma((degrees + 1.0) / 2.0) - libm::lgamma(degrees / 2.0))
        / (degrees * core::f64::consts::PI).sqrt();
    let mut t = NORMAL_CRITICAL;
    for _ in 0..STEPS_MAX {
        let density = front * libm::exp(-(degrees + 1.0) / 2.0 * libm::log1p(t * t / degrees));
        let next = t + (t_two_sided(degrees, t) - 0.05) / (2.0 * density);
        if next <= t {
            break;
        }
        t = next;
    }
    t
}

/// The chance that of `n` fair coins at most `k` show heads.
pub(super) fn fair_coins_at_most(k: u64, n: u64) -> f64 {
    if k >= n {
        return 1.0;
    }
    incomplete_beta((n - k) as f64, (k + 1) as f64, 0.5)
}

/// The chance that a standard normal variable exceeds `z` in absolute value.
pub(super) fn normal_two_sided(z: f64) -> f64 {
    libm::erfc(z.abs() / core::f64::consts::SQRT_2)
}

/// The 97.5 % quantile of the standard normal distribution.
pub(super) const NORMAL_CRITICAL: f64 = 1.959_963_984_540_054;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beta_function_is_its_own_mirror() {
        for a in [0.5, 1.0, 2.5, 40.0, 5_000.0] {
            for b in [0.5, 3.0, 77.5] {
                for x in [0.0, 1e-9, 0.1, 0.5, 0.93, 1.0] {
                    let sum = incomplete_beta(a, b, x) + incomplete_beta(b, a, 1.0 - x);
                    assert!((sum - 1.0).abs() < 1e-9, "{a} {b} {x}: {sum}");
                }
            }
        }
    }

    #[test]
    fn coins_add_up() {
        // 1 + 10 + 45 of 1024.
        assert!((fair_coins_at_most(2, 10) - 56.0 / 1024.0).abs() < 1e-14);
        assert_eq!(fair_coins_at_most(10, 10), 1.0);
        assert!((fair_coins_at_most(499_999, 999_999) - 0.5).abs() < 1e-6);
    }

    #[test]
    fn a_normal_quantile_is_the_limit_of_students() {
        assert!((normal_two_sided(NORMAL_CRITICAL) - 0.05).abs() < 1e-15);
        assert!((t_critical(1e7) - NORMAL_CRITICAL).abs() < 1e-6);
    }
}
