//! Every byte that goes over a connection, kind by kind, as committed. A difference here needs a
//! new protocol version, and with it a new file: hubs of two versions refuse each other instead of
//! misreading.

use std::fmt::Write;

use expect_test::expect_file;

use super::super::noise::{self, PROTOCOL_VERSION};
use super::super::record::{self, Code, Control, Denial, Greeting, Place, StrategyMark, Tag};
use super::secret;
use crate::gossip::{
    Acks, GossipMessage, NodesData, Propagation, Reference, Round, SharedRequests,
    TimestampedSnapshot,
};
use crate::hub::{ChildrenMessage, Envelope};
use crate::membership::Announcement;
use crate::pubsub::{JoinData, PubSubMessage};
use crate::request::{Registration, Request, Requests, Unregistration};
use crate::{
    ChildId, ChildResult, ChildSpec, Entry, LocalChild, Message, Metadata, NodeId, Snapshot, wire,
};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a text takes all");
        text
    })
}

fn check(what: &str, lines: &[(String, Vec<u8>)]) {
    let text = lines.iter().fold(String::new(), |mut text, (kind, bytes)| {
        writeln!(text, "{kind}: {}", hex(bytes)).expect("a text takes all");
        text
    });
    let root = env!("CARGO_MANIFEST_DIR");
    let path = format!("{root}/tests/data/wire/v{PROTOCOL_VERSION}-{what}.txt");
    expect_file![path].assert_eq(&text);
}

fn strategy() -> StrategyMark {
    StrategyMark {
        name: "pubsub".to_owned(),
        hash: 0x0123_4567_89ab_cdef,
    }
}

fn greeting(name: &str) -> Greeting {
    Greeting {
        name: name.into(),
        incarnation: 1_700_000_000_000_000,
        advertise: format!("{name}.example:7000"),
        strategy: strategy(),
    }
}

#[test]
fn a_handshake_has_the_committed_bytes() {
    let (key, preamble) = (secret(), noise::preamble("orders"));
    let build = |ephemeral: &'static [u8; 32]| {
        let builder = noise::builder(key.key(), &preamble).unwrap();
        builder.fixed_ephemeral_key_for_testing_only(ephemeral)
    };
    let mut dialler = build(&[1; 32]).build_initiator().unwrap();
    let mut listener = build(&[2; 32]).build_responder().unwrap();
    let mut lines = vec![("preamble".to_owned(), preamble.to_vec())];
    let mut buffer = [0; 2048];
    let length = dialler.write_message(&[], &mut buffer).unwrap();
    lines.push(("message 1".to_owned(), buffer[..length].to_vec()));
    listener.read_message(&buffer[..length], &mut []).unwrap();
    let payload = wire::encode(&greeting("a"));
    let length = listener.write_message(&payload, &mut buffer).unwrap();
    lines.push(("message 2".to_owned(), buffer[..length].to_vec()));
    dialler
        .read_message(&buffer[..length], &mut [0; 2048])
        .unwrap();
    let (mut sealer, _) = noise::session(dialler).unwrap();
    let mut frame = Vec::new();
    let hello = record::control(&Control::Hello(greeting("b")));
    sealer.seal(&hello, &mut frame).unwrap();
    lines.push((
        "dialler's first frame".to_owned(),
        std::mem::take(&mut frame),
    ));
    let (mut sealer, mut opener) = noise::session(listener).unwrap();
    assert_eq!(opener.open(&lines[3].1[2..]).unwrap(), hello);
    sealer
        .seal(&record::control(&Control::Accept), &mut frame)
        .unwrap();
    lines.push(("listener's first frame".to_owned(), frame));
    check("handshake", &lines);
}

#[test]
fn records_have_the_committed_bytes() {
    let controls = [
        Control::Hello(greeting("b")),
        Control::Accept,
        Control::Refuse(Denial::NameTaken {
            seen: 1_700_000_000_000_001,
        }),
        Control::Refuse(Denial::Duplicate),
        Control::Refuse(Denial::Strategy(strategy())),
        Control::Heartbeat,
        Control::Addresses(vec![Place {
            name: "c".into(),
            incarnation: 1_700_000_000_000_000,
            address: "c.example:7000".to_owned(),
        }]),
        Control::Leave,
        Control::Rekey(greeting("b")),
    ];
    let mut lines: Vec<_> = controls
        .iter()
        .map(|control| (format!("{control:?}"), record::control(control)))
        .collect();
    for tag in [Tag::Part, Tag::Last] {
        let mut bytes = Vec::new();
        record::put(tag, 2, b"body", &mut bytes);
        lines.push((format!("{tag:?}"), bytes));
    }
    for code in [Code::Version, Code::Hub] {
        assert_eq!(Code::from_byte(code.byte()), Some(code));
        lines.push((format!("in clear: {code:?}"), vec![code.byte()]));
    }
    check("records", &lines);
}

