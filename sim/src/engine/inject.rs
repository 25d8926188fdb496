//! Inputs from outside the script: from other tasks of the same world.

use hublab_strategies::hub::{ChildEvent, Command};
use hublab_strategies::{NodeId, Pid, Time};

use super::state::Waiting;
use super::{Engine, Immediate};
use crate::model::NodeIx;
use crate::node::NodeInput;
use crate::trace::event::{EventId, Payload, StopReason};

/// An input that a task may give a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Injection {
    /// A command. A paused node gets it when it goes on, but for [`Command::PutRows`],
    /// [`Command::SetView`] and [`Command::Leave`], which act at once, as the steps do.
    Command(Command),
    /// A failure detector has doubts about a peer. Lost on a paused node.
    Suspect(NodeId),
    /// A child process ended by itself, for good. A paused node hears of it when it goes on.
    ChildExited(Pid),
    /// A child process ended, and the node is to replace it. A paused node hears of it when it
    /// goes on.
    ChildCrashed(Pid),
}

impl Injection {
    /// Its name in the trace.
    fn action(&self) -> &'static str {
        match self {
            Self::Command(Command::PutRows(_)) => "rows",
            Self::Command(Command::SetView(_)) => "view",
            Self::Command(Command::Leave) => "leave",
            Self::Command(_) => "command",
            Self::Suspect(_) => "suspect",
            Self::ChildExited(_) => "child_exited",
            Self::ChildCrashed(_) => "child_crashed",
        }
    }
}

impl From<Command> for Injection {
    fn from(command: Command) -> Self {
        Self::Command(command)
    }
}

/// Why an injection was refused; nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InjectError {
    /// No node of the scenario has that name.
    #[error("there is no node `{0}`")]
    UnknownNode(NodeId),
    /// The node has not booted, or has stopped.
    #[error("{0} is not running")]
    NotRunning(NodeId),
    /// The run is over.
    #[error("the run is over")]
    Over,
}

/// A node stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// Which node.
    pub node: NodeId,
    /// When.
    pub at: Time,
    /// How.
    pub reason: StopReason,
}

impl Engine {
    /// The position of a node.
    ///
    /// # Errors
    /// [`InjectError::UnknownNode`].
    pub fn position(&self, node: &NodeId) -> Result<NodeIx, InjectError> {
        self.index
            .get(node)
            .copied()
            .ok_or_else(|| InjectError::UnknownNode(node.clone()))
    }

    /// Puts something into a node at an instant: behind what has happened by then, and before
    /// what is still to happen. For expectations, it counts as a step.
    ///
    /// # Errors
    /// The node is unknown or does not run.
    pub(crate) fn inject(
        &mut self,
        at: Time,
        node: &NodeId,
        injection: Injection,
    ) -> Result<(), InjectError> {
        let ix = self.position(node)?;
        if !self.nodes[ix as usize].is_running() {
            return Err(InjectError::NotRunning(node.clone()));
        }
        self.advance(at);
        let action = injection.action().into();
        let cause = self.record(ix, 0, Payload::Injected { action });
        match injection {
            Injection::Command(command) => self.obey(ix, cause, command),
            Injection::Suspect(peer) => {
                if !self.nodes[ix as usize].life.is_paused() {
                    self.step(ix, cause, 0, NodeInput::Suspect(&peer));
                }
            }
            Injection::ChildExited(pid) => {
                self.child_ended(ix, cause, &pid, ChildEvent::Exited(pid.clone()))
            }
            Injection::ChildCrashed(pid) => {
                self.child_ended(ix, cause, &pid, ChildEvent::Crashed(pid.clone()))
            }
        }
        self.drain_immediate();
        self.run_programs();
        Ok(())
    }

    pub(super) fn obey(&mut self, node: NodeIx, cause: EventId, command: Command) {
        match command {
            Command::PutRows(_) | Command::SetView(_) => {
                self.step(node, cause, 0, NodeInput::Command(command))
            }
            Command::Leave => self.leave(node, cause),
            Command::StartChildren { .. }
            | Command::StopChildren { .. }
            | Command::RestartChild(_)
            | Command::Propagate { .. }
            | Command::Sync
            | Command::Broadcast(_) => self.command(node, cause, command),
        }
    }

    fn child_ended(&mut self, node: NodeIx, cause: EventId, pid: &Pid, event: ChildEvent) {
        self.stop_child(node, cause, pid);
        let state = &mut self.nodes[node as usize];
        if state.life.is_paused() {
            state.waiting.push_back(Waiting::Input {
                input: Immediate::Children(vec![event]),
                cause,
            });
        } else {
            self.step(node, cause, 0, NodeInput::Children(vec![event]));
        }
    }

    /// From now on, notes who stops, and comes back from running when somebody has.
    pub(crate) fn watch_stops(&mut self) {
        self.stops.get_or_insert_default();
    }

    /// The nodes that have stopped since [`Self::watch_stops`], in order.
    pub(crate) fn stops(&self) -> &[Stop] {
        self.stops.as_deref().unwrap_or_default()
    }

    pub(super) fn note_stop(&mut self, node: NodeIx, reason: StopReason) {
        let stop = Stop {
            node: self.name(node).clone(),
            at: self.now,
            reason,
        };
        if let Some(stops) = &mut self.stops {
            stops.push(stop);
            self.has_stopped = true;
        }
    }
}
