//! [`Rumour`]: nodes tell random members what is new until it is stale, and compare databases now and then.
//!
//! Source: Demers et al.: "Epidemic Algorithms for Replicated Database Maintenance" (1987), sections 1.3 to
//! 1.5. A row (child, node) is changed by its node alone, so (incarnation, number) of the owner stands for
//! the paper's timestamps.
//!
//! - A change is *hot* where it was made, and where it arrives as news. Every `period`, a cycle, a node tells
//!   all that is hot to a random member (`push`), asks one for what is hot there (`pull`), or does `both`.
//! - What is hot loses interest after `k` useless contacts in a row, or, by a `coin`, at each of them with
//!   probability 1 / `k`. With feedback a contact is useless if the recipient knew the change when its
//!   cycle began; `blind`, every contact is. Of several contacts in a cycle, one that is of use counts.
//! - Anti-entropy, every `anti_entropy`: a node sends a random member its recent changes, those made within
//!   `recent`, and a checksum over the rows that it shows. The member takes them; if its checksum differs, it
//!   answers with its own. If they differ still, all rows and removals go both ways.
//! - A removal leaves a death certificate for `certificates`, counted from when it was made: its age travels
//!   with it. An owner that hears of a row of its own which does not run removes it anew.
//!
//! Assumed, where the source says nothing or something else: what comes with all rows is no news and does not
//! become hot; a change that arrives is told from the next cycle on; rows of nodes outside the cluster view
//! are hidden, not compared, and forgotten after `certificates`; rows of an earlier incarnation are dropped.
//! Only one recipient is tried in a cycle: the paper's connection limits and hunting are left out.
//!
//! With `synchronous`, the cycles of all nodes begin at multiples of the period after their boot, as the
//! paper's simulations have it. At a constant latency of 0 everything of a cycle then happens in one instant.
//!
//! Parameters:
//! - `period`, the time between two cycles; default 1 s, any positive duration.
//! - `direction`: `push` (default), `pull` or `both`.
//! - `blind`: whether every contact is useless; default false: those with somebody who knew.
//! - `coin`: whether a coin is thrown at useless contacts; default false: they are counted.
//! - `k`, see above; default 3, at least 1.
//! - `anti_entropy`, the time between two comparisons; default 10 s; 0: never.
//! - `recent`, the age up to which changes are recent; default 30 s.
//! - `certificates`, how long death certificates are kept; default 10 min, any positive duration.
//! - `synchronous`; default false: the first cycle begins at a random time.
//!
//! Cost: by push, feedback and counter, about 4.5 messages and as many answers per node and change with
//! k = 3; nothing while nothing is hot, but for anti-entropy. Pull asks once per node and cycle.
//!
//! Claims: see [`Rumour::claims`](crate::strategy::Strategy::claims). Rumours alone do not reach everybody:
//! without anti-entropy nothing is promised.

mod parameters;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::contents::Contents;
use crate::context::Context;
use crate::fact::Fact;
use crate::message::{Channel, Message};
use crate::name::{ChildId, NodeId};
use crate::owner_log::{Operation, Running, SEQ_MAX, mix, pick, show, show_own};
use crate::pubsub_versioned::{Owners, Versions};
use crate::request::{Members, Requests};
use crate::strategy::{EventStrategy, Strategy};
use crate::time::{Time, micros};
use crate::wire;

use parameters::Direction;
pub use parameters::RumourConfig;

/// The last change of a child.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// The owner.
    pub owner: NodeId,
    /// Its incarnation.
    pub incarnation: u64,
    /// Microseconds since it was made, those under way not counted.
    pub age: u64,
    /// The change.
    pub operation: Operation,
}

/// Whether a recipient knew a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The owner.
    pub owner: NodeId,
    /// The child.
    pub child: ChildId,
    /// The number of the change.
    pub seq: u64,
    /// True if it was known when the recipient's cycle began.
    pub is_known: bool,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RumourMessage {
    /// What is hot at the sender.
    Push(Vec<Update>),
    /// The receiver is to tell what is hot there.
    Pull,
    /// What is hot at the sender, which was asked.
    Answer(Vec<Update>),
    /// What a push or an answer was worth.
    Feedback(Vec<Verdict>),
    /// What is recent, the checksum over the rows that the sender shows, and whether this answers another.
    Recent(Vec<Update>, u64, bool),
    /// All rows and death certificates, and whether this answers another.
    All(Vec<Update>, bool),
}

