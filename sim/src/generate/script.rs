//! The walk over a plan's drafts: who runs when, and which step each draft becomes, if any.

use std::collections::BTreeMap;

use hublab_strategies::{Channel, ChildId, Metadata};

use super::assemble::{heals_all, ix};
use super::family::Family;
use super::plan::{
    Change, Cut, Delay, FaultKind, Groups, Held, NodeFault, Parted, Plan, PlanAction, Shape, Start,
    Steady, Which, Wires,
};
use super::setting::{Timings, ms, network};
use crate::model::{
    Action, Channels, Children, End, Every, Latency, Lifecycle, LinkChange, NodeIx, Order, Parting,
    Pattern, Repeat, Step, Transition, When,
};

/// The ids that a node's children have; few, so that they come again.
const LETTERS: [char; 3] = ['a', 'b', 'c'];

/// Something to become a step.
#[derive(Debug, Clone)]
pub(super) enum Draft {
    Planned(PlanAction),
    /// A node's first child.
    Host(Start),
    Join(NodeIx),
    Restart(NodeIx),
    Resume(NodeIx),
    Heal,
    Hold(Held),
    Release(Held),
    Steady(Steady),
    Parted(Parted),
    /// The links that this changed are as the network has them again.
    Restore(Which),
}

/// The script so far.
#[derive(Debug)]
pub(super) struct Walk<'p> {
    pub(super) plan: &'p Plan,
    timings: Timings,
    states: Vec<Lifecycle>,
    /// The children started and not stopped since, in the order of the starts.
    running: Vec<(NodeIx, Children)>,
    /// A cut or a changed link may be left.
    broken: bool,
    /// Messages that wait, and are to be released.
    held: Option<Held>,
    steps: Vec<Step>,
}

impl<'p> Walk<'p> {
    pub(super) fn new(plan: &'p Plan, timings: Timings, late: &[NodeIx]) -> Self {
        let mut states = vec![Lifecycle::Up; plan.nodes];
        for node in late {
            states[*node as usize] = Lifecycle::Never;
        }
        Self {
            plan,
            timings,
            states,
            running: Vec::new(),
            broken: false,
            held: None,
            steps: Vec::new(),
        }
    }

    /// Adds the step of a draft; drafts come in the order of time.
    pub(super) fn take(&mut self, at: u64, draft: Draft) {
        let action = match draft {
            Draft::Planned(action) => self.action(at, &action),
            Draft::Host(start) => {
                let on = ix(self.plan, start.on);
                self.runs(on).then(|| self.start(on, &start))
            }
            Draft::Join(node) => self.change(node, Transition::Join),
            Draft::Restart(node) => self.change(node, Transition::Restart),
            Draft::Resume(node) => self.change(node, Transition::Resume),
            Draft::Heal => {
                self.broken = false;
                Some(Action::Heal)
            }
            Draft::Hold(held) => {
                self.held = Some(held);
                Some(self.hold(held))
            }
            Draft::Release(held) => {
                self.held = None;
                Some(self.release(held))
            }
            Draft::Steady(steady) => return self.steady(at, steady),
            Draft::Parted(parted) => return self.parted(at, parted),
            Draft::Restore(which) => Some(self.links(which, None)),
        };
        self.push(at, action);
    }

    /// Heals everything, ends loss and duplication, and lets every node run that did not leave.
    pub(super) fn finish(mut self) -> Vec<Step> {
        let mut at = self.timings.active;
        if self.broken {
            self.push(at, Some(Action::Heal));
        }
        if let Some(held) = self.held {
            self.take(at, Draft::Release(held));
        }
        let calm = self.calm();
        self.push(at, calm);
        for node in self.all() {
            let draft = match self.states[node as usize] {
                Lifecycle::Up | Lifecycle::Left => continue,
                Lifecycle::Never => Draft::Join(node),
                Lifecycle::Paused => Draft::Resume(node),
                Lifecycle::Crashed => Draft::Restart(node),
            };
            self.take(at, draft);
            at += self.plan.back_gap;
        }
        self.steps
    }

    /// The end of the loss and the duplication that the network has by itself.
    fn calm(&self) -> Option<Action> {
        let on = |family| self.plan.families.contains(&family).then_some(0.0);
        let (loss, duplicate) = (on(Family::Loss), on(Family::Duplication));
        let none = loss.is_none() && duplicate.is_none();
        (!none).then(|| {
            Action::Link(LinkChange {
                from: self.all(),
                to: self.all(),
                channels: Channels::default(),
                both: false,
                latency: None,
                loss,
                duplicate,
                order: None,
                bytes_per_second: None,
            })
        })
    }

