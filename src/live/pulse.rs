//! How late this machine lets a run be.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hublab_strategies::time::micros;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::stage::Stage;

/// The time between two beats.
const BEAT: Duration = Duration::from_millis(1);

/// A task that wants its turn at every beat, as hubs and script do, and sees how long it waits.
pub(super) struct Pulse {
    /// In microseconds.
    latest: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Pulse {
    pub(super) fn start(stage: Arc<Stage>) -> Self {
        let latest = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&latest);
        let task = tokio::spawn(async move {
            loop {
                let due = Instant::now() + BEAT;
                sleep_until(due).await;
                stage.between(|_| ());
                if stage.has_begun() {
                    let late = due.elapsed().saturating_sub(BEAT);
                    seen.fetch_max(micros(late), Ordering::Relaxed);
                }
            }
        });
        Self { latest, task }
    }

    /// The longest it has had to wait so far.
    pub(super) fn latest(&self) -> Duration {
        Duration::from_micros(self.latest.load(Ordering::Relaxed))
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.task.abort();
    }
}
