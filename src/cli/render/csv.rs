//! Reports as lines of comma-separated values.

use hublab_sim::run::report::Report;
use hublab_sim::watch::judge::Verdict;

/// The names of the columns.
pub(in crate::cli) const HEADER: &str = "scenario,strategy,seed,verdict,digest,events,virtual_us,wall_us,\
    sent,delivered,dropped,duplicated,in_flight,bytes,converged_us,rows,reason";

/// A verdict as a word.
pub(in crate::cli) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Inconclusive => "inconclusive",
        Verdict::Fail => "fail",
    }
}

/// One run. What has no value is empty.
pub(in crate::cli) fn line(report: &Report) -> String {
    let messages = &report.messages;
    [
        field(&report.scenario),
        field(&report.strategy),
        report.seed.to_string(),
        verdict(report.verdict).to_owned(),
        report.digest.clone().unwrap_or_default(),
        report.events.to_string(),
        report.virtual_us.to_string(),
        report.wall_us.to_string(),
        messages.sent.to_string(),
        messages.delivered.to_string(),
        messages.dropped.to_string(),
        messages.duplicated.to_string(),
        messages.in_flight.to_string(),
        messages.bytes.to_string(),
        report
            .converged_us
            .map(|us| us.to_string())
            .unwrap_or_default(),
        report.rows.to_string(),
        field(report.reason.as_deref().unwrap_or_default()),
    ]
    .join(",")
}

/// A text, in quotes if it has to be (RFC 4180).
fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_texts_with_separators_are_quoted() {
        assert_eq!(field("first-join"), "first-join");
        assert_eq!(field("a, \"b\""), "\"a, \"\"b\"\"\"");
    }
}
