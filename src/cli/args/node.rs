//! What can be typed after `node` and `ctl`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{NonEmptyStringValueParser, PossibleValue, PossibleValuesParser};
use clap::{Args, Subcommand, ValueEnum};
use hublab_strategies::{PubSub, Strategy, builtin};

use super::{duration, overriding};

#[derive(Debug, Args)]
pub(in crate::cli) struct Node {
    /// Print a new secret for a cluster, and end
    #[arg(long, exclusive = true)]
    pub(in crate::cli) new_secret: bool,
    /// The cluster's id: only nodes of the same id form a cluster
    #[arg(long, value_name = "ID", required_unless_present = "new_secret", value_parser = NonEmptyStringValueParser::new())]
    pub(in crate::cli) hub: Option<String>,
    /// This node's name, unique in the cluster
    #[arg(long, value_name = "NAME", required_unless_present = "new_secret", value_parser = NonEmptyStringValueParser::new())]
    pub(in crate::cli) name: Option<String>,
    /// The address to listen on; port 0 is any free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub(in crate::cli) listen: String,
    /// The address that others shall dial; default: the one listened on
    #[arg(long, value_name = "ADDR")]
    pub(in crate::cli) advertise: Option<String>,
    /// The address of a node to start from; can be given several times
    #[arg(long = "peer", value_name = "ADDR")]
    pub(in crate::cli) peers: Vec<String>,
    /// The synchronization strategy; the same on all nodes
    #[arg(long, default_value = PubSub::NAME, value_name = "NAME", value_parser = strategies())]
    pub(in crate::cli) strategy: String,
    /// A parameter of the strategy: `sync_interval=5s`; can be given several times
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = overriding)]
    pub(in crate::cli) parameters: Vec<(String, String)>,
    /// A file with the cluster's secret; while secrets are rotated, a second one whose secret is
    /// accepted, too. Without a secret, only loopback addresses are used
    #[arg(long = "secret-file", value_name = "FILE")]
    pub(in crate::cli) secrets: Vec<PathBuf>,
    /// Make a socket here, for `hublab ctl`
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli) control: Option<PathBuf>,
    /// Make a second socket here, for `hublab ctl` too, which answers questions and changes nothing
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli) control_read: Option<PathBuf>,
    /// Serve the counters over HTTP here, in the OpenMetrics text format; a port alone is one of the
    /// loopback address
    #[arg(long, value_name = "ADDR")]
    pub(in crate::cli) metrics: Option<String>,
    /// The time between two announcements of this node
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(in crate::cli) discovery_interval: Duration,
    /// How long joins and downs are collected before they are handled
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = duration)]
    pub(in crate::cli) join_debounce: Duration,
    /// How long a peer may be silent before it counts as down
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub(in crate::cli) down_after: Duration,
}

/// The strategies that nodes can run.
fn strategies() -> PossibleValuesParser {
    let value =
        |(name, summary): &(&'static str, &'static str)| PossibleValue::new(*name).help(*summary);
    PossibleValuesParser::new(builtin::SUMMARIES.iter().map(value))
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Ctl {
    /// The socket of the node
    #[arg(long, value_name = "PATH", global = true, required = false)]
    pub(in crate::cli) control: Option<PathBuf>,
    /// How to print the results
    #[arg(long, value_enum, default_value_t = CtlFormat::Human, value_name = "FORMAT", global = true)]
    pub(in crate::cli) format: CtlFormat,
    #[command(subcommand)]
    pub(in crate::cli) what: CtlCommand,
}

/// How `ctl` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum CtlFormat {
    /// Lines for people.
    Human,
    /// One JSON object per line.
    Json,
}

