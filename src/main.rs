//! The `hublab` command with the two ports, PubSub and Gossip.

use std::process::ExitCode;

fn main() -> ExitCode {
    hublab::cli::main(hublab::Catalog::default())
}
