//! Workers, as the campaign's process sees them: something that takes lines, says lines, and can
//! be got rid of.
//!
//! A worker is a process, or where there is no command for one, a thread of this process. Either
//! way, threads of its own move its lines, so that nothing here waits for a worker that is stuck.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, PipeReader, PipeWriter, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::conductor::Job;
use super::executor::{Crew, Worker, WorkerEnd, WorkerEvent, WorkerId};
use super::wire::{self, Answer, Order, READY, Task};
use super::worker::{Host, serve};
use crate::catalog::Catalog;

/// Makes the command that starts a worker process.
pub(super) type Launch = Box<dyn Fn() -> Command + Send + Sync>;

/// How workers come to be.
pub(super) enum WorkerPool {
    /// As processes.
    Processes(Launch),
    /// As threads of this process.
    Threads(Arc<Catalog>),
}

/// The threads of worker threads: the same stack as any other, as runs have threads of their own.
const THREAD: &str = "hublab-worker";

/// How long the end of a process may lag behind the end of its output.
const LAG: Duration = Duration::from_millis(500);

/// The time limit for shrinking one failure: the search counts its runs and events, and is much faster.
const SHRINKING: Duration = Duration::from_secs(120);

/// The last bytes of what a process wrote to standard error that are kept.
const STDERR_TAIL: usize = 2_048;

/// How much a worker's memory may grow before it is replaced, in bytes.
pub(super) const GROWTH: u64 = 256 << 20;

/// How often a job is made again whose worker was killed from outside.
pub(super) const KILLED_MAX: u32 = 3;

/// Something that a worker can be told to do.
pub(super) trait Commission {
    /// The task in the message to the worker.
    fn task(&self) -> Task;
}

/// Why a run has no result whose worker died of itself.
pub(super) fn died(how: &WorkerEnd) -> String {
    format!("its worker died: {}", how.words)
}

/// Why a run has no result whose worker was killed from outside again and again.
pub(super) fn killed(signal: i32, times: u32) -> String {
    format!("its worker was killed (signal {signal}), {times} times")
}

/// A worker. It ends when this is dropped; a thread only when its run does.
#[derive(Debug)]
pub(super) struct WorkerHandle {
    /// Takes lines to the thread that writes them; dropped, the worker's input ends.
    orders: Sender<String>,
    process: Option<Process>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    stderr_tail: Arc<Mutex<VecDeque<u8>>>,
}

/// The workers of one campaign.
pub(super) struct CampaignCrew<'a> {
    pub(super) pool: &'a WorkerPool,
    /// The first line to each.
    pub(super) setup: String,
    /// The time for one run.
    pub(super) wall: Duration,
}

impl Crew for CampaignCrew<'_> {
    type Job = Job;
    type Answer = Answer;
    type Worker = WorkerHandle;

    fn start(&self, id: WorkerId, events: &Events) -> io::Result<WorkerHandle> {
        self.pool.start(&self.setup, id, events)
    }

    fn limit(&self, job: &Job) -> Duration {
        match job {
            Job::Trial { .. } | Job::Again { .. } => self.wall,
            Job::Shrink(_) => SHRINKING.max(self.wall),
        }
    }
}

impl WorkerPool {
    /// Starts a worker, and gives it its first line.
    ///
    /// # Errors
    /// The system grants no process, thread or pipe.
    pub(super) fn start(
        &self,
        setup: &str,
        id: WorkerId,
        events: &Events,
    ) -> io::Result<WorkerHandle> {
        let worker = match self {
            Self::Processes(command) => process(command(), id, events)?,
            Self::Threads(catalog) => in_thread(catalog.clone(), id, events)?,
        };
        worker.say(setup.to_owned());
        Ok(worker)
    }
}

/// Where workers tell what they do.
pub(super) type Events = Sender<WorkerEvent<Answer>>;

fn process(mut command: Command, id: WorkerId, events: &Events) -> io::Result<WorkerHandle> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(stdin), Some(stdout), Some(stderr)) = streams else {
        return Err(io::Error::other("a process without streams"));
    };
    let stderr_tail = Arc::default();
    let process = Process {
        child,
        stderr_tail: Arc::clone(&stderr_tail),
    };
    let (orders, queue) = mpsc::channel();
    // From here on, dropping the worker ends the process, whatever goes wrong.
    let worker = WorkerHandle {
        orders,
        process: Some(process),
    };
    spawn(move || write_lines(stdin, &queue))?;
    spawn(move || keep_tail(stderr, &stderr_tail))?;
    listen(stdout, id, events)?;
    Ok(worker)
}

