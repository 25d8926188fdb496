//! A live hub inside a simulation would wait for ever: it says so at once instead.

use hublab::strategies::live::{BuildError, Hub};

fn simulated<T>(task: impl Future<Output = T>) -> T {
    madsim::runtime::Runtime::with_seed_and_config(7, madsim::Config::default()).block_on(task)
}

#[test]
fn a_start_inside_a_madsim_runtime_is_refused_at_once() {
    let refused = simulated(Hub::builder("test", "a").start());
    assert!(matches!(refused, Err(BuildError::Simulated)), "{refused:?}");
}

#[test]
fn a_tokio_runtime_inside_a_madsim_runtime_changes_nothing_about_that() {
    let real = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let refused = simulated(async move { real.block_on(Hub::builder("test", "a").start()) });
    assert!(matches!(refused, Err(BuildError::Simulated)), "{refused:?}");
}

#[test]
fn outside_of_it_the_same_start_succeeds() {
    let real = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let hub = real.block_on(Hub::builder("test", "a").start());
    assert!(hub.is_ok(), "{hub:?}");
}
