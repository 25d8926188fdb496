//! Runs inside a page that is about more than they are: of the failures of a campaign, of the cells of a
//! comparison, of all runs of `run`.

use std::io::{Read, Seek};
use std::path::Path;

use hublab_sim::capsule::Capsule;

use super::data::Run;
use super::run::{BYTES_MAX, EVENTS_MAX, Origin, Source, focus, run};
use super::window::Wish;
use crate::cli::args::Size;
use crate::cli::{Context, Stop, capsules};

/// A run whose share would be less is left out: its head and curves alone take as much.
const LEAST: usize = 30_000;

/// So often fewer events are tried where a run is larger than its share.
const ATTEMPTS: u32 = 3;

/// Runs, up to so many bytes in the file.
pub(super) struct Held<'c> {
    context: &'c Context,
    size: Size,
    room: usize,
    runs: Vec<Run>,
}

impl<'c> Held<'c> {
    pub(super) fn new(room: usize, size: Size, context: &'c Context) -> Self {
        Self {
            context,
            size,
            room,
            runs: Vec::new(),
        }
    }

    /// Adds the run of a capsule file: its place among the runs, or why it is not in the page. `others` more
    /// are to have as much room as it.
    pub(super) fn open(&mut self, path: &Path, others: usize) -> Result<usize, String> {
        let mut capsule = capsules::open(path, self.size).map_err(in_words)?;
        self.add(&mut capsule, Origin::Capsule(path), others)
    }

    /// The same of an open capsule.
    pub(super) fn add<R: Read + Seek>(
        &mut self,
        capsule: &mut Capsule<R>,
        origin: Origin<'_>,
        others: usize,
    ) -> Result<usize, String> {
        let share = (self.room / (others + 1)).min(BYTES_MAX);
        let no_room = || "the page has no room for it".to_owned();
        if share < LEAST {
            return Err(no_room());
        }
        let header = capsule.header();
        let path = match origin {
            Origin::Capsule(path) => path,
            Origin::Command(command) => Path::new(command),
        };
        let scenario = capsules::scenario(header, path, self.context).map_err(in_words)?;
        let focus = focus(&scenario, &capsule.footer().report);
        let mut room_for_events = share;
        for _ in 0..ATTEMPTS {
            let source = Source {
                origin,
                scenario: &scenario,
                catalog: &self.context.catalog,
                wish: Wish {
                    from: None,
                    to: None,
                    focus,
                    most: EVENTS_MAX,
                    bytes: room_for_events,
                },
            };
            let run = run(capsule, source).map_err(|error| error.to_string())?;
            let bytes = serde_json::to_string(&run).map_or(usize::MAX, |text| text.len());
            if bytes <= share {
                self.room -= bytes;
                self.runs.push(run);
                return Ok(self.runs.len() - 1);
            }
            // What is beside the events is as much again.
            room_for_events = room_for_events.saturating_sub(bytes - share);
        }
        Err(no_room())
    }

    pub(super) fn into_runs(self) -> Vec<Run> {
        self.runs
    }
}

/// Why a capsule is of no use, for a reader of the page.
pub(super) fn in_words(stop: Stop) -> String {
    match stop {
        Stop::Usage(reason) => reason,
        Stop::Told(_) | Stop::Pipe => "this program does not accept its scenario".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hublab_sim::capsule::twice::record;
    use hublab_sim::catalog::Catalog;
    use hublab_sim::scenario::Scenario;

    use super::*;

    #[test]
    fn runs_share_the_room_that_there_is() {
        let context = Context {
            catalog: Arc::new(Catalog::default()),
            output: Arc::default(),
        };
        let text = include_bytes!("../../../scenarios/partition-and-heal.toml");
        let scenario = Scenario::read("file", text, &context.catalog).expect("a scenario");
        let (_, mut capsule) =
            record(&scenario, "gossip", 1, &context.catalog).expect("it can be run");
        let mut sizes = Vec::new();
        for (room, others) in [(BYTES_MAX, 0), (120_000, 1), (45_000, 0)] {
            let mut held = Held::new(room, Size { big: false }, &context);
            let origin = Origin::Command("hublab run file");
            let place = held.add(&mut capsule, origin, others);
            assert_eq!(place, Ok(0));
            let runs = held.into_runs();
            let bytes = serde_json::to_string(&runs).expect("JSON").len();
            assert!(bytes <= room / (others + 1), "{bytes} of {room}");
            sizes.push(bytes);
        }
        assert!(sizes[0] > sizes[1] && sizes[1] > sizes[2], "{sizes:?}");
        let mut held = Held::new(40_000, Size { big: false }, &context);
        let refused = held.add(&mut capsule, Origin::Command("hublab run file"), 4);
        assert_eq!(refused, Err("the page has no room for it".to_owned()));
    }
}
