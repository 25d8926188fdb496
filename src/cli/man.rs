//! `hublab man`: a manual page per command.

use std::fs;
use std::io;
use std::path::Path;

use clap::builder::Resettable;
use clap_mangen::roff::{Roff, roman};

use super::args::Cli;
use super::args::first::Man;
use super::exit::ExitStatus;
use super::output::quoted;
use super::{Context, Stop};

pub(super) fn man(args: &Man, context: &Context) -> Result<ExitStatus, Stop> {
    let directory = args.directory.as_path();
    let failed = |path: &Path, error: &io::Error| {
        Stop::Usage(format!("cannot write {}: {error}", path.display()))
    };
    let mut command = Cli::shown(&context.catalog);
    command.build();
    let source = command.render_version();
    let (mut pages, mut commands) = (Vec::new(), vec![command]);
    while let Some(command) = commands.pop() {
        commands.extend(command.get_subcommands().cloned());
        let rendered = page(command, source.trim());
        pages.push(rendered.map_err(|error| failed(directory, &error))?);
    }
    fs::create_dir_all(directory).map_err(|error| failed(directory, &error))?;
    for (name, text) in &pages {
        let path = directory.join(name);
        fs::write(&path, text).map_err(|error| failed(&path, &error))?;
    }
    let place = quoted(&directory.to_string_lossy());
    context.output.line(format_args!(
        "wrote {} pages into {place}\n\nNext:\n  man -l {place}/hublab.1",
        pages.len()
    ))?;
    Ok(ExitStatus::Held)
}

/// The page of one command: the name of its file, and its text.
fn page(command: clap::Command, source: &str) -> io::Result<(String, Vec<u8>)> {
    let after = command.get_after_help().map(ToString::to_string);
    // The generator would run the lines of examples together.
    let page = clap_mangen::Man::new(command.after_help(Resettable::Reset))
        .source(source)
        .manual("hublab");
    let mut text = Vec::new();
    page.render(&mut text)?;
    more(&after.unwrap_or_default()).to_writer(&mut text)?;
    Ok((page.get_filename(), text))
}

/// What stands below a command's help: notes, and examples line by line.
fn more(after: &str) -> Roff {
    let is_example = |paragraph: &&str| paragraph.starts_with("Example");
    let (examples, notes): (Vec<&str>, Vec<&str>) = after
        .split("\n\n")
        .filter(|paragraph| !paragraph.is_empty())
        .partition(is_example);
    let mut roff = Roff::new();
    for (number, note) in notes.iter().enumerate() {
        if number == 0 {
            roff.control("SH", ["NOTES"]);
        } else {
            roff.control("PP", []);
        }
        for line in note.lines() {
            roff.text([roman(line.trim())]);
        }
    }
    if !examples.is_empty() {
        roff.control("SH", ["EXAMPLES"]).control("nf", []);
    }
    let lines = examples.iter().flat_map(|paragraph| paragraph.lines());
    for line in lines {
        let line = line
            .trim_start_matches("Examples:")
            .trim_start_matches("Example:");
        if !line.trim().is_empty() {
            roff.text([roman(line.trim())]);
        }
    }
    if !examples.is_empty() {
        roff.control("fi", []);
    }
    roff
}
