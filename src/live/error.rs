//! Why a scenario was not played.

use hublab_strategies::NodeId;
use hublab_strategies::live::BuildError;

/// Why a scenario was not played. No run came of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LiveError {
    /// It cannot be run with real hubs, for these reasons.
    #[error("{}", .0.join("; "))]
    Refused(Vec<String>),
    /// No strategy with a live form has this name.
    #[error("the strategy `{0}` has no live form")]
    UnknownStrategy(String),
    /// The strategy refuses its parameters.
    #[error("strategy.{strategy}: {reason}")]
    Parameters {
        /// The strategy.
        strategy: String,
        /// The reason.
        reason: String,
    },
    /// A hub could not start.
    #[error("{node}: {error}")]
    Start {
        /// Its node.
        node: NodeId,
        /// Why.
        #[source]
        error: BuildError,
    },
    /// The hubs of the start did not connect.
    #[error("the hubs of the start do not connect")]
    Unconnected,
    /// The run ended while a hub was to start.
    #[error("the run is over")]
    Over,
}
