//! Warnings of a scenario: names that do not exist, faults without effect, and
//! expectations that cannot fail.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a warning looks at the actions that concern it"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hublab_strategies::ChildId;
use miette::SourceSpan;

use super::timeline::{self, Timeline};
use crate::model::{
    Action, After, Children, Claim, ClockChange, InFlight, LinkChange, LinkParams, NodeIx,
    NodeSettings, RawRequest, Scenario, Step, When,
};
use crate::scenario::read::{Sites, Spots, numbered};
use crate::scenario::suggest;
use crate::scenario::warning::Warning;

/// Where warnings go.
type Sink<'s> = &'s mut dyn FnMut(Warning);

/// A link from one node to another.
type Pair = (NodeIx, NodeIx);

/// How many directed links are followed through the script; beyond, nothing is said of them.
const LINKS_MAX: usize = 100_000;

/// Warns of what a scenario without problems says to no effect.
pub(super) fn warn(scenario: &Scenario, sites: &Sites, timeline: &Timeline, to: Sink<'_>) {
    let known = Known::of(scenario);
    for (step, spots) in scenario.steps.iter().zip(&sites.steps) {
        match &step.action {
            Action::StopChildren { children, .. } => known.children((step, children), spots, to),
            Action::RestartChild { child, .. } => known.one(child, spots.value("id"), to),
            _ => {}
        }
    }
    if let Some(at) = sites.queue_limit {
        let settings = scenario.node_settings();
        let is_set = settings.iter().any(|of| of.queue_limit > 0);
        if is_set && !settings.iter().any(NodeSettings::limits_queue) {
            to(Warning::NoQueue { at });
        }
    }
    Faults::new(scenario).follow(scenario, &sites.steps, to);
    for (expectation, spots) in scenario.expectations.iter().zip(&sites.expectations) {
        claim(scenario, timeline, (&expectation.claim, spots), &known, to);
        if let Some(strategy) = &expectation.strategy
            && !scenario.run.strategies.contains(strategy)
        {
            to(Warning::NotJudged {
                strategy: suggest::shown(strategy),
                at: spots.value("strategy"),
            });
        }
        if let Claim::Violates(oracle) = &expectation.claim {
            let contradicts = |other: &&crate::model::Expectation| {
                let together = other.strategy.is_none()
                    || expectation.strategy.is_none()
                    || other.strategy == expectation.strategy;
                together && other.claim == Claim::Always(oracle.clone())
            };
            if scenario
                .expectations
                .iter()
                .any(|other| contradicts(&other))
            {
                to(Warning::NeverBoth {
                    oracle: oracle.clone(),
                    at: spots.value("violates"),
                });
            }
        }
    }
}

/// The children that steps start, plant or register.
#[derive(Default)]
struct Known<'s> {
    ids: BTreeSet<&'s str>,
    /// The prefixes of counted children, and how many there are of each.
    counted: BTreeMap<&'s str, u64>,
}

impl<'s> Known<'s> {
    /// Of more names than these, no nearest is looked for.
    const NAMES_MAX: usize = 10_000;

    fn of(scenario: &'s Scenario) -> Self {
        let mut known = Self::default();
        for step in &scenario.steps {
            match &step.action {
                Action::StartChildren { children, .. } => match children {
                    Children::Ids(ids) => known.ids.extend(ids.iter().map(ChildId::as_str)),
                    Children::Counted { count, prefix } => {
                        let most = known.counted.entry(prefix).or_default();
                        *most = (*most).max(counted(step, *count));
                    }
                },
                Action::Rows { rows, .. } => {
                    known.ids.extend(rows.iter().map(|row| row.child.as_str()));
                }
                Action::Propagate { requests, .. } => {
                    for request in requests {
                        if let RawRequest::Register(rows) = request {
                            known.ids.extend(rows.iter().map(|row| row.child.as_str()));
                        }
                    }
                }
                _ => {}
            }
        }
        known
    }

