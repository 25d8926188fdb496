//! The numbers of a run computed a second time, slowly and simply: every cell of what an event is about
//! is looked at again.

use std::collections::{BTreeMap, BTreeSet};

use hublab_sim::catalog::CatalogEntry;
use hublab_sim::report::Messages;
use hublab_sim::scenario::{Action, Scenario};
use hublab_sim::stream::{below, draw};
use hublab_sim::trace::{Event, Payload};
use hublab_sim::watch::Facts;
use hublab_sim::watch::measure::{Measured, Times};
use hublab_strategies::time::micros;
use hublab_strategies::{ChildId, Metadata, NodeId, Pid, Row};

/// What a child is, or is shown as.
type State = (Option<Pid>, Metadata);
/// Observer, owner, child.
type CellKey = (u32, u32, ChildId);

struct Change {
    at: u64,
    owner: u32,
    child: ChildId,
    state: Option<State>,
    waiting: BTreeSet<u32>,
    last: Option<u64>,
    /// Those of the delivery by which the last so far came to show it.
    hops: Option<u32>,
    is_void: bool,
}

/// Times of a scenario, in microseconds, after which defects are no longer excused.
#[derive(Clone, Copy, Default)]
struct Bounds {
    heal: u64,
    detection: u64,
    crash_detection: u64,
}

/// Somebody who looks children up at random times, as a Poisson process: each that is true or shown as
/// often as any other.
pub(crate) struct Probe {
    seed: u64,
    pub(crate) count: u64,
    pub(crate) wrong: u64,
    /// The microseconds of cells until the next look-up, and between two in the mean.
    left: f64,
    mean: f64,
}

impl Probe {
    /// One that looks up so often in the mean, among so many microseconds of cells.
    pub(crate) fn new(seed: u64, look_ups: f64, cells_us: u64) -> Self {
        let mut probe = Self {
            seed,
            count: 0,
            wrong: 0,
            left: 0.0,
            mean: cells_us as f64 / look_ups,
        };
        probe.left = probe.gap();
        probe
    }

    fn gap(&self) -> f64 {
        let unit = (draw(self.seed, 2 * self.count) >> 11) as f64 / (1_u64 << 53) as f64;
        -self.mean * (1.0 - unit).ln()
    }

    fn pass(&mut self, us: u64, cells: &[CellKey], wrong: impl Fn(&CellKey) -> bool) {
        let mut rest = us as f64 * cells.len() as f64;
        while self.left < rest {
            rest -= self.left;
            let at = below(draw(self.seed, 2 * self.count + 1), cells.len() as u64);
            self.wrong += u64::from(wrong(&cells[usize::try_from(at).expect("an index")]));
            self.count += 1;
            self.left = self.gap();
        }
        self.left -= rest;
    }
}

#[derive(Default)]
pub(crate) struct Slow {
    pub(crate) probe: Option<Probe>,
    /// Of all that happens, what is counted: from, until.
    window: (u64, u64),
    bounds: Bounds,
    actions: Vec<Action>,
    /// The groups, or the directions, of the cuts in force, by step.
    cuts: BTreeMap<u32, Cut>,
    /// When a cut was mended, or each node resumed, stopped, connected again.
    healed: Option<u64>,
    resumed: BTreeMap<u32, u64>,
    stopped: BTreeMap<u32, u64>,
    connections: BTreeMap<(u32, u32), Vec<u64>>,
    pub(crate) unexcused: u64,
    /// Sent messages, their bytes, delivered messages.
    messages: (u64, u64, u64),
    now: u64,
    names: BTreeMap<NodeId, u32>,
    running: BTreeSet<u32>,
    connected: BTreeSet<(u32, u32)>,
    truth: BTreeMap<(u32, ChildId), State>,
    rows: BTreeMap<(u32, ChildId), Row>,
    changes: Vec<Change>,
    /// Of every cell that is defective: how, since when, since when so.
    defects: BTreeMap<CellKey, (usize, u64, u64)>,
    pub(crate) area: [u64; 3],
    looked_up: u64,
    longest: u64,
    longest_of: [u64; 3],
    flaps: u64,
    pub(crate) samples: Vec<u64>,
    skipped: u64,
    /// Of each message: its hops.
    sent: BTreeMap<u64, u32>,
    /// Of each delivery: the hops of its message.
    delivered: BTreeMap<u64, u32>,
    /// By node: when it has handled each of the messages that it has not handled yet.
    unhandled: BTreeMap<u32, Vec<u64>>,
    waits: Vec<u64>,
    pub(crate) queue_peak: usize,
}

