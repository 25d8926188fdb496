//! From the steps of a file to plain steps: every time drawn, every repetition written out, every choice
//! of nodes made.
//!
//! All times are drawn first. Then the script is walked in the order of time and file, with the state of
//! each node: what is drawn, what is "the rest", and which nodes a step is not possible on, follow from it.

mod times;

use std::collections::BTreeMap;

use hublab_strategies::ChildId;

use super::canonical::canonical;
use crate::model::{
    Action, Age, Children, Every, Lifecycle, NodeIx, Parting, Pattern, Scenario, Step, Transition,
    When,
};
use crate::stream::{self, Purpose, mix, pair_key, sub_key};
use times::{Occurrence, times};

/// The plain steps that one seed makes of the steps of a scenario, in the order of the file.
pub(super) fn plain_steps(scenario: &Scenario, seed: u64) -> Vec<Step> {
    let names = names_of_streams(scenario);
    let mut occurrences = Vec::with_capacity(scenario.steps.len());
    for (place, step) in scenario.steps.iter().enumerate() {
        let name = names.get(&place);
        let key = name.map(|(content, number)| {
            stream::key(seed, Purpose::Script, &[content.as_str(), number.as_str()])
        });
        times(scenario, (place, step), key, &mut occurrences);
    }
    let is_plain = |step: &Step| step.pattern.is_none() && !is_both(&step.action);
    if scenario.steps.iter().all(is_plain) {
        let plain = |occurrence: &Occurrence| occurrence.plain(&scenario.steps[occurrence.step]);
        return occurrences.iter().map(plain).collect();
    }
    let mut order: Vec<usize> = (0..occurrences.len()).collect();
    order.sort_by_key(|place| (occurrences[*place].at, *place));
    let mut walk = Walk::new(scenario, seed, &names);
    let mut made: Vec<Vec<Step>> = vec![Vec::new(); occurrences.len()];
    for place in order {
        made[place] = walk.take(&occurrences[place]);
    }
    made.into_iter().flatten().collect()
}

/// The names of the streams of the steps that draw something: their content, and their number among
/// equal steps.
fn names_of_streams(scenario: &Scenario) -> BTreeMap<usize, (String, String)> {
    let mut equals: BTreeMap<String, u64> = BTreeMap::new();
    let mut names = BTreeMap::new();
    for (place, step) in scenario.steps.iter().enumerate() {
        if !draws(step) {
            continue;
        }
        let content = canonical(step, &scenario.cluster.nodes);
        let number = equals.entry(content.clone()).or_insert(0);
        names.insert(place, (content, number.to_string()));
        *number += 1;
    }
    names
}

/// True if an action is about links and those back.
fn is_both(action: &Action) -> bool {
    matches!(action, Action::Link(change) if change.both)
}

/// True if some of a step is drawn.
fn draws(step: &Step) -> bool {
    let range = |when: When| when.first() != when.last() || matches!(when, When::Between(..));
    let in_pattern = step.pattern.as_ref().is_some_and(|pattern| {
        let drawn_gaps = |repeat| matches!(repeat, Some(Every::Mean(_)));
        let shuffles = matches!(pattern.parting, Some(Parting::Parts { shuffle: true, .. }));
        drawn_gaps(pattern.repeat.map(|repeat| repeat.every))
            || !pattern.random.is_empty()
            || shuffles
            || matches!(pattern.age, Some((Age::Random, _)))
    });
    range(step.at) || step.action.heal_after().is_some_and(range) || in_pattern
}

/// The children that the script has started on a node and not stopped, in the order of their starts.
#[derive(Debug, Default)]
struct Hosted {
    by_age: BTreeMap<u64, ChildId>,
    age: BTreeMap<ChildId, u64>,
}

impl Hosted {
    fn start(&mut self, child: &ChildId, number: u64) {
        self.stop(child);
        self.by_age.insert(number, child.clone());
        self.age.insert(child.clone(), number);
    }

    fn stop(&mut self, child: &ChildId) {
        if let Some(number) = self.age.remove(child) {
            self.by_age.remove(&number);
        }
    }
}

/// The state of the script while it is walked.
struct Walk<'s> {
    scenario: &'s Scenario,
    seed: u64,
    names: &'s BTreeMap<usize, (String, String)>,
    states: Vec<Lifecycle>,
    /// What runs on each node, if a step asks for it.
    hosted: Option<Vec<Hosted>>,
    starts: u64,
    /// How many children each step has counted.
    counted: BTreeMap<usize, u64>,
    /// The keys of choices, by step and what is chosen for.
    keys: BTreeMap<(usize, &'static str), u64>,
    /// The key of each node's name.
    node_keys: Vec<u64>,
}

