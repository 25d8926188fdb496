//! Axes: where a value stands, and which values are written beside them.

/// From values to a length.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    is_logarithmic: bool,
    from: f64,
    to: f64,
}

impl Scale {
    /// An axis for values, from one place to another: logarithmic if they are positive and span more
    /// than a factor of 20, else linear from 0.
    pub(super) fn new(values: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Self {
        let least = values.clone().fold(f64::INFINITY, f64::min);
        let greatest = values.fold(f64::NEG_INFINITY, f64::max);
        if !least.is_finite() || !greatest.is_finite() {
            return Self {
                low: 0.0,
                high: 1.0,
                is_logarithmic: false,
                from,
                to,
            };
        }
        if least > 0.0 && greatest / least > 20.0 {
            let (low, high) = (power_below(least), power_below(greatest * 9.999_999));
            return Self {
                low,
                high,
                is_logarithmic: true,
                from,
                to,
            };
        }
        let low = least.min(0.0);
        let high = if greatest > low {
            greatest + 0.05 * (greatest - low)
        } else {
            low + 1.0
        };
        Self {
            low,
            high,
            is_logarithmic: false,
            from,
            to,
        }
    }

    /// The place of a value; of one that the axis does not reach, the end.
    pub(super) fn place(&self, value: f64) -> f64 {
        let share = if self.is_logarithmic {
            let value = value.max(self.low);
            libm::log(value / self.low) / libm::log(self.high / self.low)
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// The values to write: powers of ten, or four to six round numbers.
    pub(super) fn ticks(&self) -> Vec<f64> {
        let mut ticks = Vec::new();
        if self.is_logarithmic {
            let mut tick = self.low;
            while tick <= self.high * 1.000_001 {
                ticks.push(tick);
                tick *= 10.0;
            }
            // Of many decades, every second or third.
            let step = ticks.len().div_ceil(6).max(1);
            return ticks.into_iter().step_by(step).collect();
        }
        let rough = (self.high - self.low) / 5.0;
        let power = power_below(rough);
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|factor| factor * power)
            .find(|step| *step >= rough * 0.999_999)
            .unwrap_or(rough);
        let first = (self.low / step).ceil();
        let mut number = first;
        while number * step <= self.high * 1.000_001 {
            ticks.push(number * step);
            number += 1.0;
        }
        ticks
    }
}

/// The greatest power of ten that is not above a positive value.
fn power_below(value: f64) -> f64 {
    libm::pow(10.0, libm::floor(libm::log10(value)))
}

/// A value beside an axis: `1.5M`, `200k`, `0.05`.
pub(super) fn label(value: f64) -> String {
    let short = |value: f64| {
        let text = format!("{value:.3}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match value.abs() {
        1e9.. => short(value / 1e9) + "G",
        1e6.. => short(value / 1e6) + "M",
        1e3.. => short(value / 1e3) + "k",
        _ => short(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(values: &[f64]) -> Vec<String> {
        Scale::new(values.iter().copied(), 0.0, 100.0)
            .ticks()
            .into_iter()
            .map(label)
            .collect()
    }

    #[test]
    fn ticks_are_round_and_within_the_axis() {
        assert_eq!(labels(&[3.0, 97.0]), ["1", "10", "100"]);
        assert_eq!(labels(&[50.0, 97.0]), ["0", "50", "100"]);
        assert_eq!(labels(&[0.0, 0.4]), ["0", "0.1", "0.2", "0.3", "0.4"]);
        assert_eq!(
            labels(&[200.0, 5e6]),
            ["100", "1k", "10k", "100k", "1M", "10M"]
        );
        assert_eq!(labels(&[0.0]), ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        assert_eq!(labels(&[]), labels(&[0.0]));
        assert!(labels(&[1.0, 1e18]).len() <= 8);
    }

    #[test]
    fn places_lie_between_the_ends() {
        let scale = Scale::new([1.0, 1_000.0].into_iter(), 200.0, 0.0);
        assert!((scale.place(1.0) - 200.0).abs() < 1e-9);
        assert!((scale.place(1_000.0)).abs() < 1e-9);
        assert!((scale.place(10.0) - 133.333).abs() < 0.001);
        assert_eq!(scale.place(0.0), 200.0);
        assert_eq!(scale.place(f64::INFINITY), 0.0);
    }
}
