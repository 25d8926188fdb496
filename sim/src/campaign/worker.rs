//! The other end of a campaign: what makes its runs, wherever it is.
//!
//! A worker knows nothing of the campaign beside its [`Setup`]; it makes one run after the other,
//! each on a fresh thread, and says what came of each. That it may die in the middle is expected.

use std::any::Any;
use std::cell::RefCell;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use hublab_strategies::panic::in_words;

use super::baseline::{Baseline, Beyond};
use super::fingerprint::Fingerprint;
use super::oracles::OracleSet;
use super::shrinking::{Keeps, ShrinkJob, ShrunkFailure};
use super::trial::{Case, Prepared, Source, make};
use super::wire::{self, Answer, MARK, Order, READY, Reply, RunTask, Setup, SourceError, Task};
use crate::catalog::Catalog;
use crate::classify::of_failures;
use crate::compare::Outcome;
use crate::model::Scenario;
use crate::run::estimate::estimate;
use crate::run::failure::Signature;
use crate::run::{RunError, Simulation};
use crate::shrink::{Budget, ShrinkError, Target, shrink};

/// The program's side of a worker.
#[derive(Debug, Clone, Copy)]
pub struct Host {
    /// The memory that the process occupies, in bytes; `None` if that cannot be told.
    pub memory: fn() -> Option<u64>,
    /// The words of a panic of hublab itself.
    pub describe: fn(&(dyn Any + Send)) -> String,
}

impl Default for Host {
    /// Knows nothing of the process.
    fn default() -> Self {
        Self {
            memory: || None,
            describe: |panic| in_words(panic).to_owned(),
        }
    }
}

/// Does what the lines say, until they end, and writes a line for each.
///
/// # Errors
/// Nobody listens any more.
pub fn serve(
    lines: impl IntoIterator<Item = String>,
    to: &mut impl Write,
    catalog: &Catalog,
    host: Host,
) -> io::Result<()> {
    let mut lines = lines.into_iter();
    let Some(first) = lines.next() else {
        return Ok(());
    };
    let mut say = |number, answer| {
        let memory = (host.memory)();
        let reply = Reply {
            number,
            memory,
            answer,
        };
        // One write: what a strategy prints cannot come in between.
        to.write_all(format!("\n{MARK}{}\n", wire::line(&reply)).as_bytes())?;
        to.flush()
    };
    let bench = match Bench::new(&first, catalog) {
        Ok(bench) => {
            say(READY, Answer::Ready)?;
            bench
        }
        Err(refusal) => return say(READY, Answer::Refused(refusal.to_string())),
    };
    for line in lines {
        let Ok(order) = wire::read::<Order>(&line) else {
            continue;
        };
        let done = catch_unwind(AssertUnwindSafe(|| bench.perform(&order.task)));
        let answer = done.unwrap_or_else(|panic| Answer::Bug((host.describe)(panic.as_ref())));
        say(order.number, answer)?;
    }
    Ok(())
}

/// Why a worker does not do what it is told to.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    /// The first line is none.
    #[error("no setup: {0}")]
    Setup(#[from] serde_json::Error),
    /// The other end is another version of the program.
    #[error(
        "the worker is another version of this program: it speaks {own}, not {asked}",
        own = wire::VERSION
    )]
    Version {
        /// The version that it was asked for.
        asked: u32,
    },
    /// A source cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// An order names a source that there is not.
    #[error("there is no source {0}")]
    NoSource(usize),
    /// A run cannot be made.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A failure cannot be shrunk.
    #[error(transparent)]
    Shrink(#[from] ShrinkError),
}

/// Settings that all orders of a campaign share.
struct Bench<'a> {
    setup: Setup,
    sources: Vec<Source>,
    catalog: &'a Catalog,
    /// The text of the last file that was run by [`Task::Run`], and the scenario that it is: the next
    /// run is mostly one of the same file.
    last_file: RefCell<Option<(Arc<str>, Arc<Scenario>)>>,
}

impl<'a> Bench<'a> {
    fn new(line: &str, catalog: &'a Catalog) -> Result<Self, Refusal> {
        let mut setup: Setup = wire::read(line)?;
        if setup.version != wire::VERSION {
            return Err(Refusal::Version {
                asked: setup.version,
            });
        }
        let sources = std::mem::take(&mut setup.sources);
        let sources = sources.into_iter().map(|text| text.read(catalog));
        Ok(Self {
            sources: sources.collect::<Result<_, _>>()?,
            setup,
            catalog,
            last_file: RefCell::default(),
        })
    }