impl<'s> Walk<'s> {
    fn new(
        scenario: &'s Scenario,
        seed: u64,
        names: &'s BTreeMap<usize, (String, String)>,
    ) -> Self {
        let nodes = scenario.cluster.nodes.len();
        let patterns = || {
            scenario
                .steps
                .iter()
                .filter_map(|step| step.pattern.as_ref())
        };
        let by_age = patterns().any(|pattern| pattern.age.is_some());
        let names_of_nodes = scenario.cluster.nodes.iter();
        Self {
            scenario,
            seed,
            names,
            states: scenario.cluster.lives(),
            hosted: by_age.then(|| (0..nodes).map(|_| Hosted::default()).collect()),
            starts: 0,
            counted: BTreeMap::new(),
            keys: BTreeMap::new(),
            node_keys: names_of_nodes
                .map(|name| stream::key(seed, Purpose::Choice, &[name.as_str()]))
                .collect(),
        }
    }

    /// The plain steps of one instant of a step.
    fn take(&mut self, occurrence: &Occurrence) -> Vec<Step> {
        let scenario = self.scenario;
        let step = &scenario.steps[occurrence.step];
        let mut made = Vec::new();
        let action = occurrence.healing(step.action.clone());
        let none = Pattern::default();
        let pattern = step.pattern.as_deref().unwrap_or(&none);
        self.act(occurrence, action, pattern, &mut made);
        made.into_iter()
            .map(|action| occurrence.with(step, action))
            .collect()
    }

    fn act(
        &mut self,
        occurrence: &Occurrence,
        mut action: Action,
        pattern: &Pattern,
        made: &mut Vec<Action>,
    ) {
        let transition = action.transition().map(|(transition, _)| transition);
        for (key, count) in &pattern.random {
            let Some((name, list)) = list_at(&mut action, key) else {
                continue;
            };
            let pool = std::mem::take(list);
            *list = self.choose(occurrence, name, pool, *count, transition);
            if list.is_empty() && needs_some(name) {
                return made.push(left_out(action.name(), Vec::new()));
            }
        }
        if let Some(parting) = pattern.parting
            && let Action::Partition { groups, .. } = &mut action
        {
            let listed = std::mem::take(groups);
            *groups = self.parted(occurrence, listed, parting, pattern);
            if groups.is_empty() {
                return made.push(left_out(action.name(), Vec::new()));
            }
        }
        let Some(doer) = action.doer() else {
            return self.change(action, made);
        };
        let mut on = pattern.on.clone().unwrap_or_else(|| vec![doer]);
        if let Some(count) = pattern.random.get("on").or(pattern.random.get("from")) {
            on = self.choose(occurrence, "on", on, *count, None);
            if on.is_empty() {
                made.push(left_out(action.name(), on));
                return;
            }
        }
        for node in on {
            let mut action = action.clone();
            if let Some(doer) = action.doer_mut() {
                *doer = node;
            }
            self.count_children(occurrence, &mut action);
            self.perform(occurrence, node, action, pattern, made);
        }
    }

    /// A boot, a stop or a pause of the nodes that it is possible on; or an action of no node.
    fn change(&mut self, mut action: Action, made: &mut Vec<Action>) {
        let name = action.name();
        let mut out = Vec::new();
        let mut is_done = true;
        if let Some((transition, nodes)) = action.transition_mut() {
            nodes.retain(|node| {
                let after = self.states[*node as usize].after(transition);
                match after {
                    Some(after) => self.states[*node as usize] = after,
                    None => out.push(*node),
                }
                after.is_some()
            });
            is_done = !nodes.is_empty();
            if let (Transition::Crash | Transition::Leave, Some(hosted)) =
                (transition, &mut self.hosted)
            {
                for node in nodes.iter() {
                    hosted[*node as usize] = Hosted::default();
                }
            }
        }
        if is_done && let Action::Link(change) = &action {
            made.extend(change.each_way().map(Action::Link));
        } else if is_done {
            made.push(action);
        }
        if !out.is_empty() || !is_done {
            made.push(left_out(name, out));
        }
    }

    /// An action of one node, if it and whoever else it needs run.
    fn perform(
        &mut self,
        occurrence: &Occurrence,
        node: NodeIx,
        mut action: Action,
        pattern: &Pattern,
        made: &mut Vec<Action>,
    ) {
        let runs = |states: &[Lifecycle], node: NodeIx| states[node as usize].runs();
        let name = action.name();
        let via =
            if let Action::StartChildren { via, .. } | Action::StopChildren { via, .. } = &action {
                *via
            } else {
                None
            };
        let needed = [Some(node), via];
        let down: Vec<NodeIx> = needed
            .into_iter()
            .flatten()
            .filter(|node| !runs(&self.states, *node))
            .collect();
        if !down.is_empty() {
            return made.push(left_out(name, down));
        }
        let mut out = Vec::new();
        if let Action::StartChildren { replicas, .. } = &mut action {
            replicas.retain(|replica| *replica != node || pattern.on.is_none());
            replicas.retain(|replica| {
                let runs = runs(&self.states, *replica);
                if !runs {
                    out.push(*replica);
                }
                runs
            });
        }
        if let Action::StopChildren { children, .. } = &mut action
            && let Some((age, count)) = pattern.age
        {
            let ids = self.aged(occurrence, node, age, count);
            if ids.is_empty() {
                return made.push(left_out(name, vec![node]));
            }
            *children = Children::Ids(ids);
        }
        self.host(node, &action);
        made.push(action);
        if !out.is_empty() {
            made.push(left_out(name, out));
        }
    }