    fn has(&self, id: &str) -> bool {
        let counted = || {
            let (prefix, number) = numbered(id)?;
            let most = self.counted.get(prefix.strip_suffix('-')?)?;
            (1..=*most).contains(&number).then_some(())
        };
        self.ids.contains(id) || counted().is_some()
    }

    fn one(&self, id: &ChildId, at: SourceSpan, to: Sink<'_>) {
        let id = id.as_str();
        if self.has(id) {
            return;
        }
        let number = numbered(id).map_or(1, |(_, number)| number);
        let counted = self.counted.iter();
        let counted = counted.map(|(prefix, most)| format!("{prefix}-{}", number.clamp(1, *most)));
        let counted: Vec<String> = counted.take(Self::NAMES_MAX).collect();
        let ids = self.ids.iter().copied().take(Self::NAMES_MAX);
        let near = suggest::nearest(id, ids.chain(counted.iter().map(String::as_str)));
        to(Warning::UnknownChild {
            child: suggest::shown(id),
            at,
            help: near.map(|near| format!("did you mean `{}`?", suggest::shown(near))),
        });
    }

    fn list(&self, ids: &[ChildId], key: &str, spots: &Spots, to: Sink<'_>) {
        for (id, at) in ids.iter().zip(spots.places(key)) {
            self.one(id, at, to);
        }
    }

    fn children(&self, (step, children): (&Step, &Children), spots: &Spots, to: Sink<'_>) {
        match children {
            Children::Ids(ids) => self.list(ids, "ids", spots, to),
            Children::Counted { count, prefix } => {
                let most = self.counted.get(prefix.as_str()).copied().unwrap_or(0);
                let ids = most.saturating_add(1)..=counted(step, *count);
                let mut ids = ids.map(|number| format!("{prefix}-{number}"));
                if let Some(id) = ids.find(|id| !self.has(id)) {
                    self.one(&ChildId::from(id), spots.value("prefix"), to);
                }
            }
        }
    }
}

/// How many children a step counts over its nodes and repetitions.
fn counted(step: &Step, count: u32) -> u64 {
    let each = step.on().map_or(1, |on| on.len() as u64);
    let times = step.count_max().saturating_mul(each);
    u64::from(count).saturating_mul(times)
}

/// Warns of a claim that cannot fail, and of its unknown children.
fn claim(
    scenario: &Scenario,
    timeline: &Timeline,
    (claim, spots): (&Claim, &Spots),
    known: &Known<'_>,
    to: Sink<'_>,
) {
    match claim {
        Claim::Converged { after, nodes, .. } => {
            let all = (0..).take(scenario.cluster.nodes.len());
            let nodes = nodes.clone().unwrap_or_else(|| all.collect());
            let from = match after {
                After::LastStep => scenario.last_step(),
                After::Heal => scenario.last_heal().unwrap_or_default(),
                After::Time(at) => *at,
            };
            if !nodes.iter().any(|node| timeline.runs_after(*node, from)) {
                let names = nodes.iter().take(3);
                let names = names.map(|node| format!("`{}`", timeline::name(scenario, *node)));
                to(Warning::NobodyRuns {
                    nodes: names.collect::<Vec<_>>().join(", "),
                    at: spots.key("converged"),
                });
            }
        }
        Claim::Registry { has, lacks, .. } => {
            known.list(has, "has", spots, to);
            known.list(lacks, "lacks", spots, to);
            if has.is_empty() && lacks.is_empty() {
                to(Warning::CannotFail {
                    why: "its lists are empty".to_owned(),
                    at: spots.key("registry"),
                });
            }
        }
        Claim::Entry { child, .. } => known.one(child, spots.value("child"), to),
        Claim::Connected { nodes, .. } => {
            let count = nodes
                .as_ref()
                .map_or(scenario.cluster.nodes.len(), Vec::len);
            if count < 2 {
                to(Warning::CannotFail {
                    why: "one node has nobody to connect to".to_owned(),
                    at: spots.key("connected"),
                });
            }
        }
        Claim::Metric { name, min, max, .. } => {
            let no_least = min.is_none_or(|min| min == 0);
            let no_most = max.is_none_or(|max| max >= i64::MAX.unsigned_abs());
            if no_least && no_most && name != "converged_us" {
                to(Warning::CannotFail {
                    why: format!("every run has 0 or more {}", suggest::shown(name)),
                    at: spots.key("metric"),
                });
            }
        }
        Claim::Owners {
            child, min, max, ..
        } => {
            known.one(child, spots.value("child"), to);
            let count = scenario.cluster.nodes.len();
            let is_met = |max: u32| max as usize >= count;
            if min.unwrap_or(0) == 0 && max.is_none_or(is_met) {
                to(Warning::CannotFail {
                    why: format!("there are {count} nodes"),
                    at: spots.key("owners"),
                });
            }
        }
        Claim::View { .. } | Claim::Sometimes { .. } | Claim::Always(_) | Claim::Violates(_) => {}
    }
}

