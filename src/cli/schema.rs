//! `hublab schema`: the JSON Schema of scenario files.

use hublab_sim::scenario::json_schema;

use super::exit::ExitStatus;
use super::{Context, Stop};

pub(super) fn schema(context: &Context) -> Result<ExitStatus, Stop> {
    context
        .output
        .line(format_args!("{:#}", json_schema(&context.catalog)))?;
    Ok(ExitStatus::Held)
}
