//! `--corpus`: saved failures are run before the campaign begins.
//!
//! This process runs no strategy's code: `hublab corpus run` does, started anew. Of several shards
//! only the first runs them.

use std::env;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use hublab_sim::campaign::shard::Shard;
use hublab_strategies::time::format_duration;

use crate::cli::args::fuzz::Fuzz;
use crate::cli::exit::Exit;
use crate::cli::{Context, Stop};

/// Runs what is saved, and says how it ended. It is told where the format has room for it.
///
/// # Errors
/// The program cannot be started again.
pub(super) fn run_first(args: &Fuzz, shard: Shard, context: &Context) -> Result<Exit, Stop> {
    match &args.corpus {
        Some(corpus) if shard.index() == 0 => run(corpus, args, context),
        Some(_) | None => Ok(Exit::Held),
    }
}

fn run(corpus: &Path, args: &Fuzz, context: &Context) -> Result<Exit, Stop> {
    let refused = |error| Stop::Usage(format!("the corpus cannot be run: {error}"));
    let program = env::current_exe().map_err(refused)?;
    let mut command = Command::new(program);
    command.args(["corpus", "run", "--corpus"]).arg(corpus);
    if let Some(jobs) = args.jobs {
        command.args(["--jobs", &jobs.to_string()]);
    }
    let wall = format_duration(args.wall_limit);
    command.args(["--wall-limit", &wall]).stdin(Stdio::null());
    if !args.report.format.has_room_for_words() {
        command.stdout(io::stderr());
    }
    let status = command.status().map_err(refused)?;
    let exit = status.code().and_then(Exit::of_code);
    Ok(exit.unwrap_or_else(|| {
        // Something in it brings a process down, which is what was asked.
        context
            .output
            .note(format_args!("the corpus ended its process: {status}"));
        Exit::Failed
    }))
}
