//! Single steps.

use super::*;
use crate::child::{ChildSpec, Metadata};
use crate::harness::{TestNode, assert_bytes, kinds, started};
use crate::name::Pid;
use crate::snapshot::LocalChild;

fn node() -> TestNode<OwnerBroadcast> {
    TestNode::new(OwnerBroadcast, &["n2"])
}

fn fact(owner: &str, incarnation: u64, child: &str) -> Fact {
    Fact {
        owner: owner.into(),
        incarnation,
        seq: 1,
        child: child.into(),
        change: started(child, "p"),
    }
}

fn rows(incarnation: u64, children: &[&str]) -> OwnerBroadcastMessage {
    let child = |id: &&str| LocalChild {
        spec: ChildSpec::new(*id, ""),
        pid: Some(Pid::new("q")),
        metadata: Metadata::default(),
    };
    let rows = Snapshot::new(children.iter().map(child).collect());
    OwnerBroadcastMessage::Rows { incarnation, rows }
}

#[test]
fn a_change_goes_to_every_connected_peer() {
    let mut node = node();
    node.connect("n3", 1);
    let sent = node.start("a", "p1");
    assert_eq!(kinds(&sent), ["owner_broadcast.change to n2 n3"]);
    assert_eq!(node.rows(), "a:n1=p1");
}

#[test]
fn only_members_in_their_present_incarnation_are_heard() {
    let mut node = node();
    node.connect("n3", 1);
    for (from, incarnation) in [("n2", 2), ("n3", 1)] {
        let message = OwnerBroadcastMessage::Change(fact(from, incarnation, "a"));
        node.receive(from, &message);
        node.receive(from, &rows(incarnation, &["a"]));
        assert_eq!(node.rows(), "", "{from} {incarnation}");
    }
    node.receive("n2", &OwnerBroadcastMessage::Change(fact("n2", 1, "a")));
    assert_eq!(node.rows(), "a:n2=p");
}

#[test]
fn a_change_in_the_name_of_another_owner_is_ignored() {
    let mut node = TestNode::new(OwnerBroadcast, &["n2", "n3"]);
    node.receive("n2", &OwnerBroadcastMessage::Change(fact("n3", 1, "a")));
    assert_eq!(node.rows(), "");
}

#[test]
fn rows_of_a_member_replace_what_was_known_of_it() {
    let mut node = node();
    node.receive("n2", &OwnerBroadcastMessage::Change(fact("n2", 1, "a")));
    node.receive("n2", &rows(1, &["b"]));
    assert_eq!(node.rows(), "b:n2=q");
}

#[test]
fn a_new_member_and_one_that_reconnects_are_asked() {
    let mut node = node();
    node.connect("n3", 1);
    let asked = node.view(&["n2", "n3"]);
    assert_eq!(kinds(&asked), ["owner_broadcast.ask to n3"]);
    let asked = node.connect("n2", 2);
    assert_eq!(kinds(&asked), ["owner_broadcast.ask to n2"]);
    let told = node.receive("n3", &OwnerBroadcastMessage::Ask);
    assert_eq!(kinds(&told), ["owner_broadcast.rows to n3"]);
}

#[test]
fn a_restart_keeps_the_metadata_of_its_own_entry() {
    let mut node = node();
    let with = |value: &str| Metadata::from_iter([("v", value)]);
    for (owner, value) in [("n1", "1"), ("n2", "2")] {
        let mut fact = fact(owner, 1, "a");
        if let Change::Started { metadata, .. } = &mut fact.change {
            *metadata = with(value);
        }
        if owner == "n1" {
            node.change("a", fact.change);
        } else {
            node.receive(owner, &OwnerBroadcastMessage::Change(fact));
        }
    }
    node.change("a", Change::Restarted { pid: Pid::new("r") });
    assert_eq!(node.rows(), "a:n1=r,n2=p");
    let row = node.state.registry().get(&"a".into()).expect("it is there");
    assert_eq!(row.metadata_on(&"n1".into()), &with("1"));
    assert_eq!(row.metadata_on(&"n2".into()), &with("2"));
}

#[test]
fn messages_have_golden_bytes() {
    assert_bytes(&OwnerBroadcastMessage::Ask, &[0]);
    assert_bytes(&rows(3, &["a"]), &[1, 3, 1, 1, b'a', 0, 0, 1, 1, b'q', 0]);
    assert_bytes(
        &OwnerBroadcastMessage::Change(fact("n2", 1, "a")),
        &[
            2, 2, b'n', b'2', 1, 1, 1, b'a', 0, 1, b'a', 0, 0, 1, b'p', 0,
        ],
    );
}
