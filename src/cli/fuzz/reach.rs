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
    for (title, counters) in counters(summary) {
        let counters: Vec<String> = counters
            .into_iter()
            .map(|(name, count)| format!("{name} {}", grouped(count)))
            .collect();
        line(
            &mut text,
            format_args!("{}: {}", style::dim(title), counters.join(", ")),
        );
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

/// The counters by what they count; nothing that counts none.
pub(in crate::cli) fn counters(summary: &Summary) -> Vec<(&'static str, Vec<(String, u64)>)> {
    let of = |(word, title): (&str, &'static str)| {
        let counters = summary.reach.iter().filter_map(|(name, count)| {
            let name = name.strip_prefix(word)?.strip_prefix('.')?;
            Some((name.to_owned(), *count))
        });
        (title, counters.collect::<Vec<_>>())
    };
    let all = [
        ("step", "steps"),
        ("fault", "faults that did something"),
        ("kind", "messages handled"),
        ("mark", "branches marked"),
    ];
    let all = all.into_iter().map(of);
    all.filter(|(_, counters)| !counters.is_empty()).collect()
}

/// How many there were per second of this time.
pub(in crate::cli) fn per_second(count: u64, wall_us: u64) -> u64 {
    let us = u128::from(wall_us.max(1));
    u64::try_from(u128::from(count) * 1_000_000 / us).unwrap_or(u64::MAX)
}

fn speed(work: Work) -> String {
    format!(
        "{}, {} per run; per second and core {} and {}",
        counted(work.runs, "run"),
        counted(work.events / work.runs.max(1), "event"),
        counted(per_second(work.runs, work.wall_us), "run"),
        counted(per_second(work.events, work.wall_us), "event"),
    )
}

fn percent(part: u64, of: u64) -> String {
    format!("{} %", part.saturating_mul(100) / of.max(1))
}
