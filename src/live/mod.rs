//! Scenario files on real hubs and real sockets, all on the loopback of this process.
//!
//! One hub per node of the file, each with its own sockets and tasks. The steps happen in real
//! time, times a scale. A filter between hub and transport does what the file says of the network,
//! and a [`Witness`] judges the run with the code that judges simulated ones.
//!
//! Hubs of their own find one another sooner than the file's nodes do: they dial all the time, and
//! tell whoever connects that they are there. Here, two hubs connect when one sends what connects,
//! an announcement goes to whom it addresses at that instant, and a silence lasts as long as the
//! seed draws. Connections, their ends, heartbeats and messages are real.
//!
//! | module | owns |
//! | --- | --- |
//! | `stage` | what hubs and script share: turns, the clock, the witness |
//! | `pulse` | how late this machine lets a run be |
//! | `cast` | the hubs: boots, stops, requests |

mod cast;
mod error;
mod pulse;
mod stage;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hublab_sim::catalog::Catalog;
use hublab_sim::model::NodeOverride;
use hublab_sim::model::script::planned;
use hublab_sim::report::Report;
use hublab_sim::scenario::{Action, Scenario, resolve, scaled};
use hublab_sim::trace::recorder::Sink;
use hublab_sim::witness::{Witness, unwitnessed};
use hublab_strategies::hub::HubConfig;
use hublab_strategies::time::micros;
use tokio::time::{Instant, sleep_until};

use cast::Cast;
pub use error::LiveError;
use pulse::Pulse;
use stage::Stage;

/// The most nodes: each pair takes two sockets.
pub const NODES_MAX: usize = 64;

/// A step is late from here on; a timer is always a little.
const LATE_MIN: Duration = Duration::from_millis(50);

/// The name of the runtime in reports.
const RUNTIME: &str = "tokio";

/// A connection that closes is noticed at once; what the file says must not be far from that.
const CRASH_DETECTED_AFTER_MAX: Duration = Duration::from_millis(100);

/// The scenario that a live run plays: resolved with a seed, and every duration times `scale`.
#[must_use]
pub fn prepared(scenario: &Scenario, seed: u64, scale: f64, catalog: &Catalog) -> Scenario {
    scaled(&resolve(scenario, seed, catalog), scale)
}

/// Why a scenario cannot be run with real hubs under a strategy, one reason each; empty if it can.
#[must_use]
pub fn refusals(scenario: &Scenario, strategy: &str) -> Vec<String> {
    let mut reasons = unwitnessed(scenario);
    if !cast::is_known(strategy) {
        reasons.push(format!(
            "the strategy `{strategy}` has no live form: {} have one",
            cast::known()
        ));
    }
    let nodes = scenario.cluster.nodes.len();
    if nodes > NODES_MAX {
        reasons.push(format!(
            "{nodes} nodes: at most {NODES_MAX} run in one process"
        ));
    }
    if scenario.cluster.crash_detected_after > CRASH_DETECTED_AFTER_MAX {
        reasons
            .push("crash_detected_after: a connection that closes is noticed at once".to_owned());
    }
    let is_wrong = |of: &NodeOverride| of.clock.is_some();
    if scenario.cluster.overrides.iter().any(is_wrong) {
        reasons.push(format!("[[cluster.node]] clock: {MACHINE_CLOCK}"));
    }
    if scenario.cluster.program.is_some() {
        reasons.push(
            "[cluster] program: a program starts its hub itself on tokio, without this command"
                .to_owned(),
        );
    }
    if scenario.run.branch.is_some() || !scenario.run.changes.is_empty() {
        reasons.push("[run] branch and changes: a real network draws for itself".to_owned());
    }
    let mut refused: Vec<&str> = Vec::new();
    for step in &scenario.steps {
        if let Some(why) = refusal(&step.action)
            && !refused.contains(&step.action.name())
        {
            refused.push(step.action.name());
            reasons.push(format!("step `{}`: {why}", step.action.name()));
        }
    }
    reasons
}

/// Why no clock can be changed.
const MACHINE_CLOCK: &str = "real hubs read the clock of this machine";

