//! Metrics: the numbers that a run ends with.
//!
//! A metric is one entry of [`LIST`] (`metric/list.rs`), or one that a program adds with
//! [`Catalog::with_metric`](crate::catalog::Catalog::with_metric). Files, `run --seeds`, JSON, CSV and
//! `list` read its declaration and its value from there; nothing else computes one.

mod list;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hublab_strategies::Time;

use crate::model::{Claim, Expectation, Scenario, Window};
use crate::report::{KindCounts, Report};
pub use crate::statistics::{Better, Number};
use crate::trace::event::DropReason;
use crate::trace::{Event, Sink};
use crate::watch::judge::{Judged, Verdict};
use crate::watch::measure::Measured;

pub use list::LIST;

/// The metric of lost messages by reason: this, and a [`DropReason::key`].
pub(crate) const DROPPED_BY_REASON: &str = "messages_dropped.reason.";

/// The kind of quantity that a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Measure {
    /// A number of things; it can be added over runs.
    Count,
    /// A time or an instant, in microseconds.
    Time,
    /// A share of a whole.
    Share,
}

/// The value of a metric as a fold over the trace of one run.
pub trait Fold: Send {
    /// The next event.
    fn event(&mut self, event: &Event);

    /// The value of the run that is over; `None` if it has none.
    fn value(&self, report: &Report) -> Option<u64>;
}

/// Where the value of a metric comes from.
#[derive(Debug, Clone, Copy)]
enum Source {
    Report(fn(&Report) -> Option<u64>),
    Real(fn(&Report) -> Option<f64>),
    Measured(fn(&Measured) -> Option<u64>),
    MeasuredReal(fn(&Measured) -> Option<f64>),
    Kinds(fn(&KindCounts) -> u64),
    Trace(fn() -> Box<dyn Fold>),
}

/// One metric.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Metric {
    /// Its name in scenario files.
    pub name: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// Its description, in one line.
    pub summary: &'static str,
    /// The kind of quantity that it is.
    pub measure: Measure,
    /// The better of two values: the lower, the higher, or neither.
    pub better: Better,
    /// The meaning of a run without a value; empty if every run has one.
    pub missing: &'static str,
    /// True if it never becomes less in a run: a bound that is exceeded before the end stays so.
    pub only_grows: bool,
    /// True if it can be measured over a window of the run.
    pub over_windows: bool,
    source: Source,
}

impl Metric {
    /// A count that is read off the finished run.
    #[must_use]
    pub const fn of_report(
        name: &'static str,
        unit: &'static str,
        summary: &'static str,
        value: fn(&Report) -> Option<u64>,
    ) -> Self {
        Self {
            name,
            unit,
            summary,
            measure: Measure::Count,
            better: Better::Neither,
            missing: "",
            only_grows: false,
            over_windows: false,
            source: Source::Report(value),
        }
    }

    /// A share, a mean, or a quotient that is read off the finished run.
    ///
    /// ```
    /// use hublab_sim::metric::{Measure, Number};
    /// use hublab_sim::statistics::Better;
    /// use hublab_sim::{Catalog, Metric, Scenario, Simulation};
    ///
    /// const LOST: Metric = Metric::of_reals("lost_share", "share", "lost of those sent", |report| {
    ///     let sent = report.messages.sent;
    ///     (sent > 0).then(|| report.messages.dropped as f64 / sent as f64)
    /// })
    /// .measured_as(Measure::Share)
    /// .better(Better::Low)
    /// .missing_means("nothing was sent");
    /// const DROPS: Metric = Metric::of_report("drops", "messages", "lost on the way", |report| {
    ///     Some(report.messages.dropped)
    /// })
    /// .that_only_grows();
    ///
    /// let catalog = Catalog::default().with_metric(LOST).with_metric(DROPS);
    /// let text = "schema = 1\n[run]\nduration = \"20s\"\n[cluster]\nnodes = 3";
    /// let scenario = Scenario::read("quiet.toml", text.as_bytes(), &catalog).expect("a good file");
    /// let report = Simulation::new(&scenario, &catalog).strategy("gossip")?.run()?;
    /// assert_eq!(report.metric("lost_share"), Some(Number::Real(0.0)));
    /// assert_eq!(report.metric("drops"), Some(Number::Whole(0)));
    /// # Ok::<(), hublab_sim::run::RunError>(())
    /// ```
    #[must_use]
    pub const fn of_reals(
        name: &'static str,
        unit: &'static str,
        summary: &'static str,
        value: fn(&Report) -> Option<f64>,
    ) -> Self {
        Self {
            source: Source::Real(value),
            ..Self::of_report(name, unit, summary, |_| None)
        }
    }

