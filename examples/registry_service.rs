//! Three hubs in one process: start a worker, look it up everywhere, kill its node, and watch the
//! cluster heal. `cargo run --example registry_service`
//!
//! In production each hub is a process of its own, on its own machine, with a secret that the
//! cluster shares (`hublab node --new-secret`). Here all of them listen on loopback, without one.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::time::Duration;

use hublab::strategies::live::{Events, Hub, HubEvent, Tasks};
use hublab::strategies::{ChildSpec, Entries, PubSub};
use tokio::time::{sleep, timeout};

/// A hub of the cluster `shop`, which starts from the address of another, if there is one.
async fn hub(name: &str, other: Option<&Hub>) -> Result<Hub, Box<dyn Error>> {
    let workers = Tasks::new().with("worker", |spec| async move {
        for job in 1.. {
            sleep(Duration::from_millis(100)).await;
            if job == 3 {
                // The supervisor gives it a new process, and the cluster learns its pid.
                return Err(format!("{} stumbled over job {job}", spec.id()));
            }
        }
        Ok(())
    });
    let hub = Hub::builder("shop", name)
        .peers(other.map(|other| other.local_addr().to_string()))
        .strategy(PubSub::default())
        .supervisor(workers)
        .join_debounce(Duration::from_millis(100))
        .start()
        .await?;
    println!("{name} listens on {}", hub.local_addr());
    Ok(hub)
}

/// Waits for an event, and prints those before it.
async fn wait_for(
    events: &mut Events,
    wanted: impl Fn(&HubEvent) -> bool,
) -> Result<(), Box<dyn Error>> {
    loop {
        let event = timeout(Duration::from_secs(10), events.next()).await?;
        let event = event.ok_or("the hub has stopped")?;
        println!("  a: {event:?}");
        if wanted(&event) {
            return Ok(());
        }
    }
}

/// Where a child runs, once a hub has heard of it.
async fn found(hub: &Hub, child: &str) -> Entries {
    loop {
        match hub.lookup(child) {
            Some(row) => return row.entries.clone(),
            None => sleep(Duration::from_millis(1)).await,
        }
    }
}

fn members(hub: &Hub) -> usize {
    hub.members().len()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let a = hub("a", None).await?;
    let mut events = a.events();
    let b = hub("b", Some(&a)).await?;
    let c = hub("c", Some(&a)).await?;
    wait_for(
        &mut events,
        |event| matches!(event, HubEvent::Members(nodes) if nodes.len() == 3),
    )
    .await?;
    while members(&b) < 3 || members(&c) < 3 {
        sleep(Duration::from_millis(10)).await;
    }

    println!("c starts a worker");
    let outcome = c
        .start_children([ChildSpec::new("worker-1", "worker")])
        .await?;
    println!("its pid is {}", outcome[0].outcome.clone()?);
    let has_row = |event: &HubEvent| matches!(event, HubEvent::Row { after: Some(_), .. });
    wait_for(&mut events, has_row).await?;
    println!("b finds it: {:?}", found(&b, "worker-1").await);

    println!("it stumbles and is restarted: a new pid");
    wait_for(&mut events, has_row).await?;

    println!("c is killed");
    drop(c);
    wait_for(&mut events, |event| {
        matches!(event, HubEvent::Row { after: None, .. })
    })
    .await?;
    println!("nobody runs it any more; a starts another");
    a.start_children([ChildSpec::new("worker-1", "worker")])
        .await?;
    println!("b finds it: {:?}", found(&b, "worker-1").await);
    b.leave().await?;
    a.leave().await?;
    Ok(())
}
