//! What is logged of strangers, and what never is.

use std::io;
use std::sync::{Arc, LazyLock, Mutex};

use tokio::time::Instant;

use crate::initiator::{Initiator, key};
use crate::{Cluster, HUB, SECRET, raw, secret, until};

/// What all tests of this program log.
static LOG: LazyLock<Arc<Mutex<Vec<u8>>>> = LazyLock::new(|| {
    let log = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&log);
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(move || Sink(Arc::clone(&writer)))
        .finish();
    tracing::subscriber::set_global_default(subscriber).expect("no other is set");
    log
});

struct Sink(Arc<Mutex<Vec<u8>>>);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut log = self.0.lock().expect("no writer panics");
        log.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logged() -> String {
    let log = LOG.lock().expect("no writer panics");
    String::from_utf8_lossy(&log).into_owned()
}

#[tokio::test]
async fn a_refusal_is_logged_once_with_its_reason_a_flood_a_few_times_and_the_secret_never() {
    LazyLock::force(&LOG);
    let cluster = Cluster::start().await;
    let socket = raw(&cluster.address(), b"GET / HTTP/1.1\r\n\r\n").await;
    let stranger = format!("peer={} ", socket.local_addr().expect("an address"));
    cluster.refused("not those of a hub", 1).await;
    let lines = |wanted: &str| {
        logged()
            .lines()
            .filter(|line| line.contains(wanted))
            .count()
    };
    until("it is logged", || lines(&stranger) == 1).await;
    let line = logged();
    let line = line.lines().find(|line| line.contains(&stranger));
    let line = line.expect("it is logged");
    assert!(
        line.contains("WARN") && line.contains("not those of a hub"),
        "{line}"
    );
    let (mut flood, begun) = (Vec::new(), Instant::now());
    for _ in 0..300 {
        let socket = raw(&cluster.address(), b"GET / HTTP/1.1\r\n\r\n").await;
        let port = socket.local_addr().expect("an address").port();
        flood.push(format!("peer=127.0.0.1:{port} "));
    }
    cluster.refused("not those of a hub", 301).await;
    let of_flood = flood.iter().filter(|stranger| lines(stranger) > 0).count();
    let seconds = usize::try_from(begun.elapsed().as_secs()).expect("a short test");
    assert!(
        (1..=10 * (seconds + 2)).contains(&of_flood),
        "{of_flood} lines"
    );
    drop(Initiator::greeted(&cluster.address(), HUB, SECRET, "x", 7).await);
    let log = logged();
    assert!(!log.contains(&*String::from_utf8_lossy(SECRET)));
    for bytes in [&SECRET[..], &key(SECRET)] {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(!log.contains(&hex));
        assert!(!log.contains(&format!("{bytes:?}")));
    }
    assert_eq!(format!("{:?}", secret()), "Secret(..)");
}