    /// A count that is folded over the trace; `new` makes the fold of one run.
    #[must_use]
    pub const fn of_trace(
        name: &'static str,
        unit: &'static str,
        summary: &'static str,
        new: fn() -> Box<dyn Fold>,
    ) -> Self {
        Self {
            source: Source::Trace(new),
            ..Self::of_report(name, unit, summary, |_| None)
        }
    }

    /// A number of [`Measured`]; runs that are not measured have no value.
    const fn of_measured(
        name: &'static str,
        unit: &'static str,
        summary: &'static str,
        value: fn(&Measured) -> Option<u64>,
    ) -> Self {
        Self {
            source: Source::Measured(value),
            missing: "it was not measured",
            ..Self::of_report(name, unit, summary, |_| None)
        }
    }

    /// A share, a mean, or a quotient of [`Measured`]; runs that are not measured have no value.
    const fn of_measured_reals(
        name: &'static str,
        unit: &'static str,
        summary: &'static str,
        value: fn(&Measured) -> Option<f64>,
    ) -> Self {
        Self {
            source: Source::MeasuredReal(value),
            ..Self::of_measured(name, unit, summary, |_| None)
        }
    }

    /// A count of messages or bytes, which exists for each kind of message, too.
    const fn of_kinds(
        name: &'static str,
        unit: &'static str,
        summary: &'static str,
        value: fn(&KindCounts) -> u64,
    ) -> Self {
        Self {
            source: Source::Kinds(value),
            only_grows: true,
            over_windows: true,
            ..Self::of_report(name, unit, summary, |_| None)
        }
    }

    /// The same as another kind of quantity.
    #[must_use]
    pub const fn measured_as(mut self, measure: Measure) -> Self {
        self.measure = measure;
        self
    }

    /// The same with another opinion on which value is better.
    #[must_use]
    pub const fn better(mut self, better: Better) -> Self {
        self.better = better;
        self
    }

    /// The same with a meaning for runs that have no value.
    #[must_use]
    pub const fn missing_means(mut self, missing: &'static str) -> Self {
        self.missing = missing;
        self
    }

    /// The same for a value that never becomes less in a run.
    #[must_use]
    pub const fn that_only_grows(mut self) -> Self {
        self.only_grows = true;
        self
    }

    /// The same for a value that can be measured over a window: one that is read off
    /// [`Report::messages`], [`Report::events`] and [`Report::measured`] alone, which are those of the
    /// window then.
    #[must_use]
    pub const fn over_windows(mut self) -> Self {
        self.over_windows = true;
        self
    }

    /// True if `NAME.KIND` is its value for one kind of message.
    #[must_use]
    pub const fn is_per_kind(&self) -> bool {
        matches!(self.source, Source::Kinds(_))
    }

    /// True for a share, a mean or a quotient; the others are whole.
    #[must_use]
    pub const fn is_real(&self) -> bool {
        matches!(self.source, Source::Real(_) | Source::MeasuredReal(_))
    }

    /// Its fold over the trace of one run, if it has one.
    pub(crate) fn fold(&self) -> Option<Box<dyn Fold>> {
        if let Source::Trace(new) = self.source {
            Some(new())
        } else {
            None
        }
    }

