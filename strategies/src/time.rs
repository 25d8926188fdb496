//! Integer time: microseconds, and durations as people write them.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An instant of the monotonic clock, in microseconds since the runtime's start.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Time(pub u64);

impl Time {
    /// The runtime's start.
    pub const ZERO: Self = Self(0);

    /// This instant plus `delay`, rounded down to a whole microsecond; saturates.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self(self.0.saturating_add(micros(delay)))
    }

    /// Microseconds from `earlier` to this instant; 0 if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Time {
    /// Seconds, with as many decimals as are needed, down to the microsecond: `31.2s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, rest) = (self.0 / 1_000_000, self.0 % 1_000_000);
        let text = if rest == 0 {
            format!("{seconds}s")
        } else {
            let decimals = format!("{rest:06}");
            format!("{seconds}.{}s", decimals.trim_end_matches('0'))
        };
        f.pad(&text)
    }
}

/// A wall clock reading, in microseconds since the Unix epoch. It may jump, back too.
pub type WallTime = u64;

/// A duration in whole microseconds, rounded down; saturates at `u64::MAX`.
#[must_use]
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The longest duration that text may name: 10,000 hours, over a year.
pub const LONGEST: Duration = Duration::from_secs(10_000 * 3_600);

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// The text is not a number followed by a unit.
    #[error(
        "not a duration: write a number and a unit, like \"250us\", \"20ms\", \"15s\", \"2m\" or \"1h\""
    )]
    Malformed,
    /// The unit is unknown.
    #[error("unknown unit `{0}`: the units are us, ms, s, m and h")]
    Unit(String),
    /// The value has parts smaller than a microsecond.
    #[error("finer than 1us, the resolution of time")]
    TooFine,
    /// The value is larger than [`LONGEST`].
    #[error("too long: the longest duration is 10000h")]
    TooLong,
}

/// Reads a duration: a decimal number and one unit of `us`, `ms`, `s`, `m`, `h`, without space.
///
/// # Errors
/// The reason the text is not a duration.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale: u64 = match unit {
        "us" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        _ if number.is_empty() || unit.is_empty() => return Err(DurationError::Malformed),
        _ => return Err(DurationError::Unit(unit.to_owned())),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.contains('.') {
        return Err(DurationError::Malformed);
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 10 {
        return Err(DurationError::TooFine);
    }
    let whole: u64 = whole.parse().map_err(|_| DurationError::TooLong)?;
    let value = whole.checked_mul(scale).ok_or(DurationError::TooLong)?;
    let numerator = u128::from(fraction.parse::<u64>().unwrap_or(0)) * u128::from(scale);
    let denominator = 10_u128.pow(u32::try_from(fraction.len()).unwrap_or(0));
    if !numerator.is_multiple_of(denominator) {
        return Err(DurationError::TooFine);
    }
    let part = u64::try_from(numerator / denominator).map_err(|_| DurationError::TooLong)?;
    let duration = Duration::from_micros(value.checked_add(part).ok_or(DurationError::TooLong)?);
    if duration > LONGEST {
        Err(DurationError::TooLong)
    } else {
        Ok(duration)
    }
}

/// Writes a duration with the largest unit that keeps it a whole number: the inverse of
/// [`parse_duration`].
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let us = micros(duration);
    for (scale, unit) in [
        (3_600_000_000, "h"),
        (60_000_000, "m"),
        (1_000_000, "s"),
        (1_000, "ms"),
    ] {
        if us >= scale && us.is_multiple_of(scale) {
            return format!("{}{unit}", us / scale);
        }
    }
    format!("{us}us")
}

/// serde for a [`Duration`] as text: `#[serde(with = "duration_text")]`.
pub mod duration_text {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes the duration as text.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::format_duration(*value))
    }

    /// Reads the duration from text.
    ///
    /// # Errors
    /// The text is not a duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::parse_duration(&text).map_err(D::Error::custom)
    }

    #[cfg(feature = "schema")]
    /// The JSON Schema of a duration as text, for `#[schemars(schema_with = "...")]`.
    pub fn schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": r"^[0-9]+(\.[0-9]+)?(us|ms|s|m|h)$",
            "description": "a duration: a number and a unit of us, ms, s, m, h"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_back() {
        for text in ["0us", "250us", "20ms", "15s", "2m", "1h", "90s", "1500ms"] {
            let value = parse_duration(text).unwrap();
            assert_eq!(
                parse_duration(&format_duration(value)).unwrap(),
                value,
                "{text}"
            );
        }
        assert_eq!(parse_duration("1.5s").unwrap(), Duration::from_millis(1500));
    }

    #[test]
    fn what_is_not_a_duration_is_refused_with_its_reason() {
        assert_eq!(parse_duration(""), Err(DurationError::Malformed));
        assert_eq!(parse_duration("15"), Err(DurationError::Malformed));
        assert_eq!(parse_duration("s"), Err(DurationError::Malformed));
        assert_eq!(parse_duration("-1s"), Err(DurationError::Malformed));
        assert_eq!(parse_duration("1.2.3s"), Err(DurationError::Malformed));
        assert_eq!(parse_duration("3 s"), Err(DurationError::Unit(" s".into())));
        assert_eq!(parse_duration("3d"), Err(DurationError::Unit("d".into())));
        assert_eq!(parse_duration("0.5us"), Err(DurationError::TooFine));
        assert_eq!(parse_duration("9999999h"), Err(DurationError::TooLong));
        assert_eq!(
            parse_duration("99999999999999999999999s"),
            Err(DurationError::TooLong)
        );
    }
}
