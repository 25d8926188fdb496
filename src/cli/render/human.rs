//! A report for people: what happened, what was expected, what it cost, and how to see it again.

use hublab_sim::report::{KindCounts, Report};
use hublab_sim::scenario::resolve::resolved_steps;
use hublab_sim::scenario::{NodeIx, Scenario, Step};
use hublab_sim::trace::text::printable;
use hublab_sim::watch::judge::Verdict;
use hublab_sim::watch::timeline::Segment;
use hublab_strategies::Time;

use super::number::{counted, grouped, time};
use super::step::Words;
use super::style;
use crate::cli::output::Columns;

/// The most steps that a block shows, the first and the last of them.
const STEPS_SHOWN: usize = 40;
/// The columns that what follows from a step gets at least.
const EFFECTS_WIDTH: usize = 44;
/// The columns that a step gets at least, where there is room.
const STEP_WIDTH: usize = 24;

/// Everything about one run, as a block of lines. The last one is the command that repeats it.
pub(in crate::cli) fn block(
    report: &Report,
    scenario: &Scenario,
    explanation: Option<&str>,
    columns: Columns,
) -> String {
    let Columns {
        layout,
        sentences: width,
    } = columns;
    let mut head = vec![header(report)];
    let summary = scenario.summary.iter();
    head.extend(summary.flat_map(|summary| broken(&printable(summary), width)));
    let judged = [expectations(report, width), violations(report, width)].concat();
    let mut figures = broken(&figures(report), width);
    figures.push(match &report.digest {
        Some(digest) => format!("digest {digest}"),
        None => "no digest: the run depends on the wall clock".to_owned(),
    });
    let reason = report.reason.iter();
    let why = if report.ended_early {
        "ended early"
    } else {
        "inconclusive"
    };
    figures.extend(reason.flat_map(|reason| broken(&format!("{why}: {reason}"), width)));
    figures.push(report.replay.clone());
    let sections = [
        head,
        timeline(report, scenario, layout),
        judged,
        explained(explanation.unwrap_or_default(), width),
        messages(report, width),
        figures,
    ];
    let sections = sections.iter().filter(|lines| !lines.is_empty());
    sections
        .map(|lines| lines.join("\n"))
        .collect::<Vec<_>>()
        .join("\n\n")
}

/// An explanation, line by line; events are indented, and what follows of one a little more.
fn explained(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for line in text.lines() {
        let plain = line.trim_start();
        let indent = line.len() - plain.len();
        for (place, part) in broken(plain, width.saturating_sub(indent + 2))
            .iter()
            .enumerate()
        {
            let indent = if place == 0 { indent } else { indent + 2 };
            lines.push(format!("{:indent$}{part}", ""));
        }
    }
    lines
}

/// A run in one line, for long lists; `names` and `strategies` are the widths of those columns. Where
/// the line does not fit, the time it took is left out, then the number of messages.
pub(in crate::cli) fn line(
    report: &Report,
    names: usize,
    strategies: usize,
    width: usize,
) -> String {
    let word = style::verdict(report.verdict, format_args!("{:<4}", report.verdict.word()));
    let converged = match report.converged_us {
        Some(us) => format!("converged {}", Time(us)),
        None => "not converged".to_owned(),
    };
    let seed = format!("seed {:<4}", report.seed);
    let messages = format!("{:>9} messages", grouped(report.messages.sent));
    let took = format!("{:>9}", time(report.wall_us));
    let mut parts = vec![messages, took, converged];
    let fixed = 4 + 2 + 2 + strategies + 2 + seed.len();
    let rest = |parts: &[String]| -> usize { parts.iter().map(|part| part.len() + 2).sum() };
    for dispensable in [1, 0] {
        if fixed + names + rest(&parts) > width {
            parts.remove(dispensable);
        }
    }
    let names = names.min(width.saturating_sub(fixed + rest(&parts)).max(8));
    format!(
        "{word}  {}  {}  {seed}  {}",
        padded(&printable(&report.scenario), names),
        padded(&report.strategy, strategies),
        parts.join("  "),
    )
}

