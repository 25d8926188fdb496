//! Other tasks in a run's world: what they may do to it, and when.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hublab_sim::catalog::Catalog;
use hublab_sim::engine::inject::{InjectError, Injection};
use hublab_sim::run::Simulation;
use hublab_sim::trace::event::{Event, Payload, StopReason};
use hublab_sim::trace::recorder::Sink;
use hublab_sim::world::Stepping;
use hublab_strategies::hub::Command;
use hublab_strategies::{NodeId, Time};
use madsim::task::spawn_local;
use madsim::time::{Instant, TimeHandle};

use crate::lab::{Lab, MS, S, start};

#[test]
fn a_task_injects_at_an_exact_instant() {
    let (past, reached) = Lab::of(2).run_with(async |simulation| {
        let reached = simulation.run_until(Time(5_000_123)).await;
        simulation
            .inject(&NodeId::from("n1"), start("a", "n1"))
            .unwrap();
        (reached, simulation.now())
    });
    assert_eq!(reached, Some((Time(5_000_123), Time(5_000_123))));
    assert_eq!(past.lines("n1", &["starts"]), ["5.000123s starts a n1.1.1"]);
    assert_eq!(past.row_of("n2", "a", 5_005_123), "n1=n1.1.1");
}

#[test]
fn at_the_instant_that_a_task_waits_for_all_that_is_due_has_happened_and_nothing_later() {
    let (past, views) = Lab::of(2).run_with(async |simulation| {
        let mut views = Vec::new();
        for instant in [504_999, 505_000] {
            simulation.run_until(Time(instant)).await;
            views.push(simulation.inspect(&NodeId::from("n1"), |node| node.cluster_view().len()));
        }
        views
    });
    assert_eq!(views, Some(vec![Some(1), Some(2)]));
    assert_eq!(past.view_of("n1", 505 * MS), "n1,n2");
}

#[test]
fn a_task_sees_a_node_stop_at_its_instant() {
    let lab = Lab::of(3)
        .step("5000100us", "crash = { nodes = ['n2'] }")
        .step("8000300us", "leave = { nodes = ['n3'] }");
    for lab in [lab.clone(), lab.exact()] {
        let (past, seen) = lab.run_with(async |simulation| {
            let watcher = spawn_local({
                let simulation = simulation.clone();
                async move { simulation.stopped(&NodeId::from("n3")).await }
            });
            let stop = simulation.stopped(&NodeId::from("n2")).await.unwrap();
            let now = simulation.now();
            simulation
                .inject(&NodeId::from("n1"), start("a", "n1"))
                .unwrap();
            (
                stop.at,
                stop.reason,
                now,
                watcher.await.unwrap().map(|stop| (stop.at, stop.reason)),
            )
        });
        let expected = (
            Time(5_000_100),
            StopReason::Crash,
            Time(5_000_100),
            Some((Time(8_000_300), StopReason::Leave)),
        );
        assert_eq!(seen, Some(expected));
        assert_eq!(
            past.lines("n1", &["starts"]),
            ["5.0001s starts a n1.1.1"],
            "in answer to it, at the same instant"
        );
    }
}

#[test]
fn a_run_with_tasks_is_the_same_in_either_stepping_and_every_time() {
    let digest = |lab: Lab| {
        let (past, _) = lab.run_with(async |simulation| {
            for node in ["n1", "n2", "n3"] {
                let simulation = simulation.clone();
                spawn_local(async move {
                    let node = NodeId::from(node);
                    while simulation.now() < simulation.end() {
                        simulation
                            .run_until(simulation.now().after(Duration::from_micros(700_001)))
                            .await;
                        let _ = simulation.inject(&node, start("a", node.as_str()));
                    }
                });
            }
            simulation.stopped(&NodeId::from("n2")).await;
            let _ = simulation.inject(&NodeId::from("n3"), Injection::Command(Command::Sync));
        });
        assert!(past.report.events > 500);
        past.digest().to_owned()
    };
    let lab = Lab::of(3)
        .set("network.latency = { uniform = ['1ms', '10ms'] }")
        .step("20s", "crash = { nodes = ['n2'] }");
    assert_eq!(digest(lab.clone()), digest(lab.clone()));
    assert_eq!(digest(lab.clone()), digest(lab.exact()));
}

#[test]
fn a_job_that_does_nothing_changes_nothing() {
    let lab = Lab::of(3)
        .step("5s", "start_children = { on = 'n1', ids = ['a'] }")
        .step("6s", "crash = { nodes = ['n1'] }");
    let (past, _) = lab.run_with(async |_| ());
    assert_eq!(past.digest(), lab.run().digest());
}

#[test]
fn a_sleep_of_madsim_ends_within_the_run_and_sees_its_clock() {
    let (past, now) = Lab::of(2).exact().run_with(async |simulation| {
        madsim::time::sleep(Duration::from_millis(7_777)).await;
        simulation
            .inject(&NodeId::from("n1"), start("a", "n1"))
            .unwrap();
        simulation.now()
    });
    assert_eq!(now, Some(Time(7_777 * MS)));
    assert_eq!(
        past.row_of("n2", "a", 7_782 * MS),
        "n1=n1.1.1",
        "what it did is not late"
    );
}

