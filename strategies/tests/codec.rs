//! The wire encoding of every message: round trips, sizes, and bytes that are no message.

use std::collections::BTreeMap;
use std::fmt::Debug;

use hublab_strategies::gossip::{
    Acks, GossipMessage, NodesData, Propagation, Reference, Round, SharedRequests,
    TimestampedSnapshot,
};
use hublab_strategies::hub::{ChildrenMessage, Envelope};
use hublab_strategies::membership::Announcement;
use hublab_strategies::pubsub::{JoinData, PubSubMessage};
use hublab_strategies::request::{Registration, Request, Requests, Unregistration};
use hublab_strategies::{
    ChildId, ChildResult, ChildSpec, Entries, Entry, LocalChild, Message, Metadata, NodeId, Pid,
    Snapshot, wire,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

type PubSubEnvelope = Envelope<PubSubMessage, Announcement>;
type GossipEnvelope = Envelope<GossipMessage, Announcement>;

/// Numbers of every encoded length.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..300_u64,
        65_000..66_000_u64,
        4_294_967_000..4_294_968_000_u64,
        any::<u64>()
    ]
}

/// Texts of few and of many bytes, not only of ASCII.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-d]{0,3}", "[a-z\u{e9}\u{4e16}]{0,8}", "x{240,260}"]
}

fn node() -> impl Strategy<Value = NodeId> {
    text().prop_map(NodeId::from)
}

fn child() -> impl Strategy<Value = ChildId> {
    text().prop_map(ChildId::from)
}

fn pid() -> impl Strategy<Value = Option<Pid>> {
    proptest::option::of(text().prop_map(Pid::from))
}

fn pairs() -> impl Strategy<Value = BTreeMap<Box<str>, Box<str>>> {
    let boxed = || text().prop_map(String::into_boxed_str);
    btree_map(boxed(), boxed(), 0..3)
}

fn spec() -> impl Strategy<Value = ChildSpec> {
    (child(), text(), pairs()).prop_map(|(id, kind, args)| ChildSpec::with_args(id, &kind, args))
}

fn metadata() -> impl Strategy<Value = Metadata> {
    pairs().prop_map(Metadata::new)
}

fn entries() -> impl Strategy<Value = Entries> {
    vec(
        (node(), pid()).prop_map(|(node, pid)| Entry { node, pid }),
        0..3,
    )
    .prop_map(Entries::from)
}

fn request() -> impl Strategy<Value = Request> {
    let registration =
        (spec(), entries(), metadata()).prop_map(|(spec, entries, metadata)| Registration {
            spec,
            entries,
            metadata,
        });
    let unregistration =
        (child(), vec(node(), 0..3)).prop_map(|(child, nodes)| Unregistration { child, nodes });
    prop_oneof![
        vec(registration, 0..3).prop_map(Request::Register),
        vec(unregistration, 0..3).prop_map(Request::Unregister),
        (child(), node(), pid()).prop_map(|(child, node, pid)| Request::PidUpdate {
            child,
            node,
            pid
        }),
    ]
}

fn requests() -> impl Strategy<Value = Requests> {
    vec(request(), 0..3).prop_map(Requests::from)
}

fn snapshot() -> impl Strategy<Value = Snapshot> {
    let local = (spec(), pid(), metadata()).prop_map(|(spec, pid, metadata)| LocalChild {
        spec,
        pid,
        metadata,
    });
    vec(local, 0..3).prop_map(Snapshot::new)
}

fn pubsub() -> impl Strategy<Value = PubSubMessage> {
    prop_oneof![
        requests().prop_map(PubSubMessage::Requests),
        snapshot().prop_map(PubSubMessage::Sync),
        (snapshot(), number()).prop_map(|(data, at)| PubSubMessage::Join(JoinData { data, at })),
    ]
}

fn reference() -> impl Strategy<Value = Reference> {
    (number(), number(), node()).prop_map(|(number, incarnation, origin)| Reference {
        number,
        incarnation,
        origin,
    })
}

/// Lists of several pieces too: acknowledgements are joined as nodes join them.
fn acks() -> impl Strategy<Value = Acks> {
    vec(vec(node(), 0..4), 1..12).prop_map(|lists| {
        let lists: Vec<_> = lists.into_iter().map(Acks::new).collect();
        let join = |all: Acks, next| all.join(&next, &Vec::new().into()).0;
        lists
            .into_iter()
            .reduce(join)
            .unwrap_or_else(|| Acks::new(Vec::new()))
    })
}

fn round() -> impl Strategy<Value = Round> {
    let stamped = (proptest::option::of(snapshot()), number())
        .prop_map(|(data, at)| TimestampedSnapshot { data, at });
    (reference(), vec((node(), stamped), 0..4), acks()).prop_map(|(reference, data, acks)| Round {
        reference,
        data: NodesData::new(data),
        acks,
    })
}

