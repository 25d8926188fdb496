//! What `rt` costs beside tokio itself, per call.

use std::hint::black_box;
use std::time::{Duration, Instant};

use hublab_strategies::rt;

use crate::{REPEATS, report};

const CALLS: u32 = 200_000;

/// Nanoseconds per call of what a closure does once.
async fn per_call<F: Future<Output = ()>>(call: impl Fn() -> F) -> f64 {
    let begun = Instant::now();
    for _ in 0..CALLS {
        call().await;
    }
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
}

/// Reports how much longer a call takes than tokio's: the differences of pairs that alternate.
macro_rules! compare {
    ($name:literal, $tokio:expr, $rt:expr) => {
        let mut differences = Vec::new();
        for _ in 0..REPEATS {
            let tokio = per_call(|| async {
                let _ = black_box($tokio);
            })
            .await;
            let ours = per_call(|| async {
                let _ = black_box($rt);
            })
            .await;
            differences.push(ours - tokio);
        }
        report(
            concat!("rt: ", $name, " beside tokio's"),
            "ns",
            "< 20",
            differences,
        );
    };
}

/// On one thread: what another one does at its own time is no cost of a call.
pub(crate) async fn measure() {
    let alone = tokio::task::spawn_blocking(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(compare_all());
    });
    alone.await.expect("it ends");
}

async fn compare_all() {
    compare!(
        "Instant::now",
        tokio::time::Instant::now(),
        rt::Instant::now()
    );
    compare!(
        "sleep, made and dropped",
        drop(tokio::time::sleep(Duration::from_secs(1))),
        drop(rt::sleep(Duration::from_secs(1)))
    );
    compare!(
        "timeout of what is ready",
        tokio::time::timeout(Duration::from_secs(1), std::future::ready(7)).await,
        rt::timeout(Duration::from_secs(1), std::future::ready(7)).await
    );
    compare!(
        "spawn and join",
        tokio::spawn(async { 7 }).await,
        rt::spawn(async { 7 }).await
    );
    compare!(
        "always! that holds",
        (),
        rt::always!(black_box(true), "it holds")
    );
    compare!(
        "sometimes! that holds",
        (),
        rt::sometimes!(black_box(true), "it holds")
    );
}
