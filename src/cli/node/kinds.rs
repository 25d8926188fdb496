//! The kinds of children that a node of the command line can start.

use std::future::pending;
use std::time::Duration;

use hublab_strategies::ChildSpec;
use hublab_strategies::live::{ChildContext, Tasks};
use hublab_strategies::time::{DurationError, parse_duration};
use tokio::time::sleep;

use super::lossy::Lossy;

/// Why a child ends by itself.
#[derive(Debug, thiserror::Error)]
enum Crash {
    /// It was told to.
    #[error("crashed after {0:?}, as it was told to")]
    Told(Duration),
    /// An argument is no time.
    #[error("{argument}: {error}")]
    Argument {
        argument: &'static str,
        #[source]
        error: DurationError,
    },
}

/// `sleep`, `crash-after` and `echo`.
pub(super) fn tasks() -> Tasks {
    Tasks::new()
        .with("sleep", doze)
        .with("crash-after", crash_after)
        .with("echo", echo)
}

/// Does nothing, until it is stopped or the time `for` is over.
async fn doze(spec: ChildContext) -> Result<(), Crash> {
    match time(&spec, "for")? {
        Some(time) => sleep(time).await,
        None => pending().await,
    }
    Ok(())
}

/// Fails after the time `after`, 1 s by default.
async fn crash_after(spec: ChildContext) -> Result<(), Crash> {
    let after = time(&spec, "after")?.unwrap_or(Duration::from_secs(1));
    sleep(after).await;
    Err(Crash::Told(after))
}

/// Writes `text`, by default its id, to the node's standard output whenever it starts; then sleeps.
async fn echo(spec: ChildContext) -> Result<(), Crash> {
    let text = spec
        .args()
        .get("text")
        .map_or(spec.id().as_str(), |text| text);
    Lossy::stdout().put(format!("{text}\n").into_bytes());
    pending().await
}

fn time(spec: &ChildSpec, argument: &'static str) -> Result<Option<Duration>, Crash> {
    let text = spec.args().get(argument);
    let read = text.map(|text| parse_duration(text));
    read.transpose()
        .map_err(|error| Crash::Argument { argument, error })
}