impl Message for RumourMessage {
    const KINDS: &'static [&'static str] = &[
        "rumour.push",
        "rumour.pull",
        "rumour.answer",
        "rumour.feedback",
        "rumour.recent",
        "rumour.all",
    ];

    fn kind(&self) -> &'static str {
        match self {
            Self::Push(_) => "rumour.push",
            Self::Pull => "rumour.pull",
            Self::Answer(_) => "rumour.answer",
            Self::Feedback(_) => "rumour.feedback",
            Self::Recent(..) => "rumour.recent",
            Self::All(..) => "rumour.all",
        }
    }

    fn entries(&self, _sender: &NodeId) -> Option<Contents> {
        Some(match self {
            Self::Pull | Self::Feedback(_) => Contents::NONE,
            Self::Push(updates)
            | Self::Answer(updates)
            | Self::Recent(updates, ..)
            | Self::All(updates, _) => {
                Contents::of_entries(updates.iter().map(|it| (it.operation.child(), &it.owner)))
            }
        })
    }
}

/// The timer of cycles.
const CYCLE: u64 = 0;
/// The timer of anti-entropy.
const ANTI_ENTROPY: u64 = 1;

/// The bytes that what is hot or recent counts for, beside the child's name.
const NEWS_BYTES: u64 = 32;

/// A change that is told.
#[derive(Debug)]
struct Hot {
    seq: u64,
    /// The cycle in which it came.
    since: u64,
    /// Useless contacts in a row.
    useless: u32,
    /// Of the contacts of this cycle, whether one was of use; none if there were none.
    was_useful: Option<bool>,
}

type Key = (NodeId, ChildId);

/// The strategy; see the module.
#[derive(Debug, Default)]
pub struct Rumour {
    config: RumourConfig,
    /// What is known, of this node, too.
    owners: Owners,
    hot: BTreeMap<Key, Hot>,
    /// When recent changes were made, by this node's clock. Before its start are numbers that wrap.
    recent: BTreeMap<Key, u64>,
    /// Cycles begun so far.
    cycle: u64,
    /// The number of the last own change.
    last: u64,
}

type Cx<'a> = Context<'a, RumourMessage>;

impl Rumour {
    fn versions(&self, owner: &NodeId) -> Option<&Versions> {
        self.owners.get(owner).map(|owner| &owner.versions)
    }

