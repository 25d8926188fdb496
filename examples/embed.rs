//! The smallest use: a node that starts a child and finds it again. `cargo run --example embed`
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use hublab::strategies::live::{Hub, Tasks};
use hublab::strategies::{ChildSpec, Gossip};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tasks = Tasks::new().with("greeter", |spec| async move {
        println!("{} says hello", spec.id());
        std::future::pending::<()>().await
    });
    let hub = Hub::builder("orders", "a")
        .strategy(Gossip::default())
        .supervisor(tasks)
        .start()
        .await?;
    let pid = hub
        .start_child(ChildSpec::new("greeter-1", "greeter"))
        .await?;
    println!("started: {pid}");
    println!(
        "found: {:?}",
        hub.lookup("greeter-1").map(|row| row.entries.clone())
    );
    println!("left: {:?}", hub.leave().await?);
    Ok(())
}
