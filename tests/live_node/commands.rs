//! What the commands say, and the numbers they end with.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;

use super::{HUBLAB, Node, cluster, ctl, until};

const QUICK: [&str; 4] = ["--join-debounce", "50ms", "--strategy", "pubsub"];

#[test]
fn children_are_started_found_watched_and_stopped_over_the_control_socket() {
    let place = tempfile::tempdir().expect("a directory");
    let nodes = cluster(place.path(), &["a", "b"], &QUICK);
    let mode = std::fs::metadata(&nodes[0].control)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    let started = nodes[0].ask(&["start", "w1", "w2", "--on", "b", "--metadata", "zone=north"]);
    assert_eq!(started.len(), 2);
    assert_eq!(started[0]["child"], "w1");
    assert_eq!(started[0]["node"], "b");
    let pid = started[0]["pid"]
        .as_str()
        .expect("it was started")
        .to_owned();
    until("a finds it", || nodes[0].ctl(&["lookup", "w1"]).1 == 0);
    let found = nodes[0].ask(&["lookup", "w1"]);
    assert_eq!(found[0]["entries"][0]["pid"], pid.as_str());
    assert_eq!(found[0]["metadata"]["zone"], "north");
    assert_eq!(nodes[0].registry(), ["w1 b", "w2 b"]);
    assert!(nodes[0].ctl(&["registry"]).0.contains("w2  sleep  b "));

    let watcher = Command::new(HUBLAB)
        .args(["ctl", "watch", "w1", "--format", "json", "--control"])
        .arg(&nodes[0].control)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("the program starts");
    sleep(Duration::from_millis(300));
    let stopped = nodes[0].ask(&["stop", "w1"]);
    assert_eq!(stopped[0]["pid"], pid.as_str());
    until("it is gone", || nodes[1].ctl(&["lookup", "w1"]).1 == 1);

    assert_eq!(
        nodes[0].ctl(&["stop", "w1"]).1,
        1,
        "nobody runs it any more"
    );
    let refused = nodes[0].ask(&["start", "x", "--kind", "fly"]);
    assert!(
        refused[0]["error"]
            .as_str()
            .expect("a reason")
            .contains("`fly`")
    );
    assert_eq!(nodes[0].ask(&["stats"])[0]["peers"], 1);

    let (said, code) = nodes[0].ctl(&["leave"]);
    assert_eq!(
        (said.trim(), code),
        ("left: told 1 peers, stopped 0 children", 0)
    );
    let seen = watcher.wait_with_output().expect("it ends with the node");
    let seen = String::from_utf8(seen.stdout).expect("it is text");
    assert!(seen.lines().count() == 2 && seen.contains(&pid), "{seen}");
    until("the socket is gone", || !nodes[0].control.exists());
    until("b is alone", || nodes[1].members() == 1);
}

#[test]
fn a_node_leaves_when_it_is_terminated_and_its_exit_code_is_0() {
    let place = tempfile::tempdir().expect("a directory");
    let mut nodes = cluster(place.path(), &["a", "b"], &QUICK);
    nodes[1].ctl(&["start", "w"]);
    until("a has it", || nodes[0].registry() == ["w b"]);
    for signal in [Signal::TERM, Signal::INT] {
        let mut node = nodes.pop().expect("one is left");
        node.signal(signal);
        assert_eq!(node.process.wait().expect("it ended").code(), Some(0));
        assert!(!node.control.exists());
        if let Some(other) = nodes.first() {
            until("the other knows", || {
                other.members() == 1 && other.registry().is_empty()
            });
        }
    }
}

#[test]
fn a_child_that_crashes_is_restarted_and_then_given_up() {
    let place = tempfile::tempdir().expect("a directory");
    let nodes = cluster(place.path(), &["a"], &QUICK);
    nodes[0].ask(&["start", "c", "--kind", "crash-after", "--arg", "after=50ms"]);
    until("it is given up", || nodes[0].registry().is_empty());
    assert_eq!(nodes[0].ask(&["stats"])[0]["restarts"], 3);
}

