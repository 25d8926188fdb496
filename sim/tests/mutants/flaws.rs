//! Every mutant: what goes wrong, and the oracle that is to notice.

use hublab_sim::catalog::Catalog;
use hublab_sim::generate::Family;
use hublab_sim::node::NodeInput;
use hublab_strategies::hub::Command;
use hublab_strategies::{
    Channel, ChildSpec, Entries, Entry, Metadata, NodeId, Pid, Row, Runtime, Time, TimerKey,
};

use crate::dotted;
use crate::patient::{Base, Case, Flaw, Found, How, Junk, Mutant};
use crate::rumoured;
use crate::scuttled;
use crate::tracked;
use crate::twisted::{self, Twisted};
use crate::versioned;

const fn of(
    aim: &'static str,
    name: &'static str,
    base: Base,
    families: &'static [Family],
    flaw: Flaw,
) -> Mutant {
    Mutant {
        name,
        aim,
        base,
        families,
        how: How::Flaw(flaw),
    }
}

/// One that is another strategy, with the base's name.
const fn by(
    aim: &'static str,
    name: &'static str,
    base: Base,
    families: &'static [Family],
    with: fn(Catalog) -> Catalog,
) -> Mutant {
    Mutant {
        name,
        aim,
        base,
        families,
        how: How::Strategy(with),
    }
}

use Base::{
    DeltaCrdt, Gossip, OwnerBroadcast, PubSub, PubSubVersioned, Reference, Rumour, Scuttlebutt,
    Tracker,
};

type OfPubSub<T> = Twisted<hublab_strategies::PubSub, T>;
type OfGossip<T> = Twisted<hublab_strategies::Gossip, T>;
type OfPubSubVersioned<T> = Twisted<hublab_strategies::PubSubVersioned, T>;
type OfScuttlebutt<T> = Twisted<hublab_strategies::Scuttlebutt, T>;
type OfRumour<T> = Twisted<hublab_strategies::Rumour, T>;
type OfDeltaCrdt<T> = Twisted<hublab_strategies::DeltaCrdt, T>;
type OfTracker<T> = Twisted<hublab_strategies::Tracker, T>;
type OfOwnerBroadcast<T> = Twisted<hublab_strategies::OwnerBroadcast, T>;

const SILENCE: &[Family] = &[Family::Pause, Family::Isolate, Family::OneWayCut];