fn refusal(action: &Action) -> Option<&'static str> {
    match action {
        Action::Clock { .. } => Some(MACHINE_CLOCK),
        Action::Hold { .. } | Action::Release { .. } => {
            Some("which message is the next on a real link depends on the moment")
        }
        Action::View { .. } | Action::Rows { .. } => {
            Some("it changes the inside of a node, which nothing on a real one can")
        }
        Action::Join(_)
        | Action::Leave(_)
        | Action::Crash(_)
        | Action::Restart { .. }
        | Action::Pause(_)
        | Action::Resume(_)
        | Action::Partition { .. }
        | Action::Cut { .. }
        | Action::Heal
        | Action::Link(_)
        | Action::StartChildren { .. }
        | Action::StopChildren { .. }
        | Action::RestartChild { .. }
        | Action::Propagate { .. }
        | Action::Sync(_)
        | Action::Broadcast { .. }
        | Action::LeftOut { .. } => None,
    }
}

/// The settings that files do not have, times the scale that the scenario was [`prepared`] with.
fn config(scale: f64) -> HubConfig {
    let HubConfig {
        janitor_interval,
        tombstone_ttl,
    } = HubConfig::default();
    HubConfig {
        janitor_interval: janitor_interval.mul_f64(scale),
        tombstone_ttl: tombstone_ttl.mul_f64(scale),
    }
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Played {
    /// Its report.
    pub report: Report,
    /// The longest time for which this machine let the run stand still, beyond the granularity of
    /// its timers: what happened meanwhile happened that much too late.
    pub late: Duration,
}

/// Plays a scenario, [`prepared`] with this scale, with real hubs in real time. Must run in a tokio
/// runtime that has its timers and its network enabled. The trace goes to `sinks`. When `interrupted`
/// ends first, so does the run, and what it was to show is inconclusive.
///
/// # Errors
/// The scenario is refused (see [`refusals`]), or a hub could not start.
pub async fn run(
    scenario: &Scenario,
    strategy: &str,
    scale: f64,
    catalog: &Catalog,
    sinks: Vec<Box<dyn Sink>>,
    interrupted: impl Future<Output = ()>,
) -> Result<Played, LiveError> {
    let refused = refusals(scenario, strategy);
    if !refused.is_empty() {
        return Err(LiveError::Refused(refused));
    }
    let entry = catalog
        .get(strategy)
        .ok_or_else(|| LiveError::UnknownStrategy(strategy.to_owned()))?;
    let witness = Witness::new(scenario, entry, catalog, sinks);
    let stage = Arc::new(Stage::new(witness, &scenario.cluster.nodes));
    let mut cast = Cast::new(scenario, strategy, config(scale), Arc::clone(&stage));
    let pulse = Pulse::start(Arc::clone(&stage));
    let played = tokio::select! {
        played = play(scenario, &mut cast, &stage) => played.map(|()| true),
        () = interrupted => Ok(false),
    };
    let late = pulse.latest();
    let witness = stage.take_witness();
    let wall_us = micros(stage.begin().elapsed());
    cast.end().await;
    let is_whole = played?;
    let witness = witness.ok_or(LiveError::Over)?;
    let report = Report {
        runtime: Some(RUNTIME.to_owned()),
        ..witness.finish(is_whole, wall_us)
    };
    Ok(Played { report, late })
}

async fn play(scenario: &Scenario, cast: &mut Cast<'_>, stage: &Stage) -> Result<(), LiveError> {
    let mut start = scenario.cluster.start.clone();
    start.sort_unstable();
    cast.prepare(&start).await?;
    cast.connect(&start).await?;
    let epoch = Instant::from_std(stage.begin());
    cast.boot(&start).await?;
    // Claims that count from the last step get their whole time, even if that step was late.
    let mut late = Duration::ZERO;
    for entry in planned(scenario) {
        let step = scenario.steps.get(entry.step as usize);
        let action = step.filter(|_| !entry.healing).map(|step| &step.action);
        if let Some(Action::Join(nodes) | Action::Restart { nodes, .. }) = action {
            cast.restarted(entry.step, nodes);
            cast.prepare(nodes).await?;
        }
        sleep_until(epoch + Duration::from_micros(entry.at.0)).await;
        stage.between(|witness| witness.step(entry));
        late = Duration::from_micros(stage.now().since(entry.at));
        if late < LATE_MIN {
            late = Duration::ZERO;
        }
        if let Some(action) = action {
            cast.act(entry.step, action).await?;
        }
        cast.network_changed();
    }
    sleep_until(epoch + scenario.run.duration + late).await;
    Ok(())
}