/// What a node can be asked.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum CtlCommand {
    /// Start children, and tell the cluster
    #[command(
        after_help = "Kinds: sleep (arg `for`: end after this time), crash-after (arg `after`: fail after this \
        time, default 1s),\necho (arg `text`: print it).\n\nExamples:\n  \
        hublab ctl --control a.sock start web-1 web-2\n  \
        hublab ctl --control a.sock start flaky --kind crash-after --arg after=3s --on b\n  \
        hublab ctl --control a.sock start --count 1000 --prefix w- --format json"
    )]
    Start(CtlStart),
    /// Stop children wherever they run, and tell the cluster
    #[command(after_help = "Example: hublab ctl --control a.sock stop web-1")]
    Stop(CtlStop),
    /// Where a child runs, as far as the node knows
    #[command(after_help = "Example: hublab ctl --control a.sock lookup web-1")]
    Lookup {
        /// The child
        #[arg(value_name = "ID")]
        child: String,
    },
    /// All children that the node knows of, with the nodes that run them
    #[command(after_help = "Example: hublab ctl --control a.sock registry --format json")]
    Registry,
    /// The cluster view of the node, and the peers it is connected to
    #[command(after_help = "Example: hublab ctl --control a.sock members")]
    Members,
    /// The counters of the node
    #[command(after_help = "Example: hublab ctl --control a.sock stats --format json")]
    Stats,
    /// Follow what happens at the node, or to one child, until interrupted
    #[command(after_help = "Example: hublab ctl --control a.sock watch web-1")]
    Watch {
        /// Only this child
        #[arg(value_name = "ID")]
        child: Option<String>,
    },
    /// What the node's secrets are
    #[command(subcommand)]
    Secrets(Secrets),
    /// Have the node leave the cluster and end
    #[command(after_help = "Example: hublab ctl --control a.sock leave")]
    Leave,
}

/// What can be done with a node's secrets.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Secrets {
    /// Have the node read its secret files again: connections get new handshakes, and stay up
    #[command(after_help = "Example: hublab ctl --control a.sock secrets reload")]
    Reload,
}

/// The children of a request.
#[derive(Debug, Args)]
pub(in crate::cli) struct Children {
    /// The children
    #[arg(value_name = "ID", required_unless_present = "count")]
    pub(in crate::cli) children: Vec<String>,
    /// So many more, named by the prefix and a number from 1
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    pub(in crate::cli) count: Option<u32>,
    /// What the names of counted children begin with
    #[arg(long, value_name = "TEXT", default_value = "child-")]
    pub(in crate::cli) prefix: String,
}

impl Children {
    /// The names of all of them.
    pub(in crate::cli) fn names(&self) -> Vec<String> {
        let counted =
            (1..=self.count.unwrap_or(0)).map(|number| format!("{}{number}", self.prefix));
        self.children.iter().cloned().chain(counted).collect()
    }
}

#[derive(Debug, Args)]
pub(in crate::cli) struct CtlStart {
    #[command(flatten)]
    pub(in crate::cli) children: Children,
    /// Their kind
    #[arg(long, value_name = "KIND", default_value = "sleep")]
    pub(in crate::cli) kind: String,
    /// An argument of each of them; can be given several times
    #[arg(long = "arg", value_name = "KEY=VALUE", value_parser = pair)]
    pub(in crate::cli) args: Vec<(String, String)>,
    /// Metadata of each of them; can be given several times
    #[arg(long = "metadata", value_name = "KEY=VALUE", value_parser = pair)]
    pub(in crate::cli) metadata: Vec<(String, String)>,
    /// A node that shall run them; can be given several times; default: the node that is asked
    #[arg(long = "on", value_name = "NODE")]
    pub(in crate::cli) nodes: Vec<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct CtlStop {
    #[command(flatten)]
    pub(in crate::cli) children: Children,
    /// A node that shall stop them; can be given several times; default: all that run them
    #[arg(long = "on", value_name = "NODE")]
    pub(in crate::cli) nodes: Vec<String>,
}

fn pair(text: &str) -> Result<(String, String), super::BadArgument> {
    text.split_once('=')
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or(super::BadArgument::Write("a key and a value: after=3s"))
}

/// Pairs as a table; of two with one key the later counts.
pub(in crate::cli) fn table(pairs: &[(String, String)]) -> BTreeMap<Box<str>, Box<str>> {
    pairs
        .iter()
        .map(|(key, value)| (key.as_str().into(), value.as_str().into()))
        .collect()
}
