//! `hublab schema`: the JSON Schema of scenario files.

use hublab_sim::scenario::json_schema;

use super::exit::Exit;
use super::{Context, Stop};

pub(super) fn schema(context: &Context) -> Result<Exit, Stop> {
    context
        .output
        .line(format_args!("{:#}", json_schema(&context.catalog)))?;
    Ok(Exit::Held)
}