enum Cut {
    Groups(Vec<Vec<u32>>),
    Directed(Vec<u32>, Vec<u32>),
}

impl Cut {
    fn is_between(&self, a: u32, b: u32) -> bool {
        match self {
            Self::Groups(groups) => {
                let of = |node| groups.iter().position(|group| group.contains(&node));
                of(a).is_some() && of(b).is_some() && of(a) != of(b)
            }
            Self::Directed(from, to) => {
                (from.contains(&a) && to.contains(&b)) || (from.contains(&b) && to.contains(&a))
            }
        }
    }
}

impl Slow {
    /// Of a scenario, counting within a window.
    pub(crate) fn new(
        scenario: &Scenario,
        strategy: &dyn CatalogEntry,
        window: (u64, u64),
    ) -> Self {
        let facts = Facts::new(scenario, &strategy.facts(scenario));
        let cluster = &scenario.cluster;
        let us = micros;
        let settings = scenario.node_settings();
        let debounce = settings.iter().map(|of| us(of.join_debounce)).max();
        let silence = settings
            .iter()
            .map(|of| us(of.down_after))
            .max()
            .expect("nodes");
        let latency = facts.times.latency;
        let crash_detection = us(cluster.crash_detected_after) + latency + debounce.expect("nodes");
        // Rounded up to a thousandth.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a spread is 0 to 1"
        )]
        let spread = (cluster.down_spread.max(0.25) * 1_000.0).ceil() as u64;
        let longest = silence + (silence / 1_000 + 1) * spread;
        Self {
            window,
            bounds: Bounds {
                heal: facts.times.heal(),
                detection: crash_detection + longest,
                crash_detection,
            },
            names: cluster.nodes.iter().cloned().zip(0..).collect(),
            actions: scenario
                .steps
                .iter()
                .map(|step| step.action.clone())
                .collect(),
            ..Self::default()
        }
    }

    fn counts(&self, at: u64) -> bool {
        (self.window.0..self.window.1).contains(&at)
    }

    /// Until when defects of an owner at an observer are excused, as things are.
    fn excused_until(&self, observer: u32, owner: u32) -> u64 {
        let pair = (observer.min(owner), observer.max(owner));
        let connections = self.connections.get(&pair).map_or(&[][..], Vec::as_slice);
        let again = connections.get(1..).and_then(<[u64]>::last).copied();
        let resumed = [observer, owner].map(|node| self.resumed.get(&node).copied());
        let mended = resumed
            .into_iter()
            .max()
            .flatten()
            .max(self.healed)
            .max(again);
        if self.running.contains(&owner) {
            if !self.connected.contains(&(observer, owner)) {
                return u64::MAX;
            }
            return mended.map_or(0, |at| at + self.bounds.heal);
        }
        let is_cut = self
            .cuts
            .values()
            .any(|cut| cut.is_between(observer, owner));
        let bound = if mended.is_some() || is_cut {
            self.bounds.detection
        } else {
            self.bounds.crash_detection
        };
        let since = self.stopped.get(&owner).copied().max(mended);
        since.map_or(0, |since| since + bound)
    }

    fn resume(&mut self, node: u32, now: u64) {
        self.resumed.insert(node, now);
    }

    fn step(&mut self, now: u64, index: u32, is_healing: bool) {
        let mut heals = false;
        if is_healing {
            heals = self.cuts.contains_key(&index);
            self.cuts.remove(&index);
        } else if let Action::Partition { groups, .. } = &self.actions[index as usize] {
            self.cuts.insert(index, Cut::Groups(groups.clone()));
        } else if let Action::Cut { from, to, .. } = &self.actions[index as usize] {
            self.cuts
                .insert(index, Cut::Directed(from.clone(), to.clone()));
        } else if let Action::Heal = &self.actions[index as usize] {
            heals = !self.cuts.is_empty();
            self.cuts.clear();
        }
        if heals {
            self.healed = Some(now);
        }
    }

    fn shown(&self, observer: u32, owner: u32, child: &ChildId) -> Vec<State> {
        let Some(row) = self.rows.get(&(observer, child.clone())) else {
            return Vec::new();
        };
        let of_owner = row
            .entries
            .iter()
            .filter(|entry| self.names.get(&entry.node) == Some(&owner));
        of_owner
            .map(|entry| (entry.pid.clone(), row.metadata_on(&entry.node).clone()))
            .collect()
    }

    fn defect(&self, (observer, owner, child): &CellKey) -> Option<usize> {
        let shown = self.shown(*observer, *owner, child);
        match self.truth.get(&(*owner, child.clone())) {
            None => (!shown.is_empty()).then_some(1),
            Some(_) if shown.is_empty() => Some(0),
            Some(truth) => (shown != [truth.clone()]).then_some(2),
        }
    }

    /// Every cell of a running observer whose child is true or shown.
    fn cells(&self) -> BTreeSet<CellKey> {
        let mut cells = BTreeSet::new();
        for observer in &self.running {
            for (owner, child) in self.truth.keys() {
                cells.insert((*observer, *owner, child.clone()));
            }
            for ((of, child), row) in &self.rows {
                if of == observer {
                    let owners = row.entries.iter();
                    let owners = owners.filter_map(|entry| self.names.get(&entry.node));
                    cells.extend(owners.map(|owner| (*observer, *owner, child.clone())));
                }
            }
        }
        cells.retain(|(observer, owner, _)| observer != owner);
        cells
    }

    pub(crate) fn pass_to(&mut self, now: u64) {
        if let Some(mut probe) = self.probe.take() {
            let cells: Vec<CellKey> = self.cells().into_iter().collect();
            let wrong = |cell: &CellKey| self.defects.contains_key(cell);
            probe.pass(now - self.now, &cells, wrong);
            self.probe = Some(probe);
        }
        let until = now.min(self.window.1);
        let passed = until.saturating_sub(self.now.max(self.window.0));
        if passed > 0 {
            for ((observer, owner, _), (defect, _, _)) in &self.defects {
                self.area[*defect] += passed;
                let excused = self.excused_until(*observer, *owner);
                let from = self.now.max(self.window.0).max(excused);
                self.unexcused += until.saturating_sub(from);
            }
            self.looked_up += passed * self.cells().len() as u64;
        }
        self.now = now;
    }

    fn end_defect(&mut self, cell: &CellKey) {
        if let Some((defect, since, so)) = self.defects.remove(cell) {
            self.longest = self.longest.max(self.now - since);
            self.longest_of[defect] = self.longest_of[defect].max(self.now - so);
        }
    }

    /// Looks at some cells again.
    fn judge(&mut self, cells: impl IntoIterator<Item = CellKey>, is_row: bool) {
        for cell in cells {
            let after = self.defect(&cell);
            let before = self.defects.get(&cell).copied();
            match (before, after) {
                (None, Some(after)) => {
                    self.flaps += u64::from(is_row && self.counts(self.now));
                    self.defects.insert(cell, (after, self.now, self.now));
                }
                (Some(_), None) => self.end_defect(&cell),
                (Some((before, since, so)), Some(after)) if before != after => {
                    self.longest_of[before] = self.longest_of[before].max(self.now - so);
                    self.defects.insert(cell, (after, since, self.now));
                }
                (_, _) => {}
            }
        }
    }

    /// Ends the waiting for changes that an observer shows now, or whose successors it shows.
    fn see(&mut self, owner: u32, child: &ChildId, is_change: bool, hops: Option<u32>) {
        let places: Vec<usize> = (0..self.changes.len())
            .filter(|place| {
                let change = &self.changes[*place];
                change.owner == owner && change.child == *child && !change.is_void
            })
            .collect();
        for observer in self.running.clone() {
            let shown = self.shown(observer, owner, child);
            let shows = |place: &usize| match &self.changes[*place].state {
                None => shown.is_empty(),
                Some(state) => shown == [state.clone()],
            };
            // Of changes that it has seen, none counts again.
            let first = places
                .iter()
                .position(|place| self.changes[*place].waiting.contains(&observer));
            let Some(first) = first else { continue };
            let Some(last) = places.iter().rposition(shows).filter(|last| *last >= first) else {
                continue;
            };
            let is_taken_back = is_change && shown.is_empty();
            for place in &places[first..=last] {
                let now = self.now;
                let change = &mut self.changes[*place];
                if !change.waiting.remove(&observer) {
                    continue;
                }
                let counts = (self.window.0..self.window.1).contains(&change.at);
                if is_taken_back && change.state.is_some() {
                    self.skipped += u64::from(counts);
                    continue;
                }
                if counts {
                    self.samples.push(now - change.at);
                }
                change.last = change.last.max(Some(now - change.at));
                change.hops = hops;
            }
        }
    }

    fn change(&mut self, owner: u32, child: &ChildId, state: Option<State>) {
        match &state {
            Some(state) => drop(self.truth.insert((owner, child.clone()), state.clone())),
            None => drop(self.truth.remove(&(owner, child.clone()))),
        }
        let cells: Vec<CellKey> = self
            .running
            .iter()
            .filter(|observer| **observer != owner)
            .map(|observer| (*observer, owner, child.clone()))
            .collect();
        self.judge(cells, false);
        if self.running.contains(&owner) {
            let waiting = self.running.iter().copied();
            let waiting = waiting.filter(|observer| self.connected.contains(&(*observer, owner)));
            self.changes.push(Change {
                at: self.now,
                owner,
                child: child.clone(),
                state,
                waiting: waiting.collect(),
                last: None,
                hops: None,
                is_void: false,
            });
            self.see(owner, child, true, None);
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a count looks at the events that concern it"
    )]
    pub(crate) fn event(&mut self, event: &Event) {
        self.pass_to(event.at.0);
        let node = event.node;
        match &event.payload {
            Payload::Queued { until, .. } => {
                let unhandled = self.unhandled.entry(node).or_default();
                unhandled.retain(|until| *until > event.at.0);
                let free = unhandled.iter().max().copied();
                let waiting = unhandled.len();
                unhandled.push(until.0);
                if self.counts(event.at.0) {
                    self.waits.push(free.map_or(0, |free| free - event.at.0));
                    // One of those is in service; this one waits with the others.
                    self.queue_peak = self.queue_peak.max(waiting);
                }
            }
            Payload::Booted { .. } => {
                self.unhandled.remove(&node);
                self.running.insert(node);
                let cells = self.cells().into_iter();
                let cells: Vec<CellKey> = cells.filter(|(of, _, _)| *of == node).collect();
                self.judge(cells, false);
            }
            Payload::Step { index, healing, .. } => self.step(event.at.0, *index, *healing),
            Payload::Resumed => self.resume(node, event.at.0),
            Payload::Stopped(_) => {
                self.stopped.insert(node, event.at.0);
                self.running.remove(&node);
                self.connected.retain(|(a, b)| *a != node && *b != node);
                self.rows.retain(|(of, _), _| *of != node);
                let defects = self.defects.keys().cloned();
                let ended: Vec<CellKey> = defects.filter(|(of, _, _)| *of == node).collect();
                ended.iter().for_each(|cell| self.end_defect(cell));
                for change in &mut self.changes {
                    change.waiting.remove(&node);
                    if change.owner == node {
                        // Those whose observers had all shown it by then stand.
                        if !change.waiting.is_empty() {
                            change.last = None;
                        }
                        change.waiting.clear();
                        change.is_void = true;
                    }
                }
            }
            Payload::Connected { peer } => {
                self.connected.extend([(node, *peer), (*peer, node)]);
                let pair = (node.min(*peer), node.max(*peer));
                self.connections.entry(pair).or_default().push(event.at.0);
            }
            Payload::Disconnected { peer } => {
                self.connected.remove(&(node, *peer));
                self.connected.remove(&(*peer, node));
            }
            Payload::ChildStarted {
                child,
                pid,
                metadata,
            } => self.change(node, child, Some((Some(pid.clone()), metadata.clone()))),
            Payload::ChildStopped { child, pid } => {
                let truth = self.truth.get(&(node, child.clone()));
                if truth.is_some_and(|(known, _)| known.as_ref() == Some(pid)) {
                    self.change(node, child, None);
                }
            }
            Payload::Sent { hops, bytes, .. } => {
                self.sent.insert(event.id, *hops);
                if self.counts(event.at.0) {
                    self.messages.0 += 1;
                    self.messages.1 += bytes;
                }
            }
            Payload::Delivered { .. } => {
                self.messages.2 += u64::from(self.counts(event.at.0));
                let hops = self.sent[&event.cause];
                self.delivered.insert(event.id, hops);
            }
            Payload::Row { child, after, .. } if self.running.contains(&node) => {
                let hops = self.delivered.get(&event.cause).copied();
                let key = (node, child.clone());
                match after {
                    Some(row) => drop(self.rows.insert(key, Row::clone(row))),
                    None => drop(self.rows.remove(&key)),
                }
                let owners: Vec<u32> = self.names.values().copied().collect();
                let owners = owners.into_iter().filter(|owner| *owner != node);
                for owner in owners {
                    self.judge([(node, owner, child.clone())], true);
                    self.see(owner, child, false, hops);
                }
            }
            _ => {}
        }
    }

    pub(crate) fn compare(
        mut self,
        end: u64,
        (measured, messages): (&Measured, &Messages),
        what: &str,
    ) {
        self.pass_to(end);
        let counted = (messages.sent, messages.bytes, messages.delivered);
        assert_eq!(counted, self.messages, "{what}: messages");
        let is_whole = self.window == (0, u64::MAX);
        let window = self.window;
        self.changes
            .retain(|it| (window.0..window.1).contains(&it.at));
        let open: Vec<CellKey> = self.defects.keys().cloned().collect();
        open.iter().for_each(|cell| self.end_defect(cell));
        let stale = &measured.stale;
        assert_eq!(stale.area_us, self.area, "{what}: areas");
        assert_eq!(stale.looked_up_us, self.looked_up, "{what}: looked up");
        assert_eq!(stale.unexcused_us, self.unexcused, "{what}: unexcused");
        if is_whole {
            assert_eq!(stale.longest_us, self.longest, "{what}: longest");
            assert_eq!(stale.longest_of_us, self.longest_of, "{what}: longest of");
        }
        assert_eq!(stale.flaps, self.flaps, "{what}: flaps");
        assert_eq!(measured.changes, self.changes.len() as u64, "{what}");
        if let Some(queue) = &measured.queue {
            self.waits.sort_unstable();
            assert_eq!(queue.peak, self.queue_peak as u64, "{what}: peak");
            let count = self.waits.len();
            assert_eq!(queue.wait_us.count, count as u64, "{what}: waits");
            assert_eq!(queue.wait_us.max, self.waits.last().copied(), "{what}");
            let p99 = (count > 0).then(|| self.waits[(count * 990).div_ceil(1000) - 1]);
            assert_eq!(queue.wait_us.p99, p99, "{what}: 99th percentile of waits");
        } else {
            assert_eq!(self.waits, [0; 0], "{what}: nobody is busy");
        }
        let propagation = &measured.propagation;
        let unseen: usize = self.changes.iter().map(|change| change.waiting.len()).sum();
        assert_eq!(propagation.unseen, unseen as u64, "{what}: unseen");
        assert_eq!(propagation.skipped, self.skipped, "{what}: skipped");
        self.samples.sort_unstable();
        let count = self.samples.len();
        assert_eq!(propagation.each_us.count, count as u64, "{what}: samples");
        let open = self.changes.iter().any(|change| !change.waiting.is_empty());
        let lasts: Vec<u64> = self
            .changes
            .iter()
            .filter(|change| change.waiting.is_empty())
            .filter_map(|change| change.last)
            .collect();
        assert_eq!(
            propagation.last_us.count,
            lasts.len() as u64,
            "{what}: lasts"
        );
        let shown_by_all = self.changes.iter().filter(|it| it.waiting.is_empty());
        let with_last = shown_by_all.filter(|change| change.last.is_some());
        let mut hops: Vec<u32> = with_last.filter_map(|change| change.hops).collect();
        hops.sort_unstable();
        let median = hops.get(hops.len().div_ceil(2).saturating_sub(1)).copied();
        assert_eq!(propagation.last_hops, median.map(u64::from), "{what}: hops");
        if open || count == 0 {
            assert_eq!(propagation.each_us.max, None, "{what}");
            assert_eq!(propagation.each_us.mean, None, "{what}");
            return;
        }
        let rank =
            |thousandths: usize| Some(self.samples[(count * thousandths).div_ceil(1000) - 1]);
        let each = &propagation.each_us;
        let found = [each.p50, each.p90, each.p99, each.p999, each.max];
        assert_eq!(found, [500, 900, 990, 999, 1000].map(rank), "{what}");
        let within = |limit: u64| {
            let ended = self.samples.iter().filter(|time| **time <= limit).count();
            u32::try_from(ended * 1_000_000 / count).expect("at most all")
        };
        assert_eq!(each.within, Times::CURVE_US.map(within), "{what}");
        assert_eq!(
            propagation.last_us.max,
            lasts.iter().max().copied(),
            "{what}"
        );
    }
}
