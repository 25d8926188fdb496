//! One program of assertions about `Hub` and `rt`, on three hubs on sockets and on three nodes of a run.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hublab::sim::watch::judge::Verdict;
use hublab::sim::{Scenario, Simulation};
use hublab::strategies::live::{
    ChildError, HubEvent, StartError, StartOptions, StopError, Tasks, WaitError,
};
use hublab::strategies::{ChildSpec, Hub, NodeId, PubSub, rt};

const SOON: Duration = Duration::from_secs(10);

/// What the assertions share of an outcome: an error says which did not hold.
type Checked = Result<(), String>;

fn check(holds: bool, what: &str) -> Checked {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// What the first node does; the others wait until it has left.
async fn program(hub: Hub) -> Checked {
    let hub = hub.with_timeout(SOON);
    check(
        hub.members().contains(hub.node()),
        "a node is a member of its view",
    )?;
    hub.joined().await.map_err(text)?;
    hub.wait_for_members(3).await.map_err(text)?;
    if hub.node().as_str() != "n1" {
        return others(hub).await;
    }
    waits(&hub).await?;
    tasks().await?;
    children(&hub).await?;
    events(&hub).await?;
    let report = hub.leave().await.map_err(text)?;
    check(report.flushed(), "everything was read")?;
    check(hub.is_stopped(), "it has left")?;
    let late = hub.start_child(ChildSpec::new("late", "worker")).await;
    check(
        matches!(late, Err(StartError::HubStopped(_))),
        "a hub that has stopped starts nothing",
    )?;
    hub.stopped().await;
    check(
        hub.events().next().await.is_none(),
        "its streams have ended",
    )
}

async fn others(hub: Hub) -> Checked {
    let first = NodeId::from("n1");
    hub.wait_until(|hub| hub.members().contains(&first))
        .await
        .map_err(text)?;
    let gone = hub.with_timeout(Duration::from_secs(60));
    gone.wait_until(|hub| !hub.members().contains(&first))
        .await
        .map_err(text)?;
    check(
        hub.registry()
            .all(|row| row.entries.iter().all(|entry| entry.node != first)),
        "nothing is left of a node that left",
    )?;
    // Both leave at their own time: what they say of each other is not looked at.
    rt::sleep(Duration::from_millis(200)).await;
    Ok(())
}

async fn waits(hub: &Hub) -> Checked {
    let begun = rt::Instant::now();
    rt::sleep(Duration::from_millis(20)).await;
    check(
        begun.elapsed() >= Duration::from_millis(20),
        "a sleep is not short",
    )?;
    rt::sleep_until(begun).await;
    let late = rt::timeout(Duration::from_millis(10), std::future::pending::<()>());
    check(late.await.is_err(), "nothing is ready: the time is over")?;
    check(
        rt::timeout(SOON, async { 1 }).await == Ok(1),
        "what is ready is in time",
    )?;
    let mut interval = rt::interval(Duration::from_millis(10));
    let first = interval.tick().await;
    let second = interval.tick().await;
    check(
        second - first == Duration::from_millis(10),
        "ticks are apart",
    )?;
    let short = hub.with_timeout(Duration::from_millis(20));
    let waited = short.wait_for_members(4).await;
    check(
        waited == Err(WaitError::TimedOut),
        "there is no fourth node",
    )?;
    let picked = rt::select! {
        () = std::future::ready(()) => 1,
        () = std::future::ready(()) => 2,
    };
    check(picked == 1, "the first branch is polled first")
}

async fn tasks() -> Checked {
    let task = rt::spawn(async {
        rt::sleep(Duration::from_millis(5)).await;
        7
    });
    check(task.await == Ok(7), "a task has a result")?;
    let task = rt::spawn(std::future::pending::<()>());
    check(!task.is_finished(), "it goes on")?;
    task.abort();
    let ended = task.await;
    check(
        ended.is_err_and(|error| error.is_cancelled()),
        "it was aborted",
    )?;
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let task = rt::spawn(receiver);
    check(sender.send("hello").is_ok(), "somebody listens")?;
    check(task.await == Ok(Ok("hello")), "channels work")
}

async fn children(hub: &Hub) -> Checked {
    let pid = hub
        .start_child(ChildSpec::new("a", "worker"))
        .await
        .map_err(text)?;
    let row = hub.lookup("a").ok_or("a child that was started is found")?;
    check(row.entries[0].pid == Some(pid), "with its pid")?;
    let on = StartOptions::default().on(["n3", "n2"]);
    let specs = ["b", "c"].map(|id| ChildSpec::new(id, "worker"));
    let outcomes = hub.start_children_with(specs, on).await.map_err(text)?;
    let order: Vec<_> = outcomes
        .iter()
        .map(|one| format!("{} {} {}", one.node, one.child, one.outcome.is_ok()))
        .collect();
    check(
        order == ["n3 b true", "n3 c true", "n2 b true", "n2 c true"],
        &format!("outcomes stand in the order of the request: {order:?}"),
    )?;
    hub.wait_until(|hub| hub.lookup("b").is_some_and(|row| row.entries.len() == 2))
        .await
        .map_err(text)?;
    let mut ids: Vec<_> = hub
        .registry()
        .map(|row| row.spec.id().to_string())
        .collect();
    ids.sort();
    check(ids == ["a", "b", "c"], "the registry has all rows")?;
    hub.stop_child("b").await.map_err(text)?;
    hub.wait_until(|hub| hub.lookup("b").is_none())
        .await
        .map_err(text)?;
    let unknown = hub.stop_child("nobody").await;
    check(unknown == Err(StopError::Unknown), "nobody runs it")?;
    let elsewhere = hub.stop_children_on(["c"], ["n1"]).await.map_err(text)?;
    check(
        matches!(elsewhere[0].outcome, Err(ChildError::Refused(_))),
        "it does not run there",
    )?;
    let strange = StartOptions::default().on(["nowhere"]);
    let outcomes = hub
        .start_children_with([ChildSpec::new("d", "worker")], strange)
        .await
        .map_err(text)?;
    check(
        outcomes[0].outcome == Err(ChildError::NotConnected),
        "there is no such node",
    )?;
    let large = hub
        .start_child(ChildSpec::new("x".repeat(2_000), "worker"))
        .await;
    check(
        matches!(large, Err(StartError::TooLarge(_))),
        "an id has a limit",
    )
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "it looks at the events of its child"
)]
async fn events(hub: &Hub) -> Checked {
    let mut all = hub.events();
    let mut one = hub.watch("e");
    hub.start_child(ChildSpec::new("e", "worker"))
        .await
        .map_err(text)?;
    hub.restart_child("e").await.map_err(text)?;
    hub.stop_child("e").await.map_err(text)?;
    let mut seen = Vec::new();
    while let Some(event) = all.next().await {
        let name = match event {
            HubEvent::Row { before: None, .. } => "found",
            HubEvent::Row { after: None, .. } => "gone",
            HubEvent::Row { .. } => "changed",
            HubEvent::ChildStarted { .. } => "started",
            HubEvent::ChildRestarted { .. } => "restarted",
            HubEvent::ChildEnded { .. } => "ended",
            _ => "other",
        };
        seen.push(name);
        if seen.contains(&"gone") && seen.contains(&"ended") {
            break;
        }
    }
    let has = |name: &str| seen.contains(&name);
    check(
        ["found", "started", "changed", "restarted", "gone", "ended"]
            .into_iter()
            .all(has),
        &format!("events tell what happened: {seen:?}"),
    )?;
    check(
        one.next()
            .await
            .is_some_and(|event| event.child().is_some_and(|id| id.as_str() == "e")),
        "a watch is about its child",
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sockets() {
    async fn start(name: &str, other: Option<&Hub>) -> Hub {
        let tasks = Tasks::new().with("worker", |_| std::future::pending::<()>());
        let hub = Hub::builder("conformance", name)
            .peers(other.map(|other| other.local_addr().to_string()))
            .strategy(PubSub::default())
            .supervisor(tasks)
            .join_debounce(Duration::from_millis(50))
            .start();
        hub.await.expect("it starts")
    }
    let first = start("n1", None).await;
    let others = [
        start("n2", Some(&first)).await,
        start("n3", Some(&first)).await,
    ];
    let hubs = [first].into_iter().chain(others);
    let tasks: Vec<_> = hubs.map(|hub| rt::spawn(program(hub))).collect();
    for task in tasks {
        assert_eq!(task.await.expect("no panic"), Ok(()));
    }
}

#[test]
fn in_a_run() {
    static DONE: AtomicUsize = AtomicUsize::new(0);
    let catalog = hublab::Catalog::default().with_program("conformance", |hub| async {
        program(hub).await?;
        DONE.fetch_add(1, Ordering::Relaxed);
        Ok::<(), String>(())
    });
    let text = "schema = 1\n[run]\nduration = '60s'\n[cluster]\nnodes = 3\njoin_debounce = '50ms'\n\
                program = 'conformance'\n[[expect]]\nalways = 'program'\n";
    let scenario = Scenario::read("conformance.toml", text.as_bytes(), &catalog)
        .unwrap_or_else(|problems| panic!("{problems:?}"));
    for seed in 0..50 {
        let run = Simulation::new(&scenario, &catalog).strategy("pubsub");
        let report = run.and_then(|run| run.seed(seed).run()).expect("a run");
        assert_eq!(report.verdict, Verdict::Pass, "seed {seed}: {report:#?}");
    }
    assert_eq!(
        DONE.load(Ordering::Relaxed),
        150,
        "every program came to its end"
    );
}
