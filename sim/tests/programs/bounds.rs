//! What a program must not do in a run, and what comes of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

use hublab_strategies::live::{Hub, WaitError};
use hublab_strategies::{ChildSpec, rt};

use super::{found, run_on};

fn only(defect: &str) -> Vec<(String, String)> {
    vec![("n1".to_owned(), defect.to_owned())]
}

#[test]
fn a_task_without_end_fails_and_is_named() {
    async fn program(_: Hub) -> Result<(), WaitError> {
        drop(rt::spawn(async {
            loop {
                let mut once = false;
                std::future::poll_fn(|cx| {
                    cx.waker().wake_by_ref();
                    if std::mem::replace(&mut once, true) {
                        std::task::Poll::Ready(())
                    } else {
                        std::task::Poll::Pending
                    }
                })
                .await;
            }
        }));
        rt::sleep(Duration::from_secs(60)).await;
        Ok(())
    }
    let (report, notes) = run_on(1, "", 1, program);
    assert_eq!(found(&report), only("endless"), "{notes:#?}");
    assert!(notes[0].contains("bounds.rs"), "{notes:#?}");
}

#[test]
fn what_cannot_work_in_a_run_says_so_by_name() {
    type Break = fn();
    let breaks: [(Break, &str); 4] = [
        (
            || drop(tokio::time::sleep(Duration::from_secs(1))),
            "hublab_strategies::rt",
        ),
        (|| drop(tokio::spawn(async {})), "hublab_strategies::rt"),
        (
            || drop(tokio::task::spawn_blocking(|| ())),
            "hublab_strategies::rt",
        ),
        (|| drop(std::thread::spawn(|| ())), "thread"),
    ];
    for (number, (broken, named)) in breaks.into_iter().enumerate() {
        let program = move |_: Hub| async move {
            broken();
            rt::sleep(Duration::from_secs(60)).await;
        };
        let (report, notes) = run_on(1, "", 1, program);
        assert_eq!(found(&report), only("panicked"), "{number}: {notes:#?}");
        assert!(notes[0].contains(named), "{number}: {notes:#?}");
    }
    let program = |_: Hub| async {
        let bound = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        drop(bound);
    };
    let (report, notes) = run_on(1, "", 1, program);
    assert_eq!(found(&report), only("panicked"), "{notes:#?}");
    assert!(notes[0].contains("hublab_strategies::rt"), "{notes:#?}");
}

#[test]
fn a_wake_from_another_thread_fails_the_run() {
    // A thread that was there before the run.
    let waker: Arc<Mutex<Option<Waker>>> = Arc::default();
    let woken = Arc::new(AtomicBool::new(false));
    let (slot, done) = (Arc::clone(&waker), Arc::clone(&woken));
    let thread = std::thread::spawn(move || {
        while !done.load(Ordering::Acquire) {
            if let Some(waker) = slot.lock().expect("no panic").take() {
                waker.wake();
                done.store(true, Ordering::Release);
            }
            std::thread::yield_now();
        }
    });
    let program = move |_: Hub| {
        let (waker, woken) = (Arc::clone(&waker), Arc::clone(&woken));
        async move {
            std::future::poll_fn(|cx| {
                *waker.lock().expect("no panic") = Some(cx.waker().clone());
                std::task::Poll::Ready(())
            })
            .await;
            while !woken.load(Ordering::Acquire) {
                std::hint::spin_loop();
            }
            rt::sleep(Duration::from_secs(60)).await;
        }
    };
    let (report, notes) = run_on(1, "", 1, program);
    thread.join().expect("no panic");
    assert_eq!(found(&report), only("foreign wake"), "{notes:#?}");
}

/// Two tasks that are ready at once, and a race between them.
async fn race(hub: Hub) -> Result<(), WaitError> {
    for name in ["first", "second", "third"] {
        let hub = hub.clone();
        drop(rt::spawn(async move {
            rt::sleep(Duration::from_secs(1)).await;
            drop(hub.start_child(ChildSpec::new(name, "worker")).await);
            rt::sometimes!(true, name);
        }));
    }
    rt::sleep(Duration::from_secs(60)).await;
    Ok(())
}

#[test]
fn the_order_of_tasks_is_drawn_unless_it_is_fifo_and_a_seed_has_one() {
    let order = |seed| {
        let (report, notes) = run_on(1, "", seed, race);
        assert_eq!(found(&report), []);
        let words = notes.iter().filter_map(|note| note.split(' ').nth(2));
        let words = words.filter(|word| !word.contains('.'));
        words.map(str::to_owned).collect::<Vec<_>>().join(" ")
    };
    let drawn: std::collections::BTreeSet<_> = (0..40).map(order).collect();
    assert_eq!(drawn.len(), 6, "{drawn:?}");
    assert_eq!(order(7), order(7), "one seed, one order");
}

#[test]
fn fifo_is_the_order_in_which_tasks_were_woken() {
    let catalog = hublab_sim::Catalog::default().with_program("race", race);
    let text = "schema = 1\n[run]\ntask_order = 'fifo'\nduration = '5s'\n\
                [cluster]\nnodes = 1\nprogram = 'race'\n";
    let scenario = hublab_sim::Scenario::read("race.toml", text.as_bytes(), &catalog);
    let scenario = scenario.unwrap_or_else(|problems| panic!("{problems:?}"));
    for seed in 0..10 {
        let notes = super::Notes::default();
        let run = hublab_sim::Simulation::new(&scenario, &catalog).seed(seed);
        run.sink(notes.clone()).run().expect("a run");
        let notes = notes.0.lock().expect("one thread").clone();
        let words: Vec<_> = notes
            .iter()
            .filter(|note| !note.contains("program."))
            .cloned()
            .collect();
        assert_eq!(words, ["1s n1 first", "1s n1 second", "1s n1 third"]);
    }
}
