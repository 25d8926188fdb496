//! `hublab __worker`: what `fuzz` and `compare` start, several times. It makes runs, and says what came of each.
//!
//! What is said is told in [`hublab_sim::campaign::wire`]. The process ends when its input does,
//! even in the middle of a step that never returns: so none is left over when the campaign's own
//! process is killed.

use std::env;
use std::fs;
use std::io::{self, BufRead, Read};
use std::process::{self, Command};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use hublab_sim::campaign::wire::LINE_MAX;
use hublab_sim::campaign::worker::{Host, serve};

use crate::cli::args::fuzz::Worker;
use crate::cli::exit::ExitStatus;
use crate::cli::interrupt::Listening;
use crate::cli::{Context, Stop, panics};

/// Makes the command that starts a worker with an address space of that many MiB.
///
/// # Errors
/// The system does not say which file this program is.
pub(in crate::cli) fn command(
    memory_mib: u64,
) -> Result<impl Fn() -> Command + Send + Sync + 'static, Stop> {
    let program = env::current_exe()
        .map_err(|error| Stop::Usage(format!("this program cannot be started again: {error}")))?;
    let memory = memory_mib.to_string();
    Ok(move || {
        let mut command = Command::new(&program);
        command.args(["__worker", "--memory", &memory]);
        // Its last words are the reason why it died, and not where.
        command.env("RUST_BACKTRACE", "0");
        command
    })
}

pub(in crate::cli) fn worker(args: &Worker, context: &Context) -> Result<ExitStatus, Stop> {
    // Ctrl-C is for the campaign's process, which then closes the input of this one.
    let _deaf = Listening::new(|| {});
    limit_memory(args.memory << 20)?;
    let host = Host {
        memory,
        describe: panics::describe,
    };
    // Nobody holds the lock of standard output between replies: strategies may print.
    match serve(orders()?, &mut io::stdout(), &context.catalog, host) {
        Ok(()) => Ok(ExitStatus::Held),
        // The campaign is over, and nobody waits for this reply.
        Err(_) => Err(Stop::Pipe),
    }
}

/// The lines of standard input. When they end, so does the process.
fn orders() -> Result<Receiver<String>, Stop> {
    let (to, orders) = mpsc::channel();
    let read = move || {
        pass_on(&mut io::stdin().lock(), &to);
        process::exit(i32::from(ExitStatus::Held.code()));
    };
    let spawned = thread::Builder::new()
        .name("hublab-orders".to_owned())
        .spawn(read);
    spawned
        .map(|_| orders)
        .map_err(|error| Stop::Usage(format!("the system grants no thread: {error}")))
}

/// Passes whole lines on, until there are none.
fn pass_on(from: &mut impl BufRead, to: &Sender<String>) {
    loop {
        let mut line = String::new();
        let read = from.take(LINE_MAX).read_line(&mut line);
        if !matches!(read, Ok(1..)) || line.pop() != Some('\n') || to.send(line).is_err() {
            return;
        }
    }
}

/// Holds the process to an address space of that many bytes: a strategy that allocates without end
/// is then stopped by its allocator, and takes nothing else along.
fn limit_memory(bytes: u64) -> Result<(), Stop> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let maximum = getrlimit(Resource::As).maximum;
        let limit = Rlimit {
            current: Some(maximum.map_or(bytes, |most| most.min(bytes))),
            maximum,
        };
        setrlimit(Resource::As, limit).map_err(|error| {
            Stop::Usage(format!("the memory of a worker has no limit: {error}"))
        })?;
    }
    #[cfg(not(unix))]
    let _ = bytes;
    Ok(())
}

/// The resident memory of this process, in bytes, where the system tells in `/proc`.
fn memory() -> Option<u64> {
    const PAGE: u64 = 4_096;
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    pages.checked_mul(PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_does_not_end_is_no_order() {
        let (to, orders) = mpsc::channel();
        pass_on(&mut "one\n\ntwo\nthr".as_bytes(), &to);
        drop(to);
        assert_eq!(orders.iter().collect::<Vec<_>>(), ["one", "", "two"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn linux_tells_how_large_a_process_is() {
        let bytes = memory().expect("/proc is mounted");
        assert!((1 << 20..1 << 40).contains(&bytes), "{bytes}");
    }
}
