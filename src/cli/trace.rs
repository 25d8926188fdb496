//! `hublab trace`: the events of a capsule, as lines, as JSON, or as pictures.

use std::io::{self, Read, Seek, Write};
use std::time::Duration;

use hublab_sim::capsule::why::chain_of;
use hublab_sim::capsule::{Capsule, CapsuleError, Footer, Header};
use hublab_sim::trace::diagram::Draft;
use hublab_sim::trace::text::{EVENT_KINDS, Filter, concerns};
use hublab_sim::trace::{Event, EventId, Names};
use hublab_strategies::Time;
use hublab_strategies::time::{format_duration, micros};

use super::args::{Trace, TraceFormat};
use super::capsules::{self, Opened};
use super::exit::ExitStatus;
use super::output::Output;
use super::picture::diagram::{self, Flag};
use super::picture::{graph, perfetto, shiviz};
use super::render::number::counted;
use super::{Context, Stop};

pub(super) fn trace(args: &Trace, context: &Context) -> Result<ExitStatus, Stop> {
    match capsules::open_or_run(&args.run, context)? {
        Opened::File(capsule) => trace_of(args, capsule, context),
        Opened::Memory(capsule) => trace_of(args, capsule, context),
    }
}

fn trace_of<R: Read + Seek>(
    args: &Trace,
    mut capsule: Capsule<R>,
    context: &Context,
) -> Result<ExitStatus, Stop> {
    check_words(args, capsule.header(), capsule.footer())?;
    check_times(args, capsule.footer())?;
    let source = Source {
        names: capsule.names(),
        nodes: capsule.header().nodes.len(),
        filter: Filter {
            nodes: args.nodes.clone(),
            children: args.children.clone(),
            kinds: args.kinds.clone(),
            from: args.from.map(|time| Time(micros(time))),
            to: args.to.map(|time| Time(micros(time))),
        },
        title: title(capsule.footer()),
        unseen: args.children.iter().collect(),
    };
    if args.event.is_some() && !matches!(args.format, TraceFormat::Dot) {
        let reason =
            "--event is for --format dot, which draws what led to an event and what came of it";
        return Err(Stop::Usage(reason.to_owned()));
    }
    let output = &context.output;
    let unseen = match args.format {
        // One stream for all lines: a trace has many.
        TraceFormat::Text => source.write(&mut capsule, output, |names, event, out| {
            writeln!(out, "{}", names.line(event))
        }),
        TraceFormat::Ndjson => source.write(&mut capsule, output, |names, event, out| {
            writeln!(out, "{}", names.json(event))
        }),
        TraceFormat::Svg => source.svg(&mut capsule, output),
        TraceFormat::Perfetto => source.perfetto(&mut capsule, output),
        TraceFormat::Shiviz => source.shiviz(&mut capsule, output),
        TraceFormat::Dot => {
            let event = args.event.unwrap_or_default();
            source.dot(&mut capsule, event, output)
        }
    };
    let unseen = unseen.map_err(|error| match error {
        Failure::Capsule(error) => capsules::unusable(&args.run.path, error),
        Failure::Output(stop) => stop,
    })?;
    match unseen {
        Some(child) => Err(Stop::Usage(format!("no child `{child}` in this capsule"))),
        None => Ok(ExitStatus::Held),
    }
}

/// Why a trace was not written.
enum Failure {
    Capsule(CapsuleError),
    Output(Stop),
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Self {
        Self::Output(stop)
    }
}

/// What is shown of a trace, and what it is called.
struct Source<'a> {
    names: Names,
    nodes: usize,
    filter: Filter,
    title: String,
    /// The children that were asked for, and that no event has been about.
    unseen: Vec<&'a String>,
}

type Unseen = Result<Option<String>, Failure>;