    /// The updates that tell of these children, as they are known here.
    fn updates<'a>(
        &self,
        now: Time,
        keys: impl Iterator<Item = (&'a NodeId, &'a ChildId)>,
    ) -> Vec<Update> {
        let updates = keys.filter_map(|(owner, child)| {
            let versions = self.versions(owner)?;
            let made = self.recent.get(&(owner.clone(), child.clone()));
            let made = made.map(|made| now.0.wrapping_sub(*made));
            let left = versions.expires(child).map(|expires| expires.since(now));
            let age = left.map(|left| micros(self.config.certificates).saturating_sub(left));
            Some(Update {
                owner: owner.clone(),
                incarnation: versions.incarnation(),
                age: made.or(age).unwrap_or(u64::MAX),
                operation: versions.last(child)?,
            })
        });
        updates.collect()
    }

    /// What was hot when this cycle began.
    fn rumours(&self, now: Time) -> Vec<Update> {
        let hot = self.hot.iter().filter(|(_, hot)| hot.since < self.cycle);
        self.updates(now, hot.map(|((owner, child), _)| (owner, child)))
    }

    /// The recent changes of members.
    fn recents(&mut self, cx: &Cx<'_>) -> Vec<Update> {
        let (now, most) = (cx.now(), micros(self.config.recent));
        self.recent
            .retain(|_, made| now.0.wrapping_sub(*made) <= most);
        let recent = self.recent.keys().map(|(owner, child)| (owner, child));
        self.updates(now, recent.filter(|(owner, _)| cx.is_member(owner)))
    }

    /// All that is known of members.
    fn all(&self, cx: &Cx<'_>) -> Vec<Update> {
        let keys = self.owners.members().flat_map(|(node, owner)| {
            let children = owner.versions.children();
            children.map(move |child| (node, child))
        });
        self.updates(cx.now(), keys)
    }

    /// A sum over the rows of members; the same where the same is shown.
    fn checksum(&self) -> u64 {
        let rows = self.owners.members().flat_map(|(node, owner)| {
            let seed = mix(node.text_hash() ^ mix(owner.versions.incarnation()));
            let rows = owner.versions.rows().iter();
            rows.map(move |(child, row)| mix(child.text_hash() ^ mix(seed ^ mix(row.seq))))
        });
        rows.fold(0, u64::wrapping_add)
    }

    /// Counts the contacts of the last cycle, and begins one.
    fn next_cycle(&mut self, cx: &mut Cx<'_>) {
        let (k, coin) = (self.config.k, self.config.coin);
        self.hot.retain(|_, hot| match hot.was_useful.take() {
            None => true,
            Some(true) => {
                hot.useless = 0;
                true
            }
            Some(false) if coin => !cx.random().is_multiple_of(u64::from(k)),
            Some(false) => {
                hot.useless += 1;
                hot.useless < k
            }
        });
        self.cycle += 1;
        let Some(to) = pick(cx) else { return };
        let to = std::slice::from_ref(&to);
        if self.config.direction != Direction::Pull {
            self.tell(cx, to, RumourMessage::Push);
        }
        if self.config.direction != Direction::Push {
            cx.send(to, Channel::REQUESTS, RumourMessage::Pull);
        }
    }

    fn tell(&mut self, cx: &mut Cx<'_>, to: &[NodeId], message: fn(Vec<Update>) -> RumourMessage) {
        let rumours = self.rumours(cx.now());
        if rumours.is_empty() {
            return;
        }
        let told = self.hot.values_mut().filter(|hot| hot.since < self.cycle);
        for hot in told.filter(|_| self.config.blind) {
            hot.was_useful = Some(false);
        }
        cx.send(to, Channel::REQUESTS, message(rumours));
    }

    /// Takes rumours, and says what they were worth.
    fn listen(&mut self, cx: &mut Cx<'_>, from: &NodeId, updates: &[Update]) {
        let verdicts = updates.iter().map(|update| {
            let (child, seq) = (update.operation.child().clone(), update.operation.seq());
            let hot = self.hot.get(&(update.owner.clone(), child.clone()));
            let is_new = hot.is_some_and(|hot| hot.since == self.cycle && hot.seq == seq);
            Verdict {
                owner: update.owner.clone(),
                child,
                seq,
                is_known: !is_new && self.knows(update),
            }
        });
        let feedback = RumourMessage::Feedback(verdicts.collect());
        self.take(cx, updates, true);
        if !self.config.blind {
            cx.send(std::slice::from_ref(from), Channel::REQUESTS, feedback);
        }
    }

    fn knows(&self, update: &Update) -> bool {
        self.versions(&update.owner).is_some_and(|versions| {
            let version = versions.version(update.operation.child());
            let here = (versions.incarnation(), version);
            here >= (update.incarnation, Some(update.operation.seq()))
        })
    }

    /// Takes changes; those that are new here are news or not.
    fn take(&mut self, cx: &mut Cx<'_>, updates: &[Update], is_news: bool) {
        let now = cx.now();
        for update in updates.iter().filter(|it| it.operation.seq() <= SEQ_MAX) {
            if update.owner == *cx.node() {
                self.hear_of_itself(cx, update);
                continue;
            }
            let owner = self.owners.owner(cx, &update.owner, update.incarnation);
            if owner.versions.incarnation() > update.incarnation {
                cx.mark("rumour.old_incarnation");
            } else if !self.knows(update) {
                self.record(now, update, is_news);
                let (owner, child) = (&update.owner, update.operation.child());
                if cx.is_member(owner) {
                    show(cx, owner, child, self.owners.shown(owner, child));
                }
            }
        }
    }

    /// Puts a change into the database.
    fn record(&mut self, now: Time, update: &Update, is_news: bool) {
        let Some(owner) = self.owners.get_mut(&update.owner) else {
            return;
        };
        let child = update.operation.child();
        let left = micros(self.config.certificates).saturating_sub(update.age);
        let is_gone = matches!(update.operation, Operation::Gone { .. });
        if is_gone && left == 0 && !owner.versions.rows().contains_key(child) {
            return;
        }
        let expires = now.after(Duration::from_micros(left));
        owner.versions.apply(&update.operation, expires);
        let key = (update.owner.clone(), child.clone());
        self.hot.remove(&key);
        if is_news {
            let hot = Hot {
                seq: update.operation.seq(),
                since: self.cycle,
                useless: 0,
                was_useful: None,
            };
            self.hot.insert(key.clone(), hot);
        }
        if update.age <= micros(self.config.recent) {
            self.recent.insert(key, now.0.wrapping_sub(update.age));
        } else {
            self.recent.remove(&key);
        }
    }

    /// Somebody tells of a change of this node that it does not know: what is here counts, under a number
    /// of its own.
    fn hear_of_itself(&mut self, cx: &mut Cx<'_>, update: &Update) {
        let (me, child) = (cx.node().clone(), update.operation.child());
        if update.incarnation != cx.incarnation() || self.knows(update) {
            return;
        }
        let seq = self.last.max(update.operation.seq()) + 1;
        let own = self.versions(&me).and_then(|own| own.rows().get(child));
        let operation = match (&update.operation, own.cloned()) {
            (_, Some(running)) => Operation::Runs(Running { seq, ..running }),
            (Operation::Runs(_), None) => {
                let child = child.clone();
                Operation::Gone { seq, child }
            }
            (Operation::Gone { .. }, None) => return,
        };
        cx.mark("rumour.own_row_from_others");
        self.change(cx, operation);
    }

    /// Makes a change of this node's own.
    fn change(&mut self, cx: &Cx<'_>, operation: Operation) {
        self.last = operation.seq();
        let update = Update {
            owner: cx.node().clone(),
            incarnation: cx.incarnation(),
            age: 0,
            operation,
        };
        self.record(cx.now(), &update, true);
    }
}