fn in_thread(catalog: Arc<Catalog>, id: WorkerId, events: &Events) -> io::Result<WorkerHandle> {
    let (from_worker, to_campaign): (PipeReader, PipeWriter) = io::pipe()?;
    let (orders, queue) = mpsc::channel::<String>();
    listen(from_worker, id, events)?;
    spawn(move || {
        let mut to_campaign = to_campaign;
        // Nobody listens any more: then nobody wants to know.
        drop(serve(queue, &mut to_campaign, &catalog, Host::default()));
    })?;
    Ok(WorkerHandle {
        orders,
        process: None,
    })
}

fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let thread = thread::Builder::new().name(THREAD.to_owned());
    thread.spawn(work).map(drop)
}

fn write_lines(mut to: impl Write, lines: &Receiver<String>) {
    for mut line in lines {
        line.push('\n');
        if to
            .write_all(line.as_bytes())
            .and_then(|()| to.flush())
            .is_err()
        {
            return;
        }
    }
}

fn listen(from: impl Read + Send + 'static, id: WorkerId, events: &Events) -> io::Result<()> {
    let events = events.clone();
    spawn(move || {
        let mut from = BufReader::new(from);
        while let Some(reply) = wire::next_reply(&mut from) {
            let event = match (reply.number, reply.answer) {
                (READY, Answer::Refused(reason)) => WorkerEvent::Refused(id, reason),
                (READY, _) => WorkerEvent::Ready(id),
                (number, answer) => WorkerEvent::Done(id, number, answer, reply.memory),
            };
            if events.send(event).is_err() {
                return;
            }
        }
        drop(events.send(WorkerEvent::Gone(id)));
    })
}

fn keep_tail(from: impl Read, words: &Mutex<VecDeque<u8>>) {
    let mut from = BufReader::new(from);
    while let Ok(bytes) = from.fill_buf() {
        if bytes.is_empty() {
            return;
        }
        let read = bytes.len();
        let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
        words.extend(bytes);
        let surplus = words.len().saturating_sub(STDERR_TAIL);
        words.drain(..surplus);
        drop(words);
        from.consume(read);
    }
}

impl WorkerHandle {
    /// Gives it a line.
    fn say(&self, line: String) {
        // One that has ended is told of by its events.
        drop(self.orders.send(line));
    }
}

impl<J: Commission> Worker<J> for WorkerHandle {
    fn give(&mut self, number: u64, job: &J) {
        let task = job.task();
        self.say(wire::line(&Order { number, task }));
    }

    /// Its status, and the last output of a process.
    fn exit_status(&mut self) -> WorkerEnd {
        let Some(process) = &mut self.process else {
            return WorkerEnd {
                words: "its thread ended".to_owned(),
                killed_by: None,
            };
        };
        let status = process.end_by_itself();
        let killed_by = status.and_then(killed_by);
        let words = process.stderr_tail();
        let how = status.map_or_else(|| "it hung up".to_owned(), |status| status.to_string());
        // Rust follows a reason with a note on how to learn more.
        let says = |line: &&str| !line.trim().is_empty() && !line.starts_with("note:");
        let words = match words.lines().rfind(says) {
            Some(last) => format!("{how}: {}", last.trim()),
            None => how,
        };
        WorkerEnd { words, killed_by }
    }
}

/// The signal that ended a process, if it came from outside. A run that takes all memory aborts its
/// process, and one that overflows its stack ends it by a fault: those are other signals.
fn killed_by(status: ExitStatus) -> Option<i32> {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        const FROM_OUTSIDE: [i32; 4] = [1, 2, 9, 15];
        status
            .signal()
            .filter(|signal| FROM_OUTSIDE.contains(signal))
    }
    #[cfg(not(unix))]
    {
        let _ = status;
        None
    }
}

impl Process {
    /// How it ended; `None` if it goes on, which a process that hung up may.
    fn end_by_itself(&mut self) -> Option<ExitStatus> {
        let begun = Instant::now();
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if begun.elapsed() < LAG => thread::sleep(Duration::from_millis(1)),
                Ok(None) | Err(_) => return None,
            }
        }
    }

    fn stderr_tail(&self) -> String {
        let words = self
            .stderr_tail
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<u8> = words.iter().copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
