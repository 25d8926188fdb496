//! Results as text: what a report says, for people and for programs. Nothing here computes a
//! verdict.

use std::fmt::{Display, Write as _};

pub(super) mod human;
pub(super) mod number;
pub(super) mod seeds;
pub(super) mod step;
pub(super) mod style;

/// Adds a line to a text.
pub(super) fn line(text: &mut String, line: impl Display) {
    writeln!(text, "{line}").expect("a String takes all");
}
