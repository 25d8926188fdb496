//! `hublab judge`: judges the trace of a capsule again.

use hublab_sim::campaign::record::Record;
use hublab_sim::capsule::judge::{JudgeError, judge as judge_again};

use super::args::{ALL, Judge};
use super::capsules;
use super::exit::Exit;
use super::output::quoted;
use super::report::{Reporters, Run, Setting};
use super::{Context, Stop};

pub(super) fn judge(args: &Judge, context: &Context) -> Result<Exit, Stop> {
    let output = &context.output;
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
    let setting = Setting {
        runs: 1,
        ..Setting::default()
    };
    let mut reporters = Reporters::new(args.format, &[], setting, context)?;
    reporters.run(&Run {
        record: &Record::of_run("", &judged.scenario, &report),
        details: Some((&report, &judged.scenario)),
    })?;
    reporters.flush()?;
    Ok(report.verdict.into())
}
