//! `hublab show`: what a capsule holds.

use hublab_sim::campaign::record::Record;
use hublab_sim::scenario::Scenario;

use super::args::Show;
use super::exit::Exit;
use super::output::quoted;
use super::report::{Reporters, Run, Setting};
use super::{Context, Stop, capsules};

pub(super) fn show(args: &Show, context: &Context) -> Result<Exit, Stop> {
    let output = &context.output;
    let capsule = capsules::open(&args.capsule, args.size)?;
    let (header, footer) = (capsule.header(), capsule.footer());
    if args.scenario {
        output.write(|out| out.write_all(header.scenario.as_bytes()))?;
        return Ok(Exit::Held);
    }
    let name = "the scenario in the capsule";
    let mut scenario = match Scenario::read(name, header.scenario.as_bytes(), &context.catalog) {
        Ok(scenario) => scenario,
        Err(problems) => {
            output.diagnostic(&problems);
            let reason = "its scenario is not accepted by this program; --scenario prints it";
            return Err(capsules::unusable(&args.capsule, reason));
        }
    };
    scenario.name.clone_from(&header.name);
    let mut report = footer.report.clone();
    report.replay = format!("hublab replay {}", quoted(&args.capsule.to_string_lossy()));
    let setting = Setting {
        runs: 1,
        ..Setting::default()
    };
    let mut reporters = Reporters::new(args.format, &[], setting, context)?;
    reporters.run(&Run {
        record: &Record::of_run("", &scenario, &report),
        details: Some((&report, &scenario)),
    })?;
    reporters.flush()?;
    if args.format.is_human() {
        output.line(format_args!("made by {}\n", header.build))?;
        output.write(|out| out.write_all(header.scenario.as_bytes()))?;
    }
    Ok(Exit::Held)
}
