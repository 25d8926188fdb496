//! From the text of a scenario file to the [`Scenario`] it states, with every mistake in it.
//!
//! The reader walks the TOML tree and the shapes of the format side by side ([`walk`]), and builds the
//! tree that the model is deserialized from. The text never meets serde, because only so a problem can
//! point at the mistyped key, and one problem hides no other. Reading goes on after a mistake with what was
//! most likely meant (the nearest key, the nearest name), so that the checks of the whole still
//! see a whole; what comes out is used only if no problem was found.

mod file;
mod nodes;
mod plan;
mod syntax;
mod table;
mod value;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use miette::SourceSpan;
use serde_json::Value as Json;

pub use file::parse_seeds;
pub use nodes::{NAMED_MAX, NODES_MAX};
pub(super) use plan::read_plan;
pub use plan::{PLAN_SEEDS, default_endpoints, is_plan};
pub(super) use syntax::bytes_max;
pub use syntax::{FILE_BYTES_MAX, RESOLVED_BYTES_MAX};
pub(super) use value::{numbered, shown_duration};
pub(super) use walk::{Spots, default_of, default_tree, is_default, model};

use super::check;
use super::diagnostic::{PROBLEMS_MAX, Problem, Problems};
use super::text::Text;
use super::warning::Warnings;
use crate::catalog::Catalog;
use crate::model::{NodeIx, Parameters, Scenario};
use nodes::Nodes;

/// The most steps of a scenario.
pub const STEPS_MAX: usize = 100_000;
/// The most children that the steps of a scenario may start, counted once per node.
pub const CHILDREN_MAX: u64 = 1_000_000;

/// Reads and checks a file.
pub(super) fn read(
    name: &str,
    bytes: &[u8],
    catalog: &Catalog,
) -> Result<(Scenario, Warnings), Problems> {
    let source = syntax::decode(name, bytes)?;
    let text = Text::new(name, source);
    let (tree, syntax_errors) = syntax::parse(source, &text);
    let mut reader = Reader::new(&text, catalog);
    let mut warnings = Vec::new();
    let scenario = tree.map(|tree| {
        let scenario = reader.file(&tree, &stem(name));
        let sites = std::mem::take(&mut reader.sites);
        if tree.is_empty() {
            reader.problems = vec![Problem::EmptyFile];
        } else if syntax_errors.is_empty() {
            warnings = check::check(&scenario, &sites, catalog, &mut |problem| {
                reader.report(problem)
            });
        }
        scenario
    });
    let Reader {
        mut problems, more, ..
    } = reader;
    if !syntax_errors.is_empty() {
        problems.retain(|problem| stands_alone(problem, &syntax_errors, &text));
        problems.splice(0..0, syntax_errors);
    }
    match scenario {
        Some(scenario) if problems.is_empty() => Ok((scenario, Warnings::new(text, warnings))),
        Some(_) | None => Err(Problems::new(text, problems, more)),
    }
}

/// True if a problem of the tree is no mere consequence of a syntax error: it is on another line,
/// and not about something that is absent, for it may be lost in the broken part.
fn stands_alone(problem: &Problem, syntax_errors: &[Problem], text: &Text) -> bool {
    let line = |problem: &Problem| text.line(problem.offset());
    let about_absence = matches!(
        problem,
        Problem::EmptyFile
            | Problem::MissingKey { .. }
            | Problem::NoChoice { .. }
            | Problem::UnknownNode { .. }
            | Problem::EmptyList { .. }
            | Problem::ClaimsNothing { .. }
    );
    !about_absence
        && syntax_errors
            .iter()
            .all(|error| line(error) != line(problem))
}

/// The name that a file gives a scenario without one: its stem, made a valid name.
fn stem(name: &str) -> String {
    let stem = std::path::Path::new(name)
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy();
    let valid: String = stem
        .chars()
        .take(value::NAME_MAX)
        .map(|c| if c.is_control() { '_' } else { c })
        .collect();
    if valid.is_empty() {
        "scenario".to_owned()
    } else {
        valid
    }
}

/// A longer message as problems quote it: in one line, cut at a bound.
fn shown_long(message: &str) -> String {
    const SHOWN_MAX: usize = 300;
    message
        .chars()
        .take(SHOWN_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// Where the parts of the scenario stand in the text, for the checks of the whole; in the order
/// of the scenario's lists.
#[derive(Debug, Default, Clone)]
pub(super) struct Sites {
    pub(super) steps: Vec<Spots>,
    pub(super) expectations: Vec<Spots>,
    /// Nodes that stand for a misspelled name: nobody knows whether they run.
    pub(super) guessed: BTreeSet<NodeIx>,
    /// The instant of `branch`.
    pub(super) branch: Option<SourceSpan>,
    /// The first `queue_limit` of the file.
    pub(super) queue_limit: Option<SourceSpan>,
    /// True if a step that may boot or stop nodes could not be read: then nobody knows who runs.
    pub(super) unread: bool,
}

/// The state of reading one file.
struct Reader<'c> {
    text: &'c Text,
    catalog: &'c Catalog,
    problems: Vec<Problem>,
    /// How many problems there are beyond those kept.
    more: usize,
    nodes: Nodes,
    /// How many children spans have named.
    children_named: usize,
    /// The parameters of `[strategy]`, which those of nodes extend.
    parameters: Parameters,
    /// The trees of defaults, by the address of their key.
    defaults: BTreeMap<usize, Json>,
    sites: Sites,
}

impl<'c> Reader<'c> {
    fn new(text: &'c Text, catalog: &'c Catalog) -> Self {
        Self {
            text,
            catalog,
            problems: Vec::new(),
            more: 0,
            nodes: Nodes::default(),
            children_named: 0,
            parameters: Parameters::new(),
            defaults: BTreeMap::new(),
            sites: Sites::default(),
        }
    }

    fn report(&mut self, problem: Problem) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        } else {
            self.more += 1;
        }
    }

    fn label(&self, range: Range<usize>) -> SourceSpan {
        self.text.label(range)
    }
}