/// At least two per oracle, in the order of the oracles.
pub(crate) const LIST: &[Mutant] = &[
    of(
        "own_truth",
        "forgets a child of its own",
        Reference,
        &[],
        |case, input| {
            if round(case, input, 7)
                && let Some(own) = case.own().first()
            {
                case.drop_entry(own);
            }
        },
    ),
    of(
        "own_truth",
        "has an own child under another pid",
        Reference,
        &[],
        |case, input| {
            if round(case, input, 7)
                && let Some(own) = case.own().last()
            {
                case.set_pid(own, "other");
            }
        },
    ),
    of(
        "single_writer",
        "drops an own child when a peer speaks",
        Reference,
        &[],
        |case, input| {
            let is_discovery = is_kind(&input, "hub.discovery");
            case.pass(input);
            if is_discovery && let Some(own) = case.own().first() {
                case.drop_entry(own);
            }
        },
    ),
    of(
        "single_writer",
        "adopts a child when a peer speaks",
        Reference,
        &[],
        |case, input| {
            let is_discovery = is_kind(&input, "hub.discovery");
            case.pass(input);
            if is_discovery && let Some(other) = case.others().first() {
                let mut row = other.row.clone();
                let pid = other.entry.pid.clone();
                row.entries.retain(|entry| entry.node != *case.me);
                row.entries.push(Entry {
                    node: case.me.clone(),
                    pid,
                });
                case.put(row);
            }
        },
    ),
    of(
        "no_invention",
        "makes up a pid",
        Reference,
        &[],
        |case, input| {
            if round(case, input, 7)
                && let Some(other) = case.others().first()
            {
                case.set_pid(other, "made-up");
            }
        },
    ),
    of(
        "no_invention",
        "makes up a child",
        Reference,
        &[],
        |case, input| {
            if round(case, input, 7)
                && let Some(node) = case.peers().into_iter().next()
            {
                case.put(phantom("phantom", node));
            }
        },
    ),
    of(
        "metadata_agreement",
        "forges metadata",
        Reference,
        &[],
        |case, input| {
            if round(case, input, 7)
                && let Some(other) = case.others().first()
            {
                let mut row = other.row.clone();
                row.metadata = Metadata::from_iter([("forged", "yes")]);
                row.entry_metadata = Default::default();
                case.put(row);
            }
        },
    ),
    of(
        "metadata_agreement",
        "adds to metadata as it takes a row in",
        Reference,
        &[],
        |case, input| {
            let before = case.others().len();
            case.pass(input);
            if case.others().len() > before
                && let Some(other) = case.others().last()
            {
                let mut row = other.row.clone();
                let more = row.metadata.iter().chain([("seen", "by me")]);
                row.metadata = more
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .collect();
                row.entry_metadata = Default::default();
                case.put(row);
            }
        },
    ),
    of(
        "no_resurrection",
        "revives what was stopped",
        Reference,
        &[],
        |case, input| {
            remember(case);
            case.pass(input);
            if case.each(9) {
                put_back_what_went(case, |_, _| true);
            }
        },
    ),
    of(
        "no_resurrection",
        "goes back to an older pid",
        PubSub,
        &[],
        |case, input| {
            case.pass(input);
            if case.each(9) {
                put_back_what_went(case, |case, owner| {
                    case.inner.cluster_view().contains(owner)
                });
            }
            remember(case);
        },
    ),
    by(
        "no_resurrection",
        "applies join data twice in swapped order",
        PubSub,
        &[],
        |catalog| catalog.with::<OfPubSub<twisted::JoinDataSwapped>>(),
    ),
    of(
        "no_false_absence",
        "loses a row",
        Reference,
        &[],
        |case, input| {
            if round(case, input, 41)
                && let Some(other) = case.others().last()
            {
                case.drop_entry(other);
            }
        },
    ),
    of(
        "no_false_absence",
        "loses a peer's rows when it speaks",
        Reference,
        &[],
        |case, input| {
            let from = sender(&input);
            case.pass(input);
            for found in case.others() {
                if Some(&found.entry.node) == from.as_ref() {
                    case.drop_entry(&found);
                }
            }
        },
    ),
    of(
        "membership_containment",
        "forgets its members",
        PubSub,
        &[],
        |case, input| {
            case.pass(input);
            let me = std::slice::from_ref(case.me);
            if case.inner.cluster_view() != me {
                let alone = Command::SetView(me.to_vec());
                case.pass(NodeInput::Command(alone));
            }
        },
    ),
    of(
        "membership_containment",
        "keeps the rows of members that are gone",
        PubSub,
        GONE,
        |case, input| {
            remember(case);
            case.pass(input);
            put_back_what_went(case, |case, owner| {
                !case.inner.cluster_view().contains(owner)
            });
        },
    ),
    of(
        "unique_entry",
        "doubles an entry",
        Reference,
        &[],
        |case, input| {
            if round(case, input, 7)
                && let Some(found) = case.entries().first()
                && found.row.entries.len() < 9
            {
                let mut row = found.row.clone();
                row.entries.push(found.entry.clone());
                case.put(row);
            }
        },
    ),
    of(
        "unique_entry",
        "keeps the old pid beside the new one",
        Reference,
        &[],
        |case, input| {
            let before = case.others();
            case.pass(input);
            let now = case.others();
            let of = |found: &Found| (found.row.spec.id().clone(), found.entry.node.clone());
            let replaced = |old: &&Found| {
                let mut same = now.iter().filter(|new| of(new) == of(old));
                same.next()
                    .is_some_and(|new| new.entry.pid != old.entry.pid)
                    && same.next().is_none()
            };
            let replaced = before.iter().find(replaced).cloned();
            if let Some(old) = replaced
                && let Some(new) = now.into_iter().find(|new| of(new) == of(&old))
            {
                let mut row = new.row;
                row.entries.push(old.entry);
                case.put(row);
            }
        },
    ),
    of(
        "bounded_state",
        "never forgets a row",
        Reference,
        &[],
        |case, input| {
            case.pass(input);
            if case.memory.count < 60 && case.each(1) {
                let mut row = phantom(&format!("leak-{}", case.memory.count), case.me.clone());
                row.entries = Entries::EMPTY;
                case.put(row);
            }
        },
    ),
    of(
        "bounded_state",
        "never forgets a reference",
        Reference,
        &[],
        |case, input| {
            case.pass(input);
            case.memory.leaked += 1;
        },
    ),
    by(
        "bounded_state",
        "leaks references that it does not report",
        Gossip,
        &[],
        |catalog| catalog.with::<OfGossip<twisted::LeakUntold>>(),
    ),
    of(
        "no_crash",
        "panics at the tenth message",
        Reference,
        &[],
        |case, input| {
            let is_message = sender(&input).is_some();
            assert!(!is_message || !case.each(10), "the tenth message");
            case.pass(input);
        },
    ),
    of(
        "no_crash",
        "panics when a peer is gone",
        Reference,
        GONE,
        |case, input| {
            assert!(
                !matches!(input, NodeInput::PeerDown { .. }),
                "a peer is gone"
            );
            case.pass(input);
        },
    ),
    of(
        "convergence",
        "is deaf to its strategy",
        PubSub,
        &[],
        |case, input| {
            if !is_of_pubsub(&input) {
                case.pass(input);
            }
        },
    ),
    of(
        "convergence",
        "never changes a pid",
        PubSub,
        &[],
        |case, input| {
            remember(case);
            case.pass(input);
            for found in case.others() {
                let key = (found.row.spec.id().clone(), found.entry.node.clone());
                if let Some(old) = case.memory.entries.get(&key).cloned() {
                    let is_other = !old.entries.contains(&found.entry);
                    if is_other {
                        case.put_back(&old, &key.1);
                    }
                }
            }
        },
    ),
    by(
        "convergence",
        "counts the incarnation wrongly after the second restart",
        OwnerBroadcast,
        &[],
        |catalog| catalog.with::<OfOwnerBroadcast<twisted::IncarnationMiscounted>>(),
    ),
    by(
        "convergence",
        "loses one of two updates of the same instant",
        OwnerBroadcast,
        &[],
        |catalog| catalog.with::<OfOwnerBroadcast<twisted::SecondChangeLost>>(),
    ),
    by(
        "convergence",
        "ignores pid updates after a pause",
        OwnerBroadcast,
        &[],
        |catalog| catalog.with::<OfOwnerBroadcast<twisted::PidsIgnoredAfterPause>>(),
    ),
    of(
        "no_permanent_ghost",
        "never notices an end",
        PubSub,
        &[Family::Leave],
        |case, input| {
            let is_end =
                matches!(input, NodeInput::PeerDown { .. }) || is_kind(&input, "hub.leave");
            if !is_end {
                case.pass(input);
            }
        },
    ),
    of(
        "no_permanent_ghost",
        "brings back rows of the departed",
        Reference,
        &[Family::Leave],
        |case, input| {
            remember(case);
            case.pass(input);
            put_back_what_went(case, |case, owner| {
                !case.inner.cluster_view().contains(owner)
            });
        },
    ),
    by(
        "join_prompt",
        "never answers a joiner whose name sorts first",
        PubSub,
        &[],
        |catalog| catalog.with::<OfPubSub<twisted::FirstJoinerUnanswered>>(),
    ),
    by(
        "join_prompt",
        "takes the answer of one member only",
        PubSub,
        &[],
        |catalog| catalog.with::<OfPubSub<twisted::OneAnswerTaken>>(),
    ),
    of(
        "repair_progress",
        "waits for a silent member",
        PubSub,
        SILENCE,
        |case, input| {
            note_sender(case, &input);
            if !(is_of_pubsub(&input) && somebody_is_silent(case, 6)) {
                case.pass(input);
            }
        },
    ),
    of(
        "repair_progress",
        "takes back what it hears while a member is silent",
        Reference,
        SILENCE,
        |case, input| {
            note_sender(case, &input);
            let of = |found: &Found| (found.row.spec.id().clone(), found.entry.clone());
            let before: Vec<_> = case.others().iter().map(of).collect();
            case.pass(input);
            if somebody_is_silent(case, 6) {
                let news = case.others().into_iter();
                for found in news.filter(|found| !before.contains(&of(found))) {
                    case.drop_entry(&found);
                }
            }
        },
    ),
    of(
        "stability",
        "answers for ever",
        Reference,
        &[Family::ServiceTime],
        |case, input| {
            if let Some(from) = sender(&input).filter(|_| is_kind(&input, "mutant.junk")) {
                junk(case, &[from], 1);
                return;
            }
            if round(case, input, 5) {
                let peers = case.peers();
                junk(case, &peers, 4);
            }
        },
    ),
    of(
        "stability",
        "gives itself ever more to do",
        Reference,
        &[Family::ServiceTime],
        |case, input| {
            let me = [case.me.clone()];
            if is_kind(&input, "mutant.junk") {
                junk(case, &me, 1);
                return;
            }
            if round(case, input, 5) {
                junk(case, &me, 4);
            }
        },
    ),
    of(
        "clock_independence",
        "is deaf while its clock is behind",
        PubSub,
        &[Family::ClockStep],
        |case, input| {
            let wall = case.wall_clock();
            case.memory.wall = case.memory.wall.max(wall);
            if !(is_of_pubsub(&input) && wall < case.memory.wall) {
                case.pass(input);
            }
        },
    ),
    of(
        "clock_independence",
        "is deaf once its clock has been set",
        PubSub,
        &[Family::ClockStep],
        |case, input| {
            let lead = case.wall_clock().saturating_sub(case.now().0);
            let first = *case.memory.lead.get_or_insert(lead);
            if !(is_of_pubsub(&input) && lead != first) {
                case.pass(input);
            }
        },
    ),
    by(
        "convergence",
        "overlooks removals",
        Scuttlebutt,
        &[],
        |catalog| catalog.with::<OfScuttlebutt<scuttled::RemovalsOverlooked>>(),
    ),
    by(
        "join_prompt",
        "takes half of a delta for all of it",
        Scuttlebutt,
        &[],
        |catalog| catalog.with::<OfScuttlebutt<scuttled::HalfTaken>>(),
    ),
    by(
        "convergence",
        "believes to be further than it is",
        Scuttlebutt,
        &[],
        |catalog| catalog.with::<OfScuttlebutt<scuttled::MaxMiscounted>>(),
    ),
    by(
        "no_invention",
        "takes what is passed on for the sender's own",
        Scuttlebutt,
        &[],
        |catalog| catalog.with::<OfScuttlebutt<scuttled::OwnerMistaken>>(),
    ),
    by(
        "metadata_agreement",
        "loses metadata on the way",
        Scuttlebutt,
        &[],
        |catalog| catalog.with::<OfScuttlebutt<scuttled::MetadataLost>>(),
    ),
    by(
        "convergence",
        "makes five rounds and no more",
        Scuttlebutt,
        &[],
        |catalog| catalog.with::<OfScuttlebutt<scuttled::RoundsEnd>>(),
    ),
    by(
        "no_resurrection",
        "takes what was removed for a new start",
        Scuttlebutt,
        &[],
        |catalog| catalog.with::<OfScuttlebutt<scuttled::RemovedRevived>>(),
    ),
    by(
        "no_false_absence",
        "lets snapshots remove what is newer",
        PubSubVersioned,
        &[],
        |catalog| catalog.with::<OfPubSubVersioned<versioned::AsOfIgnored>>(),
    ),
    by(
        "no_false_absence",
        "takes half of a snapshot for all of it",
        PubSubVersioned,
        &[],
        |catalog| catalog.with::<OfPubSubVersioned<versioned::SnapshotHalved>>(),
    ),
    by(
        "convergence",
        "ignores rounds",
        PubSubVersioned,
        &[],
        |catalog| catalog.with::<OfPubSubVersioned<versioned::RoundsIgnored>>(),
    ),
    by(
        "join_prompt",
        "ignores the data of those that it joins",
        PubSubVersioned,
        &[],
        |catalog| catalog.with::<OfPubSubVersioned<versioned::JoinsIgnored>>(),
    ),
    by(
        "convergence",
        "takes every incarnation for the first",
        PubSubVersioned,
        &[],
        |catalog| catalog.with::<OfPubSubVersioned<versioned::IncarnationsMistaken>>(),
    ),
    by(
        "metadata_agreement",
        "loses the metadata of changes",
        PubSubVersioned,
        &[],
        |catalog| catalog.with::<OfPubSubVersioned<versioned::MetadataDropped>>(),
    ),
    by(
        "no_invention",
        "mixes up pids of a snapshot",
        PubSubVersioned,
        &[],
        |catalog| catalog.with::<OfPubSubVersioned<versioned::PidsMixedUp>>(),
    ),
    by(
        "convergence",
        "takes tags without a row for none",
        Tracker,
        &[],
        |catalog| catalog.with::<OfTracker<tracked::RemovalsOverlooked>>(),
    ),
    by(
        "no_false_absence",
        "takes the clocks below a delta for seen",
        Tracker,
        &[],
        |catalog| catalog.with::<OfTracker<tracked::GapsOverlooked>>(),
    ),
    by(
        "convergence",
        "takes half of the rows of a replica",
        Tracker,
        &[],
        |catalog| catalog.with::<OfTracker<tracked::HalfTaken>>(),
    ),
    by(
        "no_invention",
        "takes what is transferred for the sender's own",
        Tracker,
        &[],
        |catalog| catalog.with::<OfTracker<tracked::OwnerMistaken>>(),
    ),
    by(
        "convergence",
        "takes every replica for the first of its node",
        Tracker,
        &[],
        |catalog| catalog.with::<OfTracker<tracked::IncarnationsMistaken>>(),
    ),
    by(
        "metadata_agreement",
        "loses the metadata of a replica",
        Tracker,
        &[],
        |catalog| catalog.with::<OfTracker<tracked::MetadataLost>>(),
    ),
    by(
        "join_prompt",
        "takes no transfers",
        Tracker,
        &[],
        |catalog| catalog.with::<OfTracker<tracked::TransfersIgnored>>(),
    ),
    by(
        "convergence",
        "ends its broadcasts",
        Tracker,
        &[],
        |catalog| catalog.with::<OfTracker<tracked::BroadcastsEnd>>(),
    ),
    by(
        "convergence",
        "overlooks death certificates",
        Rumour,
        &[],
        |catalog| catalog.with::<OfRumour<rumoured::CertificatesOverlooked>>(),
    ),
    by(
        "convergence",
        "takes half of what it is told",
        Rumour,
        &[],
        |catalog| catalog.with::<OfRumour<rumoured::HalfTaken>>(),
    ),
    by(
        "no_invention",
        "takes rumours for those of who tells them",
        Rumour,
        &[],
        |catalog| catalog.with::<OfRumour<rumoured::OwnerMistaken>>(),
    ),
    by(
        "convergence",
        "takes rumours of every incarnation for those of the first",
        Rumour,
        &[],
        |catalog| catalog.with::<OfRumour<rumoured::IncarnationsMistaken>>(),
    ),
    by(
        "metadata_agreement",
        "loses the metadata of rumours",
        Rumour,
        &[],
        |catalog| catalog.with::<OfRumour<rumoured::MetadataLost>>(),
    ),
    by(
        "no_resurrection",
        "takes what comes later for newer",
        Rumour,
        &[],
        |catalog| catalog.with::<OfRumour<rumoured::LaterForNewer>>(),
    ),
    by(
        "convergence",
        "compares no databases",
        Rumour,
        &[],
        |catalog| catalog.with::<OfRumour<rumoured::ComparisonsLeftOut>>(),
    ),
    by(
        "convergence",
        "overlooks what others have seen",
        DeltaCrdt,
        &[],
        |catalog| catalog.with::<OfDeltaCrdt<dotted::ContextOverlooked>>(),
    ),
    by(
        "convergence",
        "takes half of the keys with the whole context",
        DeltaCrdt,
        &[],
        |catalog| catalog.with::<OfDeltaCrdt<dotted::HalfTaken>>(),
    ),
    by(
        "no_invention",
        "takes keys for those of who sends them",
        DeltaCrdt,
        &[],
        |catalog| catalog.with::<OfDeltaCrdt<dotted::OwnerMistaken>>(),
    ),
    by(
        "metadata_agreement",
        "loses the metadata of keys",
        DeltaCrdt,
        &[],
        |catalog| catalog.with::<OfDeltaCrdt<dotted::MetadataLost>>(),
    ),
    by(
        "no_invention",
        "mixes up the pids of keys",
        DeltaCrdt,
        &[],
        |catalog| catalog.with::<OfDeltaCrdt<dotted::PidsMixedUp>>(),
    ),
    by(
        "convergence",
        "never hears that an exchange is over",
        DeltaCrdt,
        &[],
        |catalog| catalog.with::<OfDeltaCrdt<dotted::EndsOverheard>>(),
    ),
    by(
        "convergence",
        "begins exchanges in five rounds and no more",
        DeltaCrdt,
        &[],
        |catalog| catalog.with::<OfDeltaCrdt<dotted::RoundsEnd>>(),
    ),
];

