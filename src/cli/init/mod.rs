//! `hublab init`: a first scenario, or a crate with a strategy from the template.

use std::borrow::Cow;

use super::args::first::Init;
use super::exit::ExitStatus;
use super::output::quoted;
use super::{Context, Stop};

mod name;
mod template;
mod write;

use name::Name;
use template::Dependency;

/// The first scenario: the name of its file, and what stands in it.
const FIRST: (&str, &str) = ("first.toml", include_str!("first.toml"));

/// A file to write: its path below the directory, and what stands in it.
type File = (&'static str, Cow<'static, str>);

pub(super) fn init(args: &Init, context: &Context) -> Result<ExitStatus, Stop> {
    let directory = args.directory.as_path();
    let place = quoted(&directory.to_string_lossy());
    let Some(strategy) = &args.strategy else {
        let (name, text) = FIRST;
        write::all(directory, &[(name, text.into())])?;
        let file = quoted(&directory.join(name).to_string_lossy());
        let told = format!(
            "wrote {file}\n\nNext:\n  hublab run {place}\n  hublab run {place} --seeds 0..100\n  \
             hublab explain {file} --seed 7\n  hublab fuzz {file} --seeds 0..1000"
        );
        context.output.line(told)?;
        return Ok(ExitStatus::Held);
    };
    let name = Name::new(strategy, &context.catalog)?;
    let hublab = match &args.path {
        Some(path) => Dependency::on_directory(path)?,
        None => Dependency::of_this_build()?,
    };
    let files = template::files(&name, &hublab);
    write::all(directory, &files)?;
    let strategy = name.of_strategy();
    context.output.line(format_args!(
        "wrote {} files into {place}: the crate `{}`, which depends on hublab {hublab}\n\nNext:\n  \
         cd {place}\n  cargo test\n  cargo run -- run scenarios --strategy {strategy} --seeds 0..200\n  \
         cargo run -- fuzz --strategy {strategy} --seeds 0..200",
        files.len(),
        name.of_package(),
    ))?;
    Ok(ExitStatus::Held)
}
