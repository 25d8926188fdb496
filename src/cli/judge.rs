//! `hublab judge`: judges the trace of a capsule again.

use hublab_sim::capsule::judge::{JudgeError, judge as judge_again};
use hublab_sim::watch::oracle::NAMES;

use super::args::{ALL, Format, Judge};
use super::capsules;
use super::exit::Exit;
use super::output::{self, quoted};
use super::render::{csv, human};
use super::{Context, Stop};

pub(super) fn judge(args: &Judge, context: &Context) -> Result<Exit, Stop> {
    let output = &context.output;
    let mut capsule = capsules::open(&args.capsule, args.size)?;
    let oracles = if args.oracles.iter().any(|name| name == ALL) {
        NAMES.iter().map(|&name| name.to_owned()).collect()
    } else {
        args.oracles.clone()
    };
    let judged = match judge_again(&mut capsule, &context.catalog, &oracles) {
        Ok(judged) => judged,
        Err(JudgeError::Scenario(problems)) => {
            output.diagnostic(&*problems);
            return Err(capsules::unusable(
                &args.capsule,
                "its scenario is not accepted by this program",
            ));
        }
        Err(error) => return Err(capsules::unusable(&args.capsule, error)),
    };
    let mut report = judged.report;
    report.replay = format!("hublab replay {}", quoted(&args.capsule.to_string_lossy()));
    match args.format {
        Format::Human => output.line(human::block(&report, &judged.scenario, output::width()))?,
        Format::Json => {
            let line =
                serde_json::to_string(&report).map_err(|error| Stop::Usage(error.to_string()))?;
            output.line(line)?;
        }
        Format::Csv => {
            output.line(csv::HEADER)?;
            output.line(csv::line(&report))?;
        }
    }
    Ok(report.verdict.into())
}
