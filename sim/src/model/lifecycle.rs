//! The life of a node: where it is in it, and which action leads where.

use super::{Action, Cluster, NodeIx, Parameters};

/// Where a node is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Lifecycle {
    /// It has not been booted yet.
    #[default]
    Never,
    /// It runs.
    Up,
    /// It runs, and is paused.
    Paused,
    /// It crashed.
    Crashed,
    /// It left.
    Left,
}

/// A step in the life of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transition {
    /// Its first boot.
    Join,
    /// It stops gracefully.
    Leave,
    /// It stops at once.
    Crash,
    /// A later boot.
    Restart,
    /// Its process is stopped.
    Pause,
    /// Its process goes on.
    Resume,
}

impl Lifecycle {
    /// True if the node runs; a paused one does.
    #[must_use]
    pub(crate) fn runs(self) -> bool {
        match self {
            Self::Up | Self::Paused => true,
            Self::Never | Self::Crashed | Self::Left => false,
        }
    }

    /// True if the node runs and is paused.
    #[must_use]
    pub(crate) fn is_paused(self) -> bool {
        self == Self::Paused
    }

    /// Where a transition leads from here; `None` if it is impossible here.
    #[must_use]
    pub(crate) fn after(self, transition: Transition) -> Option<Self> {
        match (transition, self) {
            (Transition::Join, Self::Never)
            | (Transition::Restart, Self::Crashed | Self::Left)
            | (Transition::Leave | Transition::Crash, Self::Up | Self::Paused)
            | (Transition::Pause, Self::Up)
            | (Transition::Resume, Self::Paused) => Some(transition.target()),
            (Transition::Join, Self::Up | Self::Paused | Self::Crashed | Self::Left)
            | (Transition::Restart, Self::Never | Self::Up | Self::Paused)
            | (Transition::Leave | Transition::Crash, Self::Never | Self::Crashed | Self::Left)
            | (Transition::Pause, Self::Never | Self::Paused | Self::Crashed | Self::Left)
            | (Transition::Resume, Self::Never | Self::Up | Self::Crashed | Self::Left) => None,
        }
    }
}

impl Cluster {
    /// Where each node is in its life at time 0.
    #[must_use]
    pub(crate) fn lives(&self) -> Vec<Lifecycle> {
        let mut lives = vec![Lifecycle::Never; self.nodes.len()];
        for node in &self.start {
            lives[*node as usize] = Transition::Join.target();
        }
        lives
    }
}

impl Transition {
    /// The state that it leads to.
    #[must_use]
    pub(crate) fn target(self) -> Lifecycle {
        match self {
            Self::Join | Self::Restart | Self::Resume => Lifecycle::Up,
            Self::Leave => Lifecycle::Left,
            Self::Crash => Lifecycle::Crashed,
            Self::Pause => Lifecycle::Paused,
        }
    }

    /// The action by which nodes make it.
    #[must_use]
    pub(crate) fn action(self, nodes: Vec<NodeIx>) -> Action {
        match self {
            Self::Join => Action::Join(nodes),
            Self::Leave => Action::Leave(nodes),
            Self::Crash => Action::Crash(nodes),
            Self::Restart => Action::Restart {
                nodes,
                strategy: Parameters::new(),
            },
            Self::Pause => Action::Pause(nodes),
            Self::Resume => Action::Resume(nodes),
        }
    }
}

impl Action {
    /// The transition that it is, and the nodes that make it; `None` for what moves no node's life.
    #[must_use]
    pub(crate) fn transition(&self) -> Option<(Transition, &[NodeIx])> {
        match self {
            Self::Join(nodes) => Some((Transition::Join, nodes)),
            Self::Leave(nodes) => Some((Transition::Leave, nodes)),
            Self::Crash(nodes) => Some((Transition::Crash, nodes)),
            Self::Restart { nodes, .. } => Some((Transition::Restart, nodes)),
            Self::Pause(nodes) => Some((Transition::Pause, nodes)),
            Self::Resume(nodes) => Some((Transition::Resume, nodes)),
            Self::Partition { .. }
            | Self::Cut { .. }
            | Self::Heal
            | Self::Link(_)
            | Self::Hold { .. }
            | Self::Release { .. }
            | Self::Clock { .. }
            | Self::StartChildren { .. }
            | Self::StopChildren { .. }
            | Self::RestartChild { .. }
            | Self::Propagate { .. }
            | Self::Sync(_)
            | Self::Broadcast { .. }
            | Self::Rows { .. }
            | Self::View { .. }
            | Self::LeftOut { .. } => None,
        }
    }

    /// The node that does the action, if it is one.
    #[must_use]
    pub fn doer(&self) -> Option<NodeIx> {
        if let Self::StartChildren { on, .. }
        | Self::StopChildren { on, .. }
        | Self::RestartChild { on, .. }
        | Self::Propagate { from: on, .. }
        | Self::Sync(on)
        | Self::Broadcast { on, .. }
        | Self::Rows { on, .. }
        | Self::View { on, .. } = self
        {
            Some(*on)
        } else {
            None
        }
    }

    /// [`Self::doer`], to be changed.
    pub fn doer_mut(&mut self) -> Option<&mut NodeIx> {
        if let Self::StartChildren { on, .. }
        | Self::StopChildren { on, .. }
        | Self::RestartChild { on, .. }
        | Self::Propagate { from: on, .. }
        | Self::Sync(on)
        | Self::Broadcast { on, .. }
        | Self::Rows { on, .. }
        | Self::View { on, .. } = self
        {
            Some(on)
        } else {
            None
        }
    }

    /// [`Self::transition`], with its nodes to be changed.
    pub(crate) fn transition_mut(&mut self) -> Option<(Transition, &mut Vec<NodeIx>)> {
        let (transition, _) = self.transition()?;
        if let Self::Join(nodes)
        | Self::Leave(nodes)
        | Self::Crash(nodes)
        | Self::Restart { nodes, .. }
        | Self::Pause(nodes)
        | Self::Resume(nodes) = self
        {
            Some((transition, nodes))
        } else {
            None
        }
    }
}
