//! The timeline: what happened between one step of the script and the next.

use hublab_strategies::Time;
use serde::{Deserialize, Serialize};

use super::convergence::Convergence;
use crate::trace::event::{Event, Payload};

/// A step, or the start of the run, and what followed until the next step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// When it began, in microseconds.
    pub at_us: u64,
    /// The position of the step in the file; `None` for the start of the run.
    pub step: Option<u32>,
    /// True if this is the step's `heal_after`.
    pub healing: bool,
    /// Messages sent.
    pub sent: u64,
    /// Messages lost.
    pub dropped: u64,
    /// Times that a node learned that a peer is up.
    pub peers_up: u64,
    /// Times that a node learned that a peer is down.
    pub peers_down: u64,
    /// Changes of cluster views.
    pub view_changes: u64,
    /// Changes of rows.
    pub row_changes: u64,
    /// Since when all views had equalled the truth when the segment ended; `None` if they did not.
    pub converged_us: Option<u64>,
}

/// The most segments that are kept; what follows is added to the last.
pub(crate) const SEGMENTS_MAX: usize = 1_000;

#[derive(Debug)]
pub(super) struct Timeline {
    segments: Vec<Segment>,
    /// The instant of the last step or healing, also of those beyond [`SEGMENTS_MAX`].
    last_step: Time,
}

impl Timeline {
    pub(super) fn new() -> Self {
        Self {
            segments: vec![Segment {
                // Nothing runs, and nothing is shown.
                converged_us: Some(0),
                ..Segment::default()
            }],
            last_step: Time::ZERO,
        }
    }

    fn current(&mut self) -> &mut Segment {
        self.segments
            .last_mut()
            .expect("a timeline has a first segment")
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a fold looks at the events that concern it"
    )]
    pub(super) fn event(&mut self, event: &Event) {
        if let Payload::Step { .. } = event.payload {
            self.last_step = event.at;
        }
        match &event.payload {
            Payload::Step { index, healing, .. } if self.segments.len() < SEGMENTS_MAX => {
                let (at_us, step, healing) = (event.at.0, Some(*index), *healing);
                // Of several steps of one instant, only the last sees the end of it.
                let converged_us = self.current().converged_us;
                self.segments.push(Segment {
                    at_us,
                    step,
                    healing,
                    converged_us,
                    ..Segment::default()
                });
            }
            Payload::Sent { .. } => self.current().sent += 1,
            Payload::Dropped { .. } => self.current().dropped += 1,
            Payload::PeerUp { .. } => self.current().peers_up += 1,
            Payload::PeerDown { .. } => self.current().peers_down += 1,
            Payload::View(_) => self.current().view_changes += 1,
            Payload::Row { .. } => self.current().row_changes += 1,
            _ => {}
        }
    }

    pub(super) fn settle(&mut self, convergence: &Convergence) {
        self.current().converged_us = convergence.converged_since().map(|Time(us)| us);
    }

    pub(super) fn last_step(&self) -> Time {
        self.last_step
    }

    pub(super) fn finish(self) -> Vec<Segment> {
        self.segments
    }
}