impl EventStrategy for Rumour {
    type Message = RumourMessage;

    fn start(&mut self, cx: &mut Cx<'_>) {
        let (me, incarnation) = (cx.node().clone(), cx.incarnation());
        self.owners.owner(cx, &me, incarnation);
        for (timer, interval) in [
            (CYCLE, self.config.period),
            (ANTI_ENTROPY, self.config.anti_entropy),
        ] {
            let phase = match self.config.synchronous {
                true => interval,
                false => Duration::from_micros(cx.random() % micros(interval).max(1)),
            };
            if !interval.is_zero() {
                cx.set_timer(timer, phase);
            }
        }
    }

    fn local_change(&mut self, cx: &mut Cx<'_>, fact: &Fact) {
        let (me, child) = (cx.node().clone(), &fact.child);
        let old = self.versions(&me).and_then(|own| own.rows().get(child));
        let operation = Operation::of(fact, self.last + 1, old);
        self.change(cx, operation);
        let shown = |node: &NodeId| self.owners.shown(node, child);
        show_own(cx, child, shown(&me), shown);
    }

    /// Changes wait for the next cycle.
    fn propagate(&mut self, _cx: &mut Cx<'_>, _requests: Requests, _members: &Members) {}

    fn round(&mut self, cx: &mut Cx<'_>) {
        self.next_cycle(cx);
    }

    fn handle_message(&mut self, cx: &mut Cx<'_>, from: &NodeId, message: &RumourMessage) {
        if from == cx.node() {
            return;
        }
        let to = std::slice::from_ref(from);
        match message {
            RumourMessage::Push(updates) | RumourMessage::Answer(updates) => {
                self.listen(cx, from, updates);
            }
            RumourMessage::Pull => self.tell(cx, to, RumourMessage::Answer),
            RumourMessage::Feedback(verdicts) => {
                for verdict in verdicts {
                    let key = (verdict.owner.clone(), verdict.child.clone());
                    if let Some(hot) = self.hot.get_mut(&key).filter(|hot| hot.seq == verdict.seq) {
                        let was_useful = hot.was_useful == Some(true);
                        hot.was_useful = Some(was_useful || !verdict.is_known);
                    }
                }
            }
            RumourMessage::Recent(updates, checksum, is_answer) => {
                self.take(cx, updates, true);
                let own = self.checksum();
                let message = match is_answer {
                    _ if *checksum == own => return,
                    true => RumourMessage::All(self.all(cx), false),
                    false => RumourMessage::Recent(self.recents(cx), own, true),
                };
                cx.send(to, Channel::SYNC, message);
            }
            RumourMessage::All(updates, is_answer) => {
                self.take(cx, updates, false);
                if !is_answer {
                    cx.send(to, Channel::SYNC, RumourMessage::All(self.all(cx), true));
                }
            }
        }
    }

    fn handle_timer(&mut self, cx: &mut Cx<'_>, key: u64) {
        if key == CYCLE {
            self.next_cycle(cx);
            return cx.set_timer(CYCLE, self.config.period);
        }
        if let Some(to) = pick(cx) {
            let message = RumourMessage::Recent(self.recents(cx), self.checksum(), false);
            cx.send(&[to], Channel::SYNC, message);
        }
        cx.set_timer(ANTI_ENTROPY, self.config.anti_entropy);
    }

    fn view_changed(&mut self, cx: &mut Cx<'_>) {
        self.owners.view_changed(cx);
    }

    fn peer_up(&mut self, cx: &mut Cx<'_>, node: &NodeId, incarnation: u64) {
        self.owners.owner(cx, node, incarnation);
    }

    fn purge(&mut self, now: Time) {
        self.owners.purge(now, self.config.certificates);
        let (owners, recent) = (&self.owners, micros(self.config.recent));
        self.hot.retain(|(owner, child), _| {
            let owner = owners.get(owner);
            owner.is_some_and(|owner| owner.versions.version(child).is_some())
        });
        self.recent
            .retain(|_, made| now.0.wrapping_sub(*made) <= recent);
    }

    fn fingerprint(&self) -> String {
        format!("{} {:?}", Self::NAME, self.config)
    }

    fn state_bytes(&self) -> u64 {
        let news = self.hot.keys().chain(self.recent.keys());
        let news = news.map(|(_, child)| wire::text_len(child.as_str()) + NEWS_BYTES);
        self.owners.state_bytes() + news.sum::<u64>()
    }
}
