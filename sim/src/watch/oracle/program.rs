//! `program`: what the programs of nodes claim holds, and they end well.
//!
//! It counts whether the oracle is asked for or not, as `no_crash` does: the claims are the user's
//! own. There are no excuses.

use super::Oracle;
use crate::trace::program::{Kind, claim_of};

/// The oracle's name.
pub(crate) const NAME: &str = "program";

/// Stands for what the observers do.
#[derive(Debug)]
pub(super) struct Program;

impl Oracle for Program {
    fn name(&self) -> &'static str {
        NAME
    }

    fn reads_rows(&self) -> bool {
        false
    }
}

/// What a mark breaks: the kind of defect, and how in words; `None` for a mark that breaks nothing.
pub(crate) fn broken(mark: &str) -> Option<(&str, String)> {
    let (kind, text) = Kind::read(mark)?;
    Some(match kind {
        Kind::Always => (claim_of(text), format!("always: {text}")),
        Kind::Failed => ("failed", format!("the program failed: {text}")),
        Kind::Panicked => (
            "panicked",
            format!("a task of the program panicked: {text}"),
        ),
        Kind::Endless => ("endless", text.to_owned()),
        Kind::Foreign => ("foreign wake", text.to_owned()),
        Kind::Stuck => return None,
    })
}
