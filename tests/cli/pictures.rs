//! Pictures of a run: what they hold is compared with the trace that they are made of.

use std::collections::BTreeMap;

use serde_json::Value;

use super::*;

/// A run with losses, a cut and duplicated messages.
const FILE: &str = "schema = 1\n[run]\nduration = '40s'\n[cluster]\nnodes = 3\n\
    [network]\nloss = 0.2\nduplicate = 0.1\n\
    [[step]]\nat = '3s'\nstart_children = { on = 'n1', ids = ['a'] }\n\
    [[step]]\nat = '12s'\npause = { nodes = ['n3'] }\n\
    [[step]]\nat = '14s'\nresume = { nodes = ['n3'] }\n\
    [[step]]\nat = '20s'\ncrash = { nodes = ['n2'] }\n\
    [[expect]]\nalways = 'no_crash'\n";

struct Capsule {
    _directory: tempfile::TempDir,
    path: String,
    events: Vec<Value>,
}

fn capsule() -> Capsule {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("drawn.toml");
    fs::write(&file, FILE).expect("files can be written");
    let out = directory.path().join("out");
    let run = [
        "run",
        text(&file),
        "--strategy",
        "pubsub",
        "--seed",
        "7",
        "--out",
        text(&out),
    ];
    hublab(&run).expect(0);
    let path = text(&out.join("drawn-pubsub-7.capsule")).to_owned();
    let events = hublab(&["trace", &path, "--format", "ndjson"])
        .expect(0)
        .json();
    Capsule {
        _directory: directory,
        path,
        events,
    }
}

fn count(events: &[Value], kind: &str) -> usize {
    events.iter().filter(|event| event["event"] == kind).count()
}

/// The titles in a picture.
fn titles(svg: &str) -> Vec<&str> {
    let titles = svg.split("<title>").skip(1);
    titles
        .filter_map(|rest| rest.split("</title>").next())
        .collect()
}

#[test]
fn the_diagram_has_a_line_per_message_a_cross_per_loss_and_a_box_per_silent_stretch() {
    let capsule = capsule();
    let svg = hublab(&["trace", &capsule.path, "--format", "svg"])
        .expect(0)
        .out;
    let titles = titles(&svg);
    let events = &capsule.events;
    let messages = titles
        .iter()
        .filter(|title| title.contains(", sent at "))
        .count();
    assert!(count(events, "duplicated") > 0 && count(events, "dropped") > 0);
    assert_eq!(
        messages,
        count(events, "sent") + count(events, "duplicated")
    );
    let lost = titles
        .iter()
        .filter(|title| title.contains("lost at "))
        .count();
    assert_eq!(lost, count(events, "dropped"));
    let rows = titles
        .iter()
        .filter(|title| title.contains(" row of "))
        .count();
    assert_eq!(rows, count(events, "row"));
    assert!(
        titles.contains(&"paused") && titles.contains(&"down"),
        "{titles:?}"
    );

    let part = hublab(&[
        "trace",
        &capsule.path,
        "--format",
        "svg",
        "--kind",
        "pubsub.requests",
        "--to",
        "10s",
    ]);
    let part = part.expect(0).out;
    assert!(part.contains("pubsub.requests") && !part.contains("hub.discovery"));
    assert!(part.len() < svg.len());
}

#[test]
fn shiviz_clocks_count_up_by_one_and_know_what_the_sender_of_a_message_knew() {
    let capsule = capsule();
    let log = hublab(&["trace", &capsule.path, "--format", "shiviz"])
        .expect(0)
        .out;
    let lines: Vec<&str> = log.lines().collect();
    let mut own: BTreeMap<String, u64> = BTreeMap::new();
    let mut clock_of: BTreeMap<u64, BTreeMap<String, u64>> = BTreeMap::new();
    let mut compared = 0;
    for pair in lines.chunks(2) {
        let (event, (host, clock)) = (pair[0], pair[1].split_once(' ').unwrap());
        let clock: BTreeMap<String, u64> = serde_json::from_str(clock).unwrap();
        let known = own.entry(host.to_owned()).or_default();
        *known += 1;
        assert_eq!(clock[host], *known, "{event}");
        let ids = event.rsplit_once("[e").unwrap().1.trim_end_matches(']');
        let (id, cause) = ids.split_once(" <- e").unwrap_or((ids, "0"));
        let cause: u64 = cause.parse().unwrap();
        if let (Some(before), true) = (clock_of.get(&cause), event.contains(" got ")) {
            for (host, count) in before {
                assert!(
                    clock[host] >= *count,
                    "{event} does not know {host} {count}"
                );
            }
            compared += 1;
        }
        clock_of.insert(id.parse().unwrap(), clock);
    }
    assert_eq!(lines.len() % 2, 0);
    assert_eq!(compared, count(&capsule.events, "delivered"));
}

/// A message of protocol buffers: numbers and bytes by field.
#[derive(Debug)]
enum Field {
    Number(u64),
    Bytes(Vec<u8>),
}

fn fields(mut bytes: &[u8]) -> Vec<(u64, Field)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for place in 0.. {
            let (first, rest) = bytes.split_first().expect("a whole number");
            *bytes = rest;
            value |= u64::from(first & 0x7f) << (7 * place);
            if first & 0x80 == 0 {
                break;
            }
        }
        value
    }
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let field = match tag & 7 {
            0 => Field::Number(varint(&mut bytes)),
            1 => {
                let (fixed, rest) = bytes.split_at(8);
                bytes = rest;
                Field::Number(u64::from_le_bytes(fixed.try_into().expect("eight bytes")))
            }
            2 => {
                let long = usize::try_from(varint(&mut bytes)).expect("a length");
                let (inner, rest) = bytes.split_at(long);
                bytes = rest;
                Field::Bytes(inner.to_vec())
            }
            other => panic!("wire type {other}"),
        };
        all.push((tag >> 3, field));
    }
    all
}