const GONE: &[Family] = &[
    Family::Leave,
    Family::Crash,
    Family::Isolate,
    Family::Partition,
];

/// Hands an input on; whether it was a timer, the `every`-th one.
fn round(case: &mut Case<'_, '_, '_>, input: NodeInput<'_>, every: u64) -> bool {
    let is_timer = matches!(input, NodeInput::Timer(_));
    case.pass(input);
    is_timer && case.each(every)
}

fn is_kind(input: &NodeInput<'_>, kind: &str) -> bool {
    matches!(input, NodeInput::Message { packet, .. } if packet.kind == kind)
}

fn is_of_pubsub(input: &NodeInput<'_>) -> bool {
    matches!(input, NodeInput::Message { packet, .. } if packet.kind.starts_with("pubsub."))
}

fn sender(input: &NodeInput<'_>) -> Option<NodeId> {
    if let NodeInput::Message { from, .. } = input {
        Some((*from).clone())
    } else {
        None
    }
}

fn phantom(child: &str, node: NodeId) -> Row {
    Row {
        spec: ChildSpec::new(child, "child"),
        entries: Entry {
            node,
            pid: Some(Pid::new("made-up")),
        }
        .into(),
        metadata: Metadata::default(),
        entry_metadata: Default::default(),
        expires_at: None,
    }
}

