//! [`Lossy`]: output that never holds up the node, however slowly it is read.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

/// Pieces of output that wait to be written; more are lost.
const QUEUE: usize = 4_096;

/// Writes pieces of output on a thread of its own. What does not fit into its queue is lost, counted,
/// and told when there is room again.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Lossy {
    queue: SyncSender<Vec<u8>>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    queued: AtomicU64,
    written: AtomicU64,
    lost: AtomicU64,
}

impl Lossy {
    /// Standard error.
    pub(in crate::cli) fn stderr() -> &'static Self {
        static WRITER: OnceLock<Lossy> = OnceLock::new();
        WRITER.get_or_init(|| Self::new(io::stderr()))
    }

    /// Standard output.
    pub(in crate::cli) fn stdout() -> &'static Self {
        static WRITER: OnceLock<Lossy> = OnceLock::new();
        WRITER.get_or_init(|| Self::new(io::stdout()))
    }

    fn new(out: impl Write + Send + 'static) -> Self {
        let (queue, pieces) = sync_channel(QUEUE);
        let counts = Arc::new(Counts::default());
        let counted = Arc::clone(&counts);
        thread::spawn(move || write_all(out, &pieces, &counted));
        Self { queue, counts }
    }

    /// Queues a piece of output; never waits.
    pub(in crate::cli) fn put(&self, piece: Vec<u8>) {
        match self.queue.try_send(piece) {
            Ok(()) => self.counts.queued.fetch_add(1, Ordering::AcqRel),
            Err(_) => self.counts.lost.fetch_add(1, Ordering::AcqRel),
        };
    }

    /// Waits until what is queued is written, or the time is over.
    pub(in crate::cli) fn flush(&self, within: Duration) {
        let start = Instant::now();
        let counts = &self.counts;
        while counts.written.load(Ordering::Acquire) < counts.queued.load(Ordering::Acquire)
            && start.elapsed() < within
        {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// A writer for one line.
    pub(in crate::cli) fn line(&'static self) -> Line {
        Line {
            out: self,
            text: Vec::new(),
        }
    }
}

fn write_all(mut out: impl Write, pieces: &Receiver<Vec<u8>>, counts: &Counts) {
    while let Ok(piece) = pieces.recv() {
        let lost = counts.lost.swap(0, Ordering::AcqRel);
        let told = match lost {
            0 => String::new(),
            _ => format!("{lost} lines of output were lost: nobody read them in time\n"),
        };
        let written = out.write_all(told.as_bytes());
        // Nobody reads any more: the node goes on.
        let _ = written
            .and_then(|()| out.write_all(&piece))
            .and_then(|()| out.flush());
        counts.written.fetch_add(1, Ordering::AcqRel);
    }
}

/// Gathers a line, and queues it when it is dropped.
#[derive(Debug)]
pub(in crate::cli) struct Line {
    out: &'static Lossy,
    text: Vec<u8>,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.text.is_empty() {
            self.out.put(std::mem::take(&mut self.text));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A pipe that nobody reads until it is told to go on.
    struct Blocked {
        go: mpsc::Receiver<()>,
        seen: mpsc::Sender<Vec<u8>>,
    }

    impl Write for Blocked {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.go.recv().map_err(io::Error::other)?;
            self.seen.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn output_that_nobody_reads_is_lost_and_counted_and_holds_up_nobody() {
        let (go, blocked) = mpsc::channel();
        let (seen, written) = mpsc::channel();
        let lossy = Lossy::new(Blocked { go: blocked, seen });
        let start = Instant::now();
        for _ in 0..QUEUE + 100 {
            lossy.put(b"line".to_vec());
        }
        lossy.flush(Duration::from_millis(10));
        assert!(start.elapsed() < Duration::from_secs(5));
        // The first line leaves before or after what was lost, as the writer woke up.
        let mut texts: Vec<String> = Vec::new();
        for _ in 0..2 {
            go.send(()).expect("it waits");
            let text = written.recv().expect("it is written");
            texts.push(String::from_utf8_lossy(&text).into_owned());
        }
        assert!(texts.iter().any(|text| text == "line"), "{texts:?}");
        let is_loss = |text: &String| text.contains("lines of output were lost");
        assert!(texts.iter().any(is_loss), "{texts:?}");
    }
}