    fn push(&mut self, at: u64, action: Option<Action>) {
        if let Some(action) = action {
            let at = When::Fixed(ms(at));
            self.steps.push(Step::new(at, action));
        }
    }

    fn action(&mut self, at: u64, action: &PlanAction) -> Option<Action> {
        match action {
            PlanAction::Start(start) => {
                let on = self.runner(start.on)?;
                Some(self.start(on, start))
            }
            PlanAction::Stop { on, child, via } => self.stop(*on, *child, *via),
            PlanAction::RestartChild { on, child } => {
                let on = self.runner(*on)?;
                let child = self.one_of(on, *child).ids().into_iter().next()?;
                Some(Action::RestartChild { on, child })
            }
            PlanAction::Sync(on) => self.runner(*on).map(Action::Sync),
            PlanAction::Broadcast { on, to } => Some(Action::Broadcast {
                on: self.runner(*on)?,
                to: self.some(*to),
            }),
            PlanAction::Propagate {
                from,
                audience,
                requests,
            } => self.propagate(*from, *audience, requests),
            PlanAction::Rows { on, rows } => {
                let on = self.runner(*on)?;
                Some(Action::Rows {
                    on,
                    rows: self.rows(rows),
                })
            }
            PlanAction::View { on, members, turn } => self.view(*on, *members, *turn),
            // When a node joins is decided before the walk: until then nothing happens on it.
            PlanAction::Join(_) => None,
            PlanAction::NodeFault(node_fault) => self.node_fault(*node_fault),
            PlanAction::Cut(cut) => self.cut(at, *cut),
            PlanAction::Links(links) => Some(self.links(links.which, Some(links.change))),
            PlanAction::Clock { node, change } => Some(Action::Clock {
                nodes: vec![ix(self.plan, *node)],
                change: *change,
            }),
        }
    }

    fn all(&self) -> Vec<NodeIx> {
        (0..).take(self.plan.nodes).collect()
    }

    fn runs(&self, node: NodeIx) -> bool {
        self.states[node as usize].runs()
    }

    /// One of the nodes that run.
    pub(super) fn runner(&self, index: u8) -> Option<NodeIx> {
        let running: Vec<NodeIx> = self
            .all()
            .into_iter()
            .filter(|node| self.runs(*node))
            .collect();
        running
            .get(usize::from(index) % running.len().max(1))
            .copied()
    }

    /// The nodes that a mask stands for, at least one.
    pub(super) fn some(&self, mask: u32) -> Vec<NodeIx> {
        let chosen = |node: &NodeIx| mask >> (node % 32) & 1 == 1;
        let some: Vec<NodeIx> = self.all().into_iter().filter(chosen).collect();
        if some.is_empty() {
            vec![ix(self.plan, mask.to_le_bytes()[3])]
        } else {
            some
        }
    }

    /// [`Self::some`], but never all of several.
    fn side(&self, mask: u32) -> Vec<NodeIx> {
        let some = self.some(mask);
        if some.len() < self.plan.nodes {
            some
        } else {
            vec![ix(self.plan, mask.to_le_bytes()[3])]
        }
    }

    fn others(&self, than: &[NodeIx]) -> Vec<NodeIx> {
        self.all()
            .into_iter()
            .filter(|node| !than.contains(node))
            .collect()
    }

    fn change(&mut self, node: NodeIx, transition: Transition) -> Option<Action> {
        let state = &mut self.states[node as usize];
        *state = state.after(transition)?;
        Some(transition.action(vec![node]))
    }

    /// A crash, a leave or a pause; one node always stays.
    fn node_fault(&mut self, node_fault: NodeFault) -> Option<Action> {
        let up = |state: &&Lifecycle| **state == Lifecycle::Up;
        if self.states.iter().filter(up).count() < 2 {
            return None;
        }
        let node = ix(self.plan, node_fault.node);
        let transition = match node_fault.how {
            FaultKind::Crash => Transition::Crash,
            FaultKind::Leave => Transition::Leave,
            FaultKind::Pause => Transition::Pause,
        };
        let action = self.change(node, transition)?;
        if !self.runs(node) {
            self.running.retain(|(on, _)| *on != node);
        }
        Some(action)
    }

    /// A child's id: the node's own, unless ids are shared.
    pub(super) fn id(&self, on: NodeIx, child: u8) -> String {
        let letter = LETTERS[usize::from(child) % LETTERS.len()];
        if self.plan.families.contains(&Family::SharedIds) {
            letter.to_string()
        } else {
            format!("{letter}{}", on + 1)
        }
    }