/// Notes every entry of another node as it stands first.
fn remember(case: &mut Case<'_, '_, '_>) {
    for found in case.others() {
        let key = (found.row.spec.id().clone(), found.entry.node.clone());
        case.memory.entries.entry(key).or_insert(found.row);
    }
}

/// Puts back what is remembered and no longer there as it was.
fn put_back_what_went(case: &mut Case<'_, '_, '_>, which: fn(&Case<'_, '_, '_>, &NodeId) -> bool) {
    let there = case.others();
    for ((child, owner), old) in case.memory.entries.clone() {
        let is_there = there.iter().any(|found| {
            *found.row.spec.id() == child
                && found.entry.node == owner
                && old.entries.contains(&found.entry)
        });
        if !is_there && which(case, &owner) {
            case.put_back(&old, &owner);
        }
    }
}

/// Notes who speaks, and how long it is between two of this node's own announcements.
fn note_sender(case: &mut Case<'_, '_, '_>, input: &NodeInput<'_>) {
    let now = case.now();
    if matches!(input, NodeInput::Timer(TimerKey::Discovery)) {
        case.memory.interval = now.since(std::mem::replace(&mut case.memory.announced, now));
    }
    if let Some(from) = sender(input) {
        case.memory.heard.insert(from, now);
    }
}

/// Whether nothing has been heard of some member for so many quarters of an interval.
fn somebody_is_silent(case: &Case<'_, '_, '_>, quarters: u64) -> bool {
    let (now, long) = (case.now(), case.memory.interval / 4 * quarters);
    case.peers().iter().any(|node| {
        let last = case.memory.heard.get(node).copied();
        now.since(last.unwrap_or(Time::ZERO)) > long
    })
}

fn junk(case: &mut Case<'_, '_, '_>, to: &[NodeId], count: u32) {
    for _ in 0..count {
        Runtime::<Junk>::send(case.effects, to, Channel::CONTROL, Junk);
    }
}
