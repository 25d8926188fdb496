//! `program`: what the program of a node claims, and that it ends well. It counts whether it is asked
//! for or not, like `no_crash`: the claims are the user's own.

use crate::trace::program::{Kind, claim_of};

/// The name of the rule in violations.
pub(super) const NAME: &str = "program";

/// What a mark breaks: the kind of defect, and how in words; `None` for a mark that breaks nothing.
pub(super) fn broken(mark: &str) -> Option<(&str, String)> {
    let (kind, text) = Kind::read(mark)?;
    Some(match kind {
        Kind::Always => (claim_of(text), format!("always: {text}")),
        Kind::Failed => ("failed", format!("the program failed: {text}")),
        Kind::Panicked => ("panicked", format!("a task of the program panicked: {text}")),
        Kind::Endless => ("endless", text.to_owned()),
        Kind::Foreign => ("foreign wake", text.to_owned()),
        Kind::Stuck => return None,
    })
}
