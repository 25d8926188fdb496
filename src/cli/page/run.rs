//! The data of one run's report, from its capsule. Nothing is judged again: the verdicts are those in the
//! capsule, and the trace is read for what they are about.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek};
use std::path::Path;
use std::sync::PoisonError;

use hublab_sim::capsule::judge::fits;
use hublab_sim::capsule::{Capsule, CapsuleError, Header};
use hublab_sim::catalog::Catalog;
use hublab_sim::classify::EVENTS_MAX as CLASSIFIED_MAX;
use hublab_sim::model::NodeIx;
use hublab_sim::report::Report;
use hublab_sim::run::failure::{Signature, failures};
use hublab_sim::scenario::Scenario;
use hublab_sim::scenario::resolve::resolved_steps;
use hublab_sim::trace::Event;
use hublab_sim::trace::diagram::{Diagram, Draft};
use hublab_sim::trace::event::{EventId, Payload};
use hublab_sim::trace::text::{EVENT_KINDS, Filter};
use hublab_sim::watch::Observers;
use hublab_strategies::{Time, TimerKey};

use super::cells::{Cells, Seen};
use super::curves::{CurveFold, Curves};
use super::data::{Bar, Finding, KnownAnomaly, NodeStretch, Run, StepMark, WindowData};
use super::head::{findings, head};
use super::record::{Recorded, Recorder};
use super::window::{Window, Wish};
use crate::cli::render::number::{counted, grouped};
use crate::cli::render::step::Words;

/// The most events that a report holds in full.
pub(super) const EVENTS_MAX: u64 = 100_000;
/// The most bytes that they may come to in a file; fewer are held where they would come to more.
pub(super) const BYTES_MAX: usize = 4_200_000;
/// Fewer events are held in any case.
const LEAST: u64 = 200;
/// As far before the window, causes of events in it are looked for.
const ANCESTORS_MAX: u64 = 2_000_000;
/// More messages than that in one window can only be those that were under way when it began.
const FLIGHTS_MAX: usize = 200_000;

/// Why a capsule has no report.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReportError {
    #[error(transparent)]
    Capsule(#[from] CapsuleError),
    #[error("this program has no strategy `{0}`")]
    Strategy(String),
    #[error("event {0} does not fit the scenario in the capsule")]
    Event(EventId),
    #[error("no event is between --from and --to")]
    Empty,
}

/// Where a run comes from, for the commands that make more of it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Origin<'a> {
    /// From a capsule; its file's name stands in commands.
    Capsule(&'a Path),
    /// From this command; there is no capsule.
    Command(&'a str),
}

/// What a report is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) origin: Origin<'a>,
    /// The scenario in it.
    pub(super) scenario: &'a Scenario,
    pub(super) catalog: &'a Catalog,
    pub(super) wish: Wish,
}

/// The instant that matters most in a run: that of its first failure, or else of its first violation.
pub(super) fn focus(scenario: &Scenario, report: &Report) -> Option<Time> {
    let failed = failures(scenario, report)
        .first()
        .map(|failure| failure.at_us);
    let found = report.violations.first().map(|violation| violation.at_us);
    failed.or(found).map(Time)
}

pub(super) fn run<R: Read + Seek>(
    capsule: &mut Capsule<R>,
    source: Source<'_>,
) -> Result<Run, ReportError> {
    let mut wish = source.wish;
    loop {
        let window = Window::choose(capsule, wish)?;
        if window.last < window.first && capsule.footer().events > 0 {
            return Err(ReportError::Empty);
        }
        let folded = fold(capsule, source, window)?;
        if folded.recorded.len() > wish.bytes && wish.most > LEAST {
            wish.most = (window.last + 1 - window.first) / 2;
            continue;
        }
        return finish(capsule, source, window, folded);
    }
}

struct Folded {
    recorded: Recorded,
    curves: Curves,
    diagram: Diagram,
    seen: Seen,
}

