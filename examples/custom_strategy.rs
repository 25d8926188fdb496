//! A strategy of one's own. Without arguments, it runs a scenario through the library; with some it is
//! a command line: `cargo run --example custom_strategy -- run scenarios/crash.toml`.

use std::collections::BTreeMap;
use std::time::Duration;

use hublab::sim::run::Simulation;
use hublab::sim::scenario::{Scenario, load};
use hublab::strategies::strategy::{Claim, Condition, ConfigError, EventStrategy, Strategy};
use hublab::strategies::time::duration_text;
use hublab::strategies::{Channel, Context, Members, Message, NodeId, Requests, Snapshot};
use miette::IntoDiagnostic;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Every node tells all that it hosts, and the newest counts: disorder and repetition do no harm.
struct Latest {
    config: LatestConfig,
    /// The stamp of the newest message of each node, this one included.
    newest: BTreeMap<NodeId, Stamp>,
}

type Cx<'a> = Context<'a, Hosted>;
/// The sender's incarnation, and a number that grows: later is larger.
type Stamp = (u64, u64);

/// The one message. Its size is that of its encoding, unless `size_model` says otherwise.
#[derive(Debug, Serialize, Deserialize)]
struct Hosted {
    stamp: Stamp,
    children: Snapshot,
}

impl Message for Hosted {
    const KINDS: &'static [&'static str] = &["latest.hosted"];

    fn kind(&self) -> &'static str {
        "latest.hosted"
    }
}

/// The keys of `[strategy.latest]` in scenario files.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct LatestConfig {
    /// The time between two rounds of a node, which make up for what was lost.
    #[serde(with = "duration_text")]
    #[schemars(schema_with = "duration_text::schema")]
    sync_interval: Duration,
}

impl Default for LatestConfig {
    fn default() -> Self {
        let sync_interval = Duration::from_secs(15);
        Self { sync_interval }
    }
}

impl Latest {
    fn tell(&mut self, cx: &mut Cx<'_>, mut nodes: Vec<NodeId>, channel: Channel) {
        let newest = self.newest.entry(cx.node().clone()).or_default();
        *newest = (cx.incarnation(), newest.1 + 1);
        let (stamp, children) = (*newest, cx.local_data());
        nodes.retain(|node| node != cx.node());
        cx.send(&nodes, channel, Hosted { stamp, children });
    }
}

impl EventStrategy for Latest {
    type Message = Hosted;

    /// Requests are handled here; others hear the result, as far as it concerns this node.
    fn propagate(&mut self, cx: &mut Cx<'_>, requests: Requests, members: &Members) {
        let nodes = match members {
            Members::Global | Members::External => cx.connected().to_vec(),
            Members::Local => Vec::new(),
            Members::Nodes(nodes) => nodes.clone(),
        };
        if members.include_sender(cx.node()) {
            cx.handle_requests(&requests);
        }
        self.tell(cx, nodes, Channel::REQUESTS);
    }

    fn round(&mut self, cx: &mut Cx<'_>) {
        self.tell(cx, cx.view().to_vec(), Channel::SYNC);
    }

    fn round_interval(&self) -> Option<Duration> {
        Some(self.config.sync_interval)
    }

    fn nodes_joining(&mut self, cx: &mut Cx<'_>, nodes: &[NodeId]) {
        self.tell(cx, nodes.to_vec(), Channel::JOIN);
    }

    fn handle_message(&mut self, cx: &mut Cx<'_>, from: &NodeId, hosted: &Hosted) {
        let newest = self.newest.entry(from.clone()).or_default();
        if *newest < hosted.stamp {
            *newest = hosted.stamp;
            for child in hosted.children.children() {
                cx.upsert(&child.spec, from, child.pid.as_ref(), &child.metadata);
            }
            cx.detach_data(from, &hosted.children);
        }
    }
}

impl Strategy for Latest {
    const NAME: &'static str = "latest";
    const SUMMARY: &'static str = "every node sends all that it hosts; the newest counts";
    type Config = LatestConfig;

    fn new(config: &LatestConfig) -> Result<Self, ConfigError> {
        ConfigError::check_sync_interval(config.sync_interval)?;
        let (config, newest) = (config.clone(), BTreeMap::new());
        Ok(Self { config, newest })
    }

    fn claims() -> &'static [Claim] {
        &[Claim {
            oracle: "no_crash",
            condition: Condition::ALWAYS,
            narrowed_by: &[],
        }]
    }
}

#[expect(clippy::print_stdout, reason = "the report is what was asked for")]
fn main() -> miette::Result<std::process::ExitCode> {
    let catalog = hublab::Catalog::default().with::<Latest>();
    if std::env::args().len() > 1 {
        return Ok(hublab::cli::main(catalog));
    }
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/first-join.toml");
    let scenario = Scenario::read(file, &load::read_bytes(file.as_ref())?, &catalog)?;
    let report = Simulation::new(&scenario, &catalog)
        .strategy(Latest::NAME)
        .into_diagnostic()?
        .seed(7)
        .run()
        .into_diagnostic()?;
    println!("{:#}", serde_json::json!(report));
    Ok(std::process::ExitCode::SUCCESS)
}
