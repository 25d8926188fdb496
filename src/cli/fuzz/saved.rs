//! `--corpus`: saved failures are run before the campaign begins.
//!
//! This process runs no strategy's code: `hublab corpus run` does, started anew. Of several shards
//! only the first runs them.

use std::env;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use hublab_sim::campaign::record::Record;
use hublab_sim::campaign::shard::Shard;
use hublab_sim::watch::judge::Verdict;
use hublab_strategies::time::format_duration;
use tempfile::NamedTempFile;

use crate::cli::args::fuzz::Fuzz;
use crate::cli::corpus::no_corpus;
use crate::cli::exit::ExitStatus;
use crate::cli::{Context, Stop};

/// The runs of what is saved, and how they ended.
#[derive(Debug)]
pub(super) struct Saved {
    pub(super) exit: ExitStatus,
    pub(super) records: Vec<Record>,
}

/// Runs what is saved, and says how it ended. It is told where the format has room for it.
///
/// # Errors
/// There is no such directory, or the program cannot be started again.
pub(super) fn run_first(args: &Fuzz, shard: Shard, context: &Context) -> Result<Saved, Stop> {
    let none = Saved {
        exit: ExitStatus::Held,
        records: Vec::new(),
    };
    let Some(corpus) = &args.corpus else {
        return Ok(none);
    };
    if !corpus.is_dir() {
        // Each shard says so, whoever runs it.
        return Err(no_corpus(corpus));
    }
    match shard.index() {
        0 => run(corpus, args, context),
        _ => Ok(none),
    }
}

fn run(corpus: &Path, args: &Fuzz, context: &Context) -> Result<Saved, Stop> {
    let refused = |error| Stop::Usage(format!("the corpus cannot be run: {error}"));
    let program = env::current_exe().map_err(refused)?;
    let records = NamedTempFile::new().map_err(refused)?;
    let mut command = Command::new(program);
    command.args(["corpus", "run", "--corpus"]).arg(corpus);
    command.arg("--records").arg(records.path());
    if let Some(jobs) = args.jobs {
        command.args(["--jobs", &jobs.to_string()]);
    }
    let wall = format_duration(args.wall_limit);
    command.args(["--wall-limit", &wall]).stdin(Stdio::null());
    if !args.report.format.has_room_for_words() {
        command.stdout(io::stderr());
    }
    let status = command.status().map_err(refused)?;
    let text = fs::read_to_string(records.path()).map_err(refused)?;
    let lines = text.lines().map(serde_json::from_str);
    let mut records: Vec<Record> = lines
        .collect::<Result<_, _>>()
        .map_err(|error| refused(error.into()))?;
    let exit = status.code().and_then(ExitStatus::of_code);
    let exit = exit.unwrap_or_else(|| {
        // Something in it brings a process down, which is what was asked.
        let words = format!("the corpus ended its process: {status}");
        context.output.note(&words);
        records.push(Record {
            note: Some(words),
            ..Record::bare(&corpus.to_string_lossy(), "corpus", 0, Verdict::WorkerLost)
        });
        ExitStatus::Failed
    });
    Ok(Saved { exit, records })
}
