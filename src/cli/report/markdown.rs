//! A summary in Markdown: a table of suites, and one of failures.

use super::{Reporter, Setting, Target, Totals, github};
use crate::cli::{Context, Stop};

struct Markdown;

pub(super) fn make(_setting: Setting, _context: &Context) -> Box<dyn Reporter> {
    Box::new(Markdown)
}

impl Reporter for Markdown {
    fn close(&mut self, totals: &Totals<'_>, to: &mut Target) -> Result<(), Stop> {
        to.text(&github::summary(totals.account))
    }
}