    /// Gives counted children their numbers, which go on over nodes and repetitions.
    fn count_children(&mut self, occurrence: &Occurrence, action: &mut Action) {
        let step = &self.scenario.steps[occurrence.step];
        if step.repeat().is_none() && step.on().is_none() {
            return;
        }
        if let Action::StartChildren { children, .. } | Action::StopChildren { children, .. } =
            action
            && let Children::Counted { count, prefix } = children
        {
            let before = self.counted.entry(occurrence.step).or_default();
            let first = *before + 1;
            *before += u64::from(*count);
            if first > 1 {
                let ids =
                    (first..=*before).map(|number| ChildId::from(format!("{prefix}-{number}")));
                *children = Children::Ids(ids.collect());
            }
        }
    }

    /// Notes what an action starts and stops.
    fn host(&mut self, node: NodeIx, action: &Action) {
        let Some(hosted) = &mut self.hosted else {
            return;
        };
        if let Action::StartChildren {
            children, replicas, ..
        } = action
        {
            for child in children.ids() {
                for node in std::iter::once(&node).chain(replicas) {
                    self.starts += 1;
                    hosted[*node as usize].start(&child, self.starts);
                }
            }
        } else if let Action::StopChildren { children, .. } = action {
            for child in children.ids() {
                hosted[node as usize].stop(&child);
            }
        }
    }

    /// The children of a node that a step stops by their age.
    fn aged(
        &mut self,
        occurrence: &Occurrence,
        node: NodeIx,
        age: Age,
        count: u32,
    ) -> Vec<ChildId> {
        let key = match age {
            Age::Random => self.key(occurrence, "random"),
            Age::Oldest | Age::Newest => 0,
        };
        let Some(hosted) = self.hosted.as_ref().map(|all| &all[node as usize]) else {
            return Vec::new();
        };
        let count = count as usize;
        let children = hosted.by_age.values();
        match age {
            Age::Oldest => children.take(count).cloned().collect(),
            Age::Newest => children.rev().take(count).cloned().collect(),
            Age::Random => {
                let key = pair_key(key, self.node_keys[node as usize]);
                let seed = self.seed;
                let hash = |child: &&ChildId| {
                    let name = stream::key(seed, Purpose::Choice, &[child.as_str()]);
                    mix(pair_key(key, name))
                };
                let mut all: Vec<&ChildId> = children.collect();
                all.sort_by_cached_key(hash);
                all.truncate(count);
                all.into_iter().cloned().collect()
            }
        }
    }

    /// The nodes with the smallest hashes of those on which an action is possible, in the order of the
    /// list.
    fn choose(
        &mut self,
        occurrence: &Occurrence,
        what: &'static str,
        mut nodes: Vec<NodeIx>,
        count: u32,
        transition: Option<Transition>,
    ) -> Vec<NodeIx> {
        nodes.retain(|node| {
            let state = self.states[*node as usize];
            match transition {
                Some(transition) => state.after(transition).is_some(),
                None => state.runs(),
            }
        });
        let count = count as usize;
        if count >= nodes.len() {
            return nodes;
        }
        let mut hashes: Vec<(u64, NodeIx)> = self.hashes(occurrence, what, &nodes);
        hashes.select_nth_unstable(count);
        hashes.truncate(count);
        hashes.sort_unstable_by_key(|(_, node)| *node);
        nodes.retain(|node| hashes.binary_search_by_key(node, |(_, node)| *node).is_ok());
        nodes
    }

    fn hashes(
        &mut self,
        occurrence: &Occurrence,
        what: &'static str,
        nodes: &[NodeIx],
    ) -> Vec<(u64, NodeIx)> {
        let key = self.key(occurrence, what);
        let hash = |node: &NodeIx| (mix(pair_key(key, self.node_keys[*node as usize])), *node);
        nodes.iter().map(hash).collect()
    }

