//! The quiet phase: from the last step to the end, if nothing is disturbed any more.

use hublab_strategies::Time;

use crate::watch::ObserverContext;

/// How long the cluster may take from the beginning of the quiet phase, in microseconds:
/// [`Times::repair`](crate::watch::facts::Times::repair), the longest silence if a cut hides the
/// end of a node, with the longest delay that any message
/// of this run had if that is more than the bound of the latency, and the time that busy receivers
/// need for the messages that were on their way or have been sent since.
pub(super) fn repair(cx: &ObserverContext) -> u64 {
    let times = cx.facts().times;
    with_load(times.repair().saturating_add(unheard(cx)), cx)
}

/// How long an end may stay unnoticed that a cut hides: the longest silence; 0 if there is none.
fn unheard(cx: &ObserverContext) -> u64 {
    if cx.hides_an_end() {
        cx.facts().times.silence
    } else {
        0
    }
}

/// A bound with what this run's messages add to it.
pub(super) fn with_load(bound: u64, cx: &ObserverContext) -> u64 {
    let (facts, history) = (cx.facts(), cx.history());
    let late = history.longest_delay().saturating_sub(facts.times.latency);
    let service = facts.service_us.saturating_mul(history.load());
    bound
        .saturating_add(late.saturating_mul(8))
        .saturating_add(service)
}

/// The bound of [`repair`] in words.
pub(super) fn describe(bound: u64, cx: &ObserverContext) -> String {
    let (facts, history) = (cx.facts(), cx.history());
    let late = history.longest_delay().saturating_sub(facts.times.latency);
    let mut text = format!("{} = {}", Time(bound), facts.repair_text());
    let unheard = unheard(cx);
    if unheard > 0 {
        text.push_str(&format!(" + silence {}", Time(unheard)));
    }
    if late > 0 {
        text.push_str(&format!(" + 8 x {} of the slowest message", Time(late)));
    }
    if facts.service_us > 0 {
        let service = Time(facts.service_us);
        text.push_str(&format!(
            " + service {service} x {} messages",
            history.load()
        ));
    }
    text
}

/// Why a run that came to `end` has no quiet phase of `bound` microseconds; `None` if it has.
pub(super) fn missing(bound: u64, end: Time, cx: &ObserverContext) -> Option<String> {
    if let Some(disturbance) = cx.disturbance() {
        return Some(format!("{disturbance} to the end"));
    }
    let quiet = end.since(cx.history().last_step());
    (quiet < bound).then(|| {
        let since = cx.history().last_step();
        format!(
            "the quiet phase since {since} lasts {}, and the bound is {}",
            Time(quiet),
            Time(bound)
        )
    })
}
