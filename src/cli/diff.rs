//! `hublab diff`: where two capsules part.

use hublab_sim::capsule::diff::diff as compare;

use super::args::Diff;
use super::capsules;
use super::exit::ExitStatus;
use super::output::quoted;
use super::render::number::counted;
use super::render::style;
use super::{Context, Stop};

pub(super) fn diff(args: &Diff, context: &Context) -> Result<ExitStatus, Stop> {
    let output = &context.output;
    let (left, right) = (
        capsules::open(&args.left, args.size)?,
        capsules::open(&args.right, args.size)?,
    );
    let events = left.footer().events;
    let names = format!("{} and {}", args.left.display(), args.right.display());
    let compared = compare(left, right, usize::from(args.around))
        .map_err(|error| Stop::Usage(format!("{names}: {error}")))?;
    for difference in &compared.headers {
        output.line(difference)?;
    }
    let Some(divergence) = compared.divergence else {
        output.line(format_args!(
            "{}  {}",
            style::pass("same"),
            counted(events, "event")
        ))?;
        return Ok(ExitStatus::Held);
    };
    output.line(divergence)?;
    let [left, right] = [&args.left, &args.right].map(|path| quoted(&path.to_string_lossy()));
    output.line(format_args!("hublab diff {left} {right}"))?;
    Ok(ExitStatus::Mismatch)
}