    /// The key of a choice: the step as written, its number among equal ones, what is chosen, and the
    /// repetition.
    fn key(&mut self, occurrence: &Occurrence, what: &'static str) -> u64 {
        let (seed, names) = (self.seed, self.names);
        let key = self.keys.entry((occurrence.step, what)).or_insert_with(|| {
            let (content, number) = names
                .get(&occurrence.step)
                .map_or(("", ""), |(content, number)| (content, number));
            stream::key(seed, Purpose::Choice, &[content, number, what])
        });
        sub_key(*key, occurrence.repetition)
    }

    fn running(&self) -> Vec<NodeIx> {
        let nodes = (0..).zip(&self.states);
        let running = nodes.filter(|(_, state)| state.runs());
        running.map(|(node, _)| node).collect()
    }

    /// The groups of a partition, none of them empty.
    fn parted(
        &mut self,
        occurrence: &Occurrence,
        mut listed: Vec<Vec<NodeIx>>,
        parting: Parting,
        pattern: &Pattern,
    ) -> Vec<Vec<NodeIx>> {
        let running = self.running();
        let mut groups = match parting {
            Parting::Rest(place) => {
                let rest = without(running, &listed);
                if let Some(group) = listed.get_mut(place) {
                    *group = rest;
                }
                listed
            }
            Parting::Isolate => {
                let mut alone = listed.pop().unwrap_or_default();
                if let Some(count) = pattern.random.get("isolate") {
                    alone = self.choose(occurrence, "isolate", alone, *count, None);
                    if alone.is_empty() {
                        return Vec::new();
                    }
                }
                let mut groups: Vec<Vec<NodeIx>> =
                    alone.into_iter().map(|node| vec![node]).collect();
                groups.push(without(running, &groups));
                groups
            }
            Parting::Parts { parts, shuffle } => {
                let mut nodes = running;
                if shuffle {
                    let mut hashes = self.hashes(occurrence, "shuffle", &nodes);
                    hashes.sort_unstable();
                    nodes = hashes.into_iter().map(|(_, node)| node).collect();
                }
                equal_parts(&nodes, parts as usize)
            }
        };
        groups.retain(|group| !group.is_empty());
        groups
    }
}

/// The nodes that are in no group.
fn without(mut nodes: Vec<NodeIx>, groups: &[Vec<NodeIx>]) -> Vec<NodeIx> {
    let mut named: Vec<NodeIx> = groups.iter().flatten().copied().collect();
    named.sort_unstable();
    nodes.retain(|node| named.binary_search(node).is_err());
    nodes
}

/// Parts of a list whose sizes differ by one at most, the larger ones first, each in the order of the file.
fn equal_parts(nodes: &[NodeIx], parts: usize) -> Vec<Vec<NodeIx>> {
    let parts = parts.clamp(1, nodes.len().max(1));
    let (size, larger) = (nodes.len() / parts, nodes.len() % parts);
    let mut rest = nodes;
    let part = |number: usize| {
        let (part, after) = rest.split_at(size + usize::from(number < larger));
        rest = after;
        let mut part = part.to_vec();
        part.sort_unstable();
        part
    };
    (0..parts).map(part).collect()
}

fn left_out(action: &str, nodes: Vec<NodeIx>) -> Action {
    Action::LeftOut {
        action: action.to_owned(),
        nodes,
    }
}

/// True if an action does nothing without nodes there.
fn needs_some(key: &str) -> bool {
    ["nodes", "from", "to"].contains(&key)
}

/// A list of nodes of an action, by its key.
fn list_at<'a>(action: &'a mut Action, key: &str) -> Option<(&'static str, &'a mut Vec<NodeIx>)> {
    let nodes = key == "nodes";
    if action.transition().is_some() {
        let (_, list) = action.transition_mut()?;
        return nodes.then_some(("nodes", list));
    }
    if let Action::Clock { nodes: list, .. } = action {
        nodes.then_some(("nodes", list))
    } else if let Action::View { nodes: list, .. } = action {
        nodes.then_some(("view", list))
    } else if let Action::Cut { from, to, .. } = action {
        side(key, from, to)
    } else if let Action::Hold { from, to, .. } | Action::Release { from, to, .. } = action {
        side(key, from, to)
    } else if let Action::Link(change) = action {
        side(key, &mut change.from, &mut change.to)
    } else if let Action::StartChildren { replicas, .. } = action {
        (key == "replicas").then_some(("replicas", replicas))
    } else if let Action::Broadcast { to, .. } = action {
        (key == "to").then_some(("targets", to))
    } else {
        None
    }
}

fn side<'a>(
    key: &str,
    from: &'a mut Vec<NodeIx>,
    to: &'a mut Vec<NodeIx>,
) -> Option<(&'static str, &'a mut Vec<NodeIx>)> {
    match key {
        "from" => Some(("from", from)),
        "to" => Some(("to", to)),
        _ => None,
    }
}
