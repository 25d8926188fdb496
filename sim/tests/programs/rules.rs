//! What a program may rely on in a run.

use std::convert::Infallible;
use std::time::Duration;

use hublab_strategies::live::{Hub, HubStopped, StartOptions, WaitError};
use hublab_strategies::{ChildSpec, rt};

use super::{found, run_on};

const MS: Duration = Duration::from_millis(1);
const US: Duration = Duration::from_micros(1);

#[test]
fn sleeps_are_exact_to_the_microsecond_and_time_stands_still_between_them() {
    async fn program(_: Hub) -> Result<(), Infallible> {
        let begun = rt::Instant::now();
        for us in [1, 7, 1_000, 123_457] {
            let before = rt::Instant::now();
            rt::sleep(US * us).await;
            rt::always!(before.elapsed() == US * us, "a sleep is exact", "{us}");
        }
        rt::sleep_until(begun + MS * 200).await;
        rt::always!(begun.elapsed() == MS * 200, "a sleep until is exact");
        let mut interval = rt::interval(MS * 10);
        for _ in 0..5 {
            interval.tick().await;
        }
        rt::always!(begun.elapsed() == MS * 240, "ticks are exact");
        let late = rt::timeout(MS * 3, std::future::pending::<()>()).await;
        rt::always!(
            late.is_err() && begun.elapsed() == MS * 243,
            "a timeout is exact"
        );
        let soon = rt::timeout(MS * 3, async { 7 }).await;
        rt::always!(soon == Ok(7), "what is ready is not too late");
        rt::sometimes!(true, "the end");
        std::future::pending().await
    }
    let (report, notes) = run_on(1, "", 1, program);
    assert_eq!(found(&report), [], "{report:#?}");
    assert_eq!(notes[..1], ["0.243s n1 the end"]);
}

#[test]
fn a_program_starts_finds_and_stops_children_on_all_nodes() {
    async fn program(hub: Hub) -> Result<(), String> {
        hub.wait_for_members(3).await.map_err(|it| it.to_string())?;
        if hub.node().as_str() != "n1" {
            hub.wait_until(|hub| hub.lookup("b").is_some())
                .await
                .map_err(|it| it.to_string())?;
            rt::sometimes!(true, "others find it");
            return std::future::pending().await;
        }
        let pid = hub.start_child(ChildSpec::new("a", "worker")).await;
        let pid = pid.map_err(|it| it.to_string())?;
        let row = hub.lookup("a").ok_or("not found")?;
        rt::always!(row.entries[0].pid == Some(pid), "a look-up finds the pid");
        let on = StartOptions::default().on(["n2", "n3"]);
        let specs = [ChildSpec::new("c", "worker"), ChildSpec::new("b", "worker")];
        let outcomes = hub
            .start_children_with(specs, on)
            .await
            .map_err(|it| it.to_string())?;
        rt::always!(
            outcomes.iter().all(|it| it.outcome.is_ok()),
            "all are started"
        );
        rt::sleep(MS * 100).await;
        let ids: Vec<_> = hub.registry().map(|row| row.spec.id().clone()).collect();
        rt::always!(
            ids == ["a".into(), "b".into(), "c".into()],
            "rows are in order"
        );
        hub.stop_child("b").await.map_err(|it| it.to_string())?;
        rt::sleep(MS * 100).await;
        rt::always!(hub.lookup("b").is_none(), "what was stopped is gone");
        rt::always!(hub.stop_child("x").await.is_err(), "nobody runs it");
        rt::sometimes!(true, "the end");
        std::future::pending().await
    }
    let (report, notes) = run_on(3, "", 3, program);
    assert_eq!(found(&report), [], "{report:#?}");
    let count = |text: &str| notes.iter().filter(|note| note.ends_with(text)).count();
    assert_eq!(
        (count("others find it"), count("the end")),
        (2, 1),
        "{notes:#?}"
    );
}