fn spec() -> ChildSpec {
    let args = [("bytes".into(), "10".into())];
    ChildSpec::with_args("worker-1", "worker", args.into())
}

fn metadata() -> Metadata {
    [("tag", "blue")].into_iter().collect()
}

fn snapshot() -> Snapshot {
    Snapshot::new(vec![LocalChild {
        spec: spec(),
        pid: Some("a.1.2".into()),
        metadata: metadata(),
    }])
}

fn requests() -> Requests {
    let child = ChildId::from("worker-1");
    let node = NodeId::from("a");
    let pid = Some("a.1.2".into());
    let entries = [Entry {
        node: node.clone(),
        pid: pid.clone(),
    }];
    Requests::from(vec![
        Request::Register(vec![Registration {
            spec: spec(),
            entries: entries.into_iter().collect(),
            metadata: metadata(),
        }]),
        Request::Unregister(vec![Unregistration {
            child: child.clone(),
            nodes: vec![node.clone()],
        }]),
        Request::PidUpdate { child, node, pid },
    ])
}

fn common<S>() -> Vec<(&'static str, Envelope<S, Announcement>)> {
    let answer = |outcome| ChildResult {
        child: "worker-1".into(),
        outcome,
    };
    let children = Envelope::Children;
    vec![
        ("leave", Envelope::Leave),
        (
            "announcement",
            Envelope::Membership(Announcement {
                incarnation: 1 << 40,
            }),
        ),
        (
            "start",
            children(ChildrenMessage::Start {
                ticket: 300,
                specs: vec![spec()],
                metadata: metadata(),
                announce: true,
            }),
        ),
        (
            "stop",
            Envelope::Children(ChildrenMessage::Stop {
                ticket: 300,
                children: vec!["worker-1".into()],
            }),
        ),
        (
            "answer",
            Envelope::Children(ChildrenMessage::Answer {
                ticket: 300,
                results: vec![answer(Ok("a.1.2".into())), answer(Err("no".to_owned()))],
            }),
        ),
    ]
}

fn lines<S: Message>(
    messages: Vec<(&'static str, Envelope<S, Announcement>)>,
) -> Vec<(String, Vec<u8>)> {
    messages
        .iter()
        .map(|(what, message)| (format!("{}, {what}", message.kind()), wire::encode(message)))
        .collect()
}

#[test]
fn messages_have_the_committed_bytes() {
    let join = JoinData {
        data: snapshot(),
        at: 70_000,
    };
    let mut pubsub = common();
    pubsub.extend([
        (
            "requests",
            Envelope::Strategy(PubSubMessage::Requests(requests())),
        ),
        ("sync", Envelope::Strategy(PubSubMessage::Sync(snapshot()))),
        ("join", Envelope::Strategy(PubSubMessage::Join(join))),
    ]);
    let reference = || Reference {
        number: 3,
        incarnation: 1 << 40,
        origin: "a".into(),
    };
    let stamped = |data| TimestampedSnapshot { data, at: 70_000 };
    let round = || Round {
        reference: reference(),
        data: NodesData::new(vec![
            ("a".into(), stamped(Some(snapshot()))),
            ("b".into(), stamped(None)),
        ]),
        acks: Acks::new(vec!["a".into(), "b".into()]),
    };
    let propagation = Propagation {
        reference: reference(),
        acks: Acks::new(vec!["a".into()]),
        requests: SharedRequests::new(requests()),
    };
    let gossip = vec![
        (
            "propagation",
            Envelope::Strategy(GossipMessage::Propagate(propagation)),
        ),
        ("sync", Envelope::Strategy(GossipMessage::Sync(round()))),
        ("join", Envelope::Strategy(GossipMessage::Join(round()))),
    ];
    check("messages", &[lines(pubsub), lines(gossip)].concat());
}