/// How many runs came to which verdict.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::cli) struct Tally {
    pass: u64,
    fail: u64,
    inconclusive: u64,
}

impl Tally {
    /// Counts one run.
    pub(in crate::cli) fn add(&mut self, verdict: Verdict) {
        let count = if verdict == Verdict::Pass {
            &mut self.pass
        } else if verdict.is_failure() {
            &mut self.fail
        } else {
            &mut self.inconclusive
        };
        *count += 1;
    }

    /// All of them.
    pub(in crate::cli) fn total(self) -> u64 {
        self.pass + self.fail + self.inconclusive
    }
}

/// The closing line of a series of runs, which took `time`.
pub(in crate::cli) fn total(tally: Tally, time: &str) -> String {
    let mut parts = vec![style::pass(format_args!("{} passed", grouped(tally.pass)))];
    if tally.fail > 0 {
        parts.push(style::error(format_args!("{} failed", grouped(tally.fail))));
    }
    if tally.inconclusive > 0 {
        parts.push(style::warn(format_args!(
            "{} inconclusive",
            grouped(tally.inconclusive)
        )));
    }
    format!("{} in {time}", parts.join(", "))
}

fn header(report: &Report) -> String {
    let word = style::verdict(report.verdict, report.verdict.word().to_uppercase());
    format!(
        "{word}  {}  {}  seed {}",
        style::bold(printable(&report.scenario)),
        style::bold(&report.strategy),
        report.seed
    )
}

fn timeline(report: &Report, scenario: &Scenario, width: usize) -> Vec<String> {
    let words = Words {
        names: &scenario.cluster.nodes,
    };
    let hidden = report.timeline.len().saturating_sub(STEPS_SHOWN);
    let is_hidden = |place: usize| (STEPS_SHOWN / 2..STEPS_SHOWN / 2 + hidden).contains(&place);
    let shown = report
        .timeline
        .iter()
        .enumerate()
        .filter(|(place, _)| !is_hidden(*place));
    let steps = resolved_steps(scenario, report.seed);
    let rows: Vec<(String, String, Vec<String>)> = shown
        .map(|(_, segment)| {
            (
                Time(segment.at_us).to_string(),
                what(segment, (&scenario.cluster.start, &steps), words),
                effects(segment),
            )
        })
        .collect();
    let left = rows.iter().map(|(at, ..)| at.len()).max().unwrap_or(0);
    // On a narrow terminal a step has a quarter, so that what follows from it fits beside it.
    let least = STEP_WIDTH.min(width / 4);
    let room = width.saturating_sub(left + EFFECTS_WIDTH + 6).max(least);
    let middle = rows
        .iter()
        .map(|(_, what, _)| what.chars().count())
        .max()
        .unwrap_or(0)
        .min(room);
    let rest = width.saturating_sub(left + middle + 6);
    let mut lines = Vec::new();
    for (place, (at, what, effects)) in rows.iter().enumerate() {
        if hidden > 0 && place == STEPS_SHOWN / 2 {
            lines.push(format!(
                "  {:left$}  {}",
                "",
                style::dim(counted(hidden as u64, "further step"))
            ));
        }
        let (mut at, mut what) = (at.as_str(), padded(what, middle));
        for effects in wrapped(effects, rest) {
            lines.push(format!("  {at:>left$}  {what}  {}", style::dim(effects)));
            (at, what) = ("", " ".repeat(middle));
        }
    }
    lines
}

/// Parts in as many lines of that width as they need, with commas between them.
fn wrapped(parts: &[String], width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        match lines.last_mut() {
            Some(line) if line.chars().count() + part.chars().count() + 3 <= width => {
                line.push_str(", ");
                line.push_str(part);
            }
            Some(line) => {
                line.push(',');
                lines.push(part.clone());
            }
            None => lines.push(part.clone()),
        }
    }
    lines
}

fn what(segment: &Segment, (start, steps): (&[NodeIx], &[Step]), words: Words<'_>) -> String {
    let Some(step) = segment.step else {
        return words.boot(start);
    };
    match steps.get(step as usize) {
        Some(step) if segment.healing => words.healing(&step.action),
        Some(step) => words.action(&step.action),
        None => format!("step {step}"),
    }
}

