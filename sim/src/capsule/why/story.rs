//! Why a row does not show what runs, or still shows what does not: what became of the messages that
//! would have changed that.
//!
//! A fold over the trace, with the last [`MESSAGES_MAX`] messages of each owner and counts of the others.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use hublab_strategies::context::{REFUSALS, SUPPRESSED};
use hublab_strategies::{ChildId, NodeId, Time, TimerKey};

use crate::model::NodeIx;
use crate::trace::event::{DropReason, Event, EventId, Payload};
use crate::trace::text::{Names, printable};

/// How many messages of each owner are kept: the last ones.
const MESSAGES_MAX: usize = 32;

/// Why an observer does not show a child that runs, or shows one that does not.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Mismatch {
    /// The node that runs the child, or is shown to.
    pub owner: NodeIx,
    /// True if the observer should show the child there; false if it should not.
    pub is_absent: bool,
    /// The reason.
    pub reason: Reason,
    /// The events that show it, the first one first; the start or end of the child is the first.
    pub events: Vec<Event>,
    /// How many messages about it were sent to the observer since then.
    pub sent: u64,
    /// How many of these were lost.
    pub lost: u64,
    /// When the owner's next round is due, if it has rounds at equal intervals, and runs.
    pub next_round: Option<Time>,
}

/// The reason why an observer does not show the truth.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The last message about it is on its way, or is held back.
    UnderWay,
    /// The last message about it was lost.
    Lost(DropReason),
    /// The last message about it was handled, and the strategy refused it, with this mark.
    Refused(String),
    /// The last message about it was handled, and changed nothing.
    NoEffect,
    /// It was right, and something changed it.
    Changed,
    /// The observer forgot it when it stopped.
    Forgotten,
    /// Nothing told the observer: the owner keeps silent, as it had not hosted a child.
    Suppressed,
    /// Nothing told the observer: the two are not connected.
    NotConnected,
    /// Nothing told the observer: it is not in the owner's view.
    NotInView,
    /// Nothing told the observer; others were told.
    OthersTold,
    /// Nobody was told.
    NobodyTold,
    /// The owner stopped, and the observer has not noticed.
    NotNoticed,
    /// The observer has noticed that the owner stopped, and not acted on it yet, or no more.
    Noticed,
    /// The owner's own row.
    Own,
}

impl Reason {
    /// One word for programs.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::UnderWay => "under_way",
            Self::Lost(_) => "lost",
            Self::Refused(_) => "refused",
            Self::NoEffect => "no_effect",
            Self::Changed => "changed",
            Self::Forgotten => "forgotten",
            Self::Suppressed => "suppressed",
            Self::NotConnected => "not_connected",
            Self::NotInView => "not_in_view",
            Self::OthersTold => "others_told",
            Self::NobodyTold => "nobody_told",
            Self::NotNoticed => "not_noticed",
            Self::Noticed => "noticed",
            Self::Own => "own",
        }
    }
}

/// How far a message has come.
#[derive(Debug, Clone)]
enum Fate {
    UnderWay,
    Lost(Event, DropReason),
    Handled(Event),
    Refused(Event, String),
    /// It changed the row.
    Told(Event),
}

#[derive(Debug, Clone)]
struct Told {
    sent: Event,
    fate: Fate,
}

/// One node that runs the child, ran it, or is shown to.
#[derive(Debug, Default)]
struct Owner {
    /// Since when it is as it is: the start or the end of the child there.
    since: Option<Event>,
    runs: bool,
    is_shown: bool,
    /// The last change of the observer's row since then by which it came to be wrong.
    changed: Option<Event>,
    messages: VecDeque<Told>,
    sent: u64,
    lost: u64,
    /// The last message about it to somebody else.
    to_others: Option<Event>,
    suppressed: Option<Event>,
}

impl Owner {
    fn turns(&mut self, event: &Event, runs: bool) {
        *self = Self {
            since: Some(event.clone()),
            runs,
            is_shown: self.is_shown,
            ..Self::default()
        };
    }
}

/// The state of a node, as far as it matters here.
#[derive(Debug, Default, Clone)]
struct Peer {
    runs: bool,
    /// True if its view has the observer.
    sees: bool,
    /// The last event by which it and the observer were connected (true) or disconnected (false).
    link: Option<(bool, Event)>,
    /// The observer has noticed that it is gone.
    noticed: Option<Event>,
    /// Its last two rounds.
    rounds: [Option<Time>; 2],
}