#[test]
fn a_new_secret_is_one_that_a_node_accepts_and_no_other_gets_in() {
    let place = tempfile::tempdir().expect("a directory");
    let secret = |name: &str| {
        let output = Command::new(HUBLAB)
            .args(["node", "--new-secret"])
            .output()
            .expect("it starts");
        assert!(output.status.success() && output.stdout.starts_with(b"hublab-secret-1-"));
        let path = place.path().join(name);
        std::fs::write(&path, output.stdout).expect("it can be written");
        path.display().to_string()
    };
    let (ours, theirs) = (secret("ours"), secret("theirs"));
    assert_ne!(
        std::fs::read(&ours).expect("it is there"),
        std::fs::read(&theirs).expect("it is there")
    );
    let with = |path: &str| {
        [&QUICK[..], &["--secret-file", path]]
            .concat()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let start = |name: &str, path: &str, peers: &[String]| {
        let more = with(path);
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        Node::start(place.path(), name, peers, &more)
    };
    let a = start("a", &ours, &[]);
    let b = start("b", &ours, std::slice::from_ref(&a.address));
    let stranger = start("s", &theirs, std::slice::from_ref(&a.address));
    until("b is in", || a.members() == 2 && b.members() == 2);
    until("the stranger was refused", || {
        let stats = a.ask(&["stats"]);
        stats[0]["refusals"]
            .as_object()
            .is_some_and(|refusals| !refusals.is_empty())
    });
    assert_eq!((a.members(), stranger.members()), (2, 1));
}

#[test]
fn what_cannot_be_done_is_told_with_exit_code_2() {
    let place = tempfile::tempdir().expect("a directory");
    let fails = |args: &[&str], reason: &str| {
        let output = Command::new(HUBLAB)
            .args(args)
            .output()
            .expect("the program starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(reason), "{args:?}: {said}");
    };
    fails(&["node", "--hub", "h"], "--name");
    fails(
        &["node", "--hub", "h", "--name", "a", "--strategy", "paxos"],
        "pubsub",
    );
    fails(
        &["node", "--hub", "h", "--name", "a", "--listen", "0.0.0.0:0"],
        "secret",
    );
    fails(
        &["node", "--hub", "h", "--name", "a", "--listen", "nonsense"],
        "nonsense",
    );
    fails(
        &["node", "--hub", "h", "--name", "a", "--set", "fanout=3"],
        "fanout",
    );
    fails(
        &["node", "--hub", "h", "--name", "a", "--set", "recipients=0"],
        "recipients",
    );
    fails(
        &[
            "node",
            "--hub",
            "h",
            "--name",
            "a",
            "--secret-file",
            "/nowhere",
        ],
        "/nowhere",
    );
    let short = place.path().join("short");
    std::fs::write(&short, "too short").expect("it can be written");
    let short = short.display().to_string();
    fails(
        &["node", "--hub", "h", "--name", "a", "--secret-file", &short],
        "32",
    );
    fails(&["ctl", "members"], "--control");
    let nobody = ctl(&place.path().join("nobody"), &["members"]);
    assert_eq!(nobody.status.code(), Some(2));
}

#[test]
fn secrets_are_replaced_while_nodes_run_and_a_second_socket_answers_questions_only() {
    let place = tempfile::tempdir().expect("a directory");
    let new_secret = || {
        let output = Command::new(HUBLAB).args(["node", "--new-secret"]).output();
        output.expect("it starts").stdout
    };
    let (first, second) = (place.path().join("first"), place.path().join("second"));
    let old = new_secret();
    for file in [&first, &second] {
        std::fs::write(file, &old).expect("it can be written");
    }
    let files = [first.display().to_string(), second.display().to_string()];
    let read_only = place.path().join("read.sock").display().to_string();
    let secrets = ["--secret-file", &files[0], "--secret-file", &files[1]];
    let more = [&QUICK[..], &secrets].concat();
    let a = Node::start(
        place.path(),
        "a",
        &[],
        &[&more[..], &["--control-read", &read_only]].concat(),
    );
    let peers = [a.address.clone()];
    let b = Node::start(place.path(), "b", &peers, &more);
    until("both are members", || a.members() == 2 && b.members() == 2);

    let new = new_secret();
    std::fs::write(&first, &new).expect("it can be written");
    for node in [&a, &b] {
        let told = node.ctl(&["secrets", "reload"]);
        assert_eq!(told, ("the node has 2 secrets now\n".to_owned(), 0));
    }
    // Who holds the new secret alone gets in; those who were there never went away.
    std::fs::write(&second, &new).expect("it can be written");
    let c = Node::start(place.path(), "c", &peers, &more);
    until("the newcomer is a member", || {
        c.members() == 3 && b.members() == 3
    });
    assert_eq!(a.ask(&["stats"])[0]["reconnects"], 0);
    std::fs::write(&first, "damaged").expect("it can be written");
    assert_eq!(a.ctl(&["secrets", "reload"]).1, 2);

    let asked = ctl(read_only.as_ref(), &["members"]);
    assert!(asked.status.success());
    for change in [
        &["start", "w"][..],
        &["stop", "w"],
        &["leave"],
        &["secrets", "reload"],
    ] {
        let refused = ctl(read_only.as_ref(), change);
        let reason = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(reason.contains("questions only"), "{change:?}: {reason}");
    }
}

#[test]
fn a_node_whose_log_nobody_reads_answers_and_leaves() {
    let place = tempfile::tempdir().expect("a directory");
    let control = place.path().join("a.sock");
    // Its log goes to a pipe that is never read.
    let mut node = Command::new(HUBLAB)
        .args(["node", "--hub", "test", "--name", "a", "--control"])
        .arg(&control)
        .env("HUBLAB_LOG", "trace")
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the program starts");
    until("it answers", || {
        ctl(&control, &["members"]).status.success()
    });
    for round in 0..20 {
        let prefix = format!("w{round}-");
        let started = ctl(&control, &["start", "--count", "200", "--prefix", &prefix]);
        assert!(started.status.success(), "round {round}");
    }
    let pid = rustix::process::Pid::from_child(&node);
    rustix::process::kill_process(pid, Signal::TERM).expect("it runs");
    let mut ended = None;
    until("it ends", || {
        sleep(Duration::from_millis(10));
        !control.exists()
    });
    for _ in 0..500 {
        ended = node.try_wait().expect("it is a child");
        if ended.is_some() {
            break;
        }
        sleep(Duration::from_millis(10));
    }
    drop(node.kill());
    assert_eq!(ended.and_then(|status| status.code()), Some(0));
}
