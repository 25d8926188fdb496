//! Runs that no oracle judged: what became of them, and how to look closer.

use hublab_sim::campaign::manifest::Parameters;
use hublab_sim::campaign::summary::{Odd, Summary};
use hublab_sim::campaign::trial::GENERATED;
use hublab_sim::watch::judge::Verdict;

use crate::cli::campaign::words::in_words;
use crate::cli::output::quoted;
use crate::cli::render::number::grouped;
use crate::cli::render::{line, style};

/// How many runs of each ending are told.
const TOLD: usize = 3;

/// The first runs of each ending, with the reason; for those that differ from time to time, the
/// command that shows where. Empty if there are none.
pub(super) fn render(summary: &Summary, parameters: &Parameters) -> String {
    let mut text = String::new();
    for (ending, runs) in &summary.odd {
        let words = style::warn(in_words(*ending));
        for run in runs.iter().take(TOLD) {
            line(&mut text, format_args!("{words}: {run}"));
            if matches!(ending, Verdict::Mismatch | Verdict::NotReproduced) {
                line(
                    &mut text,
                    format_args!("  {}", style::dim(twice(run, parameters))),
                );
            }
        }
        let all = summary.ended(*ending);
        if all > TOLD as u64 {
            let more = grouped(all - TOLD as u64);
            line(&mut text, format_args!("{words}: {more} more"));
        }
    }
    text
}

/// The command that shows the first event in which two runs differ.
fn twice(run: &Odd, parameters: &Parameters) -> String {
    let Odd {
        scenario,
        strategy,
        seed,
        ..
    } = run;
    let strategy = quoted(strategy);
    if scenario != GENERATED {
        let file = quoted(scenario);
        let mut command = format!("hublab run {file} --strategy {strategy} --seed {seed} --twice");
        for change in &parameters.set {
            command.push_str(&format!(" --set {}", quoted(change)));
        }
        return command;
    }
    let file = format!("generated-{seed}.toml");
    let mut command = format!("hublab explain --generated --seed {seed} --strategy {strategy}");
    for family in &parameters.without {
        command.push_str(&format!(" --without {family}"));
    }
    command.push_str(&format!(" > {file} && hublab run {file} --twice"));
    command
}
