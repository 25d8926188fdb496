//! The answer for people: a plot, the pivots, and three sentences.

use hublab_sim::blame::{Blame, Ended, Point, Question};
use hublab_strategies::Time;

use super::super::render::number::counted;
use super::super::render::style;
use super::told::change_text;

/// The width of the plot, in characters.
const WIDTH: usize = 64;
/// Its height, in lines of eight steps.
const HEIGHT: usize = 4;
/// The steps of a line.
const STEPS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// How many pivots are printed.
const PRINTED_MAX: usize = 5;
/// How many events of the chain are printed.
const CHAIN_MAX: usize = 6;

/// All of it.
pub(super) fn text(question: &Question, answer: &Blame) -> String {
    let failure = question.failure();
    let mut lines = vec![format!(
        "{} {} with {}, seed {}: {}",
        style::error("blame"),
        question.name(),
        failure.signature.strategy,
        question.seed(),
        failure.signature,
    )];
    if !answer.curve.is_empty() {
        lines.push(String::new());
        lines.push("share of branches that fail, by the instant after which they begin".to_owned());
        lines.extend(plot(&answer.curve));
    }
    lines.push(String::new());
    lines.extend(sentences(question, answer));
    let chain = question.chain();
    if !chain.is_empty() {
        lines.push(String::new());
        lines.push(style::bold("what led to it"));
        let left_out = chain.len().saturating_sub(CHAIN_MAX);
        if left_out > 0 {
            lines.push(style::dim(format!("  {left_out} events before")));
        }
        let shown = chain.iter().skip(left_out);
        lines.extend(shown.map(|event| format!("  {}", question.names().line(event))));
    }
    if !answer.pivots.is_empty() {
        lines.push(String::new());
        lines.push(style::bold("what decided it"));
        for (rank, pivot) in (1..).zip(&answer.pivots).take(PRINTED_MAX) {
            lines.push(format!(
                "  {rank}. {}: {} of {} branches fail, with the change {}",
                pivot.sentence(question.names()),
                pivot.fails,
                pivot.of,
                pivot.fails_changed,
            ));
            lines.push(style::dim(format!(
                "     changes = [{}]",
                change_text(question, pivot)
            )));
        }
        let more = answer.pivots.len().saturating_sub(PRINTED_MAX);
        if more > 0 {
            lines.push(style::dim(format!("  {more} more with --format json")));
        }
    }
    lines.push(String::new());
    lines.push(style::dim(format!(
        "{}; {} tried, {} of them prevented it",
        counted(answer.runs, "run"),
        counted(answer.tried, "change"),
        answer.flips
    )));
    lines.join("\n")
}

/// What, when, and by what, a sentence each.
pub(super) fn sentences(question: &Question, answer: &Blame) -> Vec<String> {
    let failure = question.failure();
    let place = if failure.node.is_empty() {
        String::new()
    } else {
        format!(" on {}", failure.node)
    };
    let mut told = vec![format!(
        "It fails at {}{place}: {}.",
        Time(failure.at_us),
        failure.detail.trim_end_matches('.')
    )];
    told.extend(when(answer));
    told.push(what(question, answer));
    told
}

/// When it was decided.
fn when(answer: &Blame) -> Option<String> {
    if let Some((from, to)) = answer.jump {
        let at = |time: Time| answer.curve.iter().find(|point| point.after_us == time.0);
        let (before, after) = (at(from)?, at(to)?);
        return Some(format!(
            "It was decided between {from} and {to}: {} of {} branches that begin after {from} fail, {} of {} after {to}.",
            before.fails, before.of, after.fails, after.of
        ));
    }
    let (first, last) = (answer.curve.first()?, answer.curve.last()?);
    Some(
        if answer.curve.iter().all(|point| point.fails == point.of) {
            "It was certain from the start: every branch fails, whenever it begins.".to_owned()
        } else {
            format!(
                "No instant decided it: {} of {} branches fail that begin after {}, {} of {} after {}.",
                first.fails,
                first.of,
                Time(first.after_us),
                last.fails,
                last.of,
                Time(last.after_us)
            )
        },
    )
}

/// What decided it.
fn what(question: &Question, answer: &Blame) -> String {
    let Some(pivot) = answer.pivots.first() else {
        return match answer.ended {
            Ended::Complete if answer.flips == 0 => {
                format!("No single change prevents it: {} were tried.", answer.tried)
            }
            Ended::Complete => format!(
                "{} of {} single changes prevent it, but with other draws behind them as many runs fail as without.",
                answer.flips, answer.tried
            ),
            Ended::OutOfRuns | Ended::Stopped => {
                "What decided it is not known yet: the search has not come to its end.".to_owned()
            }
        };
    };
    let sentence = pivot.sentence(question.names());
    let mut letters = sentence.chars();
    let first: String = letters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .collect();
    format!(
        "{first}{}: {} of {} branches that go on from there fail, {} if it is otherwise.",
        letters.as_str(),
        pivot.fails,
        pivot.of,
        pivot.fails_changed
    )
}

/// The curve in characters: a column has the share of the last point at or before it.
fn plot(curve: &[Point]) -> Vec<String> {
    let end = curve.last().map_or(0, |point| point.after_us).max(1);
    let steps = HEIGHT * (STEPS.len() - 1);
    let column = |at: usize| -> usize {
        let time = u128::from(end) * at as u128 / (WIDTH as u128 - 1);
        let before = curve.partition_point(|point| u128::from(point.after_us) <= time);
        let point = curve[before.saturating_sub(1)];
        // At least one step for anything that is not 0.
        (point.fails as usize * steps).div_ceil(point.of.max(1) as usize)
    };
    let heights: Vec<usize> = (0..WIDTH).map(column).collect();
    let mut lines = Vec::new();
    for line in (0..HEIGHT).rev() {
        let label = match line {
            line if line + 1 == HEIGHT => "100 %",
            0 => "  0 %",
            _ => "     ",
        };
        let below = line * (STEPS.len() - 1);
        let bar = |height: &usize| STEPS[height.saturating_sub(below).min(STEPS.len() - 1)];
        let bars: String = heights.iter().map(bar).collect();
        lines.push(format!("{label} |{}", bars.trim_end()));
    }
    let (first, last) = ("0s".to_owned(), Time(end).to_string());
    let gap = WIDTH.saturating_sub(first.len() + last.len());
    lines.push(format!("      +{}", "-".repeat(WIDTH)));
    lines.push(format!("       {first}{}{last}", " ".repeat(gap)));
    lines
}
