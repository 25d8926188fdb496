//! Results for people: a block or a line per run, and what all of them add up to.

use hublab_sim::watch::judge::Verdict;

use super::{Reporter, Run, Series, Setting, Target, Totals, campaign};
use crate::cli::output::{self, Columns};
use crate::cli::render::human;
use crate::cli::render::number::time;
use crate::cli::{Context, Stop};

/// From this many runs on, one that passes is a line.
const MANY: u64 = 6;

struct Human {
    setting: Setting,
    columns: Columns,
    is_first: bool,
}

pub(super) fn make(setting: Setting, _context: &Context) -> Box<dyn Reporter> {
    Box::new(Human {
        setting,
        columns: output::columns(),
        is_first: true,
    })
}

impl Reporter for Human {
    fn run(&mut self, run: &Run<'_>, to: &mut Target) -> Result<(), Stop> {
        let Some((report, scenario)) = run.details else {
            return Ok(());
        };
        let Setting {
            runs,
            names,
            strategies,
            ..
        } = self.setting;
        let is_first = std::mem::replace(&mut self.is_first, false);
        let many = runs >= MANY;
        if many && report.verdict == Verdict::Pass {
            let width = self.columns.sentences;
            return to.line(human::line(report, names, strategies, width));
        }
        let block = human::block(report, scenario, run.explanation, self.columns);
        let (before, after) = (
            if is_first { "" } else { "\n" },
            if many { "\n" } else { "" },
        );
        to.line(format_args!("{before}{block}{after}"))
    }

    fn close(&mut self, totals: &Totals<'_>, to: &mut Target) -> Result<(), Stop> {
        match totals.series {
            Some(series) => close_series(series, to),
            None => {
                to.text(totals.reach)?;
                to.line(campaign::render(totals.account))
            }
        }
    }
}

fn close_series(series: Series<'_>, to: &mut Target) -> Result<(), Stop> {
    for table in series.tables.unwrap_or_default() {
        to.line(format_args!("\n{table}"))?;
    }
    if series.tally.total() > 1 || series.tables.is_some() {
        let took = time(u64::try_from(series.took.as_micros()).unwrap_or(u64::MAX));
        to.line(format_args!("\n{}", human::total(series.tally, &took)))?;
        if let Some(command) = series.repeat {
            to.line(command)?;
        }
    }
    Ok(())
}