impl Source<'_> {
    /// Hands each event to `take`, and true with those that the filter allows. Ends behind the last
    /// that it can allow. Gives a child that was asked for and is in no event.
    fn each<R: Read + Seek>(
        mut self,
        capsule: &mut Capsule<R>,
        mut take: impl FnMut(&Names, &Event, bool) -> io::Result<()>,
    ) -> Result<io::Result<Option<String>>, CapsuleError> {
        for event in capsule.events() {
            let event = event?;
            self.unseen
                .retain(|child| !concerns(&event, std::slice::from_ref(child)));
            if self.filter.is_over(&event) {
                if self.unseen.is_empty() {
                    break;
                }
                continue;
            }
            let is_shown = self.filter.allows(&event, &self.names);
            if let Err(error) = take(&self.names, &event, is_shown) {
                return Ok(Err(error));
            }
        }
        Ok(Ok(self.unseen.first().map(|child| (*child).clone())))
    }

    /// The same, written by `write` of [`Output`].
    fn streamed<R: Read + Seek>(
        self,
        capsule: &mut Capsule<R>,
        write: impl FnOnce(&mut dyn FnMut(&mut dyn Write) -> io::Result<()>) -> Result<(), Stop>,
        mut take: impl FnMut(&Names, &Event, bool, &mut dyn Write) -> io::Result<()>,
    ) -> Unseen {
        let mut ended = Ok(None);
        let mut source = Some(self);
        write(&mut |out| {
            let Some(source) = source.take() else {
                return Ok(());
            };
            match source.each(capsule, |names, event, is_shown| {
                take(names, event, is_shown, out)
            }) {
                Ok(Ok(unseen)) => {
                    ended = Ok(unseen);
                    Ok(())
                }
                Ok(Err(error)) => Err(error),
                Err(error) => {
                    ended = Err(Failure::Capsule(error));
                    Ok(())
                }
            }
        })?;
        ended
    }

    fn write<R: Read + Seek>(
        self,
        capsule: &mut Capsule<R>,
        output: &Output,
        mut line: impl FnMut(&Names, &Event, &mut dyn Write) -> io::Result<()>,
    ) -> Unseen {
        let take = |names: &Names, event: &Event, is_shown: bool, out: &mut dyn Write| {
            if is_shown {
                line(names, event, out)?;
            }
            Ok(())
        };
        self.streamed(capsule, |run| output.write(|out| run(out)), take)
    }

    fn shiviz<R: Read + Seek>(self, capsule: &mut Capsule<R>, output: &Output) -> Unseen {
        let mut log = shiviz::Log::new(&self.names, self.nodes);
        let take = |names: &Names, event: &Event, is_shown: bool, out: &mut dyn Write| {
            log.event(event, names, is_shown, out)
        };
        self.streamed(capsule, |run| output.write(|out| run(out)), take)
    }

    fn perfetto<R: Read + Seek>(self, capsule: &mut Capsule<R>, output: &Output) -> Unseen {
        let mut tracks = perfetto::Tracks::new(self.nodes);
        let (names, title) = (self.names.clone(), self.title.clone());
        let mut unseen = Ok(None);
        output.binary(|out| {
            tracks.begin(&names, &title, out)?;
            let each = self.each(capsule, |names, event, is_shown| {
                if is_shown {
                    tracks.event(event, names, out)?;
                }
                Ok(())
            });
            match each {
                Ok(Ok(child)) => unseen = Ok(child),
                Ok(Err(error)) => return Err(error),
                Err(error) => unseen = Err(Failure::Capsule(error)),
            }
            tracks.finish(out)
        })?;
        unseen
    }

    fn svg<R: Read + Seek>(self, capsule: &mut Capsule<R>, output: &Output) -> Unseen {
        let mut draft = Draft::new(self.names.clone(), self.nodes, self.filter.clone());
        let report = capsule.footer().report.clone();
        let title = self.title.clone();
        let is_in = |at: Time| {
            let Filter { from, to, .. } = &self.filter;
            from.is_none_or(|from| from <= at) && to.is_none_or(|to| at <= to)
        };
        let flags = report
            .violations
            .iter()
            .filter(|found| is_in(Time(found.at_us)));
        let flags: Vec<Flag> = flags
            .map(|found| Flag {
                at: Time(found.at_us),
                node: found.node.clone(),
                text: format!("{}: {}", found.oracle, found.detail),
            })
            .collect();
        let each = self.each(capsule, |_, event, _| {
            draft.event(event);
            Ok(())
        });
        let unseen = match each {
            Ok(ended) => ended.unwrap_or_default(),
            Err(error) => return Err(Failure::Capsule(error)),
        };
        let drawn = draft.finish(Time(report.virtual_us));
        let (messages, rows) = drawn.left_out;
        if messages + rows > 0 {
            output.note(format_args!(
                "{} and {} are left out: --from, --to, --node, --child and --kind choose",
                counted(messages, "message"),
                counted(rows, "changed row"),
            ));
        }
        let image = diagram::svg(&drawn, &title, &flags);
        output.write(|out| out.write_all(image.as_bytes()))?;
        Ok(unseen)
    }

    fn dot<R: Read + Seek>(
        self,
        capsule: &mut Capsule<R>,
        event: EventId,
        output: &Output,
    ) -> Unseen {
        let causes = chain_of(capsule, event).map_err(Failure::Capsule)?;
        if causes.is_empty() {
            let count = capsule.footer().events;
            let reason = format!("no event e{event}: the trace has e1 to e{count}");
            return Err(Failure::Output(Stop::Usage(reason)));
        }
        let mut graph = graph::Graph::new(event, causes);
        let names = self.names.clone();
        let each = self.each(capsule, |_, event, _| {
            graph.event(event);
            Ok(())
        });
        let unseen = match each {
            Ok(ended) => ended.unwrap_or_default(),
            Err(error) => return Err(Failure::Capsule(error)),
        };
        let text = graph.dot(&names);
        output.write(|out| out.write_all(text.as_bytes()))?;
        Ok(unseen)
    }
}

/// The run in a few words.
pub(super) fn title(footer: &Footer) -> String {
    let report = &footer.report;
    format!(
        "{}, {}, seed {}: {}",
        report.scenario,
        report.strategy,
        report.seed,
        report.verdict.word()
    )
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
