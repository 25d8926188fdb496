//! Instants and waits.

use std::future::Future;
use std::ops::{Add, AddAssign, Sub};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::driver::{current, current_with_epoch};
use crate::time::{Time, micros};

/// An instant of the program's clock, which never goes back: tokio's, or the run's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(tokio::time::Instant);

impl Instant {
    /// This instant.
    #[must_use]
    pub fn now() -> Self {
        Self(match current_with_epoch() {
            None => tokio::time::Instant::now(),
            Some((driver, epoch)) => epoch + Duration::from_micros(driver.now().0),
        })
    }

    /// The time since this instant; 0 if it is still to come.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        Self::now().duration_since(self)
    }

    /// The time since an earlier instant; 0 if it is later.
    #[must_use]
    pub fn duration_since(self, earlier: Self) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }

    /// The instant so much later; `None` if the clock does not go so far.
    #[must_use]
    pub fn checked_add(self, time: Duration) -> Option<Self> {
        self.0.checked_add(time).map(Self)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// # Panics
    /// If the clock does not go so far.
    fn add(self, time: Duration) -> Self {
        Self(self.0 + time)
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, time: Duration) {
        *self = *self + time;
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.duration_since(earlier)
    }
}

/// The longest sleep, for what lies beyond the range of the clock.
const FAR: Duration = Duration::from_secs(30 * 366 * 24 * 3_600);

/// Waits for so long, from the call on. On tokio, timers are as exact as tokio's: 1 ms; in a run,
/// exact to the microsecond, upwards.
///
/// # Panics
/// Outside of both a tokio runtime with timers and a run.
pub fn sleep(time: Duration) -> impl Future<Output = ()> + Send {
    let sleep = match current() {
        None => Sleep::Tokio(tokio::time::sleep(time)),
        Some(driver) => Sleep::Run(RunSleep::after(time, driver.now())),
    };
    sleep.wait()
}

/// Waits until an instant; one that has passed takes no time.
///
/// # Panics
/// As [`sleep`].
pub fn sleep_until(instant: Instant) -> impl Future<Output = ()> + Send {
    let sleep = match current_with_epoch() {
        None => Sleep::Tokio(tokio::time::sleep_until(instant.0)),
        Some((_, epoch)) => {
            let since = instant.0.saturating_duration_since(epoch);
            Sleep::Run(RunSleep::after(since, Time::ZERO))
        }
    };
    sleep.wait()
}

enum Sleep {
    Tokio(tokio::time::Sleep),
    Run(RunSleep),
}

impl Sleep {
    async fn wait(self) {
        match self {
            Self::Tokio(sleep) => sleep.await,
            Self::Run(sleep) => sleep.await,
        }
    }
}

/// An appointment of the run.
struct RunSleep {
    at: Time,
    appointment: Option<u64>,
}

impl RunSleep {
    /// So long after an instant, to the next whole microsecond.
    fn after(time: Duration, instant: Time) -> Self {
        let us = micros(time.saturating_add(Duration::from_nanos(999)));
        Self {
            at: Time(instant.0.saturating_add(us)),
            appointment: None,
        }
    }

    fn cancel(&mut self) {
        if let Some(appointment) = self.appointment.take()
            && let Some(driver) = current()
        {
            driver.cancel(self.at, appointment);
        }
    }
}

impl Future for RunSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // The waker may be another one than before.
        self.cancel();
        let Some(driver) = current() else {
            return Poll::Pending;
        };
        if driver.now() >= self.at {
            return Poll::Ready(());
        }
        self.appointment = Some(driver.wake_at(self.at, cx.waker()));
        Poll::Pending
    }
}

impl Drop for RunSleep {
    fn drop(&mut self) {
        self.cancel();
    }
}

/// The time was over before the future was ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the time is over")]
#[non_exhaustive]
pub struct Elapsed;

/// Waits for a future, but no longer than so long, from the call on. A future that is ready when the
/// time is over is ready.
///
/// # Errors
/// The time was over; the future is dropped.
///
/// # Panics
/// As [`sleep`].
pub fn timeout<F: Future>(
    time: Duration,
    future: F,
) -> impl Future<Output = Result<F::Output, Elapsed>> {
    let timeout = match current() {
        None => Timeout::Tokio(tokio::time::timeout(time.min(FAR), future)),
        Some(driver) => Timeout::Run(future, RunSleep::after(time, driver.now())),
    };
    timeout.wait()
}

enum Timeout<F> {
    Tokio(tokio::time::Timeout<F>),
    Run(F, RunSleep),
}

impl<F: Future> Timeout<F> {
    async fn wait(self) -> Result<F::Output, Elapsed> {
        match self {
            Self::Tokio(timeout) => timeout.await.map_err(|_| Elapsed),
            Self::Run(future, over) => tokio::select! {
                biased;
                value = future => Ok(value),
                () = over => Err(Elapsed),
            },
        }
    }
}

/// Ticks at a fixed period; the first tick is at once. Ticks that were missed come one after the
/// other.
///
/// # Panics
/// If the period is 0.
#[must_use]
pub fn interval(period: Duration) -> Interval {
    assert!(!period.is_zero(), "an interval has a period above 0");
    Interval {
        next: Instant::now(),
        period,
    }
}

/// See [`interval()`].
#[derive(Debug)]
pub struct Interval {
    next: Instant,
    period: Duration,
}

impl Interval {
    /// Waits for the next tick, and returns the instant at which it was due. Dropping the future
    /// loses no tick.
    ///
    /// # Panics
    /// As [`sleep`].
    pub async fn tick(&mut self) -> Instant {
        let due = self.next;
        sleep_until(due).await;
        self.next = due.checked_add(self.period).unwrap_or(due + FAR);
        due
    }
}
