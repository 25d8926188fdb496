//! What can be typed after the commands of the first steps: `init`, `completions`, `man`.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

#[derive(Debug, Args)]
pub(in crate::cli) struct Init {
    /// Where to write; made if it is not there
    #[arg(value_name = "DIR")]
    pub(in crate::cli) directory: PathBuf,
    /// Write a crate with a strategy of this name instead, with an oracle, a metric and tests
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) strategy: Option<String>,
    /// hublab's directory, which the crate is to depend on; default: the one that this program was built
    /// in if it is still there, or else the commit that this program was built from
    #[arg(long, value_name = "HUBLAB_DIR", requires = "strategy")]
    pub(in crate::cli) path: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Completions {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    pub(in crate::cli) shell: Shell,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Man {
    /// Where to write the pages; made if it is not there. Pages of the same names are replaced
    #[arg(value_name = "DIR")]
    pub(in crate::cli) directory: PathBuf,
}