/// The faults that hold while the script is followed.
struct Faults {
    base: LinkParams,
    /// Links with other values than the base.
    links: BTreeMap<Pair, LinkParams>,
    /// Links that are cut: until when, and what happened to messages on the way.
    cuts: BTreeMap<Pair, (Duration, InFlight)>,
    /// Drifts of clocks.
    rates: BTreeMap<NodeIx, i64>,
}

impl Faults {
    fn new(scenario: &Scenario) -> Self {
        let mut faults = Self {
            base: scenario.network.base,
            links: BTreeMap::new(),
            cuts: BTreeMap::new(),
            rates: BTreeMap::new(),
        };
        faults.restore(scenario);
        faults
    }

    /// The links as the file has them.
    fn restore(&mut self, scenario: &Scenario) {
        self.links.clear();
        for change in &scenario.network.links {
            self.change(change);
        }
    }

    /// Changes links; whether any of them is another than before.
    fn change(&mut self, change: &LinkChange) -> bool {
        let ways = change.each_way().map(|it| self.pairs(&it.from, &it.to));
        let Some(ways) = ways.collect::<Option<Vec<_>>>() else {
            return true;
        };
        if !change.channels.is_all() {
            // Links are followed as a whole.
            return true;
        }
        let pairs = ways.into_iter().flatten();
        let mut changed = false;
        for pair in pairs {
            let link = self.links.entry(pair).or_insert(self.base);
            let before = *link;
            link.latency = change.latency.unwrap_or(link.latency);
            link.loss = change.loss.unwrap_or(link.loss);
            link.duplicate = change.duplicate.unwrap_or(link.duplicate);
            link.order = change.order.unwrap_or(link.order);
            link.bytes_per_second = change.bytes_per_second.unwrap_or(link.bytes_per_second);
            changed |= before != *link;
        }
        changed
    }

    /// The links between different nodes; `None` if there are too many to follow.
    fn pairs(&self, from: &[NodeIx], to: &[NodeIx]) -> Option<Vec<Pair>> {
        let known = self.links.len() + self.cuts.len();
        if from.len().saturating_mul(to.len()).saturating_add(known) > LINKS_MAX {
            return None;
        }
        let all = from
            .iter()
            .flat_map(|from| to.iter().map(move |to| (*from, *to)));
        Some(all.filter(|(from, to)| from != to).collect())
    }

    /// Cuts links; whether any of them was open at some time until then.
    fn cut(&mut self, pairs: Vec<Pair>, until: Duration, in_flight: InFlight) -> bool {
        let mut cut = false;
        for pair in pairs {
            let before = self.cuts.insert(pair, (until, in_flight));
            if let Some((end, fate)) = before
                && fate == in_flight
                && end >= until
            {
                self.cuts.insert(pair, (end, fate));
            } else {
                cut = true;
            }
        }
        cut
    }

