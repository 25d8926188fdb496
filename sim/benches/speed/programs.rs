//! Benchmarks of programs: the time of a run with five of them, and of a program whose node is idle.

use std::time::Duration;

use hublab_sim::catalog::Catalog;
use hublab_sim::run::Simulation;
use hublab_sim::scenario::Scenario;
use hublab_strategies::live::{Hub, WaitError};
use hublab_strategies::{ChildSpec, rt};

use crate::table::{Table, float, least_us};

/// Starts a child every 100 ms and stops it again.
async fn busy(hub: Hub) -> Result<(), WaitError> {
    hub.wait_for_members(5).await?;
    for number in 0.. {
        rt::sleep(Duration::from_millis(100)).await;
        let id = format!("{}-{number}", hub.node());
        let started = hub.start_child(ChildSpec::new(id.as_str(), "worker")).await;
        rt::always!(started.is_ok(), "a child is started");
        rt::always!(hub.lookup(&id).is_some(), "it is found");
        drop(hub.stop_child(id.as_str()).await);
    }
    Ok(())
}

/// Waits for what never comes, and hears of nothing meanwhile.
async fn idle(hub: Hub) -> Result<(), WaitError> {
    rt::sleep(Duration::from_secs(100_000)).await;
    drop(hub);
    Ok(())
}

/// The least processor time of five runs in microseconds, and their events.
fn timed(text: &str) -> (f64, u64) {
    let catalog = Catalog::default()
        .with_program("busy", busy)
        .with_program("idle", idle);
    let scenario = Scenario::read("bench.toml", text.as_bytes(), &catalog).expect("a scenario");
    let mut events = 0;
    let time = least_us(5, || {
        let run = Simulation::new(&scenario, &catalog).strategy("pubsub");
        let run = run.and_then(|run| run.seed(1).unmeasured().run());
        events = run.expect("a known strategy").events;
    });
    (time, events)
}

pub(crate) fn measure(table: &mut Table) {
    if !table.wants("programs") {
        return;
    }
    let text = |program: &str| {
        format!(
            "schema = 1\n[run]\nduration = \"20s\"\n[cluster]\nnodes = 5\nprogram = \"{program}\"\n\
             [[expect]]\nalways = \"program\"\n"
        )
    };
    let (time, events) = timed(&text("busy"));
    table.note("programs: events of a run with five", float(events), "");
    let each = time / 1e3 / float(events) * 10_000.0;
    table.at_most(
        "programs: 10,000 events with five of them",
        each,
        50.0,
        "ms",
    );
    // Ten nodes whose script keeps them busy, without a program and with one that waits.
    let mut text = String::from("schema = 1\n[run]\nduration = \"120s\"\n[cluster]\nnodes = 10\n");
    let plain = text.clone();
    text.push_str("program = \"idle\"\n");
    let steps: String = (0..5_000)
        .map(|step| {
            let (node, at) = (step % 10 + 1, 1_000 + step * 20);
            format!(
                "[[step]]\nat = \"{at}ms\"\nstart_children = {{ on = \"n{node}\", ids = [\"c{step}\"] }}\n"
            )
        })
        .collect();
    let expect = "[[expect]]\nmetric = { name = \"events\", min = 1 }\n";
    let (without, events) = timed(&format!("{plain}{expect}{steps}"));
    let (with, _) = timed(&format!("{text}{expect}{steps}"));
    table.at_most(
        "programs: an idle one, per event",
        (with - without) / float(events),
        1.0,
        "us",
    );
}
