//! Nodes as processes: `hublab node`, spoken to by `hublab ctl`.

mod commands;
mod processes;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const HUBLAB: &str = env!("CARGO_BIN_EXE_hublab");

/// A node that runs. It is killed at the latest when this is dropped.
struct Node {
    process: Child,
    address: String,
    control: PathBuf,
}

impl Node {
    /// Starts a node of the cluster `test` in a directory, and waits until it listens.
    fn start(place: &Path, name: &str, peers: &[String], more: &[&str]) -> Self {
        let control = place.join(format!("{name}.sock"));
        let mut command = Command::new(HUBLAB);
        command.args([
            "node",
            "--hub",
            "test",
            "--name",
            name,
            "--listen",
            "127.0.0.1:0",
        ]);
        command.arg("--control").arg(&control);
        for peer in peers {
            command.args(["--peer", peer]);
        }
        let mut process = command
            .args(more)
            .env("HUBLAB_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stdout = process.stdout.take().expect("it is piped");
        let mut line = String::new();
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("it is text");
        let address = line
            .trim()
            .rsplit(' ')
            .next()
            .unwrap_or_default()
            .to_owned();
        assert!(line.contains("listens on"), "{line}");
        Self {
            process,
            address,
            control,
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.process);
        kill_process(pid, signal).expect("it runs");
    }

    fn kill(mut self) {
        self.signal(Signal::KILL);
        self.process.wait().expect("it ended");
    }

    /// Runs `ctl`; its output and exit code.
    fn ctl(&self, args: &[&str]) -> (String, i32) {
        let output = ctl(&self.control, args);
        let text = String::from_utf8(output.stdout).expect("it is text");
        (text, output.status.code().expect("it was not killed"))
    }

    /// Runs `ctl --format json`; its lines.
    fn ask(&self, args: &[&str]) -> Vec<Value> {
        let args = [args, &["--format", "json"]].concat();
        let (text, _) = self.ctl(&args);
        text.lines()
            .map(|line| serde_json::from_str(line).expect(line))
            .collect()
    }

    fn members(&self) -> usize {
        self.ask(&["members"])[0]["members"]
            .as_array()
            .map_or(0, Vec::len)
    }

    /// What it believes to run where: `child node` in order.
    fn registry(&self) -> Vec<String> {
        let rows = self.ask(&["registry"]);
        let mut places: Vec<String> = rows
            .iter()
            .flat_map(|row| {
                let entries = row["entries"].as_array().cloned().unwrap_or_default();
                let child = row["child"].as_str().unwrap_or_default().to_owned();
                entries.into_iter().map(move |entry| {
                    format!("{child} {}", entry["node"].as_str().unwrap_or_default())
                })
            })
            .collect();
        places.sort();
        places
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn ctl(control: &Path, args: &[&str]) -> Output {
    Command::new(HUBLAB)
        .arg("ctl")
        .arg("--control")
        .arg(control)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("the program starts")
}

/// Nodes of these names, all members of one another's views.
fn cluster(place: &Path, names: &[&str], more: &[&str]) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    for name in names {
        let peers: Vec<String> = nodes
            .first()
            .map(|first| first.address.clone())
            .into_iter()
            .collect();
        nodes.push(Node::start(place, name, &peers, more));
    }
    until("everyone is a member", || {
        nodes.iter().all(|node| node.members() == names.len())
    });
    nodes
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(30), "never: {what}");
        sleep(Duration::from_millis(20));
    }
}