#[test]
fn a_program_that_ends_leaves_and_one_that_fails_or_panics_is_a_crash_and_a_violation() {
    async fn program(hub: Hub) -> Result<(), &'static str> {
        rt::sleep(MS * 1_000).await;
        match hub.node().as_str() {
            "n1" => Ok(()),
            "n2" => Err("no luck"),
            "n3" => panic!("out of order"),
            _ => std::future::pending().await,
        }
    }
    let (report, notes) = run_on(4, "", 1, program);
    let expected = [("n2", "failed"), ("n3", "panicked")];
    let expected = expected.map(|(node, what)| (node.to_owned(), what.to_owned()));
    assert_eq!(found(&report), expected, "{report:#?}");
    assert!(report.violations.iter().all(|one| one.event.is_some()));
    let mut notes = notes;
    notes.sort();
    let expected = [
        "1s n1 Leave",
        "1s n1 program.leave",
        "1s n2 Crash",
        "1s n2 program.failed: no luck",
        "1s n3 Crash",
        "1s n3 program.panicked: out of order",
    ];
    assert_eq!(&notes[..6], expected, "{notes:#?}");
    assert_eq!(notes.len(), 7, "{notes:#?}");
    assert!(notes[6].starts_with("30s n4 program.stuck: the program `program`"));
}

#[test]
fn after_leaving_a_program_goes_on_without_its_hub() {
    async fn program(hub: Hub) -> Result<(), HubStopped> {
        rt::sleep(MS * 1_000).await;
        if hub.node().as_str() == "n1" {
            let report = hub.leave().await?;
            rt::always!(report.flushed() && hub.is_stopped(), "it has left");
            rt::always!(hub.leave().await.is_err(), "nobody leaves twice");
            rt::sleep(MS * 500).await;
            rt::sometimes!(true, "goes on");
            return Ok(());
        }
        hub.stopped().await;
        Ok(())
    }
    let (report, notes) = run_on(2, "", 1, program);
    assert_eq!(found(&report), [], "{report:#?}");
    assert!(notes.contains(&"1.5s n1 goes on".to_owned()), "{notes:#?}");
}

#[test]
fn a_crash_drops_the_program_and_a_restart_runs_it_anew() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            // The task is dropped, and so is this one; the sleep is made while a driver is there.
            drop(rt::spawn(async { rt::sometimes!(true, "the dead speak") }));
            drop(rt::sleep(MS));
        }
    }
    async fn program(hub: Hub) -> Result<(), WaitError> {
        let _bomb = Bomb;
        drop(rt::spawn(async {
            loop {
                rt::sleep(MS * 400).await;
                rt::sometimes!(true, "beat");
            }
        }));
        rt::sometimes!(hub.incarnation() == 2, "second life");
        rt::sleep(MS * 60_000).await;
        Ok(())
    }
    let steps = "[[step]]\nat = '1s'\ncrash = { nodes = ['n1'] }\n\
                 [[step]]\nat = '5s'\nrestart = { nodes = ['n1'] }\n\
                 [[step]]\nat = '6s'\npause = { nodes = ['n1'] }\n\
                 [[step]]\nat = '10s'\nresume = { nodes = ['n1'] }\n\
                 [[step]]\nat = '10500ms'\ncrash = { nodes = ['n1'] }\n";
    let (report, notes) = run_on(1, steps, 1, program);
    assert_eq!(found(&report), [], "{report:#?}");
    let expected = [
        "0.4s n1 beat",
        "0.8s n1 beat",
        "1s n1 Crash",
        "5s n1 second life",
        "5.4s n1 beat",
        "5.8s n1 beat",
        // A paused process is not run, and its sleep is over when it goes on.
        "10s n1 beat",
        "10.4s n1 beat",
        "10.5s n1 Crash",
    ];
    assert_eq!(notes, expected);
}

#[test]
fn tasks_are_joined_aborted_and_caught() {
    async fn program(_: Hub) -> Result<(), WaitError> {
        let task = rt::spawn(async {
            rt::sleep(MS * 5).await;
            42
        });
        rt::always!(task.await == Ok(42), "a task has a result");
        let task = rt::spawn(std::future::pending::<()>());
        task.abort();
        let ended = task.await;
        rt::always!(
            ended.is_err_and(|it| it.is_cancelled()),
            "an aborted task says so"
        );
        let task = rt::spawn(async { panic!("a slip") });
        let ended = task.await;
        rt::always!(ended.is_err_and(|it| it.is_panic()), "a panic is told");
        rt::sometimes!(true, "goes on");
        rt::sleep(MS * 60_000).await;
        Ok(())
    }
    let (report, notes) = run_on(1, "", 1, program);
    assert_eq!(found(&report), [("n1".to_owned(), "panicked".to_owned())]);
    assert_eq!(
        notes,
        ["0.005s n1 program.panicked: a slip", "0.005s n1 goes on"]
    );
}