    fn start(&mut self, on: NodeIx, start: &Start) -> Action {
        let id = self.id(on, start.child);
        let children = if start.count == 1 {
            Children::Ids(vec![ChildId::from(id)])
        } else {
            Children::Counted {
                count: start.count,
                prefix: id,
            }
        };
        let shared = self.plan.families.contains(&Family::SharedIds);
        let mut replicas = Vec::new();
        if shared && start.replicas.is_multiple_of(3) {
            replicas = self.some(start.replicas);
            replicas.retain(|node| *node != on && self.runs(*node));
        }
        for node in replicas.iter().chain([&on]) {
            let batch = (*node, children.clone());
            self.running.retain(|other| *other != batch);
            self.running.push(batch);
        }
        Action::StartChildren {
            on,
            children,
            metadata: metadata(self.version(start)),
            replicas,
            announce: start.announce,
            via: start
                .via
                .and_then(|via| self.runner(via))
                .filter(|via| *via != on),
        }
    }

    /// The version in a child's metadata: that of its id, or drawn for each start. A row has room
    /// for one set: a shared id has the same everywhere, or no view could be right.
    fn version(&self, start: &Start) -> Option<u8> {
        let letter = start.child % 3;
        let has = |family| self.plan.families.contains(&family);
        if has(Family::NewMetadata) && !has(Family::SharedIds) {
            start.version
        } else {
            (letter > 0).then_some(letter)
        }
    }

    /// A child that was started on a node, or, at times, one that was not.
    fn one_of(&self, on: NodeIx, child: u8) -> Children {
        let here: Vec<&Children> = self
            .running
            .iter()
            .filter(|(node, _)| *node == on)
            .map(|(_, children)| children)
            .collect();
        match here.get(usize::from(child) % (here.len() + 1)) {
            Some(children) => (*children).clone(),
            None => Children::Ids(vec![ChildId::from(self.id(on, child))]),
        }
    }

    fn stop(&mut self, on: u8, child: u8, via: Option<u8>) -> Option<Action> {
        let on = self.runner(on)?;
        let children = self.one_of(on, child);
        self.running
            .retain(|(node, other)| *node != on || *other != children);
        Some(Action::StopChildren {
            on,
            children,
            via: via
                .and_then(|via| self.runner(via))
                .filter(|via| *via != on),
        })
    }

    fn view(&self, on: u8, members: u32, turn: u8) -> Option<Action> {
        let on = self.runner(on)?;
        let mut nodes = self.some(members);
        let turn = usize::from(turn) % nodes.len();
        nodes.rotate_left(turn);
        Some(Action::View { on, nodes })
    }

    /// A partition, a cut or an isolation that begins at `at`; there is none in a cluster of one.
    fn cut(&mut self, at: u64, cut: Cut) -> Option<Action> {
        if self.plan.nodes < 2 {
            return None;
        }
        self.broken = true;
        let (in_flight, heal_after) = (cut.fate, self.heal_after(at, cut.back));
        let groups = match cut.shape {
            Shape::Partition(side) => self.groups(self.side(side)),
            Shape::Isolate(node) => self.groups(vec![ix(self.plan, node)]),
            Shape::OneWay { from, to } => {
                let from = self.side(from);
                let mut to = self.some(to);
                to.retain(|node| !from.contains(node));
                if to.is_empty() {
                    to = self.others(&from);
                }
                return Some(Action::Cut {
                    from,
                    to,
                    in_flight,
                    heal_after,
                });
            }
        };
        Some(Action::Partition {
            groups,
            in_flight,
            heal_after,
        })
    }

    fn groups(&self, side: Vec<NodeIx>) -> Vec<Vec<NodeIx>> {
        let others = self.others(&side);
        vec![side, others]
    }

    /// When a cut heals by itself; later than the active phase, the quiet phase does it.
    fn heal_after(&self, at: u64, back: Option<Delay>) -> Option<When> {
        let length = self.timings.length(back.filter(|back| !heals_all(*back))?);
        (at + length < self.timings.active).then(|| When::Fixed(ms(length)))
    }

    /// Changes links, or gives them back what the network has.
    fn links(&mut self, which: Which, change: Option<Change>) -> Action {
        let (from, to) = match which {
            Which::Between { from, to } => (self.some(from), self.some(to)),
            Which::Of(node) => (vec![ix(self.plan, node)], self.all()),
        };
        self.broken |= change.is_some();
        let base = network(self.plan).base;
        let all = change.is_none();
        let wires = self.plan.wires.unwrap_or(Wires {
            channels: 0,
            both: false,
        });
        // A rate is of a whole link, and what is as before is so for all channels.
        let is_whole = matches!(change, None | Some(Change::Narrow(_)));
        let mut link = LinkChange {
            from,
            to,
            channels: if is_whole {
                Channels::default()
            } else {
                channels(wires.channels)
            },
            both: wires.both,
            latency: all.then_some(base.latency),
            loss: all.then_some(base.loss),
            duplicate: all.then_some(base.duplicate),
            order: all.then_some(base.order),
            bytes_per_second: all.then_some(base.bytes_per_second),
        };
        match change {
            Some(Change::Slow(delay)) => link.latency = Some(self.slow(delay)),
            Some(Change::Loss(chance)) => link.loss = Some(chance),
            Some(Change::Duplicate(chance)) => link.duplicate = Some(chance),
            Some(Change::Disorder) => link.order = Some(Order::Any),
            Some(Change::Narrow(bytes)) => link.bytes_per_second = Some(bytes),
            None => {}
        }
        Action::Link(link)
    }

