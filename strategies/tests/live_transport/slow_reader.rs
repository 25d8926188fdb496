//! A member that is alive and does not read.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use hublab_strategies::live::{Builder, Filter, FilterVerdict, Hub, Limits};
use hublab_strategies::{Channel, ChildSpec, NodeId, PubSub};

use crate::{builder, refusals, until};

/// A gate in the way of a hub's own task: while it is shut, the hub takes nothing that arrives.
#[derive(Default)]
struct Gate {
    shut: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn set(&self, shut: bool) {
        *self.shut.lock().expect("nobody panics here") = shut;
        self.opened.notify_all();
    }
}

/// Starts a hub whose task may block: on threads of its own.
fn elsewhere(builder: Builder<PubSub>) -> (Hub, Elsewhere) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .expect("a runtime");
    let (sender, receiver) = std::sync::mpsc::channel();
    runtime.spawn(async move { sender.send(builder.start().await) });
    let hub = receiver.recv().expect("it starts").expect("a free port");
    (hub, Elsewhere(Some(runtime)))
}

/// A runtime that is not waited for.
struct Elsewhere(Option<tokio::runtime::Runtime>);

impl Drop for Elsewhere {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Shuts a gate until it is dropped, by a failing test too: what waits at it could never end.
struct Shut<'a>(&'a Gate);

impl<'a> Shut<'a> {
    fn new(gate: &'a Gate) -> Self {
        gate.set(true);
        Self(gate)
    }
}

impl Drop for Shut<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl Filter for Gate {
    fn judge(&self, _: &NodeId, _: &NodeId, channel: Option<Channel>, _: usize) -> FilterVerdict {
        // Heartbeats pass: the peer is alive, it only does not read.
        if channel.is_some() {
            let shut = self.shut.lock().expect("nobody panics here");
            let open = self.opened.wait_while(shut, |shut| *shut);
            drop(open.expect("nobody panics here"));
        }
        FilterVerdict::Pass
    }
}

#[tokio::test]
async fn a_member_that_stops_reading_is_dropped_costs_no_more_than_its_bound_and_returns_whole() {
    const BOUND: usize = 2 << 20;
    let limits = || Limits {
        queue_bytes: BOUND,
        ..Limits::default()
    };
    let builder = |name, peers: &[&Hub]| {
        let patient = builder(name, peers).down_after(Duration::from_secs(60));
        patient.limits(limits())
    };
    let a = builder("a", &[]).start().await.expect("a free port");
    let b = builder("b", &[&a]).start().await.expect("a free port");
    let gate = Arc::new(Gate::default());
    // What c may hold unread, it reads before it stops.
    let c = builder("c", &[&a])
        .filter(Arc::clone(&gate) as Arc<dyn Filter>)
        .limits(Limits {
            message_bytes: BOUND,
            ..limits()
        });
    let (c, _threads) = elsewhere(c);
    until("all are members", || {
        [&a, &b, &c].iter().all(|hub| hub.members().len() == 3)
    })
    .await;
    let shut = Shut::new(&gate);
    let args = [("long".into(), "x".repeat(10_000).into())];
    let spec =
        |number| ChildSpec::with_args(format!("child-{number}"), "worker", args.clone().into());
    let mut rounds = 0;
    while refusals(&a, "reads too slowly") == 0 {
        rounds += 1;
        assert!(rounds < 1000, "the bound was never reached");
        let children = || (0..20).map(spec);
        a.start_children(children()).await.expect("it runs");
        until("b is not held up", || b.registry().count() == 20).await;
        a.stop_children(children().map(|spec| spec.id().clone()))
            .await
            .expect("it runs");
        until("b is not held up", || b.registry().count() == 0).await;
        assert!(a.stats().transport.queued_bytes <= 2 * BOUND as u64);
    }
    a.start_children([spec(1), spec(2)]).await.expect("it runs");
    until("c is no member", || !a.members().contains(&"c".into())).await;
    drop(shut);
    until("c has what a has", || c.registry().count() == 2).await;
    until("all are members again", || {
        [&a, &b, &c].iter().all(|hub| hub.members().len() == 3)
    })
    .await;
}