    /// Its value in a finished run, which `fold` has seen.
    pub(crate) fn value(&self, report: &Report, fold: Option<&dyn Fold>) -> Option<Number> {
        let real = |value: Option<f64>| value.filter(|value| value.is_finite()).map(Number::Real);
        let measured = report.measured.as_ref();
        let whole = match self.source {
            Source::Report(value) => value(report),
            Source::Real(value) => return real(value(report)),
            Source::Measured(value) => value(measured?),
            Source::MeasuredReal(value) => return real(value(measured?)),
            Source::Kinds(value) => Some(report.messages.by_kind.values().map(value).sum()),
            Source::Trace(_) => fold?.value(report),
        };
        whole.map(Number::Whole)
    }

    /// Its value for one kind of message: 0 for a kind that was not sent.
    pub(crate) fn value_of_kind(&self, report: &Report, kind: &str) -> Option<u64> {
        if let Source::Kinds(value) = self.source {
            let counts = report.messages.by_kind.get(kind).copied();
            Some(value(&counts.unwrap_or_default()))
        } else {
            None
        }
    }
}

impl Report {
    /// The value of a metric by its name in scenario files, with or without `.KIND`; `None` if there
    /// is no such metric, or if the run has no value. A kind of message that was not sent counts
    /// as 0.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<Number> {
        if let Some(value) = self.metrics.get(name) {
            return *value;
        }
        if let Some(reason) = name.strip_prefix(DROPPED_BY_REASON) {
            let is_reason = DropReason::ALL.iter().any(|known| known.key() == reason);
            let count = self.messages.dropped_by_reason.get(reason);
            return is_reason.then_some(Number::Whole(count.copied().unwrap_or(0)));
        }
        let (base, kind) = name.split_once('.')?;
        let metric = LIST.iter().find(|metric| metric.name == base)?;
        metric.value_of_kind(self, kind).map(Number::Whole)
    }
}

/// True if an expectation of the scenario claims something of a metric.
pub(crate) fn is_claimed(scenario: &Scenario) -> bool {
    let mut claims = scenario.expectations.iter().map(|one| &one.claim);
    claims.any(|claim| matches!(claim, Claim::Metric { .. }))
}

/// The metrics of one run, while it is made.
pub(crate) struct Measures {
    metrics: Vec<Metric>,
    folds: Folds,
}

/// The folds of those metrics that have one, in their order; the trace is read on another thread.
type Folds = Arc<Mutex<Vec<Option<Box<dyn Fold>>>>>;

impl Measures {
    pub(crate) fn new(metrics: &[Metric]) -> Self {
        Self {
            metrics: metrics.to_vec(),
            folds: Arc::new(Mutex::new(metrics.iter().map(Metric::fold).collect())),
        }
    }

    /// The sink that passes the trace to the folds; `None` if there are none.
    pub(crate) fn sink(&self) -> Option<Box<dyn Sink>> {
        let has_folds = lock(&self.folds).iter().any(Option::is_some);
        has_folds.then(|| Box::new(FoldSink(Arc::clone(&self.folds))) as Box<dyn Sink>)
    }

    /// The values of a finished run, by name.
    pub(crate) fn of(&self, report: &Report) -> BTreeMap<String, Option<Number>> {
        let folds = lock(&self.folds);
        let both = self.metrics.iter().zip(folds.iter());
        both.map(|(metric, fold)| {
            (
                metric.name.to_owned(),
                metric.value(report, fold.as_deref()),
            )
        })
        .collect()
    }

