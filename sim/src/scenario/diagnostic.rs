//! The problems of a scenario file: one variant of [`Problem`] per kind of mistake, and
//! [`Problems`], all mistakes of one file with its text.
//!
//! This module computes; it prints nothing. Any `miette` handler renders a [`Problems`].
//! Every variant has a golden file in `tests/diagnostics/`, named after its code.

use miette::{Diagnostic, SourceCode, SourceSpan};

use super::text::Text;

/// The most problems that are kept of one file; of the others only the number is told.
pub(crate) const PROBLEMS_MAX: usize = 100;

/// One mistake in a scenario file. Its code is `scenario::` and the variant's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Diagnostic)]
#[expect(
    missing_docs,
    reason = "the messages say what each variant and field is"
)]
pub enum Problem {
    // The file as a whole.
    #[error("the file is longer than 1 MiB, or than 64 MiB with `resolved = true`")]
    #[diagnostic(
        code(scenario::file_too_large),
        help("split it, or write many children as `count` and `prefix`")
    )]
    FileTooLarge,
    #[error("the file is not UTF-8")]
    #[diagnostic(code(scenario::not_utf8), help("save it as UTF-8"))]
    NotUtf8 {
        #[label("the first byte that is not")]
        at: SourceSpan,
    },
    #[error("the file is empty")]
    #[diagnostic(
        code(scenario::empty_file),
        help("a scenario begins with `schema = 1` and has a `[cluster]` table")
    )]
    EmptyFile,
    #[error("the file is not TOML: {message}")]
    #[diagnostic(code(scenario::syntax))]
    Syntax {
        message: String,
        #[label("here")]
        at: SourceSpan,
    },
    #[error("the file has more than {max} keys")]
    #[diagnostic(code(scenario::too_many_keys), help("split it into several scenarios"))]
    TooManyKeys { max: usize },
    #[error("unknown schema {found}")]
    #[diagnostic(
        code(scenario::unknown_schema),
        help("this version reads `schema = 1`")
    )]
    UnknownSchema {
        found: i64,
        #[label("unknown schema")]
        at: SourceSpan,
    },

    // Keys.
    #[error("`{key}` is missing in {table}")]
    #[diagnostic(code(scenario::missing_key))]
    MissingKey {
        key: &'static str,
        table: &'static str,
        #[label("needs `{key}`")]
        at: SourceSpan,
        #[help]
        help: Option<String>,
    },
    #[error("unknown key `{key}` in {table}")]
    #[diagnostic(code(scenario::unknown_key))]
    UnknownKey {
        key: String,
        table: String,
        #[label("unknown key")]
        at: SourceSpan,
        #[help]
        help: Option<String>,
    },
    #[error("`{key}` is reserved for a later version")]
    #[diagnostic(code(scenario::reserved_key), help("{help}"))]
    ReservedKey {
        key: &'static str,
        help: String,
        #[label("reserved")]
        at: SourceSpan,
    },
    #[error("{table} needs exactly one of {allowed}")]
    #[diagnostic(code(scenario::no_choice))]
    NoChoice {
        table: &'static str,
        allowed: String,
        #[label("has none of them")]
        at: SourceSpan,
    },
    #[error("{table} has both `{first}` and `{second}`: only one of them is possible")]
    #[diagnostic(code(scenario::several_choices))]
    SeveralChoices {
        table: &'static str,
        first: &'static str,
        second: &'static str,
        #[label("the first")]
        first_at: SourceSpan,
        #[label(primary, "a second")]
        at: SourceSpan,
    },
    #[error("`{key}` does not go with `{chosen}`")]
    #[diagnostic(code(scenario::misplaced_key))]
    MisplacedKey {
        key: &'static str,
        chosen: &'static str,
        #[label("does not belong here")]
        at: SourceSpan,
    },

    // Values.
    #[error("expected {expected}, found {found}")]
    #[diagnostic(code(scenario::wrong_type))]
    WrongType {
        expected: String,
        found: &'static str,
        #[label("not {expected}")]
        at: SourceSpan,
        #[help]
        help: Option<String>,
    },
    #[error("`{text}` is no duration: {reason}")]
    #[diagnostic(code(scenario::bad_duration))]
    BadDuration {
        text: String,
        reason: String,
        #[label("no duration")]
        at: SourceSpan,
        #[help]
        help: Option<String>,
    },
    #[error("`{text}` is a range; only `at` of a step and `heal_after` can be drawn from one")]
    #[diagnostic(code(scenario::misplaced_range), help("write one duration"))]
    MisplacedRange {
        text: String,
        #[label("a range")]
        at: SourceSpan,
    },
    #[error("`{text}` ends before it begins")]
    #[diagnostic(code(scenario::reversed_range), help("write the smaller end first"))]
    ReversedRange {
        text: String,
        #[label("reversed")]
        at: SourceSpan,
    },
    #[error("the duration must not be zero")]
    #[diagnostic(code(scenario::zero_duration), help("the least is \"1us\""))]
    ZeroDuration {
        #[label("zero")]
        at: SourceSpan,
    },
    #[error("nan is not a number, and so no probability")]
    #[diagnostic(code(scenario::nan), help("write a number from 0 to 1"))]
    Nan {
        #[label("not a number")]
        at: SourceSpan,
    },
    #[error("{value} is no probability")]
    #[diagnostic(code(scenario::bad_probability), help("write a number from 0 to 1"))]
    BadProbability {
        value: String,
        #[label("outside 0 to 1")]
        at: SourceSpan,
    },
    #[error("{value} is out of range")]
    #[diagnostic(code(scenario::out_of_range), help("the range is {min} to {max}"))]
    OutOfRange {
        value: String,
        min: i64,
        max: i64,
        #[label("out of range")]
        at: SourceSpan,
    },
    #[error("`{smaller}` is more than `{larger}`")]
    #[diagnostic(
        code(scenario::disordered),
        help("`{smaller}` must be at most `{larger}`")
    )]
    Disordered {
        smaller: &'static str,
        larger: &'static str,
        #[label("in the wrong order")]
        at: SourceSpan,
    },
    #[error("`{other}` does not go together with `{one}`")]
    #[diagnostic(code(scenario::not_together), help("leave out one of them"))]
    NotTogether {
        one: &'static str,
        other: &'static str,
        #[label("not with `{one}`")]
        at: SourceSpan,
    },
    #[error("`{text}` is no range of seeds")]
    #[diagnostic(
        code(scenario::bad_seeds),
        help("write the first and the end, which is not included: \"0..200\"")
    )]
    BadSeeds {
        text: String,
        #[label("no range of seeds")]
        at: SourceSpan,
    },
    #[error("unknown {what} `{word}`")]
    #[diagnostic(code(scenario::unknown_word))]
    UnknownWord {
        what: &'static str,
        word: String,
        #[label("unknown {what}")]
        at: SourceSpan,
        #[help]
        help: Option<String>,
    },
    #[error("`{word}` is no {what}: {reason}")]
    #[diagnostic(code(scenario::bad_name))]
    BadName {
        what: &'static str,
        word: String,
        reason: &'static str,
        #[label("no {what}")]
        at: SourceSpan,
    },
    #[error("`{word}` is named twice")]
    #[diagnostic(code(scenario::repeated))]
    Repeated {
        word: String,
        #[label("again here")]
        at: SourceSpan,
    },
    #[error("the list of {what} is empty")]
    #[diagnostic(code(scenario::empty_list))]
    EmptyList {
        what: &'static str,
        #[label("nothing in it")]
        at: SourceSpan,
    },
    #[error("`heal` can only be `true`")]
    #[diagnostic(
        code(scenario::heal_false),
        help("leave out the step if nothing is to heal")
    )]
    HealFalse {
        #[label("not `true`")]
        at: SourceSpan,
    },
    #[error("`{key}` of strategy `{strategy}`: {reason}")]
    #[diagnostic(code(scenario::bad_parameter))]
    BadParameter {
        strategy: String,
        key: String,
        reason: String,
        #[label("refused")]
        at: SourceSpan,
    },

    // Names.
    #[error("unknown node `{name}`")]
    #[diagnostic(code(scenario::unknown_node))]
    UnknownNode {
        name: String,
        #[label("unknown node")]
        at: SourceSpan,
        #[help]
        help: Option<String>,
    },
    #[error("unknown zone `{name}`")]
    #[diagnostic(code(scenario::unknown_zone))]
    UnknownZone {
        name: String,
        #[label("no zone of [cluster.zones] has this name")]
        at: SourceSpan,
        #[help]
        help: Option<String>,
    },
    #[error("the span `{span}` runs backwards: `{last}` stands before `{first}` in the file")]
    #[diagnostic(code(scenario::reversed_span), help("write `{last}..{first}`"))]
    ReversedSpan {
        span: String,
        first: String,
        last: String,
        #[label("backwards")]
        at: SourceSpan,
    },
    #[error("`all` stands alone: it is every node already")]
    #[diagnostic(
        code(scenario::all_among_others),
        help("write \"all\", or name the nodes")
    )]
    AllAmongOthers {
        #[label("among other names")]
        at: SourceSpan,
    },
    #[error("unknown strategy `{name}`")]
    #[diagnostic(code(scenario::unknown_strategy))]
    UnknownStrategy {
        name: String,
        #[label("unknown strategy")]
        at: SourceSpan,
        #[help]
        help: Option<String>,
    },
    #[error("unknown oracle `{name}`")]
    #[diagnostic(code(scenario::unknown_oracle))]
    UnknownOracle {
        name: String,
        #[label("unknown oracle")]
        at: SourceSpan,
        #[help]
        help: Option<String>,
    },
    #[error("unknown program `{name}`")]
    #[diagnostic(code(scenario::unknown_program))]
    UnknownProgram {
        name: String,
        #[label("unknown program")]
        at: SourceSpan,
        #[help]
        help: Option<String>,
    },
    #[error("unknown metric `{name}`")]
    #[diagnostic(code(scenario::unknown_metric))]
    UnknownMetric {
        name: String,
        #[label("unknown metric")]
        at: SourceSpan,
        #[help]
        help: Option<String>,
    },

    #[error("no strategy of the file sends messages of kind `{kind}`")]
    #[diagnostic(code(scenario::unknown_kind))]
    UnknownKind {
        kind: String,
        #[label("unknown kind of message")]
        at: SourceSpan,
        #[help]
        help: Option<String>,
    },

    // Limits.
    #[error("{count} nodes are too many")]
    #[diagnostic(
        code(scenario::too_many_nodes),
        help("a scenario has at most 10000 nodes")
    )]
    TooManyNodes {
        count: u64,
        #[label("too many nodes")]
        at: SourceSpan,
    },
    #[error("{count} steps are too many")]
    #[diagnostic(
        code(scenario::too_many_steps),
        help("a scenario has at most 100000 steps")
    )]
    TooManySteps {
        count: usize,
        #[label("the first of them")]
        at: SourceSpan,
    },
    #[error("the steps start {total} children in all, with this one: too many")]
    #[diagnostic(
        code(scenario::too_many_children),
        help(
            "a scenario starts at most 1000000 children; a child counts once for each node that it starts on"
        )
    )]
    TooManyChildren {
        total: u64,
        #[label("{count} children on {targets} nodes")]
        at: SourceSpan,
        count: u64,
        targets: u64,
    },
    #[error("the lists of the file name more than {max} {what} in all")]
    #[diagnostic(code(scenario::too_many_names), help("use smaller lists"))]
    TooManyNames {
        what: &'static str,
        max: usize,
        #[label("with this list")]
        at: SourceSpan,
    },

    // Times.
    #[error("`every` has no end")]
    #[diagnostic(
        code(scenario::no_end),
        help(
            "add `times`, the first included, or `until`, the instant before which it is repeated"
        )
    )]
    NoEnd {
        #[label("repeated for ever")]
        at: SourceSpan,
    },
    #[error("the step's time {time} lies after the end of the run at {end}")]
    #[diagnostic(
        code(scenario::after_the_end),
        help("move the step, or set `duration` in [run]")
    )]
    AfterTheEnd {
        time: String,
        end: String,
        #[label("after the end")]
        at: SourceSpan,
    },
    #[error("the branch goes on from {time}, after the end of the run at {end}")]
    #[diagnostic(
        code(scenario::branch_after_the_end),
        help("choose an earlier instant, or set `duration` in [run]")
    )]
    BranchAfterTheEnd {
        time: String,
        end: String,
        #[label("after the end")]
        at: SourceSpan,
    },
    #[error("`heal_after` heals at {time}, after the end of the run at {end}")]
    #[diagnostic(
        code(scenario::heals_after_the_end),
        help("shorten it, or leave it out")
    )]
    HealsAfterTheEnd {
        time: String,
        end: String,
        #[label("heals after the end")]
        at: SourceSpan,
    },
    #[error("`{action}` needs `{node}` running, but {state}")]
    #[diagnostic(code(scenario::not_running))]
    NotRunning {
        action: &'static str,
        node: String,
        state: String,
        #[label(primary, "not running")]
        at: SourceSpan,
        #[label("since this step")]
        since: Option<SourceSpan>,
        #[help]
        help: Option<String>,
    },
    #[error("`{action}` boots `{node}`, but it is running already")]
    #[diagnostic(code(scenario::already_running))]
    AlreadyRunning {
        action: &'static str,
        node: String,
        #[label(primary, "running already")]
        at: SourceSpan,
        #[label("since this step")]
        since: Option<SourceSpan>,
        #[help]
        help: Option<String>,
    },
    #[error("`join` is for a node's first boot, but {state}")]
    #[diagnostic(code(scenario::joined_before), help("use `restart` to boot it again"))]
    JoinedBefore {
        node: String,
        state: String,
        #[label(primary, "booted before")]
        at: SourceSpan,
        #[label("stopped here")]
        since: Option<SourceSpan>,
    },
    #[error("`restart` boots `{node}` again, but it never ran")]
    #[diagnostic(code(scenario::never_ran), help("use `join` for the first boot"))]
    NeverRan {
        node: String,
        #[label("never ran")]
        at: SourceSpan,
    },
    #[error("`pause` stops `{node}`, but it is paused already")]
    #[diagnostic(code(scenario::already_paused))]
    AlreadyPaused {
        node: String,
        #[label(primary, "paused already")]
        at: SourceSpan,
        #[label("since this step")]
        since: Option<SourceSpan>,
    },
    #[error("`resume` needs `{node}` paused, but it is not")]
    #[diagnostic(code(scenario::not_paused))]
    NotPaused {
        node: String,
        #[label("not paused")]
        at: SourceSpan,
    },
    #[error(
        "whether `{node}` runs here depends on the seed: the two steps can come in either order"
    )]
    #[diagnostic(
        code(scenario::order_depends_on_seed),
        help("choose ranges that do not overlap, so that the scenario can run with every seed")
    )]
    OrderDependsOnSeed {
        node: String,
        #[label("either before")]
        other: SourceSpan,
        #[label(primary, "or after this")]
        at: SourceSpan,
    },
    #[error("`{node}` is in two groups")]
    #[diagnostic(
        code(scenario::groups_overlap),
        help("a node can be in one group of a partition only")
    )]
    GroupsOverlap {
        node: String,
        #[label("here")]
        first_at: SourceSpan,
        #[label(primary, "and here")]
        at: SourceSpan,
    },
    #[error("{nodes} in no group of the partition")]
    #[diagnostic(
        code(scenario::in_no_group),
        help("every running node must be in a group")
    )]
    InNoGroup {
        nodes: String,
        #[label("complete the groups")]
        at: SourceSpan,
    },

    // Expectations.
    #[error("the expectation can never be judged: {deadline} is after the end of the run at {end}")]
    #[diagnostic(
        code(scenario::unreachable_expectation),
        help("shorten `within`, or set `duration` in [run]")
    )]
    UnreachableExpectation {
        deadline: String,
        end: String,
        #[label("too late")]
        at: SourceSpan,
    },
    #[error("`{metric}` cannot be measured over a part of the run")]
    #[diagnostic(
        code(scenario::not_cut),
        help(
            "leave out `from` and `to`; `hublab list metrics --format markdown` tells which metrics can"
        )
    )]
    NotCut {
        metric: String,
        #[label("is of the whole run")]
        at: SourceSpan,
    },
    #[error("`after = \"heal\"` needs a step that heals, and there is none")]
    #[diagnostic(
        code(scenario::nothing_heals),
        help("add a `heal` step or a `heal_after`, or use \"last_step\"")
    )]
    NothingHeals {
        #[label("nothing heals")]
        at: SourceSpan,
    },
    #[error("the claim is about the registry of `{node}` at {time}, but {state}")]
    #[diagnostic(
        code(scenario::claim_on_stopped_node),
        help("a node that does not run has no registry")
    )]
    ClaimOnStoppedNode {
        node: String,
        time: String,
        state: String,
        #[label(primary, "not running then")]
        at: SourceSpan,
        #[label("since this step")]
        since: Option<SourceSpan>,
    },
    #[error("`{child}` cannot be in both `has` and `lacks`")]
    #[diagnostic(code(scenario::contradiction))]
    Contradiction {
        child: String,
        #[label("in both")]
        at: SourceSpan,
    },
    #[error("{claim} says nothing: it needs {needs}")]
    #[diagnostic(code(scenario::claims_nothing))]
    ClaimsNothing {
        claim: &'static str,
        needs: String,
        #[label("without effect")]
        at: SourceSpan,
    },
}

