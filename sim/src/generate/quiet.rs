//! The quiet phase: everything heals, and then nothing happens for long enough.

use super::setting::Clockwork;

/// How long nothing happens at the end of a run, in milliseconds.
///
/// Long enough for the longest bound of a liveness oracle: the last silence or crash is noticed
/// (the longest silence, the debounce, a latency); pairs meet again (an announcement, which its
/// debounce may follow at each end); rounds bring the rest (three of them, because the first may be
/// under way, and lost, when the phase begins). Each message may take its latency several times
/// over, for queues.
pub(super) fn length(clockwork: Clockwork, slowest: u64) -> u64 {
    let noticed = clockwork.down + clockwork.crash + clockwork.debounce;
    let met = 2 * (clockwork.discovery + clockwork.debounce);
    let told = 4 * clockwork.sync;
    noticed + met + told + 10 * clockwork.latency + slowest + 1_000
}