    /// Judges the bounds that a report's expectations set to metrics.
    pub(crate) fn judge<'e>(
        &self,
        report: &mut Report,
        expectations: impl Iterator<Item = &'e Expectation>,
    ) {
        for (at, expectation) in expectations.enumerate() {
            let Claim::Metric {
                name,
                min,
                max,
                window,
            } = &expectation.claim
            else {
                continue;
            };
            let value = if window.is_whole() {
                report.metric(name)
            } else {
                let of_window = self.of_window(report, *window);
                of_window.and_then(|of_window| of_window.metric(name))
            };
            let is_exceeded = value.zip(*max).is_some_and(|(value, max)| value > max);
            if report.ended_early && !(is_exceeded && self.only_grows(name)) {
                continue;
            }
            let (verdict, mut detail) = self.bounded(name, *min, *max, value);
            if !window.is_whole() {
                detail.push_str(&format!(" {}", shown_window(*window)));
            }
            let end = Time(report.virtual_us);
            if let Some(judgement) = report.expectations.get_mut(at) {
                judgement.replace(Judged::new(verdict, detail).at(end));
            }
        }
    }

    /// The report with the numbers of a window in place of the whole run's; `None` if it was not measured.
    fn of_window(&self, report: &Report, window: Window) -> Option<Report> {
        let numbers = report.windows.get(&window)?.clone();
        let mut of_window = Report {
            messages: numbers.messages,
            events: numbers.events,
            measured: Some(numbers.measured),
            ..report.clone()
        };
        of_window.metrics = self.of(&of_window);
        Some(of_window)
    }

    /// True if a bound that is exceeded stays so, whatever would have come.
    fn only_grows(&self, name: &str) -> bool {
        let base = name.split_once('.').map_or(name, |(base, _)| base);
        let mut metrics = self.metrics.iter();
        let metric = metrics.find(|metric| metric.name == name || metric.name == base);
        metric.is_some_and(|metric| metric.only_grows)
    }

    fn bounded(
        &self,
        name: &str,
        min: Option<u64>,
        max: Option<u64>,
        value: Option<Number>,
    ) -> (Verdict, String) {
        let Some(value) = value else {
            let metric = self.metrics.iter().find(|metric| metric.name == name);
            let why = metric.map_or("", |metric| metric.missing);
            let why = if why.is_empty() {
                String::new()
            } else {
                format!(": {why}")
            };
            return (Verdict::Fail, format!("{name} has no value{why}"));
        };
        match (min, max) {
            (Some(min), _) if value < min => {
                (Verdict::Fail, format!("{name} is {value}, less than {min}"))
            }
            (_, Some(max)) if value > max => {
                (Verdict::Fail, format!("{name} is {value}, more than {max}"))
            }
            (_, _) => (Verdict::Pass, format!("{name} is {value}")),
        }
    }
}

/// `from 1s to 2s`, `from 1s on`, or `until 2s`.
fn shown_window(window: Window) -> String {
    let from = window.from;
    match window.to {
        Some(to) if from == Time::ZERO => format!("until {to}"),
        Some(to) => format!("from {from} to {to}"),
        None => format!("from {from} on"),
    }
}

struct FoldSink(Folds);

