//! `no_crash`: no step of a node panics.
//!
//! The engine sees a panic, ends the run and reports it, whether the oracle is asked for or not:
//! it always counts. There are no excuses.

use super::Oracle;

/// The oracle's name.
pub const NAME: &str = "no_crash";

/// Stands for what the engine does.
#[derive(Debug)]
pub(super) struct NoCrash;

impl Oracle for NoCrash {
    fn name(&self) -> &'static str {
        NAME
    }

    fn reads_rows(&self) -> bool {
        false
    }
}
