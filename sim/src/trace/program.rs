//! What becomes of the program of a node, as marks of the trace.
//!
//! What a program claims with `sometimes!` is a mark by the name that it has there, as the branches of a
//! strategy are. Everything else has a prefix of its own.

use std::fmt;

/// What the mark of a program says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A claim does not hold.
    Always,
    /// The program returned an error.
    Failed,
    /// A task panicked.
    Panicked,
    /// A task was polled without end in one instant.
    Endless,
    /// A task was woken from outside the run.
    Foreign,
    /// A task waits for something that nobody can do any more.
    Stuck,
}

const ALL: [Kind; 6] = [
    Kind::Always,
    Kind::Failed,
    Kind::Panicked,
    Kind::Endless,
    Kind::Foreign,
    Kind::Stuck,
];

/// Between a claim and what its program adds.
const DETAIL: &str = " -- ";

impl Kind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Always => "program.always: ",
            Self::Failed => "program.failed: ",
            Self::Panicked => "program.panicked: ",
            Self::Endless => "program.endless: ",
            Self::Foreign => "program.foreign_wake: ",
            Self::Stuck => "program.stuck: ",
        }
    }

    /// The mark that says so.
    pub(crate) fn mark(self, text: impl fmt::Display) -> String {
        format!("{}{text}", self.prefix())
    }

    /// What a mark of a program says; `None` for other marks.
    pub(crate) fn read(mark: &str) -> Option<(Self, &str)> {
        let kind = |kind: &Self| Some((*kind, mark.strip_prefix(kind.prefix())?));
        ALL.iter().find_map(kind)
    }
}

/// A claim, and what its program adds.
pub(crate) fn claim_with_detail(claim: &str, detail: &str) -> String {
    if detail.is_empty() {
        claim.to_owned()
    } else {
        format!("{claim}{DETAIL}{detail}")
    }
}

/// The claim of a text with or without a detail.
pub(crate) fn claim_of(text: &str) -> &str {
    text.split_once(DETAIL).map_or(text, |(claim, _)| claim)
}

/// The mark, without what differs from run to run: the name that it is counted by.
pub(crate) fn counted_as(mark: &str) -> &str {
    match Kind::read(mark) {
        None => mark,
        Some((Kind::Always, _)) => claim_of(mark),
        Some((kind, _)) => kind.prefix().trim_end_matches(": "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written_and_those_of_strategies_are_none() {
        for kind in ALL {
            assert_eq!(Kind::read(&kind.mark("text")), Some((kind, "text")));
        }
        assert_eq!(Kind::read("gossip.round_finished"), None);
        let text = claim_with_detail("an order is found", "order-1");
        assert_eq!(text, "an order is found -- order-1");
        assert_eq!(claim_of(&text), "an order is found");
        assert_eq!(claim_of("plain"), "plain");
        let mark = Kind::Always.mark(&text);
        assert_eq!(counted_as(&mark), "program.always: an order is found");
        assert_eq!(counted_as(&Kind::Failed.mark(text)), "program.failed");
        assert_eq!(counted_as("gossip.invalidated"), "gossip.invalidated");
    }
}
