//! Parts of a scenario file without effect: one variant of [`Warning`] per kind, and [`Warnings`], those
//! of one file with its text. A warning stops nothing, unless somebody asks for strictness.
//!
//! Every variant has a golden file in `tests/diagnostics/`, named after its code.

use miette::{Diagnostic, Severity, SourceCode, SourceSpan};

use super::text::Text;
use crate::report::Note;

/// Something that a scenario says to no effect. Its code is `scenario::` and the variant's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Diagnostic)]
#[non_exhaustive]
#[expect(
    missing_docs,
    reason = "the messages say what each variant and field is"
)]
pub enum Warning {
    #[error("no step starts, plants or registers a child `{child}`")]
    #[diagnostic(code(scenario::unknown_child), severity(Warning))]
    UnknownChild {
        child: String,
        #[label("unknown child")]
        at: SourceSpan,
        #[help]
        help: Option<String>,
    },
    #[error("a partition of one group separates nobody")]
    #[diagnostic(
        code(scenario::one_group),
        severity(Warning),
        help("write two or more groups with nodes in them")
    )]
    OneGroup {
        #[label("nothing is cut")]
        at: SourceSpan,
    },
    #[error("a group of the partition is empty")]
    #[diagnostic(
        code(scenario::empty_group),
        severity(Warning),
        help("name its nodes, or leave it out")
    )]
    EmptyGroup {
        #[label("nobody is in it")]
        at: SourceSpan,
    },
    #[error("the step changes nothing")]
    #[diagnostic(
        code(scenario::changes_nothing),
        severity(Warning),
        help("give it a value that differs, or leave it out")
    )]
    ChangesNothing {
        #[label("all stays as it is")]
        at: SourceSpan,
    },
    #[error("`{action}` has no link between two different nodes")]
    #[diagnostic(
        code(scenario::to_itself),
        severity(Warning),
        help("a node always reaches itself")
    )]
    ToItself {
        action: &'static str,
        #[label("from a node to itself")]
        at: SourceSpan,
    },
    #[error("the links are like that already")]
    #[diagnostic(
        code(scenario::already_so),
        severity(Warning),
        help("an earlier step, or [network], has done it: leave the step out, or move it")
    )]
    AlreadySo {
        #[label("changes nothing")]
        at: SourceSpan,
    },
    #[error("`queue_limit` has no effect: no message waits for a receiver that is never busy")]
    #[diagnostic(
        code(scenario::no_queue),
        severity(Warning),
        help("give these nodes a `service_time`, or leave the limit out")
    )]
    NoQueue {
        #[label("never reached")]
        at: SourceSpan,
    },
    #[error("the claim cannot fail: {nodes} never run from then on")]
    #[diagnostic(
        code(scenario::nobody_runs),
        severity(Warning),
        help("name nodes that run")
    )]
    NobodyRuns {
        nodes: String,
        #[label("holds in every run")]
        at: SourceSpan,
    },
    #[error("the claim cannot fail: {why}")]
    #[diagnostic(code(scenario::cannot_fail), severity(Warning))]
    CannotFail {
        why: String,
        #[label("holds in every run")]
        at: SourceSpan,
    },
    #[error("the expectation is for strategy `{strategy}`, which is not in `strategies` of [run]")]
    #[diagnostic(
        code(scenario::not_judged),
        severity(Warning),
        help("add the strategy to [run], or leave the expectation out")
    )]
    NotJudged {
        strategy: String,
        #[label("not judged")]
        at: SourceSpan,
    },
    #[error("no run can violate `{oracle}` and always keep it")]
    #[diagnostic(
        code(scenario::never_both),
        severity(Warning),
        help("leave out one of the two expectations, or give each its `strategy`")
    )]
    NeverBoth {
        oracle: String,
        #[label("contradicts an `always`")]
        at: SourceSpan,
    },
}

/// The warnings of one scenario file, in the order of the file, with its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warnings {
    text: Text,
    warnings: Vec<Warning>,
}

impl Warnings {
    /// The most warnings that are kept of one file.
    const MAX: usize = 100;

    pub(super) fn new(text: Text, mut warnings: Vec<Warning>) -> Self {
        warnings.sort_by_key(Warning::offset);
        warnings.truncate(Self::MAX);
        Self { text, warnings }
    }

    /// The warnings.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.warnings.is_empty()
    }

    /// The warnings as data.
    pub fn notes(&self) -> impl Iterator<Item = Note> {
        self.warnings.iter().map(|warning| {
            let (line, column) = self.text.position(warning.offset());
            Note {
                file: self.text.name().to_owned(),
                line,
                column,
                code: warning
                    .code()
                    .map(|code| code.to_string())
                    .unwrap_or_default(),
                message: warning.to_string(),
                help: warning.help().map(|help| help.to_string()),
            }
        })
    }
}

impl Warning {
    /// Where its label begins.
    fn offset(&self) -> usize {
        let first = self.labels().into_iter().flatten().next();
        first.map_or(0, |label| label.offset())
    }
}

impl std::fmt::Display for Warnings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = self.warnings.len();
        let plural = if count == 1 { "" } else { "s" };
        write!(f, "{}: {count} warning{plural}", self.text.name())
    }
}

impl std::error::Error for Warnings {}

impl Diagnostic for Warnings {
    fn severity(&self) -> Option<Severity> {
        Some(Severity::Warning)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.text)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        let all = self.warnings.iter();
        Some(Box::new(all.map(|warning| warning as &dyn Diagnostic)))
    }
}
