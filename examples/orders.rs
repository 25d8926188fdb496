//! A small order service, on tokio and in simulated runs. docs/simulating.md walks through it.
//!
//! `cargo run --example orders` runs it on three hubs of this machine; with arguments it is a command
//! line that knows its programs: `cargo run --example orders -- run examples/orders/orders.toml`.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use hublab::strategies::live::{
    ChildError, Events, HubEvent, HubStopped, StartOptions, Tasks, WaitError,
};
use hublab::strategies::{ChildSpec, Hub, NodeId, PubSub, rt};

/// How long an order is open.
const OPEN: Duration = Duration::from_secs(10);

/// The time between two orders of a node.
const PAUSE: Duration = Duration::from_secs(3);

/// Takes orders, one every few seconds. Each has a child on another node that works on it until it
/// is closed, and that is started again when it is lost.
async fn orders(hub: Hub) -> Result<(), WaitError> {
    take_orders(hub, Care::Restarts).await
}

/// The same, as one writes it first: it takes a child for lost when its row is gone.
async fn naive(hub: Hub) -> Result<(), WaitError> {
    take_orders(hub, Care::Rows).await
}

/// The events after which a child counts as lost.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Care {
    /// Its row is gone.
    Rows,
    /// Its row is gone, or its node has been away.
    Restarts,
}

async fn take_orders(hub: Hub, care: Care) -> Result<(), WaitError> {
    let mut interval = rt::interval(PAUSE);
    for number in 0.. {
        interval.tick().await;
        hub.wait_for_members(2).await?;
        let id = format!("{}.{}-{number}", hub.node(), hub.incarnation());
        let order = Order {
            hub: hub.clone(),
            events: hub.events(),
            id,
            place: None,
            turn: number,
        };
        // An order goes on beside the next ones. When the hub stops, so does it.
        drop(rt::spawn(order.serve(care)));
    }
    Ok(())
}

/// One order, from its opening to its closing.
struct Order {
    hub: Hub,
    events: Events,
    id: String,
    /// The node that works on it.
    place: Option<NodeId>,
    /// Where it is placed: nodes take turns.
    turn: usize,
}

impl Order {
    async fn serve(mut self, care: Care) -> Result<(), HubStopped> {
        let close_at = rt::Instant::now() + OPEN;
        self.start().await?;
        loop {
            rt::select! {
                event = self.events.next() => {
                    if self.is_lost(&event.ok_or(HubStopped)?, care) {
                        self.start().await?;
                    }
                }
                () = rt::sleep_until(close_at) => return self.close().await,
            }
        }
    }

    fn is_lost(&self, event: &HubEvent, care: Care) -> bool {
        if let HubEvent::Row { child, after, .. } = event {
            child.as_str() == self.id && after.is_none()
        } else if let HubEvent::PeerUp { node, .. } = event {
            // It may have been restarted, before its rows were done away with.
            care == Care::Restarts && self.place.as_ref() == Some(node)
        } else {
            // Too many events waited: its node may have been away meanwhile.
            care == Care::Restarts && matches!(event, HubEvent::Missed(_))
        }
    }

    /// Starts its child on the node that had it, if that is there, or else on another.
    async fn start(&mut self) -> Result<(), HubStopped> {
        loop {
            let peers = self.hub.connected();
            let place = match &self.place {
                Some(place) if peers.contains(place) => Some(place.clone()),
                _ => peers.get(self.turn % peers.len().max(1)).cloned(),
            };
            self.turn += 1;
            if let Some(place) = place {
                let spec = ChildSpec::new(self.id.as_str(), "order");
                let on = StartOptions::default()
                    .on([place.clone()])
                    .timeout(Duration::from_secs(2));
                let outcomes = self.hub.start_children_with([spec], on).await?;
                let is_started = outcomes.iter().all(|one| one.outcome.is_ok());
                rt::sometimes!(!is_started, "a start fails");
                if is_started {
                    self.place = Some(place);
                    return Ok(());
                }
                self.place = None;
            }
            rt::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Stops its child: whoever was to work on it says whether it did.
    async fn close(self) -> Result<(), HubStopped> {
        let outcomes = self.hub.stop_children([self.id.as_str()]).await?;
        let refused = outcomes
            .iter()
            .filter(|one| matches!(one.outcome, Err(ChildError::Refused(_))))
            .map(|one| one.node.as_str())
            .collect::<Vec<_>>();
        let was_worked_on = outcomes.iter().any(|one| one.outcome.is_ok());
        rt::sometimes!(was_worked_on, "an order is closed");
        rt::always!(
            was_worked_on || refused.is_empty(),
            "an order is worked on until it is closed",
            "{} was not, on {refused:?}",
            self.id
        );
        Ok(())
    }
}

/// The catalog of the simulated runs.
pub(crate) fn catalog() -> hublab::Catalog {
    hublab::Catalog::default()
        .with_program("orders", orders)
        .with_program("naive", naive)
}

/// A hub of this machine, which starts from the address of another.
async fn hub(name: &str, other: Option<&Hub>) -> Result<Hub, Box<dyn Error>> {
    let tasks = Tasks::new().with("order", |_| std::future::pending::<()>());
    let hub = Hub::builder("orders", name)
        .peers(other.map(|other| other.local_addr().to_string()))
        .strategy(PubSub::default())
        .supervisor(tasks)
        .join_debounce(Duration::from_millis(100))
        .start()
        .await?;
    Ok(hub)
}

#[tokio::main]
async fn on_tokio() -> Result<(), Box<dyn Error>> {
    let first = hub("a", None).await?;
    let others = [hub("b", Some(&first)).await?, hub("c", Some(&first)).await?];
    for hub in others.iter().chain([&first]) {
        drop(rt::spawn(orders(hub.clone())));
    }
    first.wait_for_members(3).await?;
    rt::sleep(OPEN + PAUSE).await;
    for hub in others.iter().chain([&first]) {
        hub.leave().await?;
    }
    Ok(())
}

/// Runs the service on tokio, or as a command line.
fn main() -> Result<ExitCode, Box<dyn Error>> {
    if std::env::args().len() > 1 {
        return Ok(hublab::cli::main(catalog()));
    }
    on_tokio()?;
    Ok(ExitCode::SUCCESS)
}