    fn perform(&self, task: &Task) -> Answer {
        let done = match task {
            Task::Trial(case) => self.trial(case),
            Task::Shrink(job) => self.shrink(job),
            Task::Run(run) => self.run(run),
            Task::Estimate(run) => self.estimate(run),
        };
        done.unwrap_or_else(|refusal: Refusal| Answer::Refused(refusal.to_string()))
    }

    fn trial(&self, case: &Case) -> Result<Answer, Refusal> {
        let Case { strategy, seed, .. } = case;
        let source = self.source(case)?;
        let made = make(source, strategy, *seed, &self.setup.oracles, self.catalog)?;
        let mut record = made.record.clone();
        if let Some(baseline) = self.baseline() {
            let claimed = &made.record.claimed;
            let oracles = self.setup.oracles.names(claimed, self.catalog);
            baseline.subtract(source, &oracles, &made, &mut record)?;
        }
        let findings = record.findings.iter();
        let signatures: Vec<&Signature> = findings.map(|finding| &finding.signature).collect();
        if !signatures.is_empty() {
            let scenario = &made.scenario;
            let names = of_failures(scenario, strategy, *seed, &signatures, self.catalog);
            for (finding, name) in record.findings.iter_mut().zip(names) {
                finding.hint = name.map(str::to_owned);
            }
        }
        Ok(Answer::Record(Box::new(record)))
    }

    fn run(&self, run: &RunTask) -> Result<Answer, Refusal> {
        let scenario = self.file(run)?;
        let simulation = Simulation::new(&scenario, self.catalog).strategy(&run.strategy)?;
        let report = simulation.seed(run.seed).run()?;
        Ok(Answer::Outcome {
            outcome: Box::new(Outcome::of(&report, &scenario)),
            wall_us: report.wall_us,
        })
    }

    fn estimate(&self, run: &RunTask) -> Result<Answer, Refusal> {
        let scenario = self.file(run)?;
        let estimate = estimate(&scenario, &run.strategy, self.catalog);
        Ok(Answer::Estimate(Box::new(estimate)))
    }

    /// The scenario of a file.
    fn file(&self, run: &RunTask) -> Result<Arc<Scenario>, Refusal> {
        if let Some((text, scenario)) = &*self.last_file.borrow()
            && *text == run.text
        {
            return Ok(Arc::clone(scenario));
        }
        let read = Scenario::read(&run.path, run.text.as_bytes(), self.catalog);
        let read = read.map_err(|problems| SourceError::File(Box::new(problems)))?;
        let scenario = Arc::new(read);
        self.last_file
            .replace(Some((Arc::clone(&run.text), Arc::clone(&scenario))));
        Ok(scenario)
    }

