//! `metadata_agreement`: every entry in a view carries metadata that its owner gave that child.
//!
//! Gave: at any of its starts of that child, in whatever incarnation, at this instant or before. The
//! metadata of an entry are its own if its strategy keeps them so, else those of its row: then replicas
//! that were started with different ones cannot all be right (anomaly A9). Looked at when a step is over, for each
//! entry that came, and for all of a row whose metadata changed. An entry of a child that its owner
//! never ran is `no_invention`'s business. No excuses but the common one: children named in raw
//! requests or `rows` are not looked at.

use hashbrown::HashMap;
use hublab_strategies::name::NameHasher;
use hublab_strategies::{ChildId, Metadata, Time};
use smallvec::SmallVec;

use super::suspect::Suspect;
use super::{Oracle, Violation};
use crate::model::NodeIx;
use crate::trace::event::{Event, Payload};
use crate::watch::ObserverContext;
use crate::watch::changed::Changed;

pub(super) const NAME: &str = "metadata_agreement";

/// The metadata that each owner gave a child.
type Given = SmallVec<[(NodeIx, Metadata); 1]>;

/// Looks at each entry that comes or gets other metadata.
#[derive(Debug, Default)]
pub(super) struct MetadataAgreement {
    given: HashMap<ChildId, Given, NameHasher>,
    /// Metadata that an owner had not given when they came.
    suspects: Vec<Suspect<Metadata>>,
}

impl MetadataAgreement {
    fn has_given(&self, owner: NodeIx, child: &ChildId, metadata: &Metadata) -> bool {
        let is_it = |(node, given): &(NodeIx, Metadata)| *node == owner && given == metadata;
        self.given
            .get(child)
            .is_some_and(|given| given.iter().any(is_it))
    }

    fn has_run(&self, owner: NodeIx, child: &ChildId) -> bool {
        self.given
            .get(child)
            .is_some_and(|given| given.iter().any(|(node, _)| *node == owner))
    }

    fn look(&mut self, owner: NodeIx, metadata: &Metadata, changed: &Changed<'_>) {
        if !self.has_given(owner, changed.child, metadata) {
            let metadata = metadata.clone();
            self.suspects.push(Suspect::new(changed, owner, metadata));
        }
    }
}

impl Oracle for MetadataAgreement {
    fn name(&self) -> &'static str {
        NAME
    }

    fn reads_rows(&self) -> bool {
        false
    }

    fn event(&mut self, event: &Event, _cx: &ObserverContext) {
        if let Payload::ChildStarted {
            child, metadata, ..
        } = &event.payload
            && !self.has_given(event.node, child, metadata)
        {
            self.given
                .entry(child.clone())
                .or_default()
                .push((event.node, metadata.clone()));
        }
    }

    fn row(&mut self, changed: &Changed<'_>, cx: &ObserverContext) {
        let Some(after) = changed.after.filter(|_| !changed.is_raw) else {
            return;
        };
        if changed.has_new_metadata() {
            for entry in &after.entries {
                if let Some(owner) = cx.facts().position(&entry.node) {
                    self.look(owner, after.metadata_on(&entry.node), changed);
                }
            }
            return;
        }
        for delta in &changed.come {
            let Some(owner) = delta.owner else { continue };
            let shown = after.metadata_on(cx.facts().name(owner));
            if delta.life.is_none_or(|life| life.metadata != *shown) {
                self.look(owner, shown, changed);
            }
        }
    }

    fn step_done(&mut self, _now: Time, cx: &ObserverContext, found: &mut Vec<Violation>) {
        for suspect in std::mem::take(&mut self.suspects) {
            let Suspect {
                node,
                child,
                owner,
                shown: metadata,
                ..
            } = &suspect;
            if self.has_given(*owner, child, metadata) || !self.has_run(*owner, child) {
                continue;
            }
            let (node, owner) = (cx.name(*node), cx.name(*owner));
            let detail = format!(
                "{node} shows {child} of {owner} with metadata {metadata:?}, which {owner} never gave it"
            );
            found.push(suspect.violation(NAME, "wrong metadata", detail, cx));
        }
    }
}
