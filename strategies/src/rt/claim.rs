//! What a program claims about itself: [`always!`](super::always) and
//! [`sometimes!`](super::sometimes).

use super::driver::{Claim, current};

/// Claims that something holds whenever the program comes by here. In a run, it is a violation if it
/// does not, with node, instant and cause, and the program goes on; on tokio, an error in the log.
///
/// The second argument names the claim: campaigns and shrinking tell failures apart by it, so it is
/// the same text each time. What differs goes into what follows, as for [`format!`].
///
/// ```
/// # use hublab_strategies::rt;
/// # let (id, found) = ("order-1", true);
/// rt::always!(found, "an order that was started is found", "{id}");
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! __rt_always {
    ($holds:expr, $claim:expr $(,)?) => {
        if !$holds {
            $crate::rt::private::always($claim, ::std::string::String::new());
        }
    };
    ($holds:expr, $claim:expr, $($detail:tt)+) => {
        if !$holds {
            $crate::rt::private::always($claim, ::std::format!($($detail)+));
        }
    };
}

/// Claims that something holds at least once in a while when the program comes by here. In a run, it is
/// counted, a campaign tells how often (`mark.NAME`), and a file may demand it: `sometimes = "NAME"`. On tokio,
/// nothing happens.
///
/// ```
/// # use hublab_strategies::rt;
/// # let started: Result<(), ()> = Ok(());
/// rt::sometimes!(started.is_err(), "a start fails");
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! __rt_sometimes {
    ($holds:expr, $name:expr $(,)?) => {
        if $holds {
            $crate::rt::private::sometimes($name);
        }
    };
}

/// A claim does not hold.
#[cold]
#[doc(hidden)]
pub fn always(claim: &'static str, detail: String) {
    match current() {
        Some(driver) => driver.claim(Claim::Broken { claim, detail }),
        None => tracing::error!(claim, detail, "a claim of the program does not hold"),
    }
}

/// Something holds that need not always.
#[doc(hidden)]
pub fn sometimes(name: &'static str) {
    if let Some(driver) = current() {
        driver.claim(Claim::Seen(name));
    }
}
