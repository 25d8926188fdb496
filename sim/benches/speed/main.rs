//! The speed of the simulator, as ratios and rates within one run: `cargo bench`.
//!
//! Every row goes the way of `hublab run`: `hublab_sim::Simulation`, digest and books included. The
//! two floods compare it with a plain loop over a `BinaryHeap` that does nothing else.
//! `cargo bench -- NAME` runs the rows whose name contains NAME.

#![expect(clippy::print_stdout, reason = "the table is the output")]

mod flood;
mod oracles;
mod programs;
mod sizes;
mod table;
mod workload;

use table::Table;

fn main() {
    // Cargo passes `--bench`; anything else is a filter.
    let filter = std::env::args()
        .skip(1)
        .find(|arg| !arg.starts_with('-'))
        .unwrap_or_default();
    let mut table = Table::new(filter);
    workload::measure(&mut table);
    flood::measure(&mut table);
    oracles::measure(&mut table);
    programs::measure(&mut table);
    sizes::measure(&mut table);
    table.finish();
}