    /// Follows the script in the order of time, and warns of what changes nothing.
    fn follow(mut self, scenario: &Scenario, sites: &[Spots], to: Sink<'_>) {
        let mut steps: Vec<(&Step, &Spots)> = scenario.steps.iter().zip(sites).collect();
        steps.sort_by_key(|(step, _)| step.at.first());
        // With a range somewhere, the order of the steps is known for some of them only.
        let drawn = |step: &Step| {
            let when = |when: When| when.first() != when.last();
            when(step.at) || step.action.heal_after().is_some_and(when) || step.pattern.is_some()
        };
        let sure = !scenario.steps.iter().any(drawn);
        // What a choice comes to is not known here.
        let is_known = |step: &Step| {
            let pattern = step.pattern.as_ref();
            pattern.is_none_or(|pattern| pattern.random.is_empty() && pattern.parting.is_none())
        };
        for (step, spots) in steps.into_iter().filter(|(step, _)| is_known(step)) {
            self.step(scenario, (step, spots), sure, to);
        }
    }

    fn step(
        &mut self,
        scenario: &Scenario,
        (step, spots): (&Step, &Spots),
        sure: bool,
        to: Sink<'_>,
    ) {
        let now = step.at.first();
        self.cuts.retain(|_, (until, _)| *until > now);
        let at = spots.key(step.action.name());
        let until = step.action.heal_after().map(|after| now + after.first());
        let until = until.unwrap_or(Duration::MAX);
        match &step.action {
            Action::Heal => {
                self.cuts.clear();
                self.restore(scenario);
            }
            Action::Link(change) => {
                let says = change.latency.is_some()
                    || change.loss.is_some()
                    || change.duplicate.is_some()
                    || change.order.is_some()
                    || change.bytes_per_second.is_some();
                let changed = self.change(change);
                if !says {
                    to(Warning::ChangesNothing { at });
                } else if self
                    .pairs(&change.from, &change.to)
                    .is_some_and(|all| all.is_empty())
                {
                    to(Warning::ToItself { action: "link", at });
                } else if sure && !changed {
                    to(Warning::AlreadySo { at });
                }
            }
            Action::Hold {
                from, to: peers, ..
            }
            | Action::Release {
                from, to: peers, ..
            } => {
                let pairs = self.pairs(from, peers);
                if pairs.is_some_and(|pairs| pairs.is_empty()) {
                    let action = step.action.name();
                    to(Warning::ToItself { action, at });
                }
            }
            Action::Cut {
                from,
                to: peers,
                in_flight,
                ..
            } => {
                if let Some(pairs) = self.pairs(from, peers) {
                    if pairs.is_empty() {
                        to(Warning::ToItself { action: "cut", at });
                    } else if !self.cut(pairs, until, *in_flight) && sure {
                        to(Warning::AlreadySo { at });
                    }
                }
            }
            Action::Partition {
                groups, in_flight, ..
            } => {
                let full: Vec<&Vec<NodeIx>> =
                    groups.iter().filter(|group| !group.is_empty()).collect();
                if full.len() < 2 {
                    to(Warning::OneGroup { at });
                    return;
                }
                if full.len() < groups.len() {
                    to(Warning::EmptyGroup {
                        at: spots.value("groups"),
                    });
                }
                let mut across = Some(Vec::new());
                for (place, group) in full.iter().enumerate() {
                    for other in &full[place + 1..] {
                        let ways = [self.pairs(group, other), self.pairs(other, group)];
                        for pairs in ways {
                            across = across.zip(pairs).map(|(mut all, pairs)| {
                                all.extend(pairs);
                                all
                            });
                        }
                    }
                }
                if let Some(pairs) = across.filter(|pairs| pairs.len() <= LINKS_MAX)
                    && !self.cut(pairs, until, *in_flight)
                    && sure
                {
                    to(Warning::AlreadySo { at });
                }
            }
            Action::Clock { nodes, change } => {
                let changes = match change {
                    ClockChange::Jump(by) => *by != 0,
                    ClockChange::RatePpm(rate) => {
                        let mut changes = !sure;
                        for node in nodes {
                            changes |= self.rates.insert(*node, *rate).unwrap_or(0) != *rate;
                        }
                        changes
                    }
                };
                if !changes {
                    to(Warning::ChangesNothing { at });
                }
            }
            _ => {}
        }
    }
}
