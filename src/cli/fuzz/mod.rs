//! `hublab fuzz`: a campaign over seeds. [`hublab_sim::campaign`] runs it; here are its arguments,
//! its directory, and what is told of it.

use std::env;
use std::ops::ControlFlow;
use std::process::{self, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hublab_sim::campaign::manifest::{Manifest, Parameters};
use hublab_sim::campaign::record::Record;
use hublab_sim::campaign::shrinking::ShrunkFailure;
use hublab_sim::campaign::summary::{End, Summary};
use hublab_sim::campaign::{CampaignError, Observer};

use super::args::ReportAs;
use super::args::fuzz::Fuzz;
use super::campaign::account::{Account, Source};
use super::campaign::folder::JUNIT;
use super::campaign::known;
use super::campaign::words::exit_of;
use super::exit::Exit;
use super::interrupt::Listening;
use super::progress::Progress;
use super::render::number::{counted, grouped};
use super::report::{self, Format, Reporters, Run, Setting, Totals};
use super::{Context, Stop};

mod odd;
mod reach;
mod request;
mod saved;
mod store;
pub(super) mod worker;

use request::Request;
use store::Store;

pub(super) fn fuzz(args: &Fuzz, context: &Context) -> Result<Exit, Stop> {
    let Request {
        campaign,
        manifest,
        sharded_by_environment,
    } = Request::new(args, context)?;
    print_beginning(&manifest, sharded_by_environment, context);
    let saved = saved::run_first(args, manifest.shard, context)?;
    if saved == Exit::Interrupted {
        return Ok(saved);
    }
    let program = env::current_exe()
        .map_err(|error| Stop::Usage(format!("this program cannot be started again: {error}")))?;
    let memory = args.memory.to_string();
    let stop = Arc::<AtomicBool>::default();
    let _listening = listen(&stop);
    let campaign = campaign.stop(stop).worker(move || {
        let mut command = Command::new(&program);
        command.args(["__worker", "--memory", &memory]);
        // Its last words are the reason why it died, and not where.
        command.env("RUST_BACKTRACE", "0");
        command
    });
    let mut planned = campaign.plan();
    let mut book = Book::new(args, context)?;
    if let Some(out) = &args.out {
        book.store = Some(if args.resume {
            Store::resume(out, &manifest, |record| {
                planned.skip(record);
            })?
        } else {
            Store::create(out, &manifest)?
        });
    }
    book.progress = Some(Progress::new(
        &context.output,
        "run",
        planned.left(),
        planned.left(),
    ));
    let ended = planned.run(&mut book);
    book.progress = None;
    match (ended, book.trouble.take()) {
        (_, Some(stop)) => Err(stop),
        (Ok((summary, end)), None) => book
            .close(&manifest, &summary, end)
            .map(|exit| exit.max(saved)),
        (Err(error), None) => Err(in_words(&error)),
    }
}

/// Says which share of which campaign this is: one that is taken for another leaves holes.
fn print_beginning(manifest: &Manifest, by_environment: bool, context: &Context) {
    let Parameters {
        seeds,
        strategies,
        oracles,
        ..
    } = &manifest.campaign;
    let source = if by_environment {
        " (from the environment)"
    } else {
        ""
    };
    context.output.note(format_args!(
        "seeds {}..{}, shard {}{source}: {} of {}, oracles {oracles}",
        seeds.start,
        seeds.end,
        manifest.shard,
        counted(manifest.runs(), "run"),
        strategies.join(" and "),
    ));
}

/// The first interruption ends the campaign cleanly, the second one at once.
fn listen(stop: &Arc<AtomicBool>) -> Listening {
    let stop = stop.clone();
    Listening::new(move || {
        if stop.swap(true, Ordering::Relaxed) {
            process::exit(i32::from(Exit::Interrupted.code()));
        }
    })
}

fn in_words(error: &CampaignError) -> Stop {
    Stop::Usage(error.to_string())
}

/// Takes records down as they come.
struct Book<'a> {
    context: &'a Context,
    format: Format,
    reporters: Reporters,
    store: Option<Store>,
    progress: Option<Progress>,
    /// Why the campaign was ended from here.
    trouble: Option<Stop>,
}

impl Observer for Book<'_> {
    fn record(&mut self, record: &Record) -> ControlFlow<()> {
        if let Some(progress) = &self.progress {
            drop(progress.meter(1));
            progress.part_done();
        }
        let written = self.write(record);
        self.go_on(written)
    }

    fn shrunk(&mut self, failure: &ShrunkFailure) -> ControlFlow<()> {
        let kept = self
            .store
            .as_ref()
            .map_or(Ok(()), |store| store.keep(failure, self.context));
        self.go_on(kept)
    }
}

impl<'a> Book<'a> {
    fn new(args: &Fuzz, context: &'a Context) -> Result<Self, Stop> {
        let ReportAs { format, exports } = &args.report;
        Ok(Self {
            context,
            format: *format,
            reporters: Reporters::new(*format, exports, Setting::default(), context)?,
            store: None,
            progress: None,
            trouble: None,
        })
    }

    fn go_on(&mut self, done: Result<(), Stop>) -> ControlFlow<()> {
        match done {
            Ok(()) => ControlFlow::Continue(()),
            Err(stop) => {
                self.trouble = Some(stop);
                ControlFlow::Break(())
            }
        }
    }

    fn write(&mut self, record: &Record) -> Result<(), Stop> {
        if let Some(store) = &mut self.store {
            store.append(record)?;
        }
        self.reporters.run(&Run {
            record,
            details: None,
        })
    }

    /// The campaign is over: tells of it, and writes what is not written yet.
    fn close(mut self, manifest: &Manifest, summary: &Summary, end: End) -> Result<Exit, Stop> {
        if let Some(store) = &mut self.store
            && end != End::Stopped
        {
            store.end()?;
        }
        let account = Account {
            title: "hublab fuzz",
            source: Source::Campaign(&manifest.campaign),
            shard: manifest.shard,
            summary,
            folder: self.store.as_ref().map(Store::path),
        };
        if let Some(store) = &self.store {
            report::write_junit(store.path().join(JUNIT), account)?;
        }
        self.print_end(manifest, summary, end);
        known::print(summary, &self.context.output);
        let odd = odd::render(summary, &manifest.campaign);
        let reach = format!("{}\n{odd}", reach::render(summary));
        self.reporters.close(&Totals {
            account,
            series: None,
            reach: &reach,
        })?;
        if !self.format.has_room_for_words() {
            if !odd.is_empty() {
                self.context.output.note(odd.trim_end());
            }
            if let Some((key, group)) = summary.groups_by_seed().news.first() {
                self.context.output.note(account.repeat(key, group));
            }
        }
        let exit = exit_of(summary);
        Ok(match end {
            End::Stopped => exit.max(Exit::Interrupted),
            End::Complete | End::Budget | End::MaxFailures => exit,
        })
    }

    fn print_end(&self, manifest: &Manifest, summary: &Summary, end: End) {
        let made = grouped(summary.runs());
        let of_all = format!("{made} of {}", counted(manifest.runs(), "run"));
        let why = match end {
            End::Complete => return,
            End::Budget => "the time of --budget is over",
            End::MaxFailures => "--max-failures is reached",
            End::Stopped => "interrupted",
        };
        self.context
            .output
            .note(format_args!("{why}: {of_all} made"));
    }
}