fn effects(segment: &Segment) -> Vec<String> {
    let counts = [
        (segment.sent, ["sent"; 2]),
        (segment.dropped, ["dropped"; 2]),
        (segment.peers_down, ["peer down", "peers down"]),
        (segment.peers_up, ["peer up", "peers up"]),
        (segment.view_changes, ["view change", "view changes"]),
        (segment.row_changes, ["row change", "row changes"]),
    ];
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let mut parts: Vec<String> = counts
        .map(|(count, [one, many])| {
            format!(
                "{} {}",
                grouped(*count),
                if *count == 1 { one } else { many }
            )
        })
        .collect();
    parts.push(match segment.converged_us {
        Some(since) => format!("views equal since {}", Time(since)),
        None => "views differ".to_owned(),
    });
    parts
}

fn expectations(report: &Report, columns: usize) -> Vec<String> {
    let width = report
        .expectations
        .iter()
        .map(|judgement| judgement.claim.len())
        .max()
        .unwrap_or(0);
    let line = |judgement: &hublab_sim::watch::judge::Judgement| {
        let word = style::verdict(
            judgement.verdict,
            format_args!("{:<4}", judgement.verdict.word()),
        );
        let place = if judgement.line == 0 {
            String::new()
        } else {
            format!("  line {}", judgement.line)
        };
        let indent = 4 + 4 + width + 2;
        let mut details = broken(&judgement.detail, columns.saturating_sub(indent));
        let last = details.last_mut();
        if let Some(last) = last.filter(|last| indent + last.len() + place.len() <= columns) {
            last.push_str(&style::dim(&place));
        } else if !place.is_empty() {
            details.push(style::dim(place.trim_start()));
        }
        let claim = format!("  {word}  {:width$}  ", judgement.claim);
        indented(&claim, &details, indent)
    };
    report.expectations.iter().flat_map(line).collect()
}

fn violations(report: &Report, columns: usize) -> Vec<String> {
    const SHOWN: usize = 5;
    let mut lines: Vec<String> = report
        .violations
        .iter()
        .take(SHOWN)
        .flat_map(|found| {
            const INDENT: usize = 8;
            let at = Time(found.at_us);
            let text = format!("{} at {at}: {}", found.oracle, found.detail);
            let lines = broken(&text, columns.saturating_sub(INDENT));
            indented(&format!("  {}  ", style::warn("saw ")), &lines, INDENT)
        })
        .collect();
    let more = (report.violations.len().saturating_sub(SHOWN) as u64)
        .saturating_add(report.violations_suppressed);
    if more > 0 {
        lines.push(style::dim(format_args!(
            "        and {}",
            counted(more, "further violation")
        )));
    }
    lines
}

fn messages(report: &Report, columns: usize) -> Vec<String> {
    let all = &report.messages;
    if all.by_kind.is_empty() {
        return Vec::new();
    }
    let total = KindCounts {
        sent: all.sent,
        delivered: all.delivered,
        dropped: all.dropped,
        duplicated: all.duplicated,
        in_flight: all.in_flight,
        bytes: all.bytes,
    };
    let kinds = all
        .by_kind
        .iter()
        .map(|(kind, counts)| (kind.as_str(), *counts));
    let rows: Vec<(&str, [String; 6])> = kinds
        .chain([("all", total)])
        .map(|(kind, counts)| (kind, cells(counts)))
        .collect();
    let heads = [
        "sent",
        "delivered",
        "dropped",
        "duplicated",
        "in flight",
        "bytes",
    ];
    let width = rows
        .iter()
        .map(|(kind, _)| kind.chars().count())
        .max()
        .unwrap_or(0)
        .max("messages".len());
    let widths: Vec<usize> = (0..heads.len())
        .map(|column| {
            rows.iter()
                .map(|(_, cells)| cells[column].len())
                .max()
                .unwrap_or(0)
                .max(heads[column].len())
        })
        .collect();
    let mut shown: Vec<usize> = (0..heads.len()).collect();
    for dispensable in DISPENSABLE {
        let all: usize = shown.iter().map(|column| widths[*column] + 2).sum();
        if 2 + width + all > columns {
            shown.retain(|column| column != dispensable);
        }
    }
    let row = |kind: &str, cells: &[String]| {
        let cells = shown
            .iter()
            .map(|column| (&cells[*column], widths[*column]))
            .map(|(cell, width)| format!("  {cell:>width$}"));
        format!("  {}{}", padded(kind, width), cells.collect::<String>())
    };
    let head = style::dim(row("messages", &heads.map(str::to_owned)));
    std::iter::once(head)
        .chain(rows.iter().map(|(kind, cells)| row(kind, cells)))
        .collect()
}

