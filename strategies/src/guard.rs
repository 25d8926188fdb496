//! [`EmptyGuard`]: the original's guard of empty snapshots, which the two ports share.

use crate::context::{Context, SUPPRESSED};
use crate::profile::Profile;
use crate::snapshot::Snapshot;

/// Keeps a node silent until it has hosted a child (docs/protocol.md section 4.5). The latch is set
/// only when the guard is asked while a child is there, and never cleared: anomaly A8.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct EmptyGuard {
    pub(crate) has_hosted: bool,
}

impl EmptyGuard {
    /// This node's snapshot, or `None` as long as it was empty at each call.
    /// Profiles without the guard always have one.
    pub(crate) fn data<M>(
        &mut self,
        profile: Profile,
        cx: &mut Context<'_, M>,
    ) -> Option<Snapshot> {
        let data = cx.local_data();
        self.has_hosted |= !data.is_empty();
        if !self.has_hosted && profile.has_guard() {
            cx.mark(SUPPRESSED);
            return None;
        }
        Some(data)
    }
}
