//! The words of `multi_node.json`, read: what the runner of the vectors makes of an action.

#[path = "conformance/multi_node/action.rs"]
mod action;

use action::{Action, Audience, Request, What, parse};

fn text(text: &str) -> String {
    text.to_owned()
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn registers(child: &str, nodes: &[&str], pid: &str) -> Request {
    Request::Register {
        child: text(child),
        nodes: texts(nodes),
        pid: text(pid),
        tag: text("m"),
    }
}

fn propagates(at: &str, members: Audience, requests: Vec<Request>) -> Action {
    Action {
        at: text(at),
        what: What::Propagate { members, requests },
    }
}

#[test]
fn a_round_is_triggered_at_a_node() {
    assert_eq!(
        parse("trigger_sync at n1"),
        Ok(Action {
            at: text("n1"),
            what: What::Sync
        })
    );
}

#[test]
fn a_broadcast_names_one_target_or_several() {
    for (words, to) in [
        ("broadcast_local_registry to n3 at n1", &["n3"][..]),
        ("broadcast_local_registry to n2, n3 at n1", &["n2", "n3"]),
        ("broadcast_local_registry to [n2, n3] at n1", &["n2", "n3"]),
        ("broadcast_local_registry to n2 and n9 at n1", &["n2", "n9"]),
    ] {
        let expected = Action {
            at: text("n1"),
            what: What::Broadcast { to: texts(to) },
        };
        assert_eq!(parse(words), Ok(expected), "{words}");
    }
}

#[test]
fn members_are_a_word_or_a_list_and_global_if_not_said() {
    for (words, members) in [
        (
            "propagate register a@n2 at n2",
            Audience::Word(text("global")),
        ),
        (
            "propagate register a@n2 at n2, members: external",
            Audience::Word(text("external")),
        ),
        (
            "propagate register a@n2 at n2, members: local",
            Audience::Word(text("local")),
        ),
        (
            "propagate register a@n2 at n2, members: [n3]",
            Audience::Nodes(texts(&["n3"])),
        ),
        (
            "propagate register a@n2 at n2, members: [n1, n3]",
            Audience::Nodes(texts(&["n1", "n3"])),
        ),
    ] {
        let expected = propagates("n2", members, vec![registers("a", &["n2"], "p")]);
        assert_eq!(parse(words), Ok(expected), "{words}");
    }
}

#[test]
fn every_kind_of_request_is_read_alone_and_with_others() {
    let global = || Audience::Word(text("global"));
    let unregisters = || Request::Unregister {
        child: text("a"),
        nodes: texts(&["n2"]),
    };
    let updates = || Request::PidUpdate {
        child: text("a"),
        node: text("n2"),
        pid: text("p2"),
    };
    for (words, requests) in [
        ("propagate unregister a@n2 at n1", vec![unregisters()]),
        ("propagate pid_update a@n2 -> p2 at n1", vec![updates()]),
        ("propagate pid_update a@n2->p2 at n1", vec![updates()]),
        (
            "propagate register a@n2, b@n3 at n1",
            vec![registers("a", &["n2"], "p"), registers("b", &["n3"], "p")],
        ),
        (
            "propagate register a@n2,n3 -> q at n1",
            vec![registers("a", &["n2", "n3"], "q")],
        ),
        (
            "propagate register b@n2 and unregister a@n2 at n1",
            vec![registers("b", &["n2"], "p"), unregisters()],
        ),
    ] {
        assert_eq!(
            parse(words),
            Ok(propagates("n1", global(), requests)),
            "{words}"
        );
    }
}

#[test]
fn what_cannot_be_read_is_said_and_not_guessed() {
    for words in [
        "",
        "trigger_sync",
        "dance at n1",
        "propagate at n1",
        "propagate a@n2 at n1",
        "broadcast_local_registry at n1",
    ] {
        assert!(parse(words).unwrap_err().contains(words), "{words}");
    }
}

#[test]
fn an_action_names_all_its_nodes() {
    let action = parse("propagate register a@n2 at n1, members: [n3, n9]").unwrap();
    assert_eq!(action.nodes(), ["n1", "n3", "n9", "n2"]);
}
