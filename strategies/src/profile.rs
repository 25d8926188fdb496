//! [`Profile`]: the state of the original that the ports have the rules of.

use serde::{Deserialize, Serialize};

/// A state of the original (docs/protocol.md section 7). The registry's rules depend on it, and the
/// guard of empty snapshots.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum Profile {
    /// The published release 0.4.1-beta.
    #[serde(rename = "v041")]
    V041,
    /// 0.5, early.
    #[serde(rename = "v05_e1")]
    V05E1,
    /// 0.5, middle.
    #[default]
    #[serde(rename = "v05_e2")]
    V05E2,
}

impl Profile {
    /// The name in scenario files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V041 => "v041",
            Self::V05E1 => "v05_e1",
            Self::V05E2 => "v05_e2",
        }
    }

    /// True if a node that never hosted a child sends no snapshots.
    pub(crate) fn has_guard(self) -> bool {
        match self {
            Self::V041 | Self::V05E1 => false,
            Self::V05E2 => true,
        }
    }

    /// True if a row without entries is treated like any other.
    pub(crate) fn keeps_empty_rows(self) -> bool {
        match self {
            Self::V041 => true,
            Self::V05E1 | Self::V05E2 => false,
        }
    }
}
