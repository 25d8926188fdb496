//! Results as text: what a report says, for people and for programs. Nothing here computes a
//! verdict.

pub(super) mod csv;
pub(super) mod human;
pub(super) mod number;
pub(super) mod seeds;
pub(super) mod step;
pub(super) mod style;
