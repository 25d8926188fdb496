//! `hublab trace`: the events of a capsule, as lines or as JSON.

use std::time::Duration;

use hublab_sim::capsule::{Footer, Header};
use hublab_sim::trace::text::{EVENT_KINDS, Filter, concerns};
use hublab_strategies::Time;
use hublab_strategies::time::{format_duration, micros};

use super::args::{Trace, TraceFormat};
use super::capsules;
use super::exit::Exit;
use super::{Context, Stop};

pub(super) fn trace(args: &Trace, context: &Context) -> Result<Exit, Stop> {
    let mut capsule = capsules::open(&args.capsule, args.size)?;
    let names = capsule.names();
    check_words(args, capsule.header(), capsule.footer())?;
    check_times(args, capsule.footer())?;
    let mut unseen: Vec<&String> = args.children.iter().collect();
    let filter = Filter {
        nodes: args.nodes.clone(),
        children: args.children.clone(),
        kinds: args.kinds.clone(),
        from: args.from.map(|time| Time(micros(time))),
        to: args.to.map(|time| Time(micros(time))),
    };
    let mut events = capsule.events();
    let mut failed = None;
    // One stream for all lines: a trace has many.
    context.output.write(|out| {
        for event in &mut events {
            let event = match event {
                Ok(event) => event,
                Err(error) => {
                    failed = Some(error);
                    return Ok(());
                }
            };
            unseen.retain(|child| !concerns(&event, std::slice::from_ref(child)));
            if filter.is_over(&event) {
                if unseen.is_empty() {
                    return Ok(());
                }
                continue;
            }
            if filter.allows(&event, &names) {
                match args.format {
                    TraceFormat::Text => writeln!(out, "{}", names.line(&event))?,
                    TraceFormat::Ndjson => writeln!(out, "{}", names.json(&event))?,
                }
            }
        }
        Ok(())
    })?;
    match failed {
        Some(error) => Err(capsules::unusable(&args.capsule, error)),
        None => match unseen.first() {
            Some(child) => Err(Stop::Usage(format!("no child `{child}` in this capsule"))),
            None => Ok(Exit::Held),
        },
    }
}

/// Times between which nothing can be.
fn check_times(args: &Trace, footer: &Footer) -> Result<(), Stop> {
    let end = Duration::from_micros(footer.report.virtual_us);
    match (args.from, args.to) {
        (Some(from), Some(to)) if from > to => {
            let (from, to) = (format_duration(from), format_duration(to));
            Err(Stop::Usage(format!("--from {from} is behind --to {to}")))
        }
        (Some(from), _) if from > end => Err(capsules::behind_end("--from", from, end)),
        _ => Ok(()),
    }
}

/// A name that nothing in the capsule bears would show an empty trace, and hide the slip.
fn check_words(args: &Trace, header: &Header, footer: &Footer) -> Result<(), Stop> {
    let nodes: Vec<&str> = header.nodes.iter().map(|node| node.as_str()).collect();
    if let Some(unknown) = args
        .nodes
        .iter()
        .find(|name| !nodes.contains(&name.as_str()))
    {
        return Err(Stop::Usage(format!("no node `{unknown}` in this capsule")));
    }
    let is_kind =
        |name: &String| EVENT_KINDS.contains(&name.as_str()) || footer.kinds.contains(name);
    if let Some(unknown) = args.kinds.iter().find(|name| !is_kind(name)) {
        let mut kinds: Vec<&str> = EVENT_KINDS.to_vec();
        kinds.extend(footer.kinds.iter().map(String::as_str));
        return Err(Stop::Usage(format!(
            "no kind `{unknown}`; this capsule has {}",
            kinds.join(", ")
        )));
    }
    Ok(())
}
