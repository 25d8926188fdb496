//! [`Defect`]: one way in which a view differs from the truth.

use hublab_strategies::ChildId;

use super::ObserverContext;
use crate::model::NodeIx;
use crate::trace::event::EventId;

/// How a view differs from the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// True, and not in view.
    Absent,
    /// In view, and not true.
    Ghost,
    /// In view with another pid.
    Wrong,
    /// In view with the right pid and other metadata.
    Metadata,
    /// Two nodes that run are not connected.
    Apart,
}

impl Kind {
    /// One word, as signatures have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Ghost => "ghost",
            Self::Wrong => "wrong",
            Self::Metadata => "wrong metadata",
            Self::Apart => "apart",
        }
    }
}

/// One thing that is not as it should be at one observer: an entry, or a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defect {
    /// Where it is seen.
    pub observer: NodeIx,
    /// About which node; `None` for one that is not in the file.
    pub owner: Option<NodeIx>,
    /// About which child; `None` for those of nodes that are not in the file.
    pub child: Option<ChildId>,
    /// How it differs.
    pub kind: Kind,
    /// All of this in words.
    pub text: String,
    /// The event since which it is so; `None` if that is not known.
    pub event: Option<EventId>,
}

impl Defect {
    pub(super) fn new(
        (observer, owner): (NodeIx, NodeIx),
        child: &ChildId,
        kind: Kind,
        text: String,
        event: Option<EventId>,
    ) -> Self {
        Self {
            observer,
            owner: Some(owner),
            child: Some(child.clone()),
            kind,
            text,
            event,
        }
    }

    pub(super) fn apart((one, other): (NodeIx, NodeIx), cx: &ObserverContext) -> Self {
        let (name, peer) = (cx.name(one), cx.name(other));
        Self {
            observer: one,
            owner: Some(other),
            child: None,
            kind: Kind::Apart,
            text: format!("{name} and {peer} are not connected"),
            event: None,
        }
    }

    pub(super) fn foreign(observer: NodeIx, cx: &ObserverContext) -> Self {
        let name = cx.name(observer);
        Self {
            observer,
            owner: None,
            child: None,
            kind: Kind::Ghost,
            text: format!("{name} shows rows of nodes that are not in the file"),
            event: None,
        }
    }
}
