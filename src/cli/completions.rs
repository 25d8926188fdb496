//! `hublab completions`: what a shell needs to complete command lines.

use super::args::Cli;
use super::args::first::Completions;
use super::exit::ExitStatus;
use super::{Context, Stop};

pub(super) fn completions(args: &Completions, context: &Context) -> Result<ExitStatus, Stop> {
    let mut command = Cli::shown(&context.catalog);
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    context.output.write(|out| out.write_all(&script))?;
    Ok(ExitStatus::Held)
}
