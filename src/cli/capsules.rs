//! Opening capsules, as every command that reads them does.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::time::Duration;

use hublab_sim::capsule::{Capsule, Limits};
use hublab_strategies::time::format_duration;

use super::Stop;
use super::args::Size;

/// Opens a capsule.
///
/// # Errors
/// It cannot be read, or is none, or is too large.
pub(super) fn open(path: &Path, size: Size) -> Result<Capsule<BufReader<File>>, Stop> {
    let limits = if size.big {
        Limits::BIG
    } else {
        Limits::default()
    };
    Capsule::open(path, limits).map_err(|error| unusable(path, error))
}

/// What is wrong with a time that the run of a capsule does not reach.
pub(super) fn behind_end(flag: &str, time: Duration, end: Duration) -> Stop {
    let (time, end) = (format_duration(time), format_duration(end));
    Stop::Usage(format!("{flag} {time} is behind the end of the run, {end}"))
}

/// What is wrong with a capsule, for whoever named it.
pub(super) fn unusable(path: &Path, error: impl std::fmt::Display) -> Stop {
    Stop::Usage(format!("{}: {error}", path.display()))
}
