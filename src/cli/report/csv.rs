//! Runs as lines of comma-separated values.

use std::sync::Arc;

use hublab_sim::campaign::record::Record;
use hublab_sim::catalog::Catalog;
use hublab_sim::metric::{self, Number};
use hublab_sim::report::Report;

use super::{Reporter, Run, Setting, Target};
use crate::cli::{Context, Stop};

struct Csv {
    catalog: Arc<Catalog>,
    /// The values that were changed in every file.
    overrides: Vec<(String, String)>,
    /// Kinds of messages with columns of their own.
    kinds: Vec<&'static str>,
    has_header: bool,
}

pub(super) fn make(setting: Setting, context: &Context) -> Box<dyn Reporter> {
    Box::new(Csv {
        catalog: Arc::clone(&context.catalog),
        overrides: setting.overrides,
        kinds: setting.kinds,
        has_header: false,
    })
}

impl Csv {
    /// The metrics that the catalog adds to those of all catalogs: columns in front of changed values.
    fn added(&self) -> impl Iterator<Item = String> {
        let names = self.catalog.metrics().iter().map(|metric| metric.name);
        let is_known = |name: &str| metric::LIST.iter().any(|known| known.name == name);
        names.filter(move |name| !is_known(name)).map(str::to_owned)
    }

    /// The metrics that are no columns by another rule, then those of single kinds of messages.
    fn metrics(&self) -> impl Iterator<Item = String> {
        let metrics = self.catalog.metrics().iter();
        let is_new = |name: &str| !HEADER.split(',').any(|column| column == name);
        let names = metric::LIST.iter().map(|metric| metric.name.to_owned());
        let of_kinds = metrics.filter(|metric| metric.is_per_kind());
        let of_kinds = of_kinds.flat_map(|metric| {
            let kinds = self.kinds.iter();
            kinds.map(|kind| format!("{}.{kind}", metric.name))
        });
        names.filter(move |name| is_new(name)).chain(of_kinds)
    }

    fn header(&self) -> String {
        let changed = self.overrides.iter().map(|(key, _)| field(key));
        let names = std::iter::once(HEADER.to_owned()).chain(self.added());
        let names = names.chain(changed);
        names.chain(self.metrics()).collect::<Vec<_>>().join(",")
    }

    fn line(&self, report: &Report) -> String {
        let value = |name: String| {
            let value = report.metric(&name);
            value.map_or_else(String::new, Number::exact)
        };
        let changed = self.overrides.iter().map(|(_, value)| field(value));
        let values = std::iter::once(line(report)).chain(self.added().map(value));
        let values = values.chain(changed);
        let values = values.chain(self.metrics().map(value));
        values.collect::<Vec<_>>().join(",")
    }
}

impl Reporter for Csv {
    fn run(&mut self, run: &Run<'_>, to: &mut Target) -> Result<(), Stop> {
        let (header, line) = match run.details {
            Some((report, _)) => (self.header(), self.line(report)),
            None => (RECORD_HEADER.to_owned(), record_line(run.record)),
        };
        if !std::mem::replace(&mut self.has_header, true) {
            to.line(header)?;
        }
        to.line(line)
    }

    fn wants_runs(&self) -> bool {
        true
    }
}

/// The names of the columns.
const HEADER: &str = "scenario,strategy,seed,verdict,digest,events,virtual_us,wall_us,\
    sent,delivered,dropped,duplicated,in_flight,bytes,converged_us,rows,reason";

/// One run. What has no value is empty.
fn line(report: &Report) -> String {
    let messages = &report.messages;
    [
        field(&report.scenario),
        field(&report.strategy),
        report.seed.to_string(),
        report.verdict.word().to_owned(),
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

/// The names of the columns of a campaign's runs.
const RECORD_HEADER: &str =
    "scenario,strategy,seed,verdict,digest,events,virtual_us,wall_us,converged_us,findings,note";

/// One run of a campaign. What failed in it is one field, with semicolons between.
fn record_line(record: &Record) -> String {
    let findings = record.findings.iter();
    let findings: Vec<String> = findings.map(|one| one.signature.to_string()).collect();
    let converged = record.converged_us.map(|us| us.to_string());
    [
        field(&record.scenario),
        field(&record.strategy),
        record.seed.to_string(),
        record.verdict.word().to_owned(),
        record.digest.clone().unwrap_or_default(),
        record.events.to_string(),
        record.virtual_us.to_string(),
        match record.wall_us {
            0 => String::new(),
            wall_us => wall_us.to_string(),
        },
        converged.unwrap_or_default(),
        field(&findings.join("; ")),
        field(record.note.as_deref().unwrap_or_default()),
    ]
    .join(",")
}

/// A text, in quotes if it has to be (RFC 4180).
pub(in crate::cli) fn field(text: &str) -> String {
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