    fn baseline(&self) -> Option<Baseline<'_>> {
        let name = self.setup.baseline.as_deref()?;
        Some(Baseline {
            name,
            catalog: self.catalog,
        })
    }

    fn source(&self, case: &Case) -> Result<&Source, Refusal> {
        let source = self.sources.get(case.source);
        source.ok_or(Refusal::NoSource(case.source))
    }

    fn shrink(&self, job: &ShrinkJob) -> Result<Answer, Refusal> {
        let ShrinkJob {
            case: Case { strategy, seed, .. },
            signature,
            anomaly,
        } = job;
        let prepared = self
            .source(&job.case)?
            .prepare(strategy, *seed, self.catalog);
        let Prepared {
            scenario,
            level,
            budget,
            ..
        } = prepared?;
        let target = Target::new(&scenario, strategy, *seed, signature).named(anomaly.as_deref());
        let of_claim = self.setup.oracles == OracleSet::Claims && !signature.is_of_claim();
        let entry = self.catalog.get(strategy).filter(|_| of_claim);
        let source = self.source(&job.case)?;
        let beyond = self.baseline().filter(|one| one.name != strategy);
        let beyond = beyond.map(|baseline| {
            let parameters = source.parameters(baseline.name, *seed, level, self.catalog)?;
            Ok::<_, RunError>(Beyond {
                baseline,
                parameters,
                signature,
                budget,
            })
        });
        let mut watcher = Keeps {
            claim: entry.map(|entry| (entry, signature.oracle.as_str())),
            beyond: beyond.transpose()?,
        };
        let shrunk = shrink(&target, self.catalog, Budget::default(), &mut watcher);
        let shrunk = shrunk?;
        let named = shrunk.anomaly.map(|anomaly| anomaly.id);
        let fingerprint = Fingerprint::new(signature.clone(), &shrunk.scenario, named);
        Ok(Answer::Shrunk(Box::new(ShrunkFailure {
            file: shrunk.file(&format!("failures/{}.toml", fingerprint.slug())),
            fingerprint,
            seed: shrunk.seed,
            before: shrunk.before,
            after: shrunk.after,
            runs: shrunk.runs,
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::wire::SourceText;

    fn replies(lines: Vec<String>) -> Vec<Reply> {
        let mut said = Vec::new();
        serve(lines, &mut said, &Catalog::default(), Host::default()).expect("memory holds it");
        let mut from = said.as_slice();
        std::iter::from_fn(|| wire::next_reply(&mut from)).collect()
    }

    fn setup() -> Setup {
        Setup {
            version: wire::VERSION,
            sources: vec![SourceText::Generated(Vec::new())],
            oracles: OracleSet::All,
            baseline: None,
        }
    }

    fn order(number: u64, strategy: &str, source: usize) -> String {
        wire::line(&Order {
            number,
            task: Task::Trial(Case {
                source,
                strategy: strategy.to_owned(),
                seed: 3,
            }),
        })
    }

    #[test]
    fn every_order_has_a_reply_and_other_lines_have_none() {
        let lines = vec![
            wire::line(&setup()),
            order(1, "pubsub", 0),
            "garbage".to_owned(),
            String::new(),
            order(2, "nobody", 0),
            order(3, "pubsub", 1),
        ];
        let replies = replies(lines);
        let numbers: Vec<u64> = replies.iter().map(|reply| reply.number).collect();
        assert_eq!(numbers, [READY, 1, 2, 3]);
        assert_eq!(replies[0].answer, Answer::Ready);
        assert!(matches!(&replies[1].answer, Answer::Record(record) if record.seed == 3));
        for reply in &replies[2..] {
            assert!(matches!(reply.answer, Answer::Refused(_)), "{reply:?}");
        }
    }

    #[test]
    fn a_run_of_a_file_is_made_and_estimated() {
        let text = "schema = 1\n[run]\nduration = \"9s\"\n[cluster]\nnodes = 3\n";
        let task = |text: &str| RunTask {
            path: "three.toml".into(),
            text: text.into(),
            strategy: "gossip".into(),
            seed: 5,
        };
        let order = |number, task| wire::line(&Order { number, task });
        let lines = vec![
            wire::line(&setup()),
            order(1, Task::Run(task(text))),
            order(2, Task::Estimate(task(text))),
            order(3, Task::Run(task("nodes = 3"))),
        ];
        let catalog = Catalog::default();
        let scenario = Scenario::read("x", text.as_bytes(), &catalog).expect("a scenario");
        let alone = Simulation::new(&scenario, &catalog).strategy("gossip");
        let alone = alone.and_then(|run| run.seed(5).run()).expect("a run");
        let told = match &replies(lines)[..] {
            [_, run, estimate, wrong] => {
                assert!(matches!(wrong.answer, Answer::Refused(_)), "{wrong:?}");
                (run.answer.clone(), estimate.answer.clone())
            }
            other => panic!("{other:?}"),
        };
        let (Answer::Outcome { outcome, wall_us }, Answer::Estimate(estimate)) = told else {
            panic!("{told:?}");
        };
        assert_eq!(
            Outcome {
                wall_us,
                ..*outcome
            },
            Outcome {
                wall_us,
                ..Outcome::of(&alone, &scenario)
            }
        );
        assert!(estimate.is_exact, "{estimate:?}");
    }

    #[test]
    fn another_version_is_refused_before_any_run() {
        let mut other = setup();
        other.version += 1;
        for first in [wire::line(&other), "{}".to_owned(), "\0".to_owned()] {
            let replies = replies(vec![first, order(1, "pubsub", 0)]);
            assert_eq!(replies.len(), 1);
            assert!(
                matches!(replies[0].answer, Answer::Refused(_)),
                "{replies:?}"
            );
        }
    }
}
