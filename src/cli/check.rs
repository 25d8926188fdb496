//! `hublab check`: reads scenario files, and estimates how large they are.

use hublab_sim::scenario::{Estimate, estimate};
use hublab_strategies::time::format_duration;

use super::args::Check;
use super::exit::Exit;
use super::files;
use super::render::number::{bytes, counted, grouped};
use super::render::style;
use super::{Context, Stop};

pub(super) fn check(args: &Check, context: &Context) -> Result<Exit, Stop> {
    let sources = files::read_all(&args.paths, &args.overrides, args.strict, context);
    for source in &sources.good {
        let size = estimate(&source.scenario, &context.catalog);
        let duration = format_duration(source.scenario.run.duration);
        context.output.line(format_args!(
            "{} {}: {}",
            style::pass("ok"),
            source.path.display(),
            words(&size, &duration)
        ))?;
    }
    sources.print_repetition(&args.overrides, context);
    Ok(sources.exit)
}

fn words(size: &Estimate, duration: &str) -> String {
    let mut text = format!(
        "{}, {}, {} over {duration}",
        counted(size.nodes as u64, "node"),
        counted(size.steps as u64, "step"),
        match size.children {
            1 => "1 child".to_owned(),
            children => format!("{} children", grouped(children)),
        },
    );
    for one in &size.strategies {
        let memory = bytes(one.memory_bytes);
        let messages = counted(one.messages_per_second, "message");
        text.push_str(&format!("; {} about {messages}/s, {memory}", one.strategy));
    }
    if size.wants_big {
        text.push_str("; needs --big");
    }
    text
}
