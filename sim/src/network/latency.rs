//! Latency laws: one draw in, whole microseconds out.

use std::time::Duration;

use hublab_strategies::time::micros;

use crate::model::Latency;
use crate::stream::{below, unit};

/// The standard normal quantile of 0.99.
const Z_99: f64 = 2.326_347_874_040_841;

/// The longest latency that a law can give, in microseconds: 10,000 hours. A law with a heavy
/// tail is cut here, so that time never overflows.
const LONGEST_US: f64 = 3.6e13;

/// A law made ready for drawing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Law {
    /// Always this many microseconds.
    Constant(u64),
    /// `low + 0..count`.
    Uniform {
        /// The least.
        low: u64,
        /// How many values.
        count: u64,
    },
    /// `min - scale * ln(1 - u)`.
    Exponential {
        /// The least.
        min: f64,
        /// The mean of the part above it.
        scale: f64,
    },
    /// `median * exp(sigma * z)`.
    Lognormal {
        /// The median.
        median: f64,
        /// The standard deviation of the logarithm.
        sigma: f64,
    },
    /// Slow with a probability.
    Bimodal {
        /// The usual value.
        fast: u64,
        /// The other one.
        slow: u64,
        /// The probability of `slow`.
        slow_share: f64,
    },
}

impl Law {
    /// Prepares a law.
    #[must_use]
    pub fn new(latency: &Latency) -> Self {
        match *latency {
            Latency::Constant(value) => Self::Constant(micros(value)),
            Latency::Uniform(low, high) => {
                let low = micros(low);
                Self::Uniform {
                    low,
                    count: micros(high).saturating_sub(low) + 1,
                }
            }
            Latency::Exponential { min, mean } => {
                let min = as_f64(min);
                Self::Exponential {
                    min,
                    scale: as_f64(mean) - min,
                }
            }
            Latency::Lognormal { median, p99 } => {
                let median = as_f64(median).max(1.0);
                let sigma = libm::log(as_f64(p99).max(median) / median) / Z_99;
                Self::Lognormal { median, sigma }
            }
            Latency::Bimodal {
                fast,
                slow,
                slow_share,
            } => Self::Bimodal {
                fast: micros(fast),
                slow: micros(slow),
                slow_share,
            },
        }
    }

    /// The latency for a draw, in microseconds, rounded to the nearest.
    #[must_use]
    pub fn sample(&self, draw: u64) -> u64 {
        match *self {
            Self::Constant(value) => value,
            Self::Uniform { low, count } => low + below(draw, count),
            Self::Exponential { min, scale } => round(min - scale * libm::log1p(-unit(draw))),
            Self::Lognormal { median, sigma } => {
                round(median * libm::exp(sigma * normal_quantile(open_unit(draw))))
            }
            Self::Bimodal {
                fast,
                slow,
                slow_share,
            } => {
                if unit(draw) < slow_share {
                    slow
                } else {
                    fast
                }
            }
        }
    }

    /// A value that all but one in 10,000 messages stay within, in microseconds: the "latency"
    /// of detection and repair bounds.
    #[must_use]
    pub fn bound(&self) -> u64 {
        match *self {
            Self::Constant(value) => value,
            Self::Uniform { low, count } => low + count - 1,
            Self::Exponential { min, scale } => round(min - scale * libm::log(1e-4)),
            Self::Lognormal { median, sigma } => {
                round(median * libm::exp(sigma * normal_quantile(0.9999)))
            }
            Self::Bimodal {
                fast,
                slow,
                slow_share,
            } => {
                if slow_share > 0.0 {
                    slow.max(fast)
                } else {
                    fast
                }
            }
        }
    }
}

fn as_f64(duration: Duration) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "durations are far below 2^53 us"
    )]
    let value = micros(duration) as f64;
    value
}

fn round(value: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the range first"
    )]
    let rounded = libm::floor(value.clamp(0.0, LONGEST_US) + 0.5) as u64;
    rounded
}

/// A draw as a number in `(0, 1)`: the middle of its 2^-52 cell, so that neither end occurs.
fn open_unit(draw: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "52 bits and a half are exact")]
    let numerator = (draw >> 12) as f64 + 0.5;
    numerator * (1.0 / 4_503_599_627_370_496.0)
}

