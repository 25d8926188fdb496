//! `hublab list`: what there is, one line each.

use hublab_sim::anomaly::{Anomaly, Shown};
use hublab_sim::catalog::{Catalog, CatalogEntry};
use hublab_sim::metric::{Better, Metric};
use hublab_sim::scenario::{Part, lines, reference};
use hublab_sim::watch::oracle::OracleEntry;

use super::args::{List, ListFormat, What};
use super::exit::ExitStatus;
use super::render::style;
use super::{Context, Stop};

pub(super) fn list(args: &List, context: &Context) -> Result<ExitStatus, Stop> {
    if args.format == ListFormat::Markdown {
        return markdown(args.what, context);
    }
    let listed: Vec<(String, String)> = match args.what {
        What::Strategies => {
            let line = |entry: &dyn CatalogEntry| (entry.name(), entry.summary());
            owned(context.catalog.entries().map(line))
        }
        What::Steps => owned(lines(Part::Steps)),
        What::Claims => owned(lines(Part::Claims)),
        What::Laws => owned(lines(Part::Laws)),
        What::Oracles => return oracles(context),
        What::Metrics => context.catalog.metrics().iter().map(metric_line).collect(),
        What::Anomalies => context
            .catalog
            .anomalies()
            .into_iter()
            .map(anomaly_line)
            .collect(),
    };
    print(&listed, context)
}

fn markdown(what: What, context: &Context) -> Result<ExitStatus, Stop> {
    let part = match what {
        What::Metrics => {
            let text = metrics_reference(&context.catalog);
            context.output.write(|out| out.write_all(text.as_bytes()))?;
            return Ok(ExitStatus::Held);
        }
        What::Steps => Part::Steps,
        What::Claims => Part::Claims,
        What::Laws => Part::Laws,
        What::Strategies | What::Oracles | What::Anomalies => {
            return Err(Stop::Usage(
                "--format markdown is for steps, claims, laws and metrics".to_owned(),
            ));
        }
    };
    let text = reference(part, &context.catalog);
    context.output.write(|out| out.write_all(text.as_bytes()))?;
    Ok(ExitStatus::Held)
}

fn print(lines: &[(String, String)], context: &Context) -> Result<ExitStatus, Stop> {
    let width = lines
        .iter()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or(0);
    for (name, summary) in lines {
        let gap = " ".repeat(width - name.chars().count());
        context
            .output
            .line(format_args!("{}{gap}  {summary}", style::bold(name)))?;
    }
    Ok(ExitStatus::Held)
}

/// Every oracle, and then what each strategy promises of it.
fn oracles(context: &Context) -> Result<ExitStatus, Stop> {
    let listed = context.catalog.oracles();
    let listed = listed.iter().map(|entry| (entry.name, entry.summary));
    print(&owned(listed), context)?;
    for entry in context.catalog.entries() {
        context.output.line(format_args!(""))?;
        let title = format!("{}:", entry.name());
        context
            .output
            .line(format_args!("{}", style::bold(&title)))?;
        let line = |oracle: &OracleEntry| {
            let promise = promise(entry, oracle.name);
            (format!("  {}", oracle.name), promise)
        };
        let lines: Vec<(String, String)> = context.catalog.oracles().iter().map(line).collect();
        print(&lines, context)?;
    }
    Ok(ExitStatus::Held)
}

/// What a strategy promises of an oracle, or what breaks it.
fn promise(entry: &dyn CatalogEntry, oracle: &str) -> String {
    let claim = entry.claims().iter().find(|claim| claim.oracle == oracle);
    let broken = entry.broken().iter().find(|broken| broken.oracle == oracle);
    match (claim, broken) {
        (Some(claim), _) if claim.narrowed_by.is_empty() => format!("claimed: {}", claim.condition),
        (Some(claim), _) => format!(
            "claimed: {}; narrowed by {}",
            claim.condition,
            claim.narrowed_by.join(", ")
        ),
        (None, Some(broken)) => format!("violated by {}", broken.by.join(", ")),
        (None, None) => "not claimed".to_owned(),
    }
}

fn owned<'a>(lines: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<(String, String)> {
    lines
        .map(|(name, summary)| (name.to_owned(), summary.to_owned()))
        .collect()
}

fn metric_line(metric: &Metric) -> (String, String) {
    let kinds = if metric.is_per_kind() {
        "; NAME.KIND for one kind of message"
    } else {
        ""
    };
    (
        metric.name.to_owned(),
        format!("{} {}{kinds}", metric.unit, metric.summary),
    )
}

/// The reference of metrics: docs/metrics.md is this of the shipped catalog.
fn metrics_reference(catalog: &Catalog) -> String {
    let mut text = String::from(
        "# Metrics\n\nEvery run ends with these numbers: in `--format json` under `metrics`, in the statistics of \
         `run --seeds`, in `compare`, and for claims of `metric` in scenario files. Those marked `.KIND` exist for \
         each kind of message, too. Quantiles are nearest-rank; of times that some had not come to by the end of \
         the run they are Kaplan and Meier's estimate. A claim may measure those marked under *window* over a part \
         of the run, `from` one instant `to` another: messages, bytes and defects within it, and the propagation \
         of changes that took place in it, whenever they were seen. This page is written by `hublab list metrics --format \
         markdown`.\n\n\
         A *defect* is a child on a node, its owner, that another running node, the observer, shows otherwise \
         than it is: absent, ghost (shown, and not running), or wrong (another pid or metadata). A *change* is a \
         start, stop, restart or change of metadata of a child on its node.\n\n\
         | name | unit | better | what | missing | window |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for metric in catalog.metrics() {
        let kinds = if metric.is_per_kind() {
            ", `.KIND`"
        } else {
            ""
        };
        let better = match metric.better {
            Better::Low => "low",
            Better::High => "high",
            Better::Neither => "",
        };
        let missing = if metric.missing.is_empty() {
            "never"
        } else {
            metric.missing
        };
        let window = if metric.over_windows { "yes" } else { "" };
        text.push_str(&format!(
            "| `{}`{kinds} | {} | {better} | {} | {missing} | {window} |\n",
            metric.name, metric.unit, metric.summary
        ));
    }
    text
}

fn anomaly_line(anomaly: &Anomaly) -> (String, String) {
    let shown = match anomaly.shown {
        Shown::By(scenario) => format!("[{scenario}]"),
        Shown::Never(why) => format!("[no scenario: {why}]"),
    };
    let seen_by = match anomaly.seen_by {
        [] => String::new(),
        oracles => format!(" [seen by {}]", oracles.join(", ")),
    };
    (
        anomaly.id.to_owned(),
        format!("{}: {} {shown}{seen_by}", anomaly.title, anomaly.summary),
    )
}
