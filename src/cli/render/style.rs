//! Colours. They are always written; the streams take them out where nobody sees them.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};
use hublab_sim::watch::judge::Verdict;

const PASS: Style = AnsiColor::Green.on_default().bold();
const FAIL: Style = AnsiColor::Red.on_default().bold();
const WARN: Style = AnsiColor::Yellow.on_default().bold();

fn styled(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Something good.
pub(in crate::cli) fn pass(text: impl Display) -> String {
    styled(PASS, text)
}

/// The word before an error message.
pub(in crate::cli) fn error(text: impl Display) -> String {
    styled(FAIL, text)
}

/// Something that is neither good nor bad.
pub(in crate::cli) fn warn(text: impl Display) -> String {
    styled(WARN, text)
}

/// What the eye should find.
pub(in crate::cli) fn bold(text: impl Display) -> String {
    styled(Style::new().bold(), text)
}

/// What the eye should pass over.
pub(in crate::cli) fn dim(text: impl Display) -> String {
    styled(Style::new().dimmed(), text)
}

/// A verdict's colour on a text.
pub(in crate::cli) fn verdict(verdict: Verdict, text: impl Display) -> String {
    if verdict == Verdict::Pass {
        pass(text)
    } else if verdict.is_failure() {
        error(text)
    } else {
        warn(text)
    }
}