fn fold<R: Read + Seek>(
    capsule: &mut Capsule<R>,
    source: Source<'_>,
    window: Window,
) -> Result<Folded, ReportError> {
    let ancestors = ancestors(capsule, window)?;
    let (header, footer) = (capsule.header().clone(), capsule.footer().clone());
    let entry = source.catalog.get(&header.strategy);
    let entry = entry.ok_or_else(|| ReportError::Strategy(header.strategy.clone()))?;
    let facts = entry.facts(source.scenario);
    let nodes = source.scenario.cluster.nodes.len();
    let (cells, seen) = Cells::new(nodes);
    let mut observers = Observers::new(source.scenario, &facts, vec![Box::new(cells)]);
    let end = Time(footer.report.virtual_us);
    let mut curves = CurveFold::new(&footer.kinds, nodes, end);
    let mut recorder = Recorder::new(window);
    let is_cut = window.first > 1 || window.last < footer.events;
    let filter = Filter {
        from: is_cut.then_some(window.from),
        to: is_cut.then_some(window.to),
        ..Filter::default()
    };
    let mut draft = Draft::new(capsule.names(), nodes, filter).with_room_for(FLIGHTS_MAX);
    let names = capsule.names();
    let count = NodeIx::try_from(nodes).unwrap_or(NodeIx::MAX);
    for event in capsule.events() {
        let event = event?;
        if !fits(&event, count) {
            return Err(ReportError::Event(event.id));
        }
        observers.event(&event);
        curves.event(&event);
        if ancestors.contains(&event.id) {
            recorder.ancestor(&event, &names);
        }
        recorder.event(&event, &names);
        if !draft.is_over(&event) {
            draft.event(&event);
        }
    }
    drop(observers.finish(end, footer.report.ended_early));
    let seen = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
    let diagram = draft.finish(end);
    Ok(Folded {
        recorded: recorder.finish(&diagram, &seen.changes),
        curves: curves.finish(&seen),
        diagram,
        seen,
    })
}

/// The events before the window that are in the chains of causes of events in it: see
/// [`chain_of`](hublab_sim::capsule::why::chain_of).
fn ancestors<R: Read + Seek>(
    capsule: &mut Capsule<R>,
    window: Window,
) -> Result<BTreeSet<EventId>, CapsuleError> {
    type Timer = Option<(NodeIx, TimerKey)>;
    let timer_of = |event: &Event| {
        if let Payload::Timer(key) = event.payload {
            Some((event.node, key))
        } else {
            None
        }
    };
    let mut found = BTreeSet::new();
    if window.first <= 1 {
        return Ok(found);
    }
    let start = window.first.saturating_sub(ANCESTORS_MAX).max(1);
    let mut known: Vec<(EventId, Timer)> = Vec::new();
    let before = |id: EventId| usize::try_from(id.checked_sub(start)?).ok();
    for event in capsule.events() {
        let event = event?;
        if event.id > window.last {
            break;
        }
        let timer = timer_of(&event);
        if event.id < start {
            continue;
        }
        if event.id < window.first {
            known.push((event.cause, timer));
            continue;
        }
        let (mut id, mut effect) = (event.cause, timer);
        while let Some((cause, timer)) = before(id).and_then(|place| known.get(place)) {
            // A timer that set itself begins a chain.
            if (effect.is_some() && effect == *timer) || !found.insert(id) {
                break;
            }
            (id, effect) = (*cause, *timer);
        }
    }
    Ok(found)
}

fn finish<R: Read + Seek>(
    capsule: &mut Capsule<R>,
    source: Source<'_>,
    window: Window,
    folded: Folded,
) -> Result<Run, ReportError> {
    let (header, footer) = (capsule.header().clone(), capsule.footer().clone());
    let report = &footer.report;
    let scenario = source.scenario;
    let names = named(capsule, source)?;
    let findings = findings(scenario, report, &names);
    let Folded {
        mut curves,
        recorded,
        diagram,
        seen,
    } = folded;
    if curves.defects.is_empty() {
        curves.defects.push((0, [0; 3]));
    }
    Ok(Run {
        head: head(&header, &footer, source, &findings),
        scenario: header.scenario.clone(),
        nodes: capsule.names().nodes().map(str::to_owned).collect(),
        kinds: footer.kinds.clone(),
        event_kinds: EVENT_KINDS.to_vec(),
        window: WindowData {
            first: window.first,
            last: window.last,
            from_us: window.from.0,
            to_us: window.to.0,
            left_out: left_out(window, footer.events, &diagram),
        },
        anomalies: anomalies(source, &header, &findings),
        findings,
        steps: steps(scenario, report),
        bars: bars(&seen),
        stretches: stretches(&diagram, &seen, window),
        curves,
        recorded,
        blame: None,
    })
}