/// The standard normal quantile, by Wichura's algorithm AS 241 (PPND16, 1988): relative error
/// below 1e-15.
fn normal_quantile(p: f64) -> f64 {
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180_625 - q * q;
        return q * ratio(r, &CENTRE_A, &CENTRE_B);
    }
    let r = libm::sqrt(-libm::log(if q < 0.0 { p } else { 1.0 - p }));
    let value = if r <= 5.0 {
        ratio(r - 1.6, &MIDDLE_C, &MIDDLE_D)
    } else {
        ratio(r - 5.0, &TAIL_E, &TAIL_F)
    };
    if q < 0.0 { -value } else { value }
}

fn ratio(r: f64, numerator: &[f64; 8], denominator: &[f64; 8]) -> f64 {
    let horner = |terms: &[f64; 8]| terms.iter().rev().fold(0.0, |sum, term| sum * r + term);
    horner(numerator) / horner(denominator)
}

const CENTRE_A: [f64; 8] = [
    3.387_132_872_796_366_5,
    133.141_667_891_784_38,
    1_971.590_950_306_551_3,
    13_731.693_765_509_46,
    45_921.953_931_549_87,
    67_265.770_927_008_7,
    33_430.575_583_588_13,
    2_509.080_928_730_122_7,
];
const CENTRE_B: [f64; 8] = [
    1.0,
    42.313_330_701_600_91,
    687.187_007_492_057_9,
    5_394.196_021_424_751,
    21_213.794_301_586_597,
    39_307.895_800_092_71,
    28_729.085_735_721_943,
    5_226.495_278_852_854,
];
const MIDDLE_C: [f64; 8] = [
    1.423_437_110_749_683_5,
    4.630_337_846_156_546,
    5.769_497_221_460_691,
    3.647_848_324_763_204_5,
    1.270_458_252_452_368_4,
    0.241_780_725_177_450_6,
    0.022_723_844_989_269_184,
    7.745_450_142_783_414e-4,
];
const MIDDLE_D: [f64; 8] = [
    1.0,
    2.053_191_626_637_759,
    1.676_384_830_183_803_8,
    0.689_767_334_985_1,
    0.148_103_976_427_480_08,
    0.015_198_666_563_616_457,
    5.475_938_084_995_345e-4,
    1.050_750_071_644_416_9e-9,
];
const TAIL_E: [f64; 8] = [
    6.657_904_643_501_103,
    5.463_784_911_164_114,
    1.784_826_539_917_291_3,
    0.296_560_571_828_504_87,
    0.026_532_189_526_576_124,
    0.001_242_660_947_388_078_4,
    2.711_555_568_743_487_6e-5,
    2.010_334_399_292_288_1e-7,
];
const TAIL_F: [f64; 8] = [
    1.0,
    0.599_832_206_555_887_9,
    0.136_929_880_922_735_8,
    0.014_875_361_290_850_615,
    7.868_691_311_456_133e-4,
    1.846_318_317_510_054_8e-5,
    1.421_511_758_316_446e-7,
    2.044_263_103_389_939_8e-15,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_quantile_is_that_of_the_tables() {
        for (p, z) in [
            (0.5, 0.0),
            (0.975, 1.959_963_984_540_054),
            (0.99, Z_99),
            (1e-9, -5.997_807_015_007_7),
        ] {
            assert!((normal_quantile(p) - z).abs() < 1e-9, "{p}");
        }
    }

    #[test]
    fn golden_samples_do_not_change() {
        // A change here is SEED-BREAKING.
        let ms = Duration::from_millis;
        let laws = [
            Latency::Constant(ms(2)),
            Latency::Uniform(ms(1), ms(10)),
            Latency::Exponential {
                min: ms(1),
                mean: ms(3),
            },
            Latency::Lognormal {
                median: ms(2),
                p99: ms(15),
            },
            Latency::Bimodal {
                fast: ms(1),
                slow: ms(50),
                slow_share: 0.5,
            },
        ];
        let samples: Vec<u64> = laws
            .iter()
            .flat_map(|law| [0, 1 << 62, u64::MAX].map(|draw| Law::new(law).sample(draw)))
            .collect();
        expect_test::expect!["[2000, 2000, 2000, 1000, 3250, 10000, 1000, 1575, 74474, 2, 1115, 2449438, 50000, 50000, 1000]"].assert_eq(&format!("{samples:?}"));
    }

    #[test]
    fn a_heavy_tail_never_overflows() {
        let law = Latency::Lognormal {
            median: Duration::from_micros(1),
            p99: Duration::from_secs(36_000_000),
        };
        assert!(Law::new(&law).sample(u64::MAX) <= 36_000_000_000_000);
    }
}