impl Sink for FoldSink {
    fn event(&mut self, event: &Event) {
        for fold in lock(&self.0).iter_mut().flatten() {
            fold.event(event);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use crate::run::Simulation;
    use crate::scenario::Scenario;

    fn report(catalog: &Catalog) -> Report {
        let file = "schema = 1\n[run]\nduration = \"120s\"\n[cluster]\nnodes = 3\n[network]\nservice_time = \"10us\"\n[[step]]\nat = \"1s\"\nstart_children = { on = \"n1\", ids = [\"a\"] }\n[[step]]\nat = \"5s\"\ncrash = { nodes = [\"n3\"] }\n";
        let scenario = Scenario::read("metrics.toml", file.as_bytes(), catalog).unwrap();
        let strategy = &scenario.run.strategies[0];
        Simulation::new(&scenario, catalog)
            .strategy(strategy)
            .unwrap()
            .seed(1)
            .run()
            .unwrap()
    }

    #[test]
    fn every_metric_has_a_value_in_a_run_that_converges_and_kinds_sum_up_to_the_whole() {
        let report = report(&Catalog::default());
        for metric in LIST {
            let whole = report
                .metric(metric.name)
                .unwrap_or_else(|| panic!("{metric:?} has no value"));
            if metric.is_per_kind() {
                let kinds = report.messages.by_kind.keys();
                let parts =
                    kinds.filter_map(|kind| report.metric(&format!("{}.{kind}", metric.name)));
                let sum: f64 = parts.map(Number::as_f64).sum();
                assert_eq!(whole.as_f64(), sum, "{metric:?}");
            }
        }
        let messages = &report.messages;
        let totals = [
            ("messages_sent", messages.sent),
            ("messages_delivered", messages.delivered),
            ("messages_dropped", messages.dropped),
            ("messages_duplicated", messages.duplicated),
            ("bytes_sent", messages.bytes),
        ];
        for (name, total) in totals {
            assert_eq!(report.metric(name), Some(Number::Whole(total)), "{name}");
        }
        assert_eq!(
            report.metric("messages_sent.not.sent"),
            Some(Number::Whole(0))
        );
        assert_eq!(report.metric("events.not.per.kind"), None);
        assert_eq!(report.metric("speed"), None);
    }

    #[test]
    fn a_run_settles_from_its_last_step_or_its_heal_on() {
        let catalog = Catalog::default();
        let settled = |steps: &str| {
            let file =
                format!("schema = 1\n[run]\nduration = '120s'\n[cluster]\nnodes = 3\n{steps}");
            let scenario = Scenario::read("settle.toml", file.as_bytes(), &catalog).unwrap();
            let run = Simulation::new(&scenario, &catalog).run().unwrap();
            let settled = run.metric("settle_us");
            let whole = settled.and_then(|value| match value {
                Number::Whole(value) => Some(value),
                Number::Real(_) => None,
            });
            (whole, run.converged_us)
        };
        let start = "[[step]]\nat = '20s'\nstart_children = { on = 'n1', ids = ['a'] }\n";
        let (once, since) = settled(start);
        assert_eq!(once, since.map(|since| since - 20_000_000));
        assert!(once.is_some_and(|us| us < 1_000_000), "{once:?}");
        let cut =
            "[[step]]\nat = '10s'\ncut = { from = ['n1'], to = ['n2'], heal_after = '20s' }\n";
        let (healed, since) = settled(&format!("{cut}{start}"));
        assert_eq!(healed, since.map(|since| since.saturating_sub(30_000_000)));
        let many: String = (0..1_200)
            .map(|at| format!("[[step]]\nat = '{at}ms'\nsync = {{ on = 'n1' }}\n"))
            .collect();
        let (after_many, since) = settled(&format!("{many}{start}"));
        assert!(after_many.is_some());
        assert_eq!(after_many, since.map(|since| since - 20_000_000));
        let (idle, _) = settled("");
        assert_eq!(idle, Some(0), "nothing is missing when nothing happens");
    }

    /// Counts boots.
    #[derive(Default)]
    struct Boots(u64);

    impl Fold for Boots {
        fn event(&mut self, event: &Event) {
            let is_boot = matches!(event.payload, crate::trace::Payload::Booted { .. });
            self.0 += u64::from(is_boot);
        }

        fn value(&self, _report: &Report) -> Option<u64> {
            Some(self.0)
        }
    }

    #[test]
    fn a_metric_from_outside_is_in_the_report_and_its_bound_is_judged() {
        let boots = Metric::of_trace("boots", "boots", "of nodes", || Box::<Boots>::default());
        let mean = Metric::of_report("bytes_each", "bytes", "per message", |report| {
            report.messages.bytes.checked_div(report.messages.sent)
        });
        let catalog = Catalog::default().with_metric(boots).with_metric(mean);
        let report = report(&catalog);
        assert_eq!(report.metric("boots"), Some(Number::Whole(3)));
        let messages = &report.messages;
        assert_eq!(
            report.metric("bytes_each"),
            Some(Number::Whole(messages.bytes / messages.sent))
        );

        let bound = |max: u64| {
            let text = format!(
                "schema = 1\n[cluster]\nnodes = 3\n[[expect]]\nmetric = {{ name = 'boots', max = {max} }}\n"
            );
            let scenario = Scenario::read("bound.toml", text.as_bytes(), &catalog).unwrap();
            let strategy = &scenario.run.strategies[0];
            Simulation::new(&scenario, &catalog)
                .strategy(strategy)
                .unwrap()
                .seed(1)
                .run()
                .unwrap()
        };
        let details = [3, 2].map(|max| bound(max).expectations[0].detail.clone());
        assert_eq!(details, ["boots is 3", "boots is 3, more than 2"]);
    }
}
