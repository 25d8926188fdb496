//! [`Observer`]: for experiments that must see all of a hub, or stop it in its tracks.

use std::sync::Arc;

use tokio::sync::watch;

use super::events::HubEvent;
use crate::message::Message;
use crate::name::NodeId;

/// Hears of everything at a hub as it happens, on the hub's own task: it must not block. Unlike a
/// reader of [`super::Events`], it never misses any. Connections come and go, and messages arrive,
/// between steps; all else happens inside of them.
pub trait Observer: Send + Sync {
    /// Runs one step of the hub, which begins and ends inside: one input, and all that it does.
    fn step(&self, step: &mut dyn FnMut());

    /// Something happened; never [`HubEvent::Missed`].
    fn event(&self, event: &HubEvent);

    /// A message of this kind and length is about to be sent, perhaps to the node itself.
    fn sent(&self, to: &NodeId, kind: &'static str, bytes: u64);

    /// Whom an announcement made now addresses, connected or not.
    fn audience(&self) -> Vec<NodeId>;

    /// True if a message to a node that is not connected waits, for a second at most, until it is;
    /// the node is dialled then. If not, the message is lost.
    fn waits(&self, to: &NodeId) -> bool;

    /// It could not be: the node is not connected, or its queue is full.
    fn unsent(&self, to: &NodeId, kind: &'static str);

    /// A message has arrived, and is handled now if the answer is [`Arrival::Take`].
    fn arrived(&self, from: &NodeId, kind: &'static str) -> Arrival;
}

/// The answer of an [`Observer`] to a message that has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// It is handled now.
    Take,
    /// It is forgotten.
    Drop,
    /// It waits, and is asked about again whenever the [`Flow`] is set.
    Hold,
}

/// True if a hub goes on: what the other end of a [`watch`] channel sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// It does.
    Run,
    /// It handles nothing: messages, timers and requests wait.
    Pause,
    /// It ends at once, without a good-bye.
    Stop,
}

/// What a hub's task knows of those who experiment with it.
pub(super) struct Experiment<M> {
    pub(super) observer: Option<Arc<dyn Observer>>,
    flow: Option<watch::Receiver<Flow>>,
    held: Vec<(NodeId, M, usize)>,
}

impl<M: Message> Experiment<M> {
    pub(super) fn new(
        observer: Option<Arc<dyn Observer>>,
        flow: Option<watch::Receiver<Flow>>,
    ) -> Self {
        Self {
            observer,
            flow,
            held: Vec::new(),
        }
    }

    /// True if the flow has just been set; never, if nobody sets it.
    pub(super) async fn changed(&mut self) {
        if let Some(flow) = &mut self.flow
            && flow.changed().await.is_ok()
        {
            return;
        }
        // Whoever set it is gone: it stays as it is.
        self.flow = None;
        std::future::pending().await
    }

    /// True if the hub is to stand still.
    pub(super) fn is_paused(&self) -> bool {
        let flow = self.flow.as_ref();
        flow.is_some_and(|flow| *flow.borrow() == Flow::Pause)
    }

    /// Waits while the hub is paused. Answers whether it goes on.
    pub(super) async fn goes_on(&mut self) -> bool {
        let Some(flow) = &mut self.flow else {
            return true;
        };
        match flow.wait_for(|flow| *flow != Flow::Pause).await {
            Ok(flow) => *flow != Flow::Stop,
            Err(_) => true,
        }
    }

    /// Asks about a message; answers it if it is to be handled now.
    pub(super) fn admit(
        &mut self,
        from: NodeId,
        message: M,
        bytes: usize,
    ) -> Option<(NodeId, M, usize)> {
        let answer = match &self.observer {
            Some(observer) => observer.arrived(&from, message.kind()),
            None => Arrival::Take,
        };
        match answer {
            Arrival::Take => Some((from, message, bytes)),
            Arrival::Drop => None,
            Arrival::Hold => {
                self.held.push((from, message, bytes));
                None
            }
        }
    }

    /// The messages that were held back.
    pub(super) fn take_held(&mut self) -> Vec<(NodeId, M, usize)> {
        std::mem::take(&mut self.held)
    }
}
