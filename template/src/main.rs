//! The `hublab` command line with one strategy, one oracle and one metric more.

use std::process::ExitCode;

fn main() -> ExitCode {
    hublab::cli::main(my_strategy::catalog())
}
