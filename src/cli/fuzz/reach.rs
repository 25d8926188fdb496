//! What a campaign exercised, and how fast, for people.

use hublab_sim::campaign::summary::{Summary, Work};

use crate::cli::render::number::{counted, grouped};
use crate::cli::render::{line, style};

/// Speed by strategy, claims by how often their condition was met, and counters by their first
/// word.
pub(super) fn render(summary: &Summary) -> String {
    let mut text = String::new();
    for (strategy, work) in &summary.strategies {
        line(
            &mut text,
            format_args!("{}  {}", style::bold(strategy), speed(*work)),
        );
        let claims = summary.claims.iter().filter(|((of, _), _)| of == strategy);
        let claims =
            claims.map(|((_, oracle), runs)| format!("{oracle} {}", percent(*runs, work.runs)));
        let claims: Vec<String> = claims.collect();
        if !claims.is_empty() {
            line(
                &mut text,
                format_args!("  claims apply: {}", claims.join(", ")),
            );
        }
    }
    for (word, title) in [
        ("step", "steps"),
        ("fault", "faults that did something"),
        ("kind", "messages handled"),
        ("mark", "branches marked"),
    ] {
        let counters = summary.reach.iter().filter_map(|(name, count)| {
            let name = name.strip_prefix(word)?.strip_prefix('.')?;
            Some(format!("{name} {}", grouped(*count)))
        });
        let counters: Vec<String> = counters.collect();
        if !counters.is_empty() {
            line(
                &mut text,
                format_args!("{}: {}", style::dim(title), counters.join(", ")),
            );
        }
    }
    if summary.growth > 0 {
        let growth = counted(summary.growth, "byte");
        line(&mut text, format_args!("workers grew by at most {growth}"));
    }
    for family in summary.idle_families() {
        let runs = summary.families.get(family).map_or(0, |reach| reach.on);
        line(
            &mut text,
            format_args!(
                "{} family {family} was on in {} and did nothing",
                style::warn("idle:"),
                counted(runs, "run")
            ),
        );
    }
    text
}

fn speed(work: Work) -> String {
    let seconds = |count: u64| {
        let us = u128::from(work.wall_us.max(1));
        u64::try_from(u128::from(count) * 1_000_000 / us).unwrap_or(u64::MAX)
    };
    format!(
        "{}, {} per run; per second and core {} and {}",
        counted(work.runs, "run"),
        counted(work.events / work.runs.max(1), "event"),
        counted(seconds(work.runs), "run"),
        counted(seconds(work.events), "event"),
    )
}

fn percent(part: u64, of: u64) -> String {
    format!("{} %", part.saturating_mul(100) / of.max(1))
}
