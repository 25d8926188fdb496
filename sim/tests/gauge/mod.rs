//! The memory of nodes is looked at: this program's allocator counts.

/// Has `bounded_state` look at the memory of nodes.
pub(crate) fn install() {
    hublab_sim::memory::install(|run| allocation_counter::measure(run).bytes_current);
}
