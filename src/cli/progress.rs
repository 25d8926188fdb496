//! Progress on standard error, for anything that takes longer than a second: a bar on a terminal,
//! elsewhere a plain line every ten seconds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hublab_sim::trace::event::Event;
use hublab_sim::trace::recorder::Sink;
use hublab_strategies::time::micros;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::{self, Output};
use super::render::number::{counted, grouped};

/// What takes less is not worth a word.
const SILENCE: Duration = Duration::from_secs(1);
const BETWEEN_FRAMES: Duration = Duration::from_millis(100);
const BETWEEN_LINES: Duration = Duration::from_secs(10);

/// Shows how far a command is, until dropped.
#[derive(Debug)]
pub(super) struct Progress {
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    what: String,
    /// Steps of the whole, and those done; the unit is the caller's.
    length: u64,
    position: AtomicU64,
    /// Parts of the whole, and those done: what is told in words.
    parts: u64,
    finished: AtomicU64,
    over: Mutex<bool>,
    wake: Condvar,
}

impl Progress {
    /// Begins: `what` is one part, in the singular; `length` is the work in all of them.
    pub(super) fn new(output: &Arc<Output>, what: &str, parts: u64, length: u64) -> Self {
        let state = Arc::new(State {
            what: what.to_owned(),
            length: length.max(1),
            position: AtomicU64::new(0),
            parts,
            finished: AtomicU64::new(0),
            over: Mutex::new(false),
            wake: Condvar::new(),
        });
        let (shown, output) = (state.clone(), output.clone());
        // Without a thread there is no progress to see, and nothing else is amiss.
        let thread = thread::Builder::new()
            .name("hublab-progress".to_owned())
            .spawn(move || shown.show(&output))
            .ok();
        Self { state, thread }
    }

    /// Something that hears a run's events and moves the bar along with its virtual time, and to
    /// the run's end when dropped. `length` is the run's share of the work, in microseconds.
    pub(super) fn meter(&self, length: u64) -> Meter {
        Meter {
            state: self.state.clone(),
            reached: Arc::default(),
            now: 0,
            length,
        }
    }

    /// A part is done.
    pub(super) fn part_done(&self) {
        self.state.finished.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        *self
            .state
            .over
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = true;
        self.state.wake.notify_all();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl State {
    fn show(&self, output: &Output) {
        let begun = Instant::now();
        if self.is_over_within(SILENCE) {
            return;
        }
        if output::has_terminal() {
            self.show_bar(output, begun);
        } else {
            while !self.is_over_within(BETWEEN_LINES) {
                let (percent, seconds) = (
                    100 * self.position() / self.length,
                    begun.elapsed().as_secs(),
                );
                let left = self.left(begun.elapsed());
                output.note(format_args!(
                    "{}, {percent} % after {seconds} s{left}",
                    self.words()
                ));
            }
        }
    }

    fn show_bar(&self, output: &Output, begun: Instant) {
        let bar = ProgressBar::with_draw_target(Some(self.length), ProgressDrawTarget::stderr())
            .with_elapsed(begun.elapsed());
        if let Ok(style) =
            ProgressStyle::with_template("{elapsed:>4} {wide_bar} {percent:>3} %  {msg}")
        {
            bar.set_style(style);
        }
        output.share_terminal_with(Some(bar.clone()));
        while !self.is_over_within(BETWEEN_FRAMES) {
            bar.set_message(format!("{}{}", self.words(), self.left(bar.elapsed())));
            bar.set_position(self.position());
        }
        output.share_terminal_with(None);
        bar.finish_and_clear();
    }

    fn position(&self) -> u64 {
        self.position.load(Ordering::Relaxed).min(self.length)
    }

    /// About how long the rest takes, if it goes on like this: `, about 3 m left`. Nothing before it has
    /// begun.
    fn left(&self, elapsed: Duration) -> String {
        let (done, rest) = (self.position(), self.length - self.position());
        let elapsed = u128::from(micros(elapsed));
        let Some(left) = (elapsed * u128::from(rest)).checked_div(u128::from(done)) else {
            return String::new();
        };
        let seconds = u64::try_from(left.div_ceil(1_000_000)).unwrap_or(u64::MAX);
        format!(", about {} left", roughly(seconds))
    }

    fn words(&self) -> String {
        let finished = grouped(self.finished.load(Ordering::Relaxed));
        format!("{finished} of {}", counted(self.parts, &self.what))
    }

    fn is_over_within(&self, time: Duration) -> bool {
        let over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.wake.wait_timeout_while(over, time, |over| !*over);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Seconds as people tell a time to come, in one or two units: `40 s`, `3 m 20 s`, `2 h 5 m`.
pub(super) fn roughly(seconds: u64) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3_600);
    match (hours, minutes) {
        (0, 0) => format!("{seconds} s"),
        (0, _) => format!("{minutes} m {} s", seconds % 60),
        _ => format!("{} h {} m", grouped(hours), minutes % 60),
    }
}

/// How far a run has come: what is known of one that never ends.
#[derive(Debug, Default)]
pub(super) struct Reached {
    events: AtomicU64,
    virtual_us: AtomicU64,
}

impl Reached {
    /// Its events so far.
    pub(super) fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    /// The instant that it has come to, in microseconds.
    pub(super) fn virtual_us(&self) -> u64 {
        self.virtual_us.load(Ordering::Relaxed)
    }
}

/// Moves a bar along with one run.
#[derive(Debug)]
pub(super) struct Meter {
    state: Arc<State>,
    reached: Arc<Reached>,
    now: u64,
    length: u64,
}

impl Meter {
    /// How far its run has come, at any time.
    pub(super) fn reached(&self) -> Arc<Reached> {
        self.reached.clone()
    }

    fn move_to(&mut self, instant: u64) {
        if instant > self.now {
            self.state
                .position
                .fetch_add(instant - self.now, Ordering::Relaxed);
            self.now = instant;
        }
    }
}

impl Sink for Meter {
    fn reads_contents(&self) -> bool {
        false
    }

    fn event(&mut self, event: &Event) {
        // The run's thread is the only one that writes.
        let reached = &self.reached;
        reached
            .events
            .store(reached.events() + 1, Ordering::Relaxed);
        reached.virtual_us.store(event.at.0, Ordering::Relaxed);
        self.move_to(event.at.0);
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.move_to(self.length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_stops_early_still_counts_as_a_whole() {
        let progress = Progress::new(&Arc::default(), "run", 2, 200);
        let mut meter = progress.meter(100);
        meter.move_to(30);
        assert_eq!(progress.state.position(), 30);
        drop(meter);
        progress.part_done();
        assert_eq!(progress.state.position(), 100);
        assert_eq!(progress.state.words(), "1 of 2 runs");
    }

    #[test]
    fn what_is_left_takes_as_long_as_what_was_done() {
        let progress = Progress::new(&Arc::default(), "run", 4, 400);
        let after = |seconds| progress.state.left(Duration::from_secs(seconds));
        assert_eq!(after(9), "", "nobody knows before anything is done");
        drop(progress.meter(100));
        assert_eq!(after(10), ", about 30 s left");
        assert_eq!(after(50), ", about 2 m 30 s left");
        assert_eq!(after(2_500), ", about 2 h 5 m left");
        drop(progress.meter(300));
        assert_eq!(after(10), ", about 0 s left");
    }
}
