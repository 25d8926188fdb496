//! `hublab judge`: judges the trace of a capsule again.

use hublab_sim::capsule::judge::{JudgeError, judge as judge_again};

use super::args::{ALL, Judge};
use super::capsules;
use super::exit::ExitStatus;
use super::output::quoted;
use super::report::print_one;
use super::{Context, Stop};

pub(super) fn judge(args: &Judge, context: &Context) -> Result<ExitStatus, Stop> {
    let mut capsule = capsules::open(&args.capsule, args.size)?;
    let oracles = if args.oracles.iter().any(|name| name == ALL) {
        let names = context.catalog.oracle_names();
        names.map(str::to_owned).collect()
    } else {
        args.oracles.clone()
    };
    let judged = match judge_again(&mut capsule, &context.catalog, &oracles) {
        Ok(judged) => judged,
        Err(JudgeError::Scenario(problems)) => {
            return Err(capsules::refused(&args.capsule, &problems, context));
        }
        Err(error) => return Err(capsules::unusable(&args.capsule, error)),
    };
    let mut report = judged.report;
    report.replay = format!("hublab replay {}", quoted(&args.capsule.to_string_lossy()));
    print_one(args.format, &judged.scenario, &report, context)?;
    Ok(report.verdict.into())
}
