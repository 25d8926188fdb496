//! Files of a size that once took more than its share of time: reading, running and judging.

use std::fmt::Write as _;

use hublab_sim::catalog::Catalog;
use hublab_sim::run::Simulation;
use hublab_sim::scenario::Scenario;

use crate::table::{Table, least_us};

pub(crate) fn measure(table: &mut Table) {
    for (nodes, limit) in [(200, 0.3), (400, 1.2)] {
        row(table, &format!("one child on {nodes} nodes"), limit, || {
            replicas(nodes)
        });
    }
    for (nodes, limit) in [(200, 1.0), (300, 2.0), (400, 4.0)] {
        row(
            table,
            &format!("half of {nodes} nodes paused"),
            limit,
            || pause(nodes),
        );
    }
    for (count, limit) in [(100, 1.0), (400, 1.0)] {
        row(table, &format!("{count} cuts at 200 nodes"), limit, || {
            cuts(count)
        });
    }
    for (count, limit) in [(1_000, 0.6), (8_000, 0.6)] {
        row(
            table,
            &format!("{count} claims at one instant"),
            limit,
            || claims(count),
        );
    }
}

fn row(table: &mut Table, what: &str, limit: f64, text: impl Fn() -> String) {
    let name = format!("size: {what}");
    if !table.wants(&name) {
        return;
    }
    let text = text();
    let time = least_us(3, || {
        let catalog = Catalog::default();
        let read = Scenario::read("size.toml", text.as_bytes(), &catalog);
        let scenario = read.expect("a valid scenario");
        let run = Simulation::new(&scenario, &catalog).strategy("pubsub");
        let run = run.and_then(|run| run.seed(1).run());
        run.expect("a known strategy");
    });
    table.at_most(&name, time / 1e6, limit, "s");
}

/// One child on every node.
fn replicas(nodes: u32) -> String {
    format!(
        "schema = 1\n[run]\nduration = \"3s\"\n[cluster]\nnodes = {nodes}\ndiscovery_interval = \"1h\"\n\
         [strategy.pubsub]\nsync_interval = \"1h\"\n\
         [[step]]\nat = \"1s\"\nstart_children = {{ on = \"n1\", ids = [\"a\"], replicas = [\"n2..n{nodes}\"] }}\n\
         [[expect]]\nmetric = {{ name = \"events\", min = 1 }}\n"
    )
}

/// A pause of one half, which goes silent for the other with messages on their way.
fn pause(nodes: u32) -> String {
    format!(
        "schema = 1\n[run]\nduration = \"8s\"\n[cluster]\nnodes = {nodes}\ndiscovery_interval = \"1s\"\n\
         down_after = \"5s\"\ndown_spread = 0.0\n[strategy.pubsub]\nsync_interval = \"1h\"\n\
         [[step]]\nat = \"1500ms\"\npause = {{ nodes = [\"n1..n{}\"] }}\n\
         [[expect]]\nmetric = {{ name = \"events\", min = 1 }}\n",
        nodes / 2
    )
}

/// Cuts that are never mended, one after another.
fn cuts(count: u32) -> String {
    let mut text = String::from(
        "schema = 1\n[run]\nduration = \"8s\"\n[cluster]\nnodes = 200\ndiscovery_interval = \"1h\"\n\
         [strategy.pubsub]\nsync_interval = \"1h\"\n[[expect]]\nmetric = { name = \"events\", min = 1 }\n",
    );
    for number in 0..count {
        let (at, from) = (2_000 + number * 5, number % 200);
        let to = (from + 1 + number / 200) % 200;
        let _ = writeln!(
            text,
            "[[step]]\nat = \"{at}ms\"\ncut = {{ from = [\"n{}\"], to = [\"n{}\"] }}",
            from + 1,
            to + 1
        );
    }
    text
}

/// Claims about an early instant of a run with many more.
fn claims(count: u32) -> String {
    let mut text = String::from(
        "schema = 1\n[run]\nduration = \"120s\"\n[cluster]\nnodes = 10\n\
         [[step]]\nat = \"500ms\"\nstart_children = { on = \"n1\", ids = [\"a\"] }\n",
    );
    for number in 0..count {
        let on = number % 10 + 1;
        let _ = writeln!(
            text,
            "[[expect]]\nat = \"1s\"\nregistry = {{ on = \"n{on}\", has = [\"a\"] }}"
        );
    }
    text
}