/// All problems of one scenario file, in the order of the file, with its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    text: Text,
    problems: Vec<Problem>,
    /// How many there are beyond the first [`PROBLEMS_MAX`].
    more: usize,
}

impl Problems {
    /// The problems of a text; `more` is the number of those that were not kept.
    #[must_use]
    pub(crate) fn new(text: Text, mut problems: Vec<Problem>, more: usize) -> Self {
        problems.sort_by_key(Problem::offset);
        let more = more + problems.len().saturating_sub(PROBLEMS_MAX);
        problems.truncate(PROBLEMS_MAX);
        Self {
            text,
            problems,
            more,
        }
    }

    /// The name of the file.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text.name()
    }

    /// The problems, in the order of the file; at most 100.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl Problem {
    /// Where its main label begins; the problem of a whole file is at its beginning.
    pub(super) fn offset(&self) -> usize {
        let labels: Vec<_> = self.labels().into_iter().flatten().collect();
        let main = labels
            .iter()
            .find(|label| label.primary())
            .or(labels.first());
        main.map_or(0, miette::LabeledSpan::offset)
    }
}

impl std::fmt::Display for Problems {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = self.problems.len() + self.more;
        let plural = if count == 1 { "" } else { "s" };
        write!(f, "{} cannot run: {count} problem{plural}", self.name())?;
        if self.more > 0 {
            write!(f, ", of which the first {} follow", self.problems.len())?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl Diagnostic for Problems {
    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.text)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(
            self.problems
                .iter()
                .map(|problem| problem as &dyn Diagnostic),
        ))
    }
}
