//! Scenario files: reading, checking, resolving and writing them.
//!
//! A file is TOML. [`Scenario::read`] turns its text into a [`Scenario`] or into [`Problems`],
//! which tell every mistake at once with its place; a file that cannot run is never started.
//! [`resolve()`] draws the ranges of a scenario for one seed and writes its defaults out;
//! [`render()`] writes any scenario back as a file. [`shape`] declares the format, and
//! [`json_schema`] tells editors of it.
//!
//! Nothing here prints, reads a clock, or touches the file system, but for [`load`].

mod canonical;
mod check;
mod defaults;
pub mod diagnostic;
mod expand;
pub mod load;
pub(crate) mod parts;
mod read;
mod reference;
pub mod render;
pub mod resolve;
pub mod scale;
mod schema;
mod set;
pub mod shape;
mod suggest;
mod text;
mod warning;

pub use crate::model::*;
pub use crate::report::Note;
pub use diagnostic::{Problem, Problems};
pub use load::LoadError;
pub use read::{
    CHILDREN_MAX, FILE_BYTES_MAX, NAMED_MAX, NODES_MAX, PLAN_SEEDS, RESOLVED_BYTES_MAX, STEPS_MAX,
    default_endpoints, is_plan, parse_seeds,
};
pub use reference::{Part, lines, reference};
pub use render::{Style, render, render_change, render_plan};
pub use resolve::resolve;
pub use scale::scaled;
pub use schema::json_schema;
pub use set::{SetError, apply_overrides, parse_override};
pub(crate) use suggest::nearest;
pub use text::Text;
pub use warning::{Warning, Warnings};

use crate::catalog::Catalog;
use crate::model::plan::Plan;

impl Scenario {
    /// Reads and checks a scenario file; `name` is its path as messages show it, and its stem
    /// the scenario's name if the file states none.
    ///
    /// # Errors
    /// Every problem of the file.
    pub fn read(name: &str, bytes: &[u8], catalog: &Catalog) -> Result<Self, Problems> {
        Self::read_with_warnings(name, bytes, catalog).map(|(scenario, _)| scenario)
    }

    /// [`Self::read`], with what the file says to no effect.
    ///
    /// # Errors
    /// Every problem of the file.
    pub fn read_with_warnings(
        name: &str,
        bytes: &[u8],
        catalog: &Catalog,
    ) -> Result<(Self, Warnings), Problems> {
        read::read(name, bytes, catalog)
    }
}

impl Plan {
    /// Reads and checks the plan of a comparison; `name` is its path as messages show it. Its
    /// scenarios are not read.
    ///
    /// # Errors
    /// Every problem of the plan.
    pub fn read(name: &str, bytes: &[u8], catalog: &Catalog) -> Result<Self, Problems> {
        read::read_plan(name, bytes, catalog)
    }
}
