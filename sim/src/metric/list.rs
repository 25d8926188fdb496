//! The list of metrics.

use super::{Better, Measure, Metric};
use crate::watch::measure::{Measured, ratio};

/// A time of defects, in microseconds.
const fn stale(
    name: &'static str,
    summary: &'static str,
    value: fn(&Measured) -> Option<u64>,
) -> Metric {
    Metric::of_measured(name, "us", summary, value)
        .measured_as(Measure::Time)
        .better(Better::Low)
}

/// A time from a change until it is shown, in microseconds.
const fn propagation(
    name: &'static str,
    summary: &'static str,
    value: fn(&Measured) -> Option<u64>,
) -> Metric {
    stale(name, summary, value).missing_means("no change came to be seen, or too many did not")
}

/// A mean of messages or bytes that sending less of makes lower.
const fn mean(
    name: &'static str,
    unit: &'static str,
    summary: &'static str,
    value: fn(&Measured) -> Option<f64>,
) -> Metric {
    Metric::of_measured_reals(name, unit, summary, value).better(Better::Low)
}

/// The most of messages or bytes.
const fn most(
    name: &'static str,
    unit: &'static str,
    summary: &'static str,
    value: fn(&Measured) -> Option<u64>,
) -> Metric {
    Metric::of_measured(name, unit, summary, value).better(Better::Low)
}

const NO_QUEUE: &str = "no receiver is busy, or nothing arrived";