fn gossip() -> impl Strategy<Value = GossipMessage> {
    let propagation =
        (reference(), acks(), requests()).prop_map(|(reference, acks, requests)| Propagation {
            reference,
            acks,
            requests: SharedRequests::new(requests),
        });
    prop_oneof![
        propagation.prop_map(GossipMessage::Propagate),
        round().prop_map(GossipMessage::Sync),
        round().prop_map(GossipMessage::Join),
    ]
}

fn children() -> impl Strategy<Value = ChildrenMessage> {
    let outcome = prop_oneof![
        text().prop_map(|text| Ok(Pid::from(text))),
        text().prop_map(Err)
    ];
    let result = (child(), outcome).prop_map(|(child, outcome)| ChildResult { child, outcome });
    prop_oneof![
        (number(), vec(spec(), 0..3), metadata(), any::<bool>()).prop_map(
            |(ticket, specs, metadata, announce)| ChildrenMessage::Start {
                ticket,
                specs,
                metadata,
                announce
            }
        ),
        (number(), vec(child(), 0..3))
            .prop_map(|(ticket, children)| ChildrenMessage::Stop { ticket, children }),
        (number(), vec(result, 0..3))
            .prop_map(|(ticket, results)| ChildrenMessage::Answer { ticket, results }),
    ]
}

fn envelope<S: Clone + Debug>(
    strategy: impl Strategy<Value = S>,
) -> impl Strategy<Value = Envelope<S, Announcement>> {
    prop_oneof![
        2 => strategy.prop_map(Envelope::Strategy),
        1 => children().prop_map(Envelope::Children),
        1 => number().prop_map(|incarnation| Envelope::Membership(Announcement { incarnation })),
        1 => Just(Envelope::Leave),
    ]
}

fn check<M: Message + PartialEq>(message: &M) -> Result<(), TestCaseError> {
    let bytes = wire::encode(message);
    prop_assert_eq!(message.size_model().bytes(), bytes.len() as u64);
    prop_assert_eq!(wire::encoded_len(message), bytes.len() as u64);
    prop_assert_eq!(
        &wire::decode::<M>(&bytes).expect("what was encoded"),
        message
    );
    Ok(())
}

/// Whatever comes out of bytes is a message like any other, or an error.
fn check_bytes<M: Message + PartialEq>(bytes: &[u8]) -> Result<(), TestCaseError> {
    match wire::decode::<M>(bytes) {
        Ok(message) => check(&message),
        Err(error) => {
            prop_assert!(
                error
                    .to_string()
                    .starts_with("malformed message, nothing was changed")
            );
            Ok(())
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pubsub_messages_are_read_back_and_know_their_size(message in envelope(pubsub())) {
        check(&message)?;
    }

    #[test]
    fn gossip_messages_are_read_back_and_know_their_size(message in envelope(gossip())) {
        check(&message)?;
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        check_bytes::<PubSubEnvelope>(&bytes)?;
        check_bytes::<GossipEnvelope>(&bytes)?;
    }

    #[test]
    fn damaged_messages_never_panic(
        message in envelope(gossip()),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        length in any::<prop::sample::Index>(),
    ) {
        let mut bytes = wire::encode(&message);
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        check_bytes::<GossipEnvelope>(&bytes)?;
        bytes.truncate(length.index(bytes.len() + 1));
        check_bytes::<GossipEnvelope>(&bytes)?;
    }
}

#[test]
fn a_list_that_claims_to_be_huge_is_refused_without_taking_its_memory() {
    // An answer with ticket 1 and 2^62 results.
    let mut bytes = vec![2, 2, 1, 253];
    bytes.extend((1_u64 << 62).to_le_bytes());
    assert!(wire::decode::<PubSubEnvelope>(&bytes).is_err());
}

#[test]
fn bytes_behind_a_message_are_refused() {
    let mut bytes = wire::encode(&PubSubEnvelope::Leave);
    bytes.push(0);
    assert!(matches!(
        wire::decode::<PubSubEnvelope>(&bytes),
        Err(wire::DecodeError::TrailingBytes(1))
    ));
}

#[test]
fn a_name_that_stands_twice_in_a_message_counts_once() {
    let n = |text| NodeId::new(text);
    let twice = wire::encode(&vec![n("b"), n("a"), n("b")]);
    let acks: Acks = wire::decode(&twice).expect("a list of names");
    assert!(acks.nodes().eq(&[n("b"), n("a")]));

    let stamped = |at| TimestampedSnapshot { data: None, at };
    let twice = wire::encode(&vec![
        (n("b"), stamped(1)),
        (n("a"), stamped(2)),
        (n("b"), stamped(3)),
    ]);
    let data: NodesData = wire::decode(&twice).expect("a list of data");
    assert_eq!(data.nodes(), [(n("a"), stamped(2)), (n("b"), stamped(3))]);
}
