//! Time, tasks and claims of a program that runs unchanged on tokio and in a simulated run.
//!
//! Each function asks the [`Driver`] of its thread. A simulated run installs one; without a driver,
//! it is tokio, and costs what tokio costs. So a program has no `cfg` in it:
//!
//! ```
//! use std::time::Duration;
//!
//! use hublab_strategies::{ChildSpec, Hub, rt};
//!
//! async fn orders(hub: Hub) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//!     hub.wait_for_members(3).await?;
//!     let mut interval = rt::interval(Duration::from_millis(100));
//!     for number in 0.. {
//!         interval.tick().await;
//!         let id = format!("order-{number}");
//!         let started = hub.start_child(ChildSpec::new(id.as_str(), "order")).await;
//!         rt::sometimes!(started.is_err(), "a start fails");
//!         if started.is_ok() {
//!             rt::always!(hub.lookup(&id).is_some(), "an order that was started is found", "{id}");
//!         }
//!     }
//!     Ok(())
//! }
//! # drop(orders);
//! ```
//!
//! In a run, sleeps are exact to the microsecond, and a program that uses tokio's own timers, tasks
//! or sockets fails: there is no tokio runtime. Channels and locks of `tokio::sync` work in both.
//!
//! | module | what it owns |
//! | --- | --- |
//! | `time` | [`Instant`], [`sleep`], [`timeout`], [`interval()`] |
//! | `task` | [`spawn`], [`JoinHandle`] |
//! | `claim` | [`always!`] and [`sometimes!`] |
//! | `driver` | [`Driver`]: what a run does instead of tokio |

#![expect(
    clippy::disallowed_types,
    reason = "this is a runtime: tasks and locks are its business"
)]

mod claim;
mod driver;
mod task;
mod time;

pub use crate::__rt_always as always;
pub use crate::__rt_select as select;
pub use crate::__rt_sometimes as sometimes;
pub use driver::{Claim, Driver, Installed, Task, TaskId, install};
pub use task::{JoinError, JoinHandle, spawn};
pub use time::{Elapsed, Instant, Interval, interval, sleep, sleep_until, timeout};

#[doc(hidden)]
pub mod private {
    pub use super::claim::{always, sometimes};
    pub use tokio;
}

/// Waits for the first of several futures, which are polled in the order of their branches: what
/// [`tokio::select!`] does with `biased`. Without it, tokio draws the order from a generator of its
/// own, and no run could be made again.
///
/// ```
/// # use std::time::Duration;
/// # use hublab_strategies::rt;
/// # async fn next() -> u32 { 7 }
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let got = rt::select! {
///     value = next() => Some(value),
///     () = rt::sleep(Duration::from_secs(1)) => None,
/// };
/// assert_eq!(got, Some(7));
/// # }
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! __rt_select {
    ($($branches:tt)*) => {
        $crate::rt::private::tokio::select! { biased; $($branches)* }
    };
}