/// The metrics of every catalog.
pub const LIST: &[Metric] = &[
    Metric::of_kinds(
        "messages_sent",
        "messages",
        "sent, once per recipient",
        |kind| kind.sent,
    )
    .better(Better::Low),
    Metric::of_kinds(
        "messages_delivered",
        "messages",
        "handled by their receiver, copies too",
        |kind| kind.delivered,
    ),
    Metric::of_kinds(
        "messages_dropped",
        "messages",
        "lost on the way; `.reason.loss` and so on: for that reason",
        |kind| kind.dropped,
    ),
    Metric::of_kinds(
        "messages_duplicated",
        "messages",
        "copies that the network made",
        |kind| kind.duplicated,
    ),
    Metric::of_kinds(
        "bytes_sent",
        "bytes",
        "sent, in the wire encoding",
        |kind| kind.bytes,
    )
    .better(Better::Low),
    Metric::of_report("events", "events", "in the trace", |report| {
        Some(report.events)
    })
    .that_only_grows()
    .over_windows(),
    Metric::of_report(
        "converged_us",
        "us",
        "the instant since which views have equalled the truth",
        |report| report.converged_us,
    )
    .measured_as(Measure::Time)
    .better(Better::Low)
    .missing_means("the views did not converge"),
    stale(
        "stale_us",
        "defects, integrated over time: row-microseconds",
        |it| Some(it.stale.total_us()),
    )
    .over_windows(),
    stale("stale_us.absent", "the same, of what is absent", |it| {
        Some(it.stale.area_us[0])
    })
    .over_windows(),
    stale("stale_us.ghost", "the same, of ghosts", |it| {
        Some(it.stale.area_us[1])
    })
    .over_windows(),
    stale("stale_us.wrong", "the same, of what is wrong", |it| {
        Some(it.stale.area_us[2])
    })
    .over_windows(),
    stale(
        "stale_us.unexcused",
        "the same without what no strategy could have avoided: of nodes that are not connected to the observer, or have been again for a short time only, or whose end need not have been noticed yet",
        |it| Some(it.stale.unexcused_us),
    )
    .over_windows(),
    Metric::of_measured_reals(
        "stale_share",
        "share",
        "the chance that a look-up of a child that is true or shown is answered wrongly, at a random time",
        |it| it.stale.share(),
    )
    .measured_as(Measure::Share)
    .better(Better::Low)
    .missing_means("there was nothing to look up")
    .over_windows(),
    stale(
        "stale_longest_us",
        "the longest time that a child was defective at an observer",
        |it| Some(it.stale.longest_us),
    ),
    stale(
        "stale_longest_us.absent",
        "the longest time that a child was absent at an observer",
        |it| Some(it.stale.longest_of_us[0]),
    ),
    stale(
        "stale_longest_us.ghost",
        "the longest time that a child was a ghost at an observer",
        |it| Some(it.stale.longest_of_us[1]),
    ),
    stale(
        "stale_longest_us.wrong",
        "the longest time that a child was wrong at an observer",
        |it| Some(it.stale.longest_of_us[2]),
    ),
    most(
        "flaps",
        "flaps",
        "entries that were right, and then defective without a change",
        |it| Some(it.stale.flaps),
    )
    .over_windows(),
    propagation(
        "propagation_us.p50",
        "from a change until a connected observer shows it: the median",
        |it| it.propagation.each_us.p50,
    )
    .over_windows(),
    propagation(
        "propagation_us.p90",
        "from a change until a connected observer shows it: the 90th percentile",
        |it| it.propagation.each_us.p90,
    )
    .over_windows(),
    propagation(
        "propagation_us.p99",
        "from a change until a connected observer shows it: the 99th percentile",
        |it| it.propagation.each_us.p99,
    )
    .over_windows(),
    propagation(
        "propagation_us.p999",
        "from a change until a connected observer shows it: the 99.9th percentile",
        |it| it.propagation.each_us.p999,
    )
    .over_windows(),
    propagation(
        "propagation_us.max",
        "from a change until a connected observer shows it: the longest",
        |it| it.propagation.each_us.max,
    )
    .missing_means("no change came to be seen, or some did not")
    .over_windows(),
    Metric::of_measured_reals(
        "propagation_us.mean",
        "us",
        "from a change until a connected observer shows it: the mean",
        |it| it.propagation.each_us.mean,
    )
    .measured_as(Measure::Time)
    .better(Better::Low)
    .missing_means("no change came to be seen, or some did not")
    .over_windows(),
    propagation(
        "propagation_last_us.p50",
        "from a change until its last connected observer shows it: the median",
        |it| it.propagation.last_us.p50,
    )
    .over_windows(),
    propagation(
        "propagation_last_us.p99",
        "from a change until its last connected observer shows it: the 99th percentile",
        |it| it.propagation.last_us.p99,
    )
    .over_windows(),
    propagation(
        "propagation_last_us.max",
        "from a change until its last connected observer shows it: the longest",
        |it| it.propagation.last_us.max,
    )
    .missing_means("no change came to be seen, or some did not")
    .over_windows(),
    most(
        "hops_last",
        "hops",
        "of the delivery by which the last observer came to show a change: the median over changes",
        |it| it.propagation.last_hops,
    )
    .missing_means("no change was shown by all, the last time by a delivery")
    .over_windows(),
    most(
        "unseen",
        "samples",
        "changes that an observer had not shown at the end of the run",
        |it| Some(it.propagation.unseen),
    )
    .over_windows(),
    Metric::of_measured(
        "skipped",
        "samples",
        "starts that were taken back before an observer showed them",
        |it| Some(it.propagation.skipped),
    )
    .over_windows(),
    Metric::of_report(
        "settle_us",
        "us",
        "from the last step to the instant since which views have equalled the truth",
        |report| Some(report.converged_us?.saturating_sub(report.last_step_us)),
    )
    .measured_as(Measure::Time)
    .better(Better::Low)
    .missing_means("the views did not converge"),
    stale(
        "detection_us.first",
        "from the stop of a node until the first connected observer has it outside its view: the median over stops",
        |it| it.detection_us[0],
    )
    .missing_means("no node stopped, or it was not noticed"),
    stale(
        "detection_us.last",
        "from the stop of a node until the last connected observer has it outside its view: the median over stops",
        |it| it.detection_us[1],
    )
    .missing_means("no node stopped, or it was not noticed by all"),
    Metric::of_reals(
        "messages_per_change",
        "messages",
        "sent in the run, by changes of children",
        |report| ratio(report.messages.sent, report.measured.as_ref()?.changes),
    )
    .better(Better::Low)
    .missing_means("nothing changed")
    .over_windows(),
    Metric::of_reals(
        "bytes_per_change",
        "bytes",
        "sent in the run, by changes of children",
        |report| ratio(report.messages.bytes, report.measured.as_ref()?.changes),
    )
    .better(Better::Low)
    .missing_means("nothing changed")
    .over_windows(),
    mean(
        "messages_idle_per_node_s",
        "messages",
        "sent per running node and second, between steps",
        |it| it.traffic.idle_messages,
    )
    .missing_means("no stretch without a step had two rounds"),
    mean(
        "bytes_idle_per_node_s",
        "bytes",
        "sent per running node and second, between steps",
        |it| it.traffic.idle_bytes,
    )
    .missing_means("no stretch without a step had two rounds"),
    mean(
        "node_bytes.mean",
        "bytes",
        "sent and received by a node: the mean",
        |it| Some(it.traffic.node_bytes.mean),
    )
    .over_windows(),
    most(
        "node_bytes.max",
        "bytes",
        "sent and received by a node: the most",
        |it| Some(it.traffic.node_bytes.max),
    )
    .over_windows(),
    mean(
        "node_bytes.gini",
        "share",
        "sent and received by nodes: Gini's coefficient, 0 if all are equal",
        |it| it.traffic.node_bytes.gini,
    )
    .measured_as(Measure::Share)
    .missing_means("nothing was sent")
    .over_windows(),
    mean(
        "node_messages.mean",
        "messages",
        "sent and received by a node: the mean",
        |it| Some(it.traffic.node_messages.mean),
    )
    .over_windows(),
    most(
        "node_messages.max",
        "messages",
        "sent and received by a node: the most",
        |it| Some(it.traffic.node_messages.max),
    )
    .over_windows(),
    mean(
        "node_messages.gini",
        "share",
        "sent and received by nodes: Gini's coefficient, 0 if all are equal",
        |it| it.traffic.node_messages.gini,
    )
    .measured_as(Measure::Share)
    .missing_means("nothing was sent")
    .over_windows(),
    most(
        "peak_bytes_1s",
        "bytes",
        "the most that a node sent and received within a second",
        |it| Some(it.traffic.peak_bytes_1s),
    )
    .over_windows(),
    most(
        "queue_peak",
        "messages",
        "the most that waited for a busy receiver, without the one in service",
        |it| Some(it.queue.as_ref()?.peak),
    )
    .missing_means(NO_QUEUE)
    .over_windows(),
    stale(
        "queue_wait_us.p99",
        "from the arrival of a message until its service: the 99th percentile",
        |it| it.queue.as_ref()?.wait_us.p99,
    )
    .missing_means(NO_QUEUE)
    .over_windows(),
    stale(
        "queue_wait_us.max",
        "from the arrival of a message until its service: the longest",
        |it| it.queue.as_ref()?.wait_us.max,
    )
    .missing_means(NO_QUEUE)
    .over_windows(),
    mean(
        "redundant_rows",
        "share",
        "of the entries that messages brought, those that changed nothing where they were handled",
        |it| {
            let [received, changed] = it.entries?;
            ratio(received - changed, received)
        },
    )
    .measured_as(Measure::Share)
    .missing_means("no entry was received, or messages do not tell their entries")
    .over_windows(),
    most(
        "state_bytes.max",
        "bytes",
        "the most that a node held: its rows, and what its strategy keeps beside them",
        |it| Some(it.state_bytes),
    ),
    Metric::of_report(
        "rows",
        "rows",
        "at the end, over all running nodes",
        |report| Some(report.rows),
    ),
];
