//! [`Node`]: what the engine runs. A hub is one kind; its types end at this boundary, so the
//! engine is compiled once and a cluster may mix strategies.

pub(crate) mod clock;
pub mod effects;

use std::any::Any;
use std::cell::OnceCell;
use std::fmt;
use std::rc::Rc;

use hublab_strategies::hub::{ChildEvent, Command, Envelope, HubCore, Input, Sizes};
use hublab_strategies::membership::Membership;
use hublab_strategies::registry::Registry;
use hublab_strategies::{
    Channel, Contents, DownReason, EventStrategy, Message, Metadata, NodeId, Pid, Time, TimerKey,
};

use crate::node::effects::Effects;

/// A message on its way: shared among its recipients, never encoded.
pub struct Packet {
    /// The kind, for counters and traces.
    pub kind: &'static str,
    /// The length of its wire encoding in bytes.
    pub size: u64,
    /// How many messages led to it: 1 for one that was not sent in answer to another.
    pub hops: u32,
    /// Its lane.
    pub channel: Channel,
    /// True if sending it to a node that is not connected connects.
    pub connects: bool,
    /// The message itself.
    pub payload: Box<dyn Any + Send + Sync>,
    /// Asks the message for its entries, given its sender: [`Message::entries`] of its type.
    entries: fn(&(dyn Any + Send + Sync), &NodeId) -> Option<Contents>,
    contents: OnceCell<Option<Contents>>,
}

impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packet")
            .field("kind", &self.kind)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl Packet {
    /// Wraps a message.
    pub fn new<M: Message>(channel: Channel, message: M, connects: bool, hops: u32) -> Rc<Self> {
        Rc::new(Self {
            kind: message.kind(),
            size: message.size_model().bytes(),
            hops,
            channel,
            connects,
            payload: Box::new(message),
            entries: entries_of::<M>,
            contents: OnceCell::new(),
        })
    }

    /// The entries of the message, if it tells them; asked of it once.
    pub(crate) fn contents(&self, sender: &NodeId) -> Option<Contents> {
        let entries = || (self.entries)(&*self.payload, sender);
        self.contents.get_or_init(entries).clone()
    }
}

fn entries_of<M: Message>(message: &(dyn Any + Send + Sync), sender: &NodeId) -> Option<Contents> {
    message.downcast_ref::<M>()?.entries(sender)
}

/// A child that really runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// Its pid.
    pub pid: Pid,
    /// Its metadata.
    pub metadata: Metadata,
    /// Since when.
    pub since: Time,
}

/// One input of a node.
#[derive(Debug)]
pub enum NodeInput<'a> {
    /// The node boots.
    Start,
    /// A message arrived.
    Message {
        /// Its sender.
        from: &'a NodeId,
        /// The message.
        packet: &'a Packet,
    },
    /// A timer fired.
    Timer(TimerKey),
    /// A connection came up.
    PeerUp {
        /// The peer.
        node: &'a NodeId,
        /// Its incarnation.
        incarnation: u64,
    },
    /// A connection is gone.
    PeerDown {
        /// The peer.
        node: &'a NodeId,
        /// Why.
        reason: DownReason,
    },
    /// A failure detector has doubts.
    Suspect(&'a NodeId),
    /// The script, or whoever injects, wants something.
    Command(Command),
    /// Reports of child processes.
    Children(Vec<ChildEvent>),
}

/// A node of the simulated world: one input, one atomic step.
pub trait Node: Send {
    /// Takes one input; everything it does to the world goes through `effects`.
    fn handle(&mut self, input: NodeInput<'_>, effects: &mut Effects<'_>);

    /// Its registry: the node's *view* in the sense of oracles.
    fn registry(&self) -> &Registry;

    /// Its cluster view, in order.
    fn cluster_view(&self) -> &[NodeId];

    /// How much it remembers.
    fn sizes(&self) -> Sizes;
}

/// A [`HubCore`] as a node of the simulated world.
pub struct HubNode<S: EventStrategy, M: Membership> {
    hub: HubCore<S, M>,
}

impl<S: EventStrategy, M: Membership> HubNode<S, M> {
    /// Wraps a hub that has not started yet.
    pub fn new(hub: HubCore<S, M>) -> Self {
        Self { hub }
    }
}

impl<S: EventStrategy, M: Membership> Node for HubNode<S, M> {
    fn handle(&mut self, input: NodeInput<'_>, effects: &mut Effects<'_>) {
        let input = match input {
            NodeInput::Start => Input::Start,
            NodeInput::Message { from, packet } => {
                match packet
                    .payload
                    .downcast_ref::<Envelope<S::Message, M::Message>>()
                {
                    Some(message) => Input::Message { from, message },
                    // In a mixed cluster a strategy does not understand another's messages.
                    None => return effects.mark("hub.unintelligible"),
                }
            }
            NodeInput::Timer(key) => Input::Timer(key),
            NodeInput::PeerUp { node, incarnation } => Input::PeerUp { node, incarnation },
            NodeInput::PeerDown { node, reason } => Input::PeerDown { node, reason },
            NodeInput::Suspect(node) => Input::Suspect { node },
            NodeInput::Command(command) => Input::Command(command),
            NodeInput::Children(events) => Input::Children(events),
        };
        self.hub.handle(input, effects);
    }

    fn registry(&self) -> &Registry {
        self.hub.registry()
    }

    fn cluster_view(&self) -> &[NodeId] {
        self.hub.view()
    }

    fn sizes(&self) -> Sizes {
        self.hub.sizes()
    }
}