/// The story of one child at one observer.
#[derive(Debug)]
pub(super) struct Story<'n> {
    observer: NodeIx,
    child: ChildId,
    names: &'n Names,
    owners: BTreeMap<NodeIx, Owner>,
    peers: BTreeMap<NodeIx, Peer>,
    /// The delivery that the observer handled last: its event, and that of the sending.
    handling: Option<(EventId, EventId)>,
}

impl<'n> Story<'n> {
    pub(super) fn new(observer: NodeIx, child: ChildId, names: &'n Names) -> Self {
        Self {
            observer,
            child,
            names,
            owners: BTreeMap::new(),
            peers: BTreeMap::new(),
            handling: None,
        }
    }

    fn position(&self, node: &NodeId) -> Option<NodeIx> {
        self.names.find(node.as_str())
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a fold looks at the events that concern it"
    )]
    pub(super) fn event(&mut self, event: &Event) {
        let (node, observer) = (event.node, self.observer);
        match &event.payload {
            Payload::Booted { .. } => {
                self.peers.insert(
                    node,
                    Peer {
                        runs: true,
                        ..Peer::default()
                    },
                );
            }
            Payload::Stopped(_) => {
                self.peers.entry(node).or_default().runs = false;
                if node == observer {
                    self.row(event, &BTreeSet::new());
                    // No event says that its connections end, and it forgets what it has noticed.
                    for peer in self.peers.values_mut() {
                        (peer.link, peer.noticed) = (None, None);
                    }
                }
            }
            Payload::ChildStarted { child, .. } if *child == self.child => {
                self.owners.entry(node).or_default().turns(event, true);
            }
            Payload::ChildStopped { child, .. } if *child == self.child => {
                self.owners.entry(node).or_default().turns(event, false);
            }
            Payload::View(view) => {
                let name = self.names.node(observer);
                let sees = view.iter().any(|node| Some(node.as_str()) == name);
                self.peers.entry(node).or_default().sees = sees;
            }
            Payload::Connected { peer } => self.link(event, *peer, true),
            Payload::Disconnected { peer } => self.link(event, *peer, false),
            Payload::PeerDown { peer, .. } if node == observer => {
                self.peers.entry(*peer).or_default().noticed = Some(event.clone());
            }
            Payload::PeerUp { peer, .. } if node == observer => {
                self.peers.entry(*peer).or_default().noticed = None;
            }
            Payload::Timer(TimerKey::Sync) => {
                let rounds = &mut self.peers.entry(node).or_default().rounds;
                *rounds = [rounds[1], Some(event.at)];
            }
            Payload::Mark(mark) => self.mark(event, mark),
            // What the observer sends to itself tells it nothing.
            Payload::Sent { to, .. } if *to != node || node != observer => self.sent(event, *to),
            Payload::Dropped { reason, .. } if node == observer => {
                let fate = Fate::Lost(event.clone(), *reason);
                self.ends(event.cause, fate);
            }
            Payload::Delivered { .. } if node == observer => {
                self.handling = Some((event.id, event.cause));
                self.ends(event.cause, Fate::Handled(event.clone()));
            }
            Payload::Row { child, after, .. } if node == observer && *child == self.child => {
                let entries = after.iter().flat_map(|row| row.entries.iter());
                let shown = entries.filter_map(|entry| self.position(&entry.node));
                let shown: BTreeSet<NodeIx> = shown.collect();
                self.row(event, &shown);
            }
            _ => {}
        }
    }

    fn link(&mut self, event: &Event, peer: NodeIx, is_up: bool) {
        let other = match self.observer {
            observer if event.node == observer => peer,
            observer if peer == observer => event.node,
            _ => return,
        };
        self.peers.entry(other).or_default().link = Some((is_up, event.clone()));
    }

    /// The row is another now, and shows the child on these nodes.
    fn row(&mut self, event: &Event, shown: &BTreeSet<NodeIx>) {
        for node in shown {
            self.owners.entry(*node).or_default();
        }
        let handled = self
            .handling
            .filter(|(delivered, _)| *delivered == event.cause);
        for (node, owner) in &mut self.owners {
            let is_shown = shown.contains(node);
            if std::mem::replace(&mut owner.is_shown, is_shown) == is_shown {
                continue;
            }
            if is_shown == owner.runs {
                let told = handled.and_then(|(_, sent)| {
                    owner.messages.iter_mut().find(|told| told.sent.id == sent)
                });
                if let Some(told) = told {
                    told.fate = Fate::Told(event.clone());
                }
                owner.changed = None;
            } else {
                owner.changed = Some(event.clone());
            }
        }
    }

    fn mark(&mut self, event: &Event, mark: &str) {
        if let Some(owner) = self.owners.get_mut(&event.node)
            && mark == SUPPRESSED
        {
            owner.suppressed = Some(event.clone());
        }
        let Some((_, sent)) = self
            .handling
            .filter(|(delivered, _)| event.node == self.observer && *delivered == event.cause)
        else {
            return;
        };
        let last = mark.rsplit('.').next();
        if last.is_some_and(|last| REFUSALS.contains(&last)) {
            self.ends(sent, Fate::Refused(event.clone(), mark.to_owned()));
        }
    }

    fn sent(&mut self, event: &Event, to: NodeIx) {
        let Some(contents) = event.payload.contents() else {
            return;
        };
        for (node, owner) in &mut self.owners {
            let name = self.names.node(*node);
            let lists = contents.lists().iter();
            let mut of_owner = lists.filter(|list| Some(list.node.as_str()) == name);
            // A list without the child tells that it is gone, one with it that it is there, or to go.
            let is_about = if owner.runs {
                of_owner.any(|list| list.children.contains(&self.child))
            } else {
                of_owner.next().is_some()
            };
            if !is_about {
                continue;
            }
            if to != self.observer {
                owner.to_others = Some(event.clone());
                continue;
            }
            owner.sent += 1;
            if owner.messages.len() == MESSAGES_MAX {
                owner.messages.pop_front();
            }
            owner.messages.push_back(Told {
                sent: event.clone(),
                fate: Fate::UnderWay,
            });
        }
    }

    /// A message to the observer has come to an end, or further.
    fn ends(&mut self, sent: EventId, fate: Fate) {
        for owner in self.owners.values_mut() {
            let mut messages = owner.messages.iter_mut().rev();
            let Some(told) = messages.find(|told| told.sent.id == sent) else {
                continue;
            };
            // Of a message and its copy, the one that came further counts.
            let is_further = match (&told.fate, &fate) {
                (Fate::Told(_), _) => false,
                (Fate::Handled(_) | Fate::Refused(..), Fate::Lost(..)) => false,
                (Fate::UnderWay | Fate::Lost(..) | Fate::Handled(_) | Fate::Refused(..), _) => true,
            };
            if is_further {
                owner.lost += u64::from(matches!(fate, Fate::Lost(..)));
                told.fate = fate.clone();
            }
        }
    }

    /// Everything that the observer shows otherwise than it is.
    pub(super) fn finish(self) -> Vec<Mismatch> {
        let is_wrong = |owner: &&Owner| owner.runs != owner.is_shown;
        let owners = self.owners.iter();
        owners
            .filter(|(_, owner)| is_wrong(owner))
            .map(|(node, owner)| self.mismatch(*node, owner))
            .collect()
    }

    fn mismatch(&self, node: NodeIx, owner: &Owner) -> Mismatch {
        let peer = self.peers.get(&node).cloned().unwrap_or_default();
        let (reason, shown_by) = self.reason(node, owner, &peer);
        let mut events: Vec<Event> = owner.since.iter().cloned().collect();
        events.extend(shown_by);
        events.sort_by_key(|event| event.id);
        events.dedup_by_key(|event| event.id);
        let next_round = match peer.rounds {
            [Some(before), Some(last)] if peer.runs => {
                Some(last.after(std::time::Duration::from_micros(last.since(before))))
            }
            _ => None,
        };
        Mismatch {
            owner: node,
            is_absent: owner.runs,
            reason,
            events,
            sent: owner.sent,
            lost: owner.lost,
            next_round,
        }
    }

    /// The reason, and the events that show it.
    fn reason(&self, node: NodeIx, owner: &Owner, peer: &Peer) -> (Reason, Vec<Event>) {
        if node == self.observer {
            return (Reason::Own, owner.changed.iter().cloned().collect());
        }
        let last = owner.messages.back();
        if let Some(changed) = &owner.changed
            && last.is_none_or(|told| told.sent.id < changed.id)
        {
            let is_stop = matches!(changed.payload, Payload::Stopped(_));
            let reason = if is_stop {
                Reason::Forgotten
            } else {
                Reason::Changed
            };
            return (reason, vec![changed.clone()]);
        }
        if let Some(Told { sent, fate }) = last {
            let (reason, then) = match fate {
                Fate::UnderWay => (Reason::UnderWay, None),
                Fate::Lost(dropped, why) => (Reason::Lost(*why), Some(dropped)),
                Fate::Refused(mark, name) => (Reason::Refused(name.clone()), Some(mark)),
                Fate::Handled(delivered) => (Reason::NoEffect, Some(delivered)),
                Fate::Told(row) => (Reason::Changed, owner.changed.as_ref().or(Some(row))),
            };
            return (reason, then.into_iter().chain([sent]).cloned().collect());
        }
        if !peer.runs {
            let noticed = peer.noticed.iter().cloned().collect::<Vec<_>>();
            return if noticed.is_empty() {
                let link = peer.link.iter().map(|(_, event)| event.clone());
                (Reason::NotNoticed, link.collect())
            } else {
                (Reason::Noticed, noticed)
            };
        }
        match (&owner.suppressed, &peer.link) {
            (Some(mark), _) => (Reason::Suppressed, vec![mark.clone()]),
            (None, Some((false, parted))) => (Reason::NotConnected, vec![parted.clone()]),
            (None, None) => (Reason::NotConnected, Vec::new()),
            (None, Some((true, _))) if !peer.sees => (Reason::NotInView, Vec::new()),
            (None, Some((true, _))) => match &owner.to_others {
                Some(sent) => (Reason::OthersTold, vec![sent.clone()]),
                None => (Reason::NobodyTold, Vec::new()),
            },
        }
    }
}