    fn hold(&self, held: Held) -> Action {
        Action::Hold {
            from: self.some(held.from),
            to: self.some(held.to),
            channels: channels(held.channels),
            count: held.count,
        }
    }

    fn release(&self, held: Held) -> Action {
        Action::Release {
            from: self.some(held.from),
            to: self.some(held.to),
            order: held.order,
        }
    }

    /// Steps that repeat: they leave out nodes that do not run then.
    fn steady(&mut self, at: u64, steady: Steady) {
        let end = self
            .timings
            .active
            .min(at + steady.gap * u64::from(steady.times));
        let every = if steady.gaps_are_drawn {
            Every::Mean(ms(steady.gap))
        } else {
            Every::Fixed(ms(steady.gap))
        };
        let (on, random) = match steady.on {
            Some(on) => (vec![ix(self.plan, on)], BTreeMap::new()),
            None => (self.all(), BTreeMap::from([("on".to_owned(), 1)])),
        };
        let pattern = Pattern {
            repeat: Some(Repeat {
                every,
                end: End::Until(ms(end)),
            }),
            on: (!random.is_empty()).then(|| on.clone()),
            random,
            ..Pattern::default()
        };
        let start = Action::StartChildren {
            on: on[0],
            children: Children::Counted {
                count: 1,
                prefix: "w".to_owned(),
            },
            metadata: Metadata::default(),
            replicas: Vec::new(),
            announce: true,
            via: None,
        };
        self.push_pattern(at, start, pattern.clone());
        if let Some(age) = steady.stops {
            let stop = Action::StopChildren {
                on: on[0],
                children: Children::Ids(Vec::new()),
                via: None,
            };
            let pattern = Pattern {
                age: Some((age, 1)),
                ..pattern
            };
            self.push_pattern((at + steady.gap).min(end - 1), stop, pattern);
        }
    }

    /// A partition whose groups follow from the nodes that run.
    fn parted(&mut self, at: u64, parted: Parted) {
        self.broken = true;
        let (groups, parting) = match parted.groups {
            Groups::Halves { shuffle } => (Vec::new(), Parting::Parts { parts: 2, shuffle }),
            Groups::Alone => (vec![self.all()], Parting::Isolate),
            Groups::Rest(mask) => (vec![self.side(mask), Vec::new()], Parting::Rest(1)),
        };
        let random = match parted.groups {
            Groups::Alone => BTreeMap::from([("isolate".to_owned(), 1)]),
            Groups::Halves { .. } | Groups::Rest(_) => BTreeMap::new(),
        };
        let action = Action::Partition {
            groups,
            in_flight: parted.fate,
            heal_after: self.heal_after(at, parted.back),
        };
        let pattern = Pattern {
            parting: Some(parting),
            random,
            ..Pattern::default()
        };
        self.push_pattern(at, action, pattern);
    }

    fn push_pattern(&mut self, at: u64, action: Action, pattern: Pattern) {
        self.steps.push(Step {
            pattern: Some(Box::new(pattern)),
            ..Step::new(When::Fixed(ms(at)), action)
        });
    }

    fn slow(&self, delay: Delay) -> Latency {
        // Bounds are multiples of what a message takes: a slower one would only make runs longer.
        let most = self.timings.length(delay).clamp(2, self.timings.sync);
        Latency::Uniform(ms(most / 2), ms(most))
    }
}

/// The channels of a mask; all for 0.
fn channels(mask: u8) -> Channels {
    let is_chosen = |channel: &Channel| mask >> channel.id & 1 == 1;
    let chosen: Vec<Channel> = Channel::ALL.into_iter().filter(is_chosen).collect();
    if chosen.is_empty() {
        Channels::default()
    } else {
        Channels::only(&chosen)
    }
}

/// The metadata of a version; none without one.
pub(super) fn metadata(version: Option<u8>) -> Metadata {
    version
        .map(|version| ("version".to_owned(), version.to_string()))
        .into_iter()
        .collect()
}
