//! Work on all cores.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// What becomes of each, in their order.
pub(crate) fn each<I: Copy + Send + Sync, T: Send>(
    all: impl IntoIterator<Item = I>,
    make: impl Fn(I) -> T + Sync,
) -> Vec<T> {
    let all: Vec<I> = all.into_iter().collect();
    let (next, made) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = all.get(number) else { return };
            let one = (number, make(*item));
            let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
            made.push(one);
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    let mut made = made.into_inner().unwrap_or_else(PoisonError::into_inner);
    made.sort_by_key(|(number, _)| *number);
    made.into_iter().map(|(_, one)| one).collect()
}
