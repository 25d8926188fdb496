//! The results of `run`: printed as they come, and added up.

use std::time::{Duration, Instant};

use hublab_sim::run::report::{self, Messages, Report};
use hublab_sim::watch::judge::Verdict;
use hublab_strategies::time::format_duration;

use super::args::Format;
use super::exit::Exit;
use super::output;
use super::plan::{Plan, Task};
use super::pool::{End, Ended};
use super::progress::Reached;
use super::render::human::Tally;
use super::render::number::{counted, time};
use super::render::seeds::Summary;
use super::render::{csv, human, style};
use super::run::Done;
use super::{Context, Stop, tell_bug};

/// From this many runs on, one that passes is a line.
const MANY: u64 = 6;

/// Prints results as they come, and remembers what they add up to.
#[derive(Debug)]
pub(super) struct Results<'a> {
    plan: &'a Plan,
    context: &'a Context,
    format: Format,
    exit: Exit,
    begun: Instant,
    /// The real time that one run may take.
    wall: Duration,
    /// How many took longer.
    overdue: u64,
    tally: Tally,
    /// The command that repeats the first run that did not pass.
    repeat: Option<String>,
    summaries: Option<Vec<Summary>>,
    names: usize,
    strategies: usize,
}

impl<'a> Results<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        context: &'a Context,
        format: Format,
        with_table: bool,
        wall: Duration,
    ) -> Self {
        const NAMES_MAX: usize = 40;
        let longest =
            |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or(0).min(NAMES_MAX);
        Self {
            plan,
            context,
            format,
            exit: Exit::Held,
            begun: Instant::now(),
            wall,
            overdue: 0,
            tally: Tally::default(),
            repeat: None,
            summaries: with_table.then(|| vec![Summary::default(); plan.groups.len()]),
            names: longest(
                &mut plan
                    .sources
                    .iter()
                    .map(|source| source.scenario.name.chars().count()),
            ),
            strategies: longest(
                &mut plan
                    .groups
                    .iter()
                    .map(|group| group.strategy.chars().count()),
            ),
        }
    }

    /// What the results so far add up to.
    pub(super) fn exit(&self) -> Exit {
        self.exit
    }

    pub(super) fn take(
        &mut self,
        number: usize,
        ended: Ended<Result<Done, String>>,
        reached: &Reached,
    ) -> Result<(), Stop> {
        let task = self.plan.task(number as u64);
        match ended {
            Ended::Done(Ok(mut done)) => {
                if done.report.digest.is_none() {
                    done.report.reason = Some(self.too_long());
                    self.overdue += 1;
                }
                self.done(task, &done)
            }
            Ended::Done(Err(reason)) => {
                self.trouble(task, &reason);
                Ok(())
            }
            Ended::Panicked(what) => {
                self.exit = self.exit.max(Exit::Bug);
                tell_bug(self.context, &what);
                self.remember(task);
                Ok(())
            }
            Ended::Overdue(took) => {
                self.overdue += 1;
                let report = self.given_up(task, took, reached);
                self.print(task, &report)
            }
        }
    }

    fn done(&mut self, task: Task, done: &Done) -> Result<(), Stop> {
        self.print(task, &done.report)?;
        // What a run came to that was ended before its time is no measure of it.
        if let Some(summaries) = &mut self.summaries
            && done.report.reason.is_none()
        {
            summaries[task.group].add(&done.report);
        }
        if let Some(trouble) = &done.trouble {
            self.trouble(task, trouble);
        }
        if let Some(difference) = &done.difference {
            self.exit = self.exit.max(Exit::Mismatch);
            let command = format!("{} --twice", done.report.replay);
            let text = format!(
                "{}: {difference}\n{command}",
                style::error("not deterministic")
            );
            self.repeat.get_or_insert(command);
            match self.format {
                Format::Human => self.context.output.line(text)?,
                Format::Json | Format::Csv => self.context.output.note(text),
            }
        }
        Ok(())
    }

    /// Something beside the run itself went wrong.
    fn trouble(&mut self, task: Task, what: &str) {
        self.exit = self.exit.max(Exit::Usage);
        let command = self.plan.replay(task);
        self.context
            .output
            .note(format_args!("{} {what}\n{command}", style::error("error:")));
        self.remember(task);
    }

    /// Why a run was ended.
    fn too_long(&self) -> String {
        let limit = format_duration(self.wall);
        format!("it took longer than {limit} of real time (--wall-limit)")
    }

    /// The report of a run that was given up in the middle of a step. The wall clock judged it, so it
    /// has no digest.
    fn given_up(&self, task: Task, took: Duration, reached: &Reached) -> Report {
        let group = self.plan.group(task);
        Report {
            schema: report::SCHEMA,
            scenario: self.plan.source(group).scenario.name.clone(),
            strategy: group.strategy.clone(),
            seed: task.seed,
            verdict: Verdict::Inconclusive,
            digest: None,
            events: reached.events(),
            virtual_us: reached.virtual_us(),
            wall_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            messages: Messages::default(),
            converged_us: None,
            rows: 0,
            expectations: Vec::new(),
            violations: Vec::new(),
            violations_suppressed: 0,
            inconclusive: Vec::new(),
            timeline: Vec::new(),
            replay: self.plan.replay(task),
            reason: Some(self.too_long()),
        }
    }

    fn remember(&mut self, task: Task) {
        self.repeat.get_or_insert_with(|| self.plan.replay(task));
    }

    fn print(&mut self, task: Task, report: &Report) -> Result<(), Stop> {
        let first = self.tally.total() == 0;
        self.tally.add(report.verdict);
        self.exit = self.exit.max(report.verdict.into());
        if report.verdict != Verdict::Pass {
            self.remember(task);
        }
        let output = &self.context.output;
        match self.format {
            Format::Human => self.print_for_people(task, report, first),
            Format::Json => {
                let line = serde_json::to_string(report)
                    .map_err(|error| Stop::Usage(error.to_string()))?;
                output.line(line)
            }
            Format::Csv => {
                if first {
                    output.line(csv::HEADER)?;
                }
                output.line(csv::line(report))
            }
        }
    }

    fn print_for_people(&self, task: Task, report: &Report, first: bool) -> Result<(), Stop> {
        let output = &self.context.output;
        let many = self.plan.count() >= MANY;
        if many && report.verdict == Verdict::Pass {
            return output.line(human::line(
                report,
                self.names,
                self.strategies,
                output::columns().sentences,
            ));
        }
        let scenario = &self.plan.source(self.plan.group(task)).scenario;
        let block = human::block(report, scenario, output::columns());
        let (before, after) = (if first { "" } else { "\n" }, if many { "\n" } else { "" });
        output.line(format_args!("{before}{block}{after}"))
    }

    /// The end of the series: tables, totals, and the command that repeats the first failure.
    pub(super) fn close(&mut self, end: End) -> Result<(), Stop> {
        let output = &self.context.output;
        let finished = self.tally.total();
        let of_all = format!("{} of {}", finished, counted(self.plan.count(), "run"));
        match end {
            End::Complete => {}
            End::Interrupted => output.note(format_args!("interrupted: {of_all} finished")),
        }
        if self.overdue > 0 {
            let limit = format_duration(self.wall);
            let runs = counted(self.overdue, "run");
            output.note(format_args!(
                "ended: {runs} took longer than {limit} (--wall-limit)"
            ));
        }
        match self.format {
            Format::Human => self.close_for_people(finished),
            Format::Json | Format::Csv => {
                self.repeat.iter().for_each(|command| output.note(command));
                Ok(())
            }
        }
    }

    fn close_for_people(&mut self, finished: u64) -> Result<(), Stop> {
        let output = &self.context.output;
        if let Some(summaries) = &mut self.summaries {
            for (group, summary) in self.plan.groups.iter().zip(summaries) {
                let title = format!(
                    "{} {}",
                    self.plan.source(group).scenario.name,
                    group.strategy
                );
                output.line(format_args!("\n{}", summary.table(&title)))?;
            }
        }
        if finished > 1 || self.summaries.is_some() {
            let took = time(u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX));
            output.line(format_args!("\n{}", human::total(self.tally, &took)))?;
            self.repeat
                .iter()
                .try_for_each(|command| output.line(command))?;
        }
        Ok(())
    }
}
