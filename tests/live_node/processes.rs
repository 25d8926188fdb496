//! Processes that are killed, stopped and continued; what the simulator predicts, on sockets.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;

use super::{Node, cluster, until};

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// Detection and rounds are quick, so that a round of the test is.
const QUICK: [&str; 10] = [
    "--discovery-interval",
    "500ms",
    "--join-debounce",
    "50ms",
    "--down-after",
    "1s",
    "--strategy",
    "pubsub",
    "--set",
    "sync_interval=500ms",
];

/// More rounds with `HUBLAB_SEEDS=20`.
fn rounds() -> usize {
    let asked = std::env::var("HUBLAB_SEEDS")
        .ok()
        .and_then(|text| text.parse().ok());
    asked.unwrap_or(1).clamp(1, 20)
}

/// What a process holds: file descriptors, and resident memory in KiB.
fn holdings(node: &Node) -> (usize, u64) {
    let of = Path::new("/proc").join(node.process.id().to_string());
    let descriptors = std::fs::read_dir(of.join("fd")).expect("it runs").count();
    let status = std::fs::read_to_string(of.join("status")).expect("it runs");
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .expect("a line");
    let resident = resident
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("a number");
    (descriptors, resident)
}

/// Two are killed; one of them comes back and runs a child; another is stopped for longer than
/// `down_after`. Then everyone agrees with the truth.
fn round(place: &Path, nodes: &mut Vec<Node>, number: usize) {
    let killed: Vec<Node> = nodes.drain(3..).collect();
    killed.into_iter().for_each(Node::kill);
    until("the survivors report them down", || {
        nodes.iter().all(|node| node.members() == 3)
    });
    let peers: Vec<String> = nodes.iter().map(|node| node.address.clone()).collect();
    nodes.push(Node::start(place, "d", &peers, &QUICK));
    let fresh = format!("fresh-{number}");
    assert_eq!(nodes[3].ctl(&["start", &fresh]).1, 0);

    nodes[1].signal(Signal::STOP);
    let others = [0, 2, 3];
    until("it is down for the others", || {
        others.iter().all(|at| nodes[*at].members() == 3)
    });
    nodes[1].signal(Signal::CONT);

    let mut truth: Vec<String> = (1..=1_000)
        .map(|child| format!("w-{child} {}", NAMES[child % 3]))
        .collect();
    truth.push(format!("{fresh} d"));
    truth.sort();
    until("all agree with the truth", || {
        nodes.iter().all(|node| node.registry() == truth)
    });

    nodes[3].ctl(&["stop", &fresh]);
    nodes.push(Node::start(place, "e", &peers, &QUICK));
    until("all five are back", || {
        nodes.iter().all(|node| node.members() == 5)
    });
}

#[test]
fn five_processes_agree_with_the_truth_after_kills_and_a_stop_and_leak_nothing() {
    let place = tempfile::tempdir().expect("a directory");
    let mut nodes = cluster(place.path(), &NAMES, &QUICK);
    for (at, node) in NAMES.iter().take(3).enumerate() {
        let names: Vec<String> = (1..=1_000)
            .filter(|child| child % 3 == at)
            .map(|child| format!("w-{child}"))
            .collect();
        let mut command = vec!["start", "--on", node];
        command.extend(names.iter().map(String::as_str));
        assert_eq!(nodes[0].ctl(&command).1, 0);
    }
    until("everyone has all", || {
        nodes.iter().all(|node| node.registry().len() == 1_000)
    });
    round(place.path(), &mut nodes, 0);
    let before: Vec<_> = nodes.iter().take(3).map(holdings).collect();
    for number in 1..rounds() {
        round(place.path(), &mut nodes, number);
    }
    until("nothing is left over", || {
        nodes
            .iter()
            .take(3)
            .zip(&before)
            .all(|(node, (descriptors, resident))| {
                let (now, memory) = holdings(node);
                now <= descriptors + 4 && memory <= resident + 8_192
            })
    });
}

#[test]
fn a_restart_inside_the_debounce_leaves_the_ghosts_that_a8_and_m1_predict() {
    let place = tempfile::tempdir().expect("a directory");
    let slow = [
        "--join-debounce",
        "1500ms",
        "--discovery-interval",
        "4s",
        "--strategy",
        "pubsub",
        "--set",
        "sync_interval=500ms",
    ];
    let mut nodes = cluster(place.path(), &["a", "b"], &slow);
    nodes[1].ctl(&["start", "ghost"]);
    until("a knows it", || nodes[0].registry() == ["ghost b"]);
    let peers = [nodes[0].address.clone()];
    nodes.pop().expect("b").kill();
    nodes.push(Node::start(place.path(), "b", &peers, &slow));
    until("b is back", || nodes[1].members() == 2);

    // M1: a never took b out of its view, so nobody told b's peers anything. A8: b hosts nothing and
    // is silent about it. Three times the debounce and nine rounds later the ghost is still there.
    sleep(Duration::from_millis(4_500));
    assert_eq!(nodes[0].registry(), ["ghost b"]);
    assert_eq!(nodes[0].members(), 2);

    // Once b hosts anything, its rounds say what it does not host.
    nodes[1].ctl(&["start", "real"]);
    until("the ghost is laid", || {
        nodes.iter().all(|node| node.registry() == ["real b"])
    });
}
