//! The results of `run`: printed as they come, and added up.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hublab_sim::campaign::record::Record;
use hublab_sim::campaign::shard::Shard;
use hublab_sim::campaign::summary::Summary as CampaignSummary;
use hublab_sim::report::{self, Messages, Report};
use hublab_sim::watch::judge::Verdict;
use hublab_strategies::time::format_duration;

use super::args::ReportAs;
use super::campaign::account::{Account, Source};
use super::exit::ExitStatus;
use super::plan::{Group, Plan, Task};
use super::pool::{End, Ended};
use super::progress::Reached;
use super::render::human::Tally;
use super::render::number::counted;
use super::render::seeds::Summary;
use super::render::style;
use super::report::{Format, Reporters, Run, Series, Setting, Totals};
use super::run::{Done, Trouble};
use super::{Context, Stop, print_bug};

/// Prints results as they come, and remembers what they add up to.
#[derive(Debug)]
pub(super) struct Results<'a> {
    plan: &'a Plan,
    context: &'a Context,
    format: Format,
    reporters: Reporters,
    summary: CampaignSummary,
    exit: ExitStatus,
    begun: Instant,
    /// The real time that one run may take.
    wall: Duration,
    /// How many took longer.
    overdue: u64,
    tally: Tally,
    /// The command that repeats the first run that did not pass.
    repeat: Option<String>,
    summaries: Option<Vec<Summary>>,
}

impl<'a> Results<'a> {
    /// Begins; the files of `--export` are made.
    ///
    /// # Errors
    /// One of them cannot be.
    pub(super) fn new(
        plan: &'a Plan,
        context: &'a Context,
        report: &ReportAs,
        with_table: bool,
        wall: Duration,
    ) -> Result<Self, Stop> {
        const NAMES_MAX: usize = 40;
        let longest =
            |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or(0).min(NAMES_MAX);
        let names = plan
            .sources
            .iter()
            .map(|source| source.scenario.name.chars().count());
        let strategies = plan
            .groups
            .iter()
            .map(|group| group.strategy.chars().count());
        let setting = Setting {
            runs: plan.count(),
            names: longest(&mut names.into_iter()),
            strategies: longest(&mut strategies.into_iter()),
            overrides: plan.overrides().to_vec(),
            kinds: if plan.by_kind {
                kinds(plan, context)
            } else {
                Vec::new()
            },
        };
        Ok(Self {
            plan,
            context,
            format: report.format,
            reporters: Reporters::new(report.format, &report.exports, setting, context)?,
            summary: CampaignSummary::default(),
            exit: ExitStatus::Held,
            begun: Instant::now(),
            wall,
            overdue: 0,
            tally: Tally::default(),
            repeat: None,
            summaries: with_table.then(|| {
                let sources = plan.groups.iter().map(|group| plan.source(group));
                sources
                    .map(|source| Summary::new(&context.catalog, source.scenario.run.duration))
                    .collect()
            }),
        })
    }

    /// What the results so far add up to.
    pub(super) fn exit(&self) -> ExitStatus {
        self.exit
    }

    pub(super) fn take(
        &mut self,
        number: usize,
        ended: Ended<Result<Done, Trouble>>,
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
                self.exit = self.exit.max(ExitStatus::Bug);
                print_bug(self.context, &what);
                self.remember(task);
                Ok(())
            }
            Ended::Overdue(took) => {
                self.overdue += 1;
                let report = self.given_up(task, took, reached);
                self.print(task, &report, None)
            }
        }
    }

    fn done(&mut self, task: Task, done: &Done) -> Result<(), Stop> {
        self.print(task, &done.report, done.explanation.as_deref())?;
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
            self.exit = self.exit.max(ExitStatus::Mismatch);
            let command = format!("{} --twice", done.report.replay);
            let text = format!(
                "{}: {difference}\n{command}",
                style::error("not deterministic")
            );
            self.repeat.get_or_insert(command);
            if self.format.is_human() {
                self.context.output.line(text)?;
            } else {
                self.context.output.note(text);
            }
        }
        Ok(())
    }

    /// Something beside the run itself went wrong.
    fn trouble(&mut self, task: Task, what: &Trouble) {
        self.exit = self.exit.max(ExitStatus::Usage);
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
            last_step_us: 0,
            rows: 0,
            metrics: BTreeMap::new(),
            measured: None,
            windows: BTreeMap::new(),
            expectations: Vec::new(),
            violations: Vec::new(),
            violations_suppressed: 0,
            inconclusive: Vec::new(),
            unmet_changes: Vec::new(),
            timeline: Vec::new(),
            ended_early: true,
            clock_twin: None,
            warnings: self.plan.source(group).warnings.clone(),
            replay: self.plan.replay(task),
            runtime: None,
            reason: Some(self.too_long()),
        }
    }

    fn remember(&mut self, task: Task) {
        self.repeat.get_or_insert_with(|| self.plan.replay(task));
    }

    fn print(
        &mut self,
        task: Task,
        report: &Report,
        explanation: Option<&str>,
    ) -> Result<(), Stop> {
        self.tally.add(report.verdict);
        self.exit = self.exit.max(report.verdict.into());
        if report.verdict != Verdict::Pass {
            self.remember(task);
        }
        let source = self.plan.source(self.plan.group(task));
        let path = source.path.to_string_lossy();
        let record = Record::of_run(&path, &source.scenario, report);
        self.summary.add(&record);
        self.reporters.run(&Run {
            record: &record,
            details: Some((report, &source.scenario)),
            explanation,
        })
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
        let tables = self.summaries.as_mut().map(|summaries| {
            let groups = self.plan.groups.iter().zip(summaries);
            let table = |(group, summary): (&Group, &mut Summary)| {
                let scenario = &self.plan.source(group).scenario.name;
                summary.table(&format!("{scenario} {}", group.strategy))
            };
            groups.map(table).collect::<Vec<String>>()
        });
        let command =
            |scenario: &str, strategy: &str, seed: u64| self.plan.command(scenario, strategy, seed);
        self.reporters.close(&Totals {
            account: Account {
                title: "hublab run",
                source: Source::Runs(&command),
                shard: Shard::WHOLE,
                summary: &self.summary,
                folder: None,
            },
            series: Some(Series {
                tally: self.tally,
                took: self.begun.elapsed(),
                tables: tables.as_deref(),
                repeat: self.repeat.as_deref(),
            }),
            reach: "",
        })?;
        if !self.format.is_human() {
            self.repeat.iter().for_each(|command| output.note(command));
        }
        Ok(())
    }
}

/// The kinds of messages that the strategies of a plan declare, and those of every hub.
fn kinds(plan: &Plan, context: &Context) -> Vec<&'static str> {
    let entries = plan.groups.iter();
    let entries = entries.filter_map(|group| context.catalog.get(&group.strategy));
    let mut kinds: Vec<&str> = entries
        .filter_map(|entry| entry.kinds())
        .flatten()
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}
