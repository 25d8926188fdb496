//! A number of a run: whole or real.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

/// A value.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Number {
    /// A count, or a time.
    Whole(u64),
    /// A share, a mean, or a quotient: finite.
    Real(f64),
}

impl Number {
    /// The value, rounded to 53 bits.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "beyond 2^53 a value is rounded, as the name says"
    )]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Whole(value) => value as f64,
            Self::Real(value) => value,
        }
    }

    /// The value with as many digits as tell it from every other, for programs.
    ///
    /// ```
    /// use hublab_sim::metric::Number;
    ///
    /// let third = Number::Real(1.0 / 3.0);
    /// assert_eq!((third.exact(), third.to_string()), ("0.3333333333333333".to_owned(), "0.333".to_owned()));
    /// ```
    #[must_use]
    pub fn exact(self) -> String {
        match self {
            Self::Whole(value) => value.to_string(),
            Self::Real(value) => value.to_string(),
        }
    }
}

impl PartialEq<u64> for Number {
    fn eq(&self, other: &u64) -> bool {
        self.partial_cmp(other) == Some(Ordering::Equal)
    }
}

impl PartialOrd<u64> for Number {
    fn partial_cmp(&self, other: &u64) -> Option<Ordering> {
        match self {
            Self::Whole(value) => value.partial_cmp(other),
            Self::Real(value) => value.partial_cmp(&Self::Whole(*other).as_f64()),
        }
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self::Whole(value)
    }
}

impl std::fmt::Display for Number {
    /// Shares and means with three decimals, or as many as three digits take if they are small.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(value) => value.fmt(f),
            Self::Real(value) if *value == 0.0 || value.abs() >= 0.1 => write!(f, "{value:.3}"),
            Self::Real(value) => write!(f, "{value:.2e}"),
        }
    }
}
