//! A campaign's results as people read them.

use std::fmt::Write as _;

use hublab_sim::campaign::record::Ending;
use hublab_sim::campaign::summary::{Group, GroupKey, Groups, Summary};

use super::junit::first;
use crate::cli::campaign::account::Account;
use crate::cli::campaign::words::{count, exit_of, in_words, title};
use crate::cli::exit::Exit;
use crate::cli::render::number::{counted, grouped};
use crate::cli::render::{line, style};

/// The groups that are told of in full.
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
            parts.push(coloured(*ending, &words));
        }
        parts.push(counted(suite.events, "event"));
        line(&mut text, format_args!("{name}  {}", parts.join(", ")));
    }
    let groups = summary.groups_by_seed();
    for (key, group) in groups.news.iter().take(GROUPS_MAX) {
        line(
            &mut text,
            format_args!("\n{}", describe(account, key, group)),
        );
    }
    let left = groups.news.len().saturating_sub(GROUPS_MAX) as u64;
    if left > 0 {
        line(
            &mut text,
            format_args!("\nand {} more", counted(left, "group")),
        );
    }
    line(&mut text, format_args!("\n{}", total(summary, &groups)));
    if let Some((key, group)) = groups.news.first() {
        line(&mut text, account.repeat(key, group));
    } else if let Some(open) = summary.first_open() {
        let command = account.command(&open.scenario, &open.strategy, open.seed);
        line(&mut text, command);
    }
    text.truncate(text.trim_end().len());
    text
}

fn describe(account: Account<'_>, key: &GroupKey, group: &Group) -> String {
    let finding = group.finding.as_ref();
    let anomaly = finding.and_then(|finding| finding.anomaly.as_deref());
    let named = anomaly.map(|id| format!("{id}: ")).unwrap_or_default();
    let suite = Account::suite(&key.strategy, &key.scenario);
    let title = style::error(format_args!("{named}{suite}: {}", title(&key.what)));
    let runs = counted(group.runs, "run");
    let mut text = format!("{title}\n  {runs}, the first with seed {}", group.seed);
    if let Some(finding) = finding {
        write!(text, ": {}", first(finding)).expect("a String takes all");
    }
    write!(text, "\n  {}", style::dim(account.repeat(key, group))).expect("a String takes all");
    text
}

fn total(summary: &Summary, groups: &Groups<'_>) -> String {
    let (runs, events) = (summary.runs(), summary.events());
    let runs = format!("{}, {}", counted(runs, "run"), counted(events, "event"));
    let or_known = |held: &str| match groups.known.is_empty() {
        true => held.to_owned(),
        false => count(groups),
    };
    let result = match exit_of(summary) {
        Exit::Held => style::pass(or_known("all held")),
        Exit::Inconclusive => {
            let open = grouped(summary.ended(Ending::Inconclusive));
            let others = or_known("the others held");
            style::warn(format_args!("{open} inconclusive, {others}"))
        }
        Exit::Failed | Exit::Usage | Exit::Mismatch | Exit::Interrupted | Exit::Bug => {
            style::error(count(groups))
        }
    };
    format!("{runs}: {result}")
}

fn coloured(ending: Ending, words: &str) -> String {
    match Exit::from(ending) {
        Exit::Held => style::pass(words),
        Exit::Inconclusive => style::warn(words),
        Exit::Failed | Exit::Usage | Exit::Mismatch | Exit::Interrupted | Exit::Bug => {
            style::error(words)
        }
    }
}