fn left_out(window: Window, total: u64, diagram: &Diagram) -> String {
    let held = window.last + 1 - window.first.min(window.last + 1);
    let mut parts = Vec::new();
    if held < total {
        parts.push(format!(
            "Of {}, the {} from {} to {} are held in full; --from and --to choose others. Curves, findings and \
             the band of faults cover the whole run.",
            counted(total, "event"),
            grouped(held),
            window.from,
            window.to
        ));
    }
    if diagram.left_out.0 > 0 {
        parts.push(format!(
            "{} are not drawn.",
            counted(diagram.left_out.0, "message")
        ));
    }
    parts.join(" ")
}

/// The known anomalies that violations look like, by signature; none for runs that are too long to look.
fn named<R: Read + Seek>(
    capsule: &mut Capsule<R>,
    source: Source<'_>,
) -> Result<BTreeMap<Signature, &'static str>, CapsuleError> {
    let mut names = BTreeMap::new();
    let report = capsule.footer().report.clone();
    let strategy = capsule.header().strategy.clone();
    let classify = source
        .catalog
        .get(&strategy)
        .and_then(|entry| entry.anomalies());
    let is_short = report.events <= CLASSIFIED_MAX as u64;
    let Some(classify) = classify.filter(|_| is_short && !report.violations.is_empty()) else {
        return Ok(names);
    };
    let trace = capsule.events().collect::<Result<Vec<Event>, _>>()?;
    let mut asked = BTreeSet::new();
    for violation in &report.violations {
        let signature = Signature::of(&strategy, violation);
        if asked.insert(signature.clone())
            && let Some(id) = classify.classify(source.scenario, &strategy, violation, &trace)
        {
            names.insert(signature, id);
        }
    }
    Ok(names)
}

fn anomalies(source: Source<'_>, header: &Header, findings: &[Finding]) -> Vec<KnownAnomaly> {
    let ids: BTreeSet<&str> = findings.iter().filter_map(|it| it.anomaly).collect();
    let known = ids.into_iter();
    let known = known.filter_map(|id| source.catalog.anomaly(&header.strategy, id));
    known
        .map(|anomaly| KnownAnomaly {
            id: anomaly.id,
            title: anomaly.title,
            summary: anomaly.summary,
        })
        .collect()
}

fn steps(scenario: &Scenario, report: &Report) -> Vec<StepMark> {
    let words = Words {
        names: &scenario.cluster.nodes,
    };
    let steps = resolved_steps(scenario, report.seed);
    let marks = report.timeline.iter().filter_map(|segment| {
        let step = steps.get(segment.step? as usize)?;
        let text = if segment.healing {
            words.healing(&step.action)
        } else {
            words.action(&step.action)
        };
        Some(StepMark {
            at_us: segment.at_us,
            healing: segment.healing,
            action: step.action.name(),
            text,
        })
    });
    marks.collect()
}

fn bars(seen: &Seen) -> Vec<Bar> {
    const WORDS: [&str; 2] = ["links cut", "messages lost or held"];
    let bar = |(kind, from, to): &(usize, Time, Time)| Bar {
        from_us: from.0,
        to_us: to.0,
        text: WORDS[*kind],
    };
    seen.bars.iter().map(bar).collect()
}

fn stretches(diagram: &Diagram, seen: &Seen, window: Window) -> Vec<NodeStretch> {
    let still = diagram.stretches.iter().map(|stretch| NodeStretch {
        node: stretch.node,
        from_us: stretch.from.0,
        to_us: stretch.to.0,
        what: if stretch.is_paused { "paused" } else { "down" },
    });
    let cut = seen.cut_nodes.iter();
    let cut = cut.filter(|(_, from, to)| *from <= window.to && *to >= window.from);
    let cut = cut.map(|(node, from, to)| NodeStretch {
        node: *node,
        from_us: from.0,
        to_us: to.0,
        what: "cut",
    });
    still.chain(cut).collect()
}
