//! The file that is handed back.

use hublab_strategies::Time;

use super::{Ended, Shrunk};
use crate::scenario::render::{Style, render};

/// The width of the comment.
const WIDTH: usize = 96;

impl Shrunk {
    /// The scenario as a file, with a comment on top that says what fails and how to see it;
    /// `path` is where the file will be, for the command. `hublab run` on it exits 1.
    #[must_use]
    pub fn file(&self, path: &str) -> String {
        let signature = &self.finding.signature;
        let place = match self.finding.node.as_str() {
            "" => String::new(),
            node => format!(" on {node}"),
        };
        let name = self
            .anomaly
            .map_or_else(String::new, |one| format!("{}, {}: ", one.id, one.title));
        let said = format!(
            "{name}{signature} fails at {}{place}: {}",
            Time(self.finding.at_us),
            self.finding.detail
        );
        let shrunk = format!(
            "Found with seed {}, fails with seed {}. Shrunk from {} and {} to {} and {} in {}{}.",
            self.found_with,
            self.seed,
            counted(self.before.steps, "step"),
            counted(self.before.nodes, "node"),
            counted(self.after.steps, "step"),
            counted(self.after.nodes, "node"),
            counted(usize::try_from(self.runs).unwrap_or(usize::MAX), "run"),
            match self.ended {
                Ended::Smallest => "",
                Ended::OutOfBudget => "; the budget ended before nothing helped any more",
                Ended::Stopped => "; stopped before nothing helped any more",
            },
        );
        let mut out = String::new();
        comment(&said, &mut out);
        if !self.cures.is_empty() {
            let cures = self.cures.join(" and ");
            comment(&format!("It passes if {cures}."), &mut out);
        }
        comment(&shrunk, &mut out);
        out.push_str("#\n");
        comment_line(&format!("hublab run {path}"), &mut out);
        out.push_str(&render(&self.scenario, Style::Brief));
        out
    }
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// Words as comment lines of a width that can be read.
fn comment(text: &str, out: &mut String) {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > WIDTH {
            comment_line(&line, out);
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    comment_line(&line, out);
}

/// Control characters, which no comment may have, become `?`.
fn comment_line(text: &str, out: &mut String) {
    let safe = text.chars().map(|c| if c.is_control() { '?' } else { c });
    out.push_str("# ");
    out.extend(safe);
    out.push('\n');
}