fn number(fields: &[(u64, Field)], wanted: u64) -> Option<u64> {
    fields.iter().find_map(|(field, value)| match value {
        Field::Number(value) if *field == wanted => Some(*value),
        Field::Number(_) | Field::Bytes(_) => None,
    })
}

fn inner(fields: &[(u64, Field)], wanted: u64) -> Option<&[u8]> {
    fields.iter().find_map(|(field, value)| match value {
        Field::Bytes(value) if *field == wanted => Some(value.as_slice()),
        Field::Number(_) | Field::Bytes(_) => None,
    })
}

#[test]
fn the_perfetto_file_has_a_track_per_node_balanced_slices_and_a_flow_per_delivery() {
    let capsule = capsule();
    let output = program()
        .args(["trace", &capsule.path, "--format", "perfetto"])
        .output()
        .unwrap();
    assert!(output.status.success());
    let mut names: BTreeMap<u64, String> = BTreeMap::new();
    let (mut depth, mut last) = (BTreeMap::<u64, i64>::new(), 0);
    let (mut flows, mut ends) = (Vec::new(), Vec::new());
    for (field, packet) in fields(&output.stdout) {
        let Field::Bytes(packet) = packet else {
            panic!("a trace has packets only");
        };
        assert_eq!(field, 1);
        let packet = fields(&packet);
        assert_eq!(number(&packet, 10), Some(1), "one sequence");
        if let Some(track) = inner(&packet, 60) {
            let track = fields(track);
            let name = String::from_utf8(inner(&track, 2).unwrap().to_vec()).unwrap();
            assert!(names.insert(number(&track, 1).unwrap(), name).is_none());
            continue;
        }
        let at = number(&packet, 8).unwrap();
        assert!(at >= last, "in the order of time");
        last = at;
        let event = fields(inner(&packet, 11).unwrap());
        let track = number(&event, 11).unwrap();
        assert!(names.contains_key(&track));
        let depth = depth.entry(track).or_default();
        match number(&event, 9).unwrap() {
            1 => *depth += 1,
            2 => *depth -= 1,
            _ => {}
        }
        assert!((0..=1).contains(depth));
        flows.extend(number(&event, 47));
        ends.extend(number(&event, 48));
    }
    assert!(depth.values().all(|depth| *depth == 0), "every slice ends");
    let names: Vec<&String> = names.values().collect();
    for node in ["n1", "n2", "n3", "script"] {
        assert!(names.iter().any(|name| *name == node), "{names:?}");
    }
    assert_eq!(flows.len(), count(&capsule.events, "sent"));
    let ended = count(&capsule.events, "delivered") + count(&capsule.events, "dropped");
    assert_eq!(ends.len(), ended);
    assert!(ends.iter().all(|end| flows.contains(end)));
}

#[test]
fn the_graph_of_an_event_has_its_causes_and_effects_and_an_unknown_event_is_told() {
    let capsule = capsule();
    let is_row = |event: &&Value| event["event"] == "row" && event["node"] != "n1";
    let row = capsule
        .events
        .iter()
        .find(is_row)
        .expect("a row that a message brought");
    let (id, cause) = (row["id"].as_u64().unwrap(), row["cause"].as_u64().unwrap());
    let wanted = format!("e{id}");
    let graph = hublab(&[
        "trace",
        &capsule.path,
        "--format",
        "dot",
        "--event",
        &wanted,
    ]);
    let graph = graph.expect(0).out;
    assert!(graph.starts_with("digraph") && graph.contains(&format!("e{cause} -> e{id};")));
    assert!(
        graph.contains("start_children"),
        "down to the step:\n{graph}"
    );

    let beyond = hublab(&[
        "trace",
        &capsule.path,
        "--format",
        "dot",
        "--event",
        "e999999",
    ]);
    let beyond = beyond.expect(2);
    assert!(
        beyond
            .err
            .contains("no event e999999: the trace has e1 to e"),
        "{}",
        beyond.err
    );
    let without = hublab(&["trace", &capsule.path, "--format", "dot"]).expect(2);
    assert!(without.err.contains("--event"), "{}", without.err);
    let wrong = hublab(&["trace", &capsule.path, "--format", "dot", "--event", "row"]).expect(2);
    assert!(wrong.err.contains("e17"), "{}", wrong.err);
}

#[test]
fn show_prints_the_run_again_and_its_scenario_runs() {
    let capsule = capsule();
    let shown = hublab(&["show", &capsule.path]).expect(0);
    assert!(
        shown.out.contains("PASS") && shown.out.contains("made by hublab "),
        "{}",
        shown.out
    );
    let json = hublab(&["show", &capsule.path, "--format", "json"])
        .expect(0)
        .json();
    assert_eq!(json.len(), 1);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("drawn.toml");
    let scenario = hublab(&["show", &capsule.path, "--scenario"]).expect(0).out;
    fs::write(&file, scenario).unwrap();
    let again = hublab(&[
        "run",
        text(&file),
        "--strategy",
        "pubsub",
        "--format",
        "json",
    ]);
    assert_eq!(again.expect(0).json()[0]["digest"], json[0]["digest"]);
    hublab(&["show", "README.md"]).expect(2);
}