impl Mismatch {
    /// One sentence: what is wrong, why, and what would mend it.
    #[must_use]
    pub fn text(&self, observer: &str, names: &Names) -> String {
        let observer = printable(observer);
        let owner = names.node(self.owner).map_or("?".into(), printable);
        let what = if self.is_absent {
            format!("{owner} runs it, and {observer} does not show that")
        } else {
            format!("{owner} does not run it, and {observer} shows that it does")
        };
        let why = match &self.reason {
            Reason::UnderWay => format!("what tells {observer} is on its way"),
            Reason::Lost(reason) => {
                format!("what told {observer} last was lost ({})", reason.as_str())
            }
            Reason::Refused(mark) => {
                format!("{observer} refused what told it last ({})", printable(mark))
            }
            Reason::NoEffect => {
                format!("{observer} handled what told it last, and changed nothing")
            }
            Reason::Changed => format!("{observer} has changed it since it was right"),
            Reason::Forgotten => format!("{observer} stopped, and has not been told since"),
            Reason::Suppressed => {
                format!("{owner} sends no snapshots before it has hosted a child")
            }
            Reason::NotConnected => {
                format!("the two are not connected, and nothing told {observer}")
            }
            Reason::NotInView => {
                format!("{observer} is not in the view of {owner}, which told it nothing")
            }
            Reason::OthersTold => format!("others were told, and {observer} was not"),
            Reason::NobodyTold => "nobody has been told".to_owned(),
            Reason::NotNoticed => format!("{observer} has not noticed that {owner} is gone"),
            Reason::Noticed => {
                format!("{observer} has noticed that {owner} is gone, and kept the row")
            }
            Reason::Own => "it is a matter of that node alone".to_owned(),
        };
        let counted = match (self.sent, self.lost) {
            (0 | 1, _) => String::new(),
            (sent, lost) => format!("; {sent} messages about it were sent there, {lost} were lost"),
        };
        let next = self.next_round.map_or(String::new(), |at| {
            format!("; the next round of {owner} is due at {at}")
        });
        format!("{what}: {why}{counted}{next}")
    }
}
