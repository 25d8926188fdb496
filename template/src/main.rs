//! The `hublab` command line with one strategy more.

use std::process::ExitCode;

use hublab::Catalog;
use my_strategy::Mine;

fn main() -> ExitCode {
    hublab::cli::main(Catalog::default().with::<Mine>())
}
