//! `hublab show`: what a capsule holds.

use super::args::Show;
use super::exit::ExitStatus;
use super::output::quoted;
use super::report::print_one;
use super::{Context, Stop, capsules};

pub(super) fn show(args: &Show, context: &Context) -> Result<ExitStatus, Stop> {
    let output = &context.output;
    let capsule = capsules::open(&args.capsule, args.size)?;
    let (header, footer) = (capsule.header(), capsule.footer());
    if args.scenario {
        output.write(|out| out.write_all(header.scenario.as_bytes()))?;
        return Ok(ExitStatus::Held);
    }
    let scenario = capsules::scenario(header, &args.capsule, context)?;
    let mut report = footer.report.clone();
    report.replay = format!("hublab replay {}", quoted(&args.capsule.to_string_lossy()));
    print_one(args.format, &scenario, &report, context)?;
    if args.format.is_human() {
        output.line(format_args!("made by {}\n", header.build))?;
        output.write(|out| out.write_all(header.scenario.as_bytes()))?;
    }
    Ok(ExitStatus::Held)
}
