//! Runs as JSON, one object per line.

use hublab_sim::campaign::record::Record;
use serde::Serialize;

use super::{Reporter, Run, Setting, Target};
use crate::cli::{Context, Stop};

struct Json;

pub(super) fn make(_setting: Setting, _context: &Context) -> Box<dyn Reporter> {
    Box::new(Json)
}

impl Reporter for Json {
    /// The report, or of a campaign's run the record, as in `results.ndjson`.
    fn run(&mut self, run: &Run<'_>, to: &mut Target) -> Result<(), Stop> {
        match run.details {
            Some((report, _)) => to.line(object(report)?),
            None => {
                // The same each time: times are told elsewhere.
                let record = Record {
                    wall_us: 0,
                    ..run.record.clone()
                };
                to.line(object(&record)?)
            }
        }
    }

    fn wants_runs(&self) -> bool {
        true
    }
}

fn object(value: &impl Serialize) -> Result<String, Stop> {
    serde_json::to_string(value).map_err(|error| Stop::Usage(error.to_string()))
}
