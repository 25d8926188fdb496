//! `hublab fuzz`: a campaign over seeds. [`hublab_sim::campaign`] runs it; here are its arguments,
//! its directory, and what is told of it.

use std::ops::ControlFlow;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hublab_sim::campaign::manifest::{Manifest, Parameters};
use hublab_sim::campaign::record::Record;
use hublab_sim::campaign::shrinking::ShrunkLine;
use hublab_sim::campaign::summary::{End, Summary};
use hublab_sim::campaign::{Observer, Planned};

use super::args::ReportAs;
use super::args::fuzz::Fuzz;
use super::campaign::account::{Account, Asked, Source};
use super::campaign::folder::JUNIT;
use super::campaign::known;
use super::campaign::share::Share;
use super::campaign::words::result;
use super::exit::ExitStatus;
use super::interrupt::Listening;
use super::progress::Progress;
use super::render::number::{counted, grouped};
use super::report::{self, Format, Reporters, Run, Setting, Totals};
use super::{Context, Stop};

mod odd;
pub(super) mod reach;
mod request;
mod saved;
mod store;
pub(super) mod worker;

use request::Request;
use saved::Saved;
use store::Store;

pub(super) fn fuzz(args: &Fuzz, context: &Context) -> Result<ExitStatus, Stop> {
    let Request {
        campaign,
        manifest,
        share,
    } = Request::new(args, context)?;
    print_beginning(&manifest, share, context);
    let saved = saved::run_first(args, manifest.shard, context)?;
    // A corpus that cannot be used is told before anything else is run.
    if matches!(saved.exit, ExitStatus::Interrupted | ExitStatus::Usage) {
        return Ok(saved.exit);
    }
    let command = worker::command(args.memory)?;
    let stop = Arc::<AtomicBool>::default();
    let _listening = listen(&stop);
    let campaign = campaign.stop(stop).worker(command);
    let mut planned = campaign.plan();
    let mut book = Book::new(args, context)?;
    if let Some(out) = &args.out {
        let (store, shrunk) = Store::open(out, &manifest, |record| {
            planned.skip(record);
        })?;
        planned.skip_shrunk(shrunk);
        let made = manifest.planned - planned.left();
        if made > 0 && !args.resume {
            let (out, made) = (out.display(), grouped(made));
            context
                .output
                .note(format_args!("{out}: going on, {made} runs are there"));
        }
        book.store = Some(store);
    }
    book.take_saved(&saved, &mut planned)?;
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
            .map(|exit| exit.max(saved.exit)),
        (Err(error), None) => Err(error.into()),
    }
}

/// Says which share of which campaign this is: one that is taken for another leaves holes.
fn print_beginning(manifest: &Manifest, share: Share, context: &Context) {
    let Parameters {
        seeds,
        strategies,
        oracles,
        ..
    } = &manifest.campaign;
    context.output.note(format_args!(
        "seeds {}..{}, {}: {} of {}, oracles {oracles}",
        seeds.start,
        seeds.end,
        share.in_words(),
        counted(manifest.runs(), "run"),
        strategies.join(" and "),
    ));
}

/// The first interruption ends the campaign cleanly, the second one at once.
fn listen(stop: &Arc<AtomicBool>) -> Listening {
    let stop = stop.clone();
    Listening::new(move || {
        if stop.swap(true, Ordering::Relaxed) {
            process::exit(i32::from(ExitStatus::Interrupted.code()));
        }
    })
}

/// Takes records down as they come.
struct Book<'a> {
    context: &'a Context,
    format: Format,
    reporters: Reporters,
    store: Option<Store>,
    progress: Option<Progress>,
    /// How many runs of saved failures there were.
    saved: u64,
    /// Why the campaign was ended from here.
    trouble: Option<Stop>,
}

impl Observer for Book<'_> {
    fn made(&mut self, record: &Record) -> ControlFlow<()> {
        if let Some(progress) = &self.progress {
            drop(progress.meter(1));
            progress.part_done();
        }
        let written = self
            .store
            .as_mut()
            .map_or(Ok(()), |store| store.append(record));
        self.go_on(written)
    }

    fn record(&mut self, record: &Record) -> ControlFlow<()> {
        if self.store.is_some() {
            // Told in order, at the end.
            return ControlFlow::Continue(());
        }
        let told = self.reporters.run(&Run {
            record,
            details: None,
            explanation: None,
        });
        self.go_on(told)
    }

    fn note(&mut self, text: &str) {
        self.context.output.note(text);
    }

    fn shrunk(&mut self, line: &ShrunkLine) -> ControlFlow<()> {
        let store = self.store.as_ref();
        let kept = store.map_or(Ok(()), |store| store.keep(line));
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
            saved: 0,
            trouble: None,
        })
    }

    /// Counts the runs of saved failures, those of an earlier process if this one made none.
    fn take_saved(&mut self, saved: &Saved, planned: &mut Planned<'_>) -> Result<(), Stop> {
        let records = match &mut self.store {
            Some(store) => store.keep_corpus(&saved.records)?,
            None => saved.records.clone(),
        };
        for record in &records {
            planned.add(record);
        }
        self.saved = records.len() as u64;
        Ok(())
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

    /// The campaign is over: tells of it, and writes what is not written yet.
    fn close(
        mut self,
        manifest: &Manifest,
        summary: &Summary,
        end: End,
    ) -> Result<ExitStatus, Stop> {
        if let Some(store) = &mut self.store {
            let joined = store.read()?;
            if self.reporters.want_runs() {
                joined.each_record(|record| {
                    self.reporters.run(&Run {
                        record: &record,
                        details: None,
                        explanation: None,
                    })
                })?;
            }
            if end != End::Stopped {
                joined.write(store.path(), self.context)?;
            }
            store.close(end != End::Stopped)?;
        }
        let account = Account {
            title: "hublab fuzz",
            source: Source::Campaign(Asked {
                parameters: &manifest.campaign,
                planned: manifest.planned + self.saved,
                end: Some(end),
                has_holes: false,
                coverage: None,
            }),
            shard: manifest.shard,
            summary,
            folder: self.store.as_ref().map(Store::path),
        };
        if let Some(store) = &self.store {
            report::write_junit(store.path().join(JUNIT), account)?;
        }
        if let Some(words) = account.incomplete() {
            self.context.output.note(words);
        }
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
            if let Some(group) = summary.groups().news.first() {
                self.context.output.note(account.repeat(group));
            }
        }
        Ok(result(account).0)
    }
}
