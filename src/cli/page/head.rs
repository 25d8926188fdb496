//! What a run's report tells first: verdict, reason, findings, and the commands that make more of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hublab_sim::capsule::{Footer, Header};
use hublab_sim::report::Report;
use hublab_sim::run::failure::Signature;
use hublab_sim::scenario::Scenario;
use hublab_sim::watch::judge::Verdict;

use super::data::{Finding, Head};
use super::run::{Origin, Source};
use crate::cli::output::{flagged, quoted_path};
use crate::cli::render::number::{counted, grouped};

pub(super) fn head(
    header: &Header,
    footer: &Footer,
    source: Source<'_>,
    findings: &[Finding],
) -> Head {
    let report = &footer.report;
    let commands = match source.origin {
        Origin::Capsule(path) => commands(path, report, findings),
        Origin::Command(command) => vec![
            (
                "its capsule, for all other commands",
                format!("{command} --out runs"),
            ),
            (
                "its report alone",
                format!("{command} --report report.html"),
            ),
        ],
    };
    // A run of a campaign has no file of its own.
    let repeat = match source.origin {
        Origin::Command(command) => command.to_owned(),
        Origin::Capsule(path) if report.replay.is_empty() => {
            format!("hublab replay {}", quoted_path(path))
        }
        Origin::Capsule(_) => report.replay.clone(),
    };
    let messages = &report.messages;
    Head {
        verdict: report.verdict.word(),
        reason: reason(report, findings),
        scenario: report.scenario.clone(),
        summary: source.scenario.summary.clone(),
        strategy: header.strategy.clone(),
        seed: header.seed.to_string(),
        digest: footer.digest.clone(),
        build: header.build.to_string(),
        events: footer.events,
        end_us: report.virtual_us,
        converged_us: report.converged_us,
        messages: format!(
            "{} sent, {} delivered, {} lost, {} under way at the end",
            grouped(messages.sent),
            grouped(messages.delivered),
            grouped(messages.dropped),
            grouped(messages.in_flight),
        ),
        repeat,
        commands,
    }
}

/// What can be made of a capsule, and by which command.
fn commands(path: &Path, report: &Report, findings: &[Finding]) -> Vec<(&'static str, String)> {
    let file = quoted_path(path);
    let mut commands = vec![
        ("run it again and compare", format!("hublab replay {file}")),
        ("its report as text", format!("hublab show {file}")),
        ("events as lines", format!("hublab trace {file}")),
        (
            "events as JSON",
            format!("hublab trace {file} --format ndjson > events.ndjson"),
        ),
        (
            "the diagram as SVG",
            format!("hublab trace {file} --format svg > diagram.svg"),
        ),
        (
            "tracks for Perfetto",
            format!("hublab trace {file} --format perfetto > run.perfetto-trace"),
        ),
        (
            "a log for ShiViz",
            format!("hublab trace {file} --format shiviz > run.log"),
        ),
    ];
    if report.verdict == Verdict::Fail {
        let shrink = format!("hublab shrink {file} > small.toml");
        commands.push(("the smallest scenario that fails so", shrink));
        let blame = format!("hublab report {file} --blame");
        commands.push(("when it became likely, and what decided it", blame));
    }
    let about = findings
        .iter()
        .find(|it| !it.node.is_empty() && !it.child.is_empty());
    if let Some(Finding { node, child, .. }) = about {
        let (node, child) = (flagged("--node", node), flagged("--child", child));
        let why = format!("hublab why {file} {node} {child}");
        commands.push(("why a row stands there, or does not", why));
    }
    commands
}

fn reason(report: &Report, findings: &[Finding]) -> String {
    let first = |verdict| findings.iter().find(|finding| finding.verdict == verdict);
    let told = first(FAILED).or_else(|| first(OPEN).filter(|_| report.verdict != Verdict::Pass));
    match (told, &report.reason) {
        (Some(Finding { what, detail, .. }), _) if detail.starts_with(what.as_str()) => {
            detail.clone()
        }
        (Some(Finding { what, detail, .. }), _) => format!("{what}: {detail}"),
        (None, Some(reason)) => reason.clone(),
        (None, None) => {
            let count = report.expectations.len() as u64;
            format!("{} held", counted(count, "expectation"))
        }
    }
}

/// The verdicts of findings.
const FAILED: &str = "failed";
const DOCUMENTED: &str = "documented";
const OPEN: &str = "open";
const HELD: &str = "held";

pub(super) fn findings(
    scenario: &Scenario,
    report: &Report,
    names: &BTreeMap<Signature, &'static str>,
) -> Vec<Finding> {
    let failed: BTreeSet<Signature> = Signature::all(scenario, report).into_iter().collect();
    let mut all: Vec<Finding> = Vec::new();
    for violation in &report.violations {
        let signature = Signature::of(&report.strategy, violation);
        let is_failure = failed.contains(&signature);
        all.push(Finding {
            verdict: if is_failure { FAILED } else { DOCUMENTED },
            what: violation.oracle.clone(),
            detail: violation.detail.clone(),
            at_us: Some(violation.at_us),
            event: violation.event,
            node: violation.node.clone(),
            child: String::new(),
            line: 0,
            anomaly: names.get(&signature).copied(),
        });
    }
    for judgement in &report.expectations {
        all.push(Finding {
            verdict: match judgement.verdict {
                Verdict::Pass => HELD,
                Verdict::Inconclusive => OPEN,
                Verdict::Fail
                | Verdict::TimedOut
                | Verdict::WorkerLost
                | Verdict::NotReproduced
                | Verdict::Mismatch
                | Verdict::Bug => FAILED,
            },
            what: judgement.claim.clone(),
            detail: judgement.detail.clone(),
            at_us: judgement.at_us,
            event: judgement.event,
            node: judgement.node.clone(),
            child: judgement.child.clone(),
            line: judgement.line,
            anomaly: None,
        });
    }
    let open = report.inconclusive.iter().map(|open| Finding {
        verdict: OPEN,
        what: open.oracle.clone(),
        detail: open.reason.clone(),
        at_us: None,
        event: None,
        node: String::new(),
        child: String::new(),
        line: 0,
        anomaly: None,
    });
    all.extend(open);
    let rank = |finding: &Finding| {
        let order = [FAILED, DOCUMENTED, OPEN, HELD];
        order.iter().position(|verdict| *verdict == finding.verdict)
    };
    all.sort_by_key(|finding| (rank(finding), finding.at_us.unwrap_or(u64::MAX)));
    all
}
