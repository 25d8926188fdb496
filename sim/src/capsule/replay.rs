//! Replaying: running the scenario of a capsule again, and comparing event by event as it goes.

use std::io::{Read, Seek};
use std::sync::{Arc, Mutex, PoisonError};

use crate::capsule::diff::{AROUND, Comparer, Divergence};
use crate::capsule::{Build, Capsule, CapsuleError};
use crate::catalog::Catalog;
use crate::report::Report;
use crate::run::{RunError, Simulation};
use crate::scenario::{Problems, Scenario};
use crate::trace::event::Event;
use crate::trace::recorder::Sink;

/// Result of a replay.
#[derive(Debug)]
#[non_exhaustive]
pub struct Replay {
    /// The report of the new run.
    pub report: Report,
    /// The report in the capsule.
    pub recorded: Report,
    /// The program that made the capsule, if it was another one than this.
    pub other_build: Option<Build>,
    /// Where the new run (right) parts from the capsule (left); `None` if it never does.
    pub divergence: Option<Divergence>,
}

/// Why there was no replay.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The capsule cannot be read.
    #[error(transparent)]
    Capsule(#[from] CapsuleError),
    /// The capsule's scenario is not accepted: another program wrote it.
    #[error("the scenario in the capsule is not accepted")]
    Scenario(#[source] Box<Problems>),
    /// The run could not begin.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Runs the scenario of a capsule again, with its strategy and seed.
///
/// # Errors
/// The capsule cannot be read, or its scenario cannot be run with this catalog.
pub fn replay<R>(capsule: Capsule<R>, catalog: &Catalog) -> Result<Replay, ReplayError>
where
    R: Read + Seek + Send + 'static,
{
    let text = capsule.header().scenario.clone();
    let read = Scenario::read("the scenario in the capsule", text.as_bytes(), catalog);
    let scenario = read.map_err(|problems| ReplayError::Scenario(Box::new(problems)))?;
    replay_scenario(capsule, &scenario, catalog)
}

/// Runs a scenario with the strategy and seed of a capsule, which need not be of that scenario.
///
/// # Errors
/// The capsule cannot be read, or the scenario cannot be run with this catalog.
pub(crate) fn replay_scenario<R>(
    capsule: Capsule<R>,
    scenario: &Scenario,
    catalog: &Catalog,
) -> Result<Replay, ReplayError>
where
    R: Read + Seek + Send + 'static,
{
    let header = capsule.header().clone();
    let recorded = capsule.footer().report.clone();
    // A run that goes on behind the end of the trace has parted from it, and need not go far.
    let enough = capsule.footer().events.saturating_add(AROUND as u64 + 1);
    let comparison = Arc::new(Mutex::new(Some(Comparer::new(capsule, AROUND))));
    let report = Simulation::new(scenario, catalog)
        .strategy(&header.strategy)?
        .seed(header.seed)
        .budget(header.budget.min(enough))
        .sink(ComparingSink(Arc::clone(&comparison)))
        .run()?;
    let comparer = comparison
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    let divergence = match comparer {
        Some(comparer) => comparer.finish()?,
        None => None,
    };
    let other_build = (header.build != Build::current()).then_some(header.build);
    Ok(Replay {
        report,
        recorded,
        other_build,
        divergence,
    })
}

/// The comparer, shared between the run and the one who waits for it; taken when the run is over.
struct ComparingSink<R>(Arc<Mutex<Option<Comparer<R>>>>);

impl<R: Read + Seek + Send> Sink for ComparingSink<R> {
    fn event(&mut self, event: &Event) {
        let mut comparer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(comparer) = comparer.as_mut() {
            // The run goes on to its end whatever the comparison says: its report is wanted.
            let _ = comparer.right(event);
        }
    }
}
