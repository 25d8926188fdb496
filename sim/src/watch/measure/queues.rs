//! Messages that wait for a busy receiver.

use super::Queue;
use super::samples::Samples;
use crate::model::Window;
use crate::trace::event::{Event, Payload};
use crate::watch::facts::Facts;

/// What has waited so far.
#[derive(Debug)]
pub(super) struct Queues {
    window: Window,
    peak: u64,
    waits: Samples,
}

impl Queues {
    /// With what arrives in a window.
    pub(super) fn new(window: Window) -> Self {
        Self {
            window,
            peak: 0,
            waits: Samples::new(),
        }
    }

    /// Takes in an event.
    pub(super) fn event(&mut self, event: &Event, facts: &Facts) {
        if let Payload::Queued { until, .. } = event.payload
            && self.window.contains(event.at)
        {
            let takes = facts.service_us_of(event.node);
            let wait = until.since(event.at).saturating_sub(takes);
            self.waits.add(wait);
            // One is in service until the first of these begins; all others wait, this one too.
            self.peak = self.peak.max(wait.div_ceil(takes.max(1)));
        }
    }

    /// `None` if no receiver is ever busy.
    pub(super) fn finish(self, facts: &Facts) -> Option<Queue> {
        (facts.service_us > 0).then(|| Queue {
            peak: self.peak,
            wait_us: self.waits.finish(),
        })
    }
}