/// The columns of the table of messages that go first where it is too wide: in flight, duplicated,
/// bytes.
const DISPENSABLE: &[usize] = &[4, 3, 5];

fn cells(counts: KindCounts) -> [String; 6] {
    let KindCounts {
        sent,
        delivered,
        dropped,
        duplicated,
        in_flight,
        bytes,
    } = counts;
    [sent, delivered, dropped, duplicated, in_flight, bytes].map(grouped)
}

fn figures(report: &Report) -> String {
    let converged = match report.converged_us {
        Some(us) => format!("converged since {}", Time(us)),
        None => "not converged".to_owned(),
    };
    format!(
        "{converged}, {}, {}, {} of virtual time in {}",
        counted(report.rows, "row"),
        counted(report.events, "event"),
        Time(report.virtual_us),
        time(report.wall_us),
    )
}

/// A text in lines of that width, broken between words; a longer word has a line of its own.
pub(in crate::cli) fn broken(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Lines of which the first stands behind a title, and the others below it.
fn indented(title: &str, lines: &[String], indent: usize) -> Vec<String> {
    let below = " ".repeat(indent);
    let titles = std::iter::once(title).chain(std::iter::repeat(below.as_str()));
    let lines = titles.zip(lines);
    lines
        .map(|(title, line)| format!("{title}{line}"))
        .collect()
}

/// A text of exactly that many columns, or cut short.
fn padded(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        format!("{text}{}", " ".repeat(width - length))
    } else {
        let kept: String = text.chars().take(width.saturating_sub(1)).collect();
        format!("{kept}…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_fill_their_column_or_are_cut_to_it() {
        assert_eq!(padded("abc", 5), "abc  ");
        assert_eq!(padded("abcdef", 4), "abc…");
        assert_eq!(padded("äöü", 3), "äöü");
    }

    #[test]
    fn sentences_are_broken_between_words() {
        assert_eq!(broken("one two three", 7), ["one two", "three"]);
        assert_eq!(broken("one two three", usize::MAX), ["one two three"]);
        assert_eq!(broken("immeasurable", 3), ["immeasurable"]);
        let lines = broken("one two", 3);
        assert_eq!(indented("- ", &lines, 2), ["- one", "  two"]);
    }

    #[test]
    fn a_segment_tells_only_what_happened() {
        let quiet = Segment::default();
        assert_eq!(effects(&quiet), ["views differ"]);
        let busy = Segment {
            sent: 1_200,
            peers_down: 6,
            row_changes: 1,
            converged_us: Some(12_400_000),
            ..quiet
        };
        assert_eq!(
            effects(&busy),
            [
                "1,200 sent",
                "6 peers down",
                "1 row change",
                "views equal since 12.4s"
            ]
        );
    }

    #[test]
    fn parts_go_on_in_the_next_line_where_the_first_is_full() {
        let parts = ["1,200 sent", "6 peers down", "views differ"].map(str::to_owned);
        assert_eq!(
            wrapped(&parts, 80),
            ["1,200 sent, 6 peers down, views differ"]
        );
        assert_eq!(
            wrapped(&parts, 26),
            ["1,200 sent, 6 peers down,", "views differ"]
        );
        assert_eq!(wrapped(&parts, 0).len(), 3);
    }
}
