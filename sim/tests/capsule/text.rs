//! A trace as text, and why a row is as it is.

use expect_test::expect;
use hublab_sim::capsule::{WhyError, why};
use hublab_sim::trace::text::{EVENT_KINDS, kind_of};
use hublab_sim::trace::{Filter, Payload};
use hublab_strategies::Time;

use super::{CAPSULE, SHORT, STORY, listened, open, recorded};

/// The lines of the events that a filter allows.
fn lines(text: &str, filter: &Filter) -> String {
    let mut capsule = recorded(text, "pubsub", 1);
    let names = capsule.names();
    let shown = capsule
        .events()
        .map(Result::unwrap)
        .filter(|event| filter.allows(event, &names));
    shown.map(|event| names.line(&event) + "\n").collect()
}

fn only(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn an_event_is_a_line() {
    let from_first_step = Filter {
        from: Some(Time(1_000_000)),
        ..Filter::default()
    };
    expect![[r#"
        1s world step 0: start_children [e19]
        1s n1 runs a as n1.1.1 {team=blue} [e20 <- e19]
        1s n1 row a: nothing -> n1=n1.1.1 {team=blue} [e21 <- e19]
        1s n1 fact 1 about a: started as n1.1.1 [e22 <- e19]
        1s n1 answer of n1: 1 done, 0 failed [e23 <- e19]
        1s world from here on kind 1 is pubsub.requests [e24]
        1s n1 sent pubsub.requests #0 to n2, 37 bytes, due 1.002s; n1: a [e25 <- e19]
        1s n1 holds 1 rows, 0 tombstones, 0 references, 0 bytes beside the rows, 0 queued [e26]
        1.002s n2 got pubsub.requests #0 from n1; n1: a [e27 <- e25]
        1.002s n2 row a: nothing -> n1=n1.1.1 {team=blue} [e28 <- e27]
        1.002s n2 holds 1 rows, 0 tombstones, 0 references, 0 bytes beside the rows, 0 queued [e29]
        2s world step 1: stop_children [e30]
        2s n1 no longer runs a as n1.1.1 [e31 <- e30]
        2s n1 row a: n1=n1.1.1 {team=blue} -> no entries {team=blue}, expires 32s [e32 <- e30]
        2s n1 fact 2 about a: stopped as n1.1.1 [e33 <- e30]
        2s n1 answer of n1: 1 done, 0 failed [e34 <- e30]
        2s n1 sent pubsub.requests #1 to n2, 11 bytes, due 2.002s; n1: a [e35 <- e30]
        2s n1 holds 1 rows, 1 tombstones, 0 references, 0 bytes beside the rows, 0 queued [e36]
        2.002s n2 got pubsub.requests #1 from n1; n1: a [e37 <- e35]
        2.002s n2 row a: n1=n1.1.1 {team=blue} -> no entries {team=blue}, expires 32.002s [e38 <- e37]
        2.002s n2 holds 1 rows, 1 tombstones, 0 references, 0 bytes beside the rows, 0 queued [e39]
        2.5s world step 2: crash [e40]
        2.5s n2 crashed [e41 <- e40]
        2.503s n1 sees n2 down: closed [e42 <- e41]
    "#]].assert_eq(&lines(SHORT, &from_first_step));
}

#[test]
fn filters_choose_by_node_child_time_and_kind() {
    let all = Filter {
        from: Some(Time(1_000_000)),
        to: Some(Time(2_100_000)),
        ..Filter::default()
    };
    let on_n2 = Filter {
        nodes: only(&["n2"]),
        children: only(&["a"]),
        ..all.clone()
    };
    expect![[r#"
        1.002s n2 got pubsub.requests #0 from n1; n1: a [e27 <- e25]
        1.002s n2 row a: nothing -> n1=n1.1.1 {team=blue} [e28 <- e27]
        2.002s n2 got pubsub.requests #1 from n1; n1: a [e37 <- e35]
        2.002s n2 row a: n1=n1.1.1 {team=blue} -> no entries {team=blue}, expires 32.002s [e38 <- e37]
    "#]].assert_eq(&lines(SHORT, &on_n2));
    let sent = Filter {
        kinds: only(&["pubsub.requests", "step"]),
        ..all
    };
    expect![[r#"
        1s world step 0: start_children [e19]
        1s world from here on kind 1 is pubsub.requests [e24]
        1s n1 sent pubsub.requests #0 to n2, 37 bytes, due 1.002s; n1: a [e25 <- e19]
        1.002s n2 got pubsub.requests #0 from n1; n1: a [e27 <- e25]
        2s world step 1: stop_children [e30]
        2s n1 sent pubsub.requests #1 to n2, 11 bytes, due 2.002s; n1: a [e35 <- e30]
        2.002s n2 got pubsub.requests #1 from n1; n1: a [e37 <- e35]
    "#]]
    .assert_eq(&lines(SHORT, &sent));
    let nothing = Filter {
        nodes: only(&["n9"]),
        ..Filter::default()
    };
    assert_eq!(lines(SHORT, &nothing), "");
}

#[test]
fn an_event_is_a_json_object_with_stable_names() {
    let (_, events) = listened(SHORT, "pubsub", 1);
    let capsule = recorded(SHORT, "pubsub", 1);
    let names = capsule.names();
    let shown = |kind: &str| {
        let event = events.iter().rfind(|event| kind_of(event) == kind).unwrap();
        names.json(event).to_string() + "\n"
    };
    expect![[r#"
        {"id":40,"at_us":2500000,"node":null,"cause":null,"event":"step","step":2,"healing":false,"action":"crash"}
        {"id":35,"at_us":2000000,"node":"n1","cause":30,"event":"sent","to":"n2","kind":"pubsub.requests","number":1,"channel":0,"bytes":11,"hops":1,"due_us":2002000,"entries":[{"node":"n1","children":["a"]}]}
        {"id":37,"at_us":2002000,"node":"n2","cause":35,"event":"delivered","from":"n1","kind":"pubsub.requests","number":1,"entries":[{"node":"n1","children":["a"]}]}
        {"id":38,"at_us":2002000,"node":"n2","cause":37,"event":"row","child":"a","before":{"nodes":[{"node":"n1","pid":"n1.1.1"}],"metadata":{"team":"blue"},"expires_us":null},"after":{"nodes":[],"metadata":{"team":"blue"},"expires_us":32002000}}
        {"id":33,"at_us":2000000,"node":"n1","cause":30,"event":"fact","child":"a","owner":"n1","incarnation":1,"seq":2,"change":"stopped","pid":"n1.1.1"}
        {"id":34,"at_us":2000000,"node":"n1","cause":30,"event":"answered","by":"n1","results":[{"child":"a","pid":"n1.1.1"}]}
    "#]].assert_eq(&["step", "sent", "delivered", "row", "fact", "answered"].map(shown).concat());
    let (_, events) = listened(STORY, "gossip", 7);
    for event in &events {
        let json = names.json(event);
        assert!(EVENT_KINDS.contains(&json["event"].as_str().unwrap()));
        assert_eq!(
            (json["id"].as_u64(), json["at_us"].as_u64()),
            (Some(event.id), Some(event.at.0))
        );
    }
}

#[test]
fn why_tells_how_a_row_came_and_went() {
    let mut capsule = recorded(SHORT, "pubsub", 1);
    expect![[r#"
        row of a at n2 at the end: nothing
        1.002s put there
          1s world step 0: start_children [e19]
          1s n1 sent pubsub.requests #0 to n2, 37 bytes, due 1.002s; n1: a [e25 <- e19]
          1.002s n2 got pubsub.requests #0 from n1; n1: a [e27 <- e25]
          1.002s n2 row a: nothing -> n1=n1.1.1 {team=blue} [e28 <- e27]
        2.002s emptied, a tombstone stays
          2s world step 1: stop_children [e30]
          2s n1 sent pubsub.requests #1 to n2, 11 bytes, due 2.002s; n1: a [e35 <- e30]
          2.002s n2 got pubsub.requests #1 from n1; n1: a [e37 <- e35]
          2.002s n2 row a: n1=n1.1.1 {team=blue} -> no entries {team=blue}, expires 32.002s [e38 <- e37]
        2.5s lost with the memory of the node
          2.5s world step 2: crash [e40]
          2.5s n2 crashed [e41 <- e40]"#]].assert_eq(&why(&mut capsule, "n2", "a", None).unwrap().to_string());
}

#[test]
fn why_can_look_at_an_earlier_instant() {
    let mut capsule = recorded(SHORT, "pubsub", 1);
    let found = why(&mut capsule, "n2", "a", Some(Time(1_500_000))).unwrap();
    assert_eq!(found.changes.len(), 1);
    assert!(found.row.is_some_and(|row| row.entries.len() == 1));
    assert!(matches!(
        why(&mut capsule, "n2", "b", None),
        Err(WhyError::UnknownChild(..))
    ));
    assert!(why(&mut capsule, "n9", "a", None).is_err());
}

#[test]
fn every_chain_of_why_begins_with_what_nothing_caused_or_with_a_timer_that_sets_itself() {
    let mut capsule = open(&CAPSULE.0).unwrap();
    let found = why(&mut capsule, "n3", "a", None).unwrap();
    assert!(!found.changes.is_empty());
    for change in &found.changes {
        let first = &change.chain[0];
        let sets_itself = matches!(first.payload, Payload::Timer(_));
        assert!(!change.cut && (first.cause == 0 || sets_itself), "{found}");
        assert!(
            change
                .chain
                .windows(2)
                .all(|pair| pair[1].cause == pair[0].id)
        );
    }
}
