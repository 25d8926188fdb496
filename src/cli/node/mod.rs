//! `hublab node`: one node of a real cluster, until it is told to end.

mod control;
mod kinds;
pub(super) mod lossy;
mod metrics;
pub(super) mod protocol;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hublab_strategies::Strategy;
use hublab_strategies::builtin::{self, Visitor};
use hublab_strategies::live::{Builder, Hub, Secret};
use tokio::runtime::Runtime;
use tokio::sync::Notify;

use super::args::node::Node;
use super::exit::ExitStatus;
use super::interrupt::Listening;
use super::{Context, Stop};

use control::{Control, Reload, ReloadError, Rights};
use lossy::Lossy;
use metrics::Metrics;

/// The time for what is left of the node when it has ended.
const WIND_DOWN: Duration = Duration::from_secs(1);

/// How long the last lines of output wait for a reader.
const LAST_OUTPUT: Duration = Duration::from_millis(200);

pub(super) fn node(args: &Node, context: &Context) -> Result<ExitStatus, Stop> {
    if args.new_secret {
        let secret = Secret::generate_text().map_err(refused)?;
        context.output.line(&*secret)?;
        return Ok(ExitStatus::Held);
    }
    let runtime = Runtime::new().map_err(refused)?;
    let ended = runtime.block_on(run(args, context));
    runtime.shutdown_timeout(WIND_DOWN);
    Lossy::stdout().flush(LAST_OUTPUT);
    Lossy::stderr().flush(LAST_OUTPUT);
    ended
}

/// Anything that keeps a node from starting.
fn refused(error: impl std::fmt::Display) -> Stop {
    Stop::Usage(error.to_string())
}

async fn run(args: &Node, context: &Context) -> Result<ExitStatus, Stop> {
    let asked_to_end = Arc::new(Notify::new());
    let bell = Arc::clone(&asked_to_end);
    // The second signal finds nobody listening, and ends the process.
    let listening = Listening::new(move || bell.notify_one());
    let bind = |path: &Option<PathBuf>, rights| {
        let bound = path.as_deref().map(|path| {
            let problem = |error| refused(format_args!("{}: {error}", path.display()));
            Control::bind(path, rights).map_err(problem)
        });
        bound.transpose()
    };
    let control = bind(&args.control, Rights::All)?;
    let questions = bind(&args.control_read, Rights::Questions)?;
    let metrics = match &args.metrics {
        Some(address) => {
            let problem = |error| refused(format_args!("--metrics {address}: {error}"));
            let metrics = Metrics::bind(address).await.map_err(problem)?;
            let address = metrics.local_addr().map_err(problem)?;
            tracing::info!(%address, "metrics are served");
            Some(metrics)
        }
        None => None,
    };
    let hub = start(args).await?;
    let (name, hub_id) = (hub.node(), hub.id());
    let listens = format_args!(
        "node {name} of hub {hub_id} listens on {}",
        hub.local_addr()
    );
    context.output.line(listens).map_err(|stop| match stop {
        Stop::Pipe => refused("standard output is closed"),
        other @ (Stop::Usage(_) | Stop::Told(_)) => other,
    })?;
    let left = Arc::new(AtomicBool::new(false));
    let reload: Reload = {
        let (files, hub) = (args.secrets.clone(), hub.downgrade());
        Arc::new(move || {
            let read = files.iter().map(Secret::from_file);
            let secrets: Vec<Secret> = read.collect::<Result<_, _>>()?;
            let count = secrets.len();
            let hub = hub.upgrade().ok_or(ReloadError::Stopped)?;
            hub.set_secrets(secrets)?;
            Ok(count)
        })
    };
    let serve_metrics = async {
        match &metrics {
            Some(metrics) => metrics.serve(&hub).await,
            None => hub.stopped().await,
        }
    };
    let serve = async {
        let one = async |control: &Option<Control>| match control {
            Some(control) => control.serve(&hub, &left, &reload).await,
            None => hub.stopped().await,
        };
        tokio::join!(one(&control), one(&questions), serve_metrics);
    };
    let end = async {
        tokio::select! {
            () = asked_to_end.notified() => {
                drop(listening);
                hub.leave().await.ok()
            }
            () = hub.stopped() => None,
        }
    };
    match tokio::join!(end, serve) {
        (Some(report), ()) => {
            let (peers, children) = (report.peers.len(), report.children);
            let told = format!("left: told {peers} peers, stopped {children} children\n");
            Lossy::stderr().put(told.into_bytes());
            Ok(ExitStatus::Held)
        }
        (None, ()) if left.load(Ordering::Acquire) => Ok(ExitStatus::Held),
        (None, ()) => Err(stopped()),
    }
}

fn stopped() -> Stop {
    refused("the hub has stopped by itself, which only a bug can cause")
}

async fn start(args: &Node) -> Result<Hub, Stop> {
    let starting = builtin::visit(&args.strategy, Starting(args));
    starting.expect("the name is checked").await
}

/// Starts the node with a strategy.
struct Starting<'a>(&'a Node);

impl<'a> Visitor for Starting<'a> {
    type Output = Pin<Box<dyn Future<Output = Result<Hub, Stop>> + 'a>>;

    fn visit<S: Strategy>(self) -> Self::Output {
        Box::pin(async { start_with(self.0, strategy::<S>(self.0)?).await })
    }
}

async fn start_with<S: Strategy>(args: &Node, strategy: S) -> Result<Hub, Stop> {
    let builder: Builder<S> = Hub::builder(
        args.hub.as_deref().unwrap_or_default(),
        args.name.as_deref().unwrap_or_default(),
    )
    .listen(&args.listen)
    .peers(&args.peers)
    .secrets(secrets(args)?)
    .discovery_interval(args.discovery_interval)
    .join_debounce(args.join_debounce)
    .down_after(args.down_after)
    .supervisor(kinds::tasks())
    .strategy(strategy);
    let builder = match &args.advertise {
        Some(address) => builder.advertise(address),
        None => builder,
    };
    builder.start().await.map_err(refused)
}

fn secrets(args: &Node) -> Result<Vec<Secret>, Stop> {
    let read = |path| Secret::from_file(path).map_err(refused);
    args.secrets.iter().map(read).collect()
}

/// The strategy, with the parameters that were given.
fn strategy<S: Strategy>(args: &Node) -> Result<S, Stop> {
    let value = |(key, text): &(String, String)| {
        // What is no number and no truth value is text.
        let value = serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into());
        (key.clone(), value)
    };
    let table: serde_json::Map<_, _> = args.parameters.iter().map(value).collect();
    let config = serde_json::from_value(table.into())
        .map_err(|error| refused(format_args!("--set for {}: {error}", S::NAME)))?;
    S::new(&config).map_err(|error| refused(format_args!("--set for {}: {error}", S::NAME)))
}