#[test]
fn what_cannot_be_injected_is_refused() {
    let lab = Lab::of(2)
        .set("cluster.start = ['n1']")
        .step("5s", "crash = { nodes = ['n1'] }");
    let (_, refusals) = lab.run_with(async |simulation| {
        let [n1, n2, n9] = ["n1", "n2", "n9"].map(NodeId::from);
        let sync = || Injection::Command(Command::Sync);
        let early = [
            simulation.inject(&n2, sync()),
            simulation.inject(&n9, sync()),
        ];
        simulation.run_until(Time(5 * S)).await;
        let late = simulation.inject(&n1, sync());
        (early, late)
    });
    let not_running = |node: &str| Err(InjectError::NotRunning(NodeId::from(node)));
    let unknown = Err(InjectError::UnknownNode(NodeId::from("n9")));
    assert_eq!(
        refusals,
        Some(([not_running("n2"), unknown], not_running("n1")))
    );
}

#[test]
fn tasks_learn_that_the_run_is_over() {
    let (past, seen) = Lab::of(2).run_with(async |simulation| {
        let stop = simulation.stopped(&NodeId::from("n1")).await;
        let reached = simulation.run_until(Time(u64::MAX)).await;
        (
            stop,
            reached,
            simulation.inject(&NodeId::from("n1"), Command::Sync),
        )
    });
    assert_eq!(seen, Some((None, Time(60 * S), Err(InjectError::Over))));
    assert_eq!(past.report.virtual_us, 60 * S);
}

#[test]
fn a_job_that_does_not_end_has_no_value_and_does_not_keep_the_run_from_ending() {
    let (past, value) = Lab::of(2).run_with(async |_| std::future::pending::<()>().await);
    assert_eq!((past.report.virtual_us, value), (60 * S, None));
}

#[test]
fn a_child_that_ends_by_itself_is_unregistered_and_one_that_crashes_is_replaced() {
    let lab = Lab::of(2)
        .step("5s", "start_children = { on = 'n1', ids = ['a', 'b'] }")
        .expect("converged = { within = '1s', after = '7s' }");
    let (past, _) = lab.run_with(async |simulation| {
        simulation.run_until(Time(6 * S)).await;
        simulation
            .inject(&NodeId::from("n1"), Injection::ChildExited("n1.1.1".into()))
            .unwrap();
        simulation
            .inject(
                &NodeId::from("n1"),
                Injection::ChildCrashed("n1.1.2".into()),
            )
            .unwrap();
    });
    assert_eq!(past.row_of("n2", "a", 7 * S), "");
    assert_eq!(past.row_of("n2", "b", 7 * S), "n1=n1.1.3");
    assert!(past.holds(), "{:?}", past.details());
}

#[test]
fn what_is_injected_into_a_paused_node_waits() {
    let lab = Lab::of(2)
        .step("5s", "pause = { nodes = ['n1'] }")
        .step("8s", "resume = { nodes = ['n1'] }");
    let (past, _) = lab.run_with(async |simulation| {
        simulation.run_until(Time(6 * S)).await;
        simulation
            .inject(&NodeId::from("n1"), start("a", "n1"))
            .unwrap();
    });
    assert_eq!(past.lines("n1", &["starts"]), ["8s starts a n1.1.1"]);
}

/// Compares madsim's clock with the instant of every event.
#[derive(Clone, Default)]
struct ClockWatch(Arc<Mutex<(Option<Instant>, Duration, u64)>>);

impl Sink for ClockWatch {
    fn event(&mut self, event: &Event) {
        // Sizes are those at the end of an instant: they are recorded when time has moved on.
        if let Payload::Sizes(_) = event.payload {
            return;
        }
        let now = TimeHandle::current().now_instant();
        let (zero, worst, events) = &mut *self.0.lock().expect("one thread");
        let ideal = *zero.get_or_insert(now) + Duration::from_micros(event.at.0);
        *worst = (*worst).max(now.max(ideal) - now.min(ideal));
        *events += 1;
    }
}

#[test]
fn in_exact_stepping_madsims_clock_shows_every_instant_within_a_microsecond() {
    let lab = Lab::of(4)
        .set("cluster.join_debounce = '10us'")
        .set("network.latency = { uniform = ['10us', '3ms'] }")
        .step("5000017us", "start_children = { on = 'n1', ids = ['a'] }");
    let watch = ClockWatch::default();
    Simulation::new(&lab.scenario(), &Catalog::default())
        .strategy("gossip")
        .unwrap()
        .seed(1)
        .stepping(Stepping::Exact)
        .sink(watch.clone())
        .run()
        .unwrap();
    let (_, worst, events) = *watch.0.lock().unwrap();
    assert!(events > 300);
    assert!(worst < Duration::from_micros(1), "{worst:?}");
}

#[test]
fn a_timer_of_10_microseconds_fires_after_10_microseconds() {
    let past = Lab::of(2)
        .set("cluster.join_debounce = '10us'")
        .exact()
        .run();
    assert_eq!(past.lines("n1", &["timer"])[0], "0.00501s timer Debounce");
}
