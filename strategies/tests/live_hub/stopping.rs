//! How hubs begin and end: refusals, good-byes, dropped handles, peers that hang.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hublab_strategies::live::{
    BindError, BuildError, Hub, HubStopped, Limits, RestartLimits, Tasks,
};
use tokio::time::Instant;

use super::{builder, cluster, hub, hung, supervised, until, workers};

#[test]
fn without_a_tokio_runtime_a_start_is_refused_at_once() {
    let start = pin!(builder("a", &[]).start());
    let Poll::Ready(result) = start.poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("it waits");
    };
    assert!(matches!(result, Err(BuildError::NoRuntime)), "{result:?}");
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused_by_name() {
    let setting = |error: BuildError| {
        let BuildError::Setting { setting, .. } = error else {
            panic!("{error}");
        };
        setting
    };
    let nameless = Hub::builder("test", "").start().await.unwrap_err();
    assert_eq!(setting(nameless), "builder");
    let hasty = builder("a", &[]).discovery_interval(Duration::ZERO).start();
    assert_eq!(setting(hasty.await.unwrap_err()), "discovery_interval");
    let deaf = builder("a", &[]).heartbeat(Duration::from_secs(9)).start();
    assert_eq!(setting(deaf.await.unwrap_err()), "heartbeat");
    let slow = builder("a", &[]).join_debounce(Duration::from_secs(10));
    assert_eq!(setting(slow.start().await.unwrap_err()), "join_debounce");
    let wrong_limits = [
        Limits {
            queue_bytes: 1 << 20,
            ..Limits::default()
        },
        Limits {
            channel_queue_bytes: 1 << 20,
            ..Limits::default()
        },
        Limits {
            message_bytes: 40 << 20,
            ..Limits::default()
        },
        Limits {
            handshakes: 0,
            ..Limits::default()
        },
        Limits {
            handshake: Duration::ZERO,
            ..Limits::default()
        },
        Limits {
            redial_min: Duration::ZERO,
            ..Limits::default()
        },
    ];
    for limits in wrong_limits {
        let never = builder("a", &[]).limits(limits).start().await;
        assert_eq!(setting(never.unwrap_err()), "limits");
    }
    let endless = RestartLimits {
        backoff_max: Duration::MAX,
        ..RestartLimits::default()
    };
    let endless = builder("a", &[]).supervisor(Tasks::new().restarts(endless));
    assert_eq!(setting(endless.start().await.unwrap_err()), "supervisor");
    let open = builder("a", &[])
        .listen("0.0.0.0:0")
        .start()
        .await
        .unwrap_err();
    assert!(
        matches!(open, BuildError::Bind(BindError::SecretNeeded { .. })),
        "{open}"
    );
}

#[tokio::test]
async fn a_taken_address_is_named() {
    let a = hub("a", &[]).await;
    let address = a.local_addr().to_string();
    let error = builder("b", &[])
        .listen(&address)
        .start()
        .await
        .unwrap_err();
    assert!(error.to_string().contains(&address), "{error}");
}

/// Tells whether it is there.
struct Presence(Arc<AtomicBool>);

impl Presence {
    fn new(flag: Arc<AtomicBool>) -> Self {
        flag.store(true, Ordering::Release);
        Self(flag)
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_the_last_handle_stops_the_hub_and_its_children() {
    let runs = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&runs);
    let tasks = Tasks::new().with("present", move |_| {
        let presence = Presence::new(Arc::clone(&flag));
        async move {
            let _presence = presence;
            std::future::pending::<()>().await
        }
    });
    let a = supervised("a", tasks).await;
    let b = hub("b", &[&a]).await;
    until("they are connected", || b.members().len() == 2).await;
    let spec = hublab_strategies::ChildSpec::new("x", "present");
    a.start_children([spec]).await.expect("it runs");
    until("its child runs", || runs.load(Ordering::Acquire)).await;
    let (clone, mut events) = (a.clone(), a.events());
    drop(a);
    assert!(!clone.is_stopped() && clone.lookup("x").is_some());
    drop(clone);
    until("its child is dropped", || !runs.load(Ordering::Acquire)).await;
    while events.next().await.is_some() {}
    until("its peer noticed", || b.connected().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_has_left_answers_reads_and_refuses_the_rest() {
    let hubs = cluster(&["a", "b"]).await;
    let a = &hubs[0];
    a.start_children(workers(["w"])).await.expect("it runs");
    a.leave().await.expect("it runs");
    a.stopped().await;
    assert!(a.is_stopped());
    assert_eq!(a.start_children(workers(["v"])).await, Err(HubStopped));
    assert_eq!(a.stop_children(["w"]).await, Err(HubStopped));
    assert_eq!(a.leave().await, Err(HubStopped));
    assert_eq!(a.events().next().await, None);
    assert_eq!(a.members().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaving_takes_less_than_5_s_when_peers_hang() {
    let a = builder("a", &[]).down_after(Duration::from_secs(60));
    let a = a.start().await.expect("a free port");
    let peer = builder("b", &[&a]);
    let hung = hung(peer, 2).await;
    until("a knows it", || a.members().len() == 2).await;
    // More than the sockets between them hold.
    let names = (0..40_000).map(|number| format!("{number:0>400}"));
    a.start_children(workers(names)).await.expect("it runs");
    let start = Instant::now();
    let farewell = a.leave().await.expect("it runs");
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(farewell.children, 40_000);
    assert!(!farewell.flushed());
    tokio::task::spawn_blocking(move || drop(hung))
        .await
        .expect("it ends");
}
