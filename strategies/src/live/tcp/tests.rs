//! Transports against each other on loopback, and against strangers.

mod golden;
mod pairs;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{BindError, Filter, Limits, LocalNode, Secret, TcpConfig, TcpTransport};
use crate::live::transport::{Transport, TransportEvent};
use crate::message::Channel;
use crate::name::NodeId;
use crate::runtime::DownReason;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A transport with the hub's end of it.
struct Node {
    transport: TcpTransport,
    incoming: mpsc::Receiver<TransportEvent>,
}

fn secret() -> Secret {
    Secret::new(&[7; 32]).unwrap()
}

/// A node that has not started.
struct Setup {
    local: LocalNode,
    tcp: TcpConfig,
}

impl std::ops::Deref for Setup {
    type Target = TcpConfig;

    fn deref(&self) -> &TcpConfig {
        &self.tcp
    }
}

impl std::ops::DerefMut for Setup {
    fn deref_mut(&mut self) -> &mut TcpConfig {
        &mut self.tcp
    }
}

impl Setup {
    async fn bind(self) -> Result<Node, BindError> {
        let transport = TcpTransport::new(self.tcp);
        let (events, incoming) = mpsc::channel(1_024);
        transport.start(self.local, events).await?;
        Ok(Node {
            transport,
            incoming,
        })
    }
}

fn config(name: &str, peers: &[&Node]) -> Setup {
    let local = LocalNode::new("orders".into(), name.into(), 1, "test x=1".into());
    let tcp = TcpConfig {
        listen: "127.0.0.1:0".into(),
        advertise: None,
        peers: peers.iter().map(|peer| peer.address()).collect(),
        secrets: vec![secret()],
        limits: Limits {
            redial_min: Duration::from_millis(10),
            redial_max: Duration::from_millis(100),
            ..Limits::default()
        },
        down_after: Duration::from_secs(10),
        heartbeat: Duration::from_millis(100),
        allow_mixed: false,
        resolver: Arc::new(super::SystemResolver),
        filter: None,
    };
    Setup { local, tcp }
}

impl Node {
    async fn start(setup: Setup) -> Self {
        setup.bind().await.unwrap()
    }

    fn address(&self) -> String {
        self.transport.local_addr().unwrap().to_string()
    }

    async fn next(&mut self) -> TransportEvent {
        let next = timeout(PATIENCE, self.incoming.recv()).await;
        next.expect("something arrives")
            .expect("the transport runs")
    }

    async fn expect_up(&mut self, name: &str) -> u64 {
        let next = self.next().await;
        let TransportEvent::Up { node, incarnation } = &next else {
            panic!("expected {name} up, got {next:?}");
        };
        assert_eq!(node.as_str(), name);
        *incarnation
    }

    async fn expect_down(&mut self, name: &str) -> DownReason {
        let next = self.next().await;
        let TransportEvent::Down { node, reason } = &next else {
            panic!("expected {name} down, got {next:?}");
        };
        assert_eq!(node.as_str(), name);
        *reason
    }

    async fn expect_message(&mut self, name: &str) -> (u8, Bytes) {
        let next = self.next().await;
        let TransportEvent::Message {
            from,
            channel,
            bytes,
            ..
        } = &next
        else {
            panic!("expected a message from {name}, got {next:?}");
        };
        assert_eq!(from.as_str(), name);
        (*channel, bytes.clone())
    }

    fn send(&self, to: &str, text: &'static str) {
        let sent = self.transport.send(
            &to.into(),
            Channel::REQUESTS,
            "test",
            Bytes::from_static(text.as_bytes()),
        );
        assert_eq!(sent, Ok(()));
    }

    /// Says something to a node and hears it answer: the connection works both ways.
    async fn talk(&mut self, other: &mut Self, name: &str, other_name: &str) {
        self.send(other_name, "ping");
        assert_eq!(other.expect_message(name).await.1, "ping");
        other.send(name, "pong");
        assert_eq!(self.expect_message(other_name).await.1, "pong");
    }

    fn refusals(&self, reason: &str) -> u64 {
        let refusals = self.transport.counters().refusals;
        let found = refusals
            .iter()
            .find(|(what, _)| what.to_string().contains(reason));
        found.map_or(0, |(_, count)| *count)
    }
}

/// Two connected nodes, `a` and `b`.
async fn pair() -> (Node, Node) {
    pair_with(|_| {}).await
}

async fn pair_with(adjust: impl Fn(&mut Setup)) -> (Node, Node) {
    let mut first = config("a", &[]);
    adjust(&mut first);
    let mut a = Node::start(first).await;
    let mut second = config("b", &[&a]);
    adjust(&mut second);
    let mut b = Node::start(second).await;
    a.expect_up("b").await;
    b.expect_up("a").await;
    (a, b)
}

/// Waits until something holds.
async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let poll = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, poll).await.expect(what);
}

/// A filter from a function.
struct Rule<F>(F);

impl<F> Filter for Rule<F>
where
    F: Fn(&NodeId, &NodeId, Option<Channel>) -> super::FilterVerdict + Send + Sync,
{
    fn judge(
        &self,
        from: &NodeId,
        to: &NodeId,
        channel: Option<Channel>,
        _bytes: usize,
    ) -> super::FilterVerdict {
        (self.0)(from, to, channel)
    }
}

fn filter<F>(rule: F) -> Option<Arc<dyn Filter>>
where
    F: Fn(&NodeId, &NodeId, Option<Channel>) -> super::FilterVerdict + Send + Sync + 'static,
{
    Some(Arc::new(Rule(rule)))
}
