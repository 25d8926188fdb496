//! Arbitrary bytes at every place of a connection.

use proptest::prelude::*;

use crate::initiator::{self, Initiator, first, key, preamble};
use crate::{Cluster, HUB, SECRET, raw, resident_kib, until};

/// How many cases: 24 times `HUBLAB_SEEDS`, or 24.
fn cases() -> u32 {
    #[expect(
        clippy::disallowed_methods,
        reason = "the size of a test, not of a run"
    )]
    let wanted = std::env::var("HUBLAB_SEEDS").ok();
    24 * wanted.map_or(1, |text| text.parse::<u32>().expect("a number of seeds"))
}

/// What a stranger, or a member gone mad, sends.
#[derive(Debug, Clone)]
enum Garbage {
    /// In place of the preamble.
    First(Vec<u8>),
    /// Behind the preamble.
    BehindPreamble(Vec<u8>),
    /// Behind the first message.
    BehindFirst(Vec<u8>),
    /// Behind the greeting, not sealed.
    Unsealed(Vec<u8>),
    /// Sealed, in place of the greeting.
    Greeting(Vec<u8>),
    /// Sealed, behind the greeting.
    Sealed(Vec<u8>),
    /// A record of these bytes, behind the greeting.
    Record(u8, u8, Vec<u8>),
}

fn garbage() -> impl Strategy<Value = Garbage> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..300);
    prop_oneof![
        bytes().prop_map(Garbage::First),
        bytes().prop_map(Garbage::BehindPreamble),
        bytes().prop_map(Garbage::BehindFirst),
        bytes().prop_map(Garbage::Unsealed),
        bytes().prop_map(Garbage::Greeting),
        bytes().prop_map(Garbage::Sealed),
        (0..4_u8, 0..5_u8, bytes())
            .prop_map(|(tag, channel, body)| { Garbage::Record(tag, channel, body) }),
    ]
}

async fn throw(address: &str, garbage: &Garbage) {
    let greeted = || async { Initiator::greeted(address, HUB, SECRET, "x", 7).await.0 };
    match garbage {
        Garbage::First(bytes) => drop(raw(address, bytes).await),
        Garbage::BehindPreamble(bytes) => {
            drop(raw(address, &[preamble(1, HUB), bytes.clone()].concat()).await);
        }
        Garbage::BehindFirst(bytes) => {
            let (first, _) = first(&key(SECRET), HUB);
            drop(raw(address, &[first, bytes.clone()].concat()).await);
        }
        Garbage::Unsealed(bytes) => greeted().await.send_raw(bytes).await,
        Garbage::Greeting(bytes) => {
            let session = Initiator::connect(address, HUB, SECRET).await;
            let mut session = session.map_err(|_| "refused").expect("the secret is right");
            session.send(bytes).await;
        }
        Garbage::Sealed(bytes) => greeted().await.send(bytes).await,
        Garbage::Record(tag, channel, body) => {
            let record = initiator::record(*tag, *channel, body);
            greeted().await.send(&record).await;
        }
    }
}

#[test]
fn garbage_before_and_after_the_handshake_changes_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let cluster = runtime.block_on(Cluster::start());
    let before = resident_kib();
    proptest!(ProptestConfig::with_cases(cases()), |(garbage in proptest::collection::vec(garbage(), 1..8))| {
        runtime.block_on(async {
            for one in &garbage {
                throw(&cluster.address(), one).await;
                until("x is gone", || cluster.a.connected().len() == 1).await;
            }
            cluster.goes_on().await;
        });
    });
    assert!(resident_kib().saturating_sub(before) < 64 << 10);
}
