//! The counters of a node over HTTP, in the OpenMetrics text format.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hublab_strategies::live::Hub;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// Scrapes at one time; more of them wait.
const SCRAPES: usize = 16;

/// The most bytes of a request that are read.
const REQUEST_BYTES_MAX: usize = 8 << 10;

/// The time for one scrape.
const SCRAPE_WITHIN: Duration = Duration::from_secs(5);

/// An address where the counters can be read.
#[derive(Debug)]
pub(super) struct Metrics {
    listener: TcpListener,
}

impl Metrics {
    /// Listens on an address. A port alone is one of the loopback address.
    ///
    /// # Errors
    /// The address is none, or cannot be listened on.
    pub(super) async fn bind(address: &str) -> io::Result<Self> {
        let listener = match address.trim_start_matches(':').parse::<u16>() {
            Ok(port) => TcpListener::bind(("127.0.0.1", port)).await?,
            Err(_) => TcpListener::bind(address).await?,
        };
        Ok(Self { listener })
    }

    /// The address listened on.
    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers scrapes until the hub stops.
    pub(super) async fn serve(&self, hub: &Hub) {
        let slots = Arc::new(Semaphore::new(SCRAPES));
        let mut scrapes = tokio::task::JoinSet::new();
        let serve = async {
            loop {
                while scrapes.try_join_next().is_some() {}
                let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                    return;
                };
                match self.listener.accept().await {
                    Ok((stream, _)) => {
                        let hub = hub.clone();
                        scrapes.spawn(async move {
                            let _slot = slot;
                            // A scraper that hangs up or hangs is its own problem.
                            let _ = timeout(SCRAPE_WITHIN, answer(stream, &hub)).await;
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a scrape");
                        sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        };
        tokio::select! {
            () = serve => {}
            () = hub.stopped() => {}
        }
    }
}

/// Answers one request, and closes.
async fn answer(mut stream: TcpStream, hub: &Hub) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut piece = [0; 1_024];
        let length = stream.read(&mut piece).await?;
        request.extend_from_slice(&piece[..length]);
        if length == 0 || request.len() > REQUEST_BYTES_MAX {
            return Ok(());
        }
    }
    let is_scrape = request.starts_with(b"GET /metrics ") || request.starts_with(b"GET / ");
    let (status, kind, body) = if is_scrape {
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        ("200 OK", kind, hub.stats().to_open_metrics())
    } else {
        ("404 Not Found", "text/plain", "GET /metrics\n".to_owned())
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_scrape_gets_the_counters_and_the_hub_is_gone_when_it_left() {
        let hub = Hub::builder("test", "a")
            .start()
            .await
            .expect("a free port");
        let metrics = Metrics::bind("0").await.expect("a free port");
        let address = metrics.local_addr().expect("it listens");
        assert!(address.ip().is_loopback());
        let ask = async {
            let mut answers = Vec::new();
            for path in ["/metrics", "/other"] {
                let mut stream = TcpStream::connect(address).await.expect("it listens");
                let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
                stream
                    .write_all(request.as_bytes())
                    .await
                    .expect("it is read");
                let mut text = String::new();
                stream.read_to_string(&mut text).await.expect("it is text");
                answers.push(text);
            }
            hub.leave().await.expect("it runs");
            answers
        };
        let (answers, ()) = tokio::join!(ask, metrics.serve(&hub));
        assert!(answers[0].starts_with("HTTP/1.1 200 OK"));
        assert!(answers[0].contains("openmetrics-text") && answers[0].ends_with("# EOF\n"));
        assert!(answers[0].contains("\nhublab_rows 0\n"));
        assert!(answers[1].starts_with("HTTP/1.1 404"));
    }
}
