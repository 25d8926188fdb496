//! A campaign's results as people read them.

use std::fmt::Write as _;

use hublab_sim::campaign::group::Group;

use super::junit::first;
use crate::cli::campaign::account::Account;
use crate::cli::campaign::words::{in_words, result, title};
use crate::cli::exit::ExitStatus;
use crate::cli::output::quoted;
use crate::cli::render::number::{counted, grouped};
use crate::cli::render::{line, style};

/// The new groups that are told of in full; further ones have a line.
const GROUPS_IN_FULL: usize = 10;
/// The groups that have a line.
const GROUPS_MAX: usize = 50;

/// How many runs ended how, and the groups of failures, each with the command that shows it
/// again. The last line of a campaign that did not hold is such a command.
pub(super) fn render(account: Account<'_>) -> String {
    let summary = account.summary;
    let mut text = format!(
        "{}
",
        account.heading()
    );
    for ((strategy, scenario), suite) in &summary.suites {
        let name = style::bold(Account::suite(strategy, scenario));
        let mut parts = vec![counted(suite.runs(), "run")];
        for (ending, runs) in &suite.endings {
            let words = format!("{} {}", grouped(*runs), in_words(*ending));
            parts.push(style::verdict(*ending, &words));
        }
        parts.push(counted(suite.events, "event"));
        line(&mut text, format_args!("{name}  {}", parts.join(", ")));
    }
    for (strategy, scenario, name) in summary.never() {
        let suite = Account::suite(strategy, scenario);
        let word = style::warn("never:");
        line(
            &mut text,
            format_args!("{word} {name} in no run of {suite}"),
        );
    }
    let groups = summary.groups();
    let (in_full, in_lines) = groups.news.split_at(groups.news.len().min(GROUPS_IN_FULL));
    for group in in_full {
        line(&mut text, format_args!("\n{}", describe(account, group)));
    }
    if !in_lines.is_empty() {
        text.push('\n');
    }
    for group in in_lines.iter().take(GROUPS_MAX) {
        line(&mut text, in_a_line(account, group));
    }
    let left = in_lines.len().saturating_sub(GROUPS_MAX) as u64;
    if left > 0 {
        line(
            &mut text,
            format_args!("and {} more", counted(left, "group")),
        );
    }
    line(&mut text, format_args!("\n{}", total(account)));
    // A file says most.
    let mut news = groups.news.iter();
    let first = news.find(|group| account.file(group).is_some());
    if let Some(group) = first.or(groups.news.first()) {
        line(&mut text, account.repeat(group));
    } else if let Some(open) = summary.first_open() {
        let command = account.command(&open.scenario, &open.strategy, open.seed);
        line(&mut text, command);
    }
    text.truncate(text.trim_end().len());
    text
}

fn describe(account: Account<'_>, group: &Group<'_>) -> String {
    let title = heading(group);
    let runs = counted(group.runs, "run");
    let mut text = format!("{title}\n  {runs}, the first with seed {}", group.seed);
    if let Some(finding) = group.finding {
        write!(text, ": {}", first(finding)).expect("a String takes all");
    }
    write!(text, "\n  {}", style::dim(account.repeat(group))).expect("a String takes all");
    for other in account.files(group).skip(1) {
        let path = quoted(&other.to_string_lossy());
        write!(text, "\n  and {}", style::dim(path)).expect("a String takes all");
    }
    text
}

/// `A5: pubsub: convergence ghost (timer sync)  12 runs, the first with seed 7`.
fn in_a_line(account: Account<'_>, group: &Group<'_>) -> String {
    let runs = counted(group.runs, "run");
    let seed = group.seed;
    let file = account.file(group).map_or_else(String::new, |path| {
        format!("  {}", style::dim(quoted(&path.to_string_lossy())))
    });
    let heading = heading(group);
    format!("{heading}  {runs}, the first with seed {seed}{file}")
}

/// The group's name and what fails.
fn heading(group: &Group<'_>) -> String {
    let key = group.key;
    let named = group.name().map(|id| format!("{id}: "));
    let named = named.unwrap_or_default();
    let suite = Account::suite(&key.strategy, &key.scenario);
    style::error(format_args!("{named}{suite}: {}", title(&key.what))).to_string()
}

fn total(account: Account<'_>) -> String {
    let (exit, text) = result(account);
    let result = match exit {
        ExitStatus::Held => style::pass(text),
        ExitStatus::Inconclusive => style::warn(text),
        ExitStatus::Failed
        | ExitStatus::Usage
        | ExitStatus::Mismatch
        | ExitStatus::Interrupted
        | ExitStatus::Bug => style::error(text),
    };
    let events = counted(account.summary.events(), "event");
    format!("{}, {events}: {result}", account.progress())
}
