//! Messages of the window, in columns: the lines of the diagram.

use std::collections::BTreeMap;

use hublab_sim::model::NodeIx;
use hublab_sim::trace::diagram::{Diagram, FlightEnd};
use hublab_sim::trace::event::EventId;
use hublab_strategies::Time;
use serde::Serialize;

use super::pack::{Column, Packed, Rising};

/// Messages in columns: lines of the diagram.
#[derive(Debug, Default, Serialize)]
pub(super) struct Flights {
    pub(super) count: u64,
    id: Packed,
    from: Packed,
    to: Packed,
    kind: Packed,
    sent: Packed,
    /// How long it was under way; until the end of the window for those that are still.
    took: Packed,
    /// 0 under way, 1 delivered, from 2 on lost, for a reason of `reasons`.
    end: Packed,
    /// The event that ended it; 0 for none.
    ended_by: Packed,
    /// A sum: 1 a copy, 2 held, 4 overtaken on its link by one that was sent later.
    traits: Packed,
    reasons: Vec<&'static str>,
}

impl Flights {
    /// All of them that are packed.
    pub(super) fn columns(&self) -> [&Packed; 9] {
        [
            &self.id,
            &self.from,
            &self.to,
            &self.kind,
            &self.sent,
            &self.took,
            &self.end,
            &self.ended_by,
            &self.traits,
        ]
    }
}

pub(super) fn flights(diagram: &Diagram) -> Flights {
    let overtaken = overtaken(diagram);
    let mut reasons: Vec<&'static str> = Vec::new();
    let (mut id, mut from, mut to) = (Rising::default(), Column::default(), Column::default());
    let (mut kind, mut sent, mut took) = (Column::default(), Rising::default(), Column::default());
    let (mut end, mut ended_by, mut traits) =
        (Column::default(), Column::default(), Column::default());
    for (place, flight) in diagram.messages.iter().enumerate() {
        id.push(flight.id);
        from.push(flight.from.into());
        to.push(flight.to.into());
        kind.push(flight.kind.into());
        sent.push(flight.sent.0);
        let until = flight.end.at().unwrap_or(diagram.window.1);
        took.push(until.0.saturating_sub(flight.sent.0));
        end.push(match flight.end {
            FlightEnd::UnderWay => 0,
            FlightEnd::Delivered(_) => 1,
            FlightEnd::Dropped(_, reason) => {
                let word = reason.as_str();
                let known = reasons.iter().position(|known| *known == word);
                let place = known.unwrap_or_else(|| {
                    reasons.push(word);
                    reasons.len() - 1
                });
                place as u64 + 2
            }
        });
        ended_by.push(flight.ended_by.saturating_sub(flight.id));
        let is = [flight.is_copy, flight.is_held(), overtaken[place]];
        let sum = is.iter().rev().fold(0, |sum, is| 2 * sum + u64::from(*is));
        traits.push(sum);
    }
    Flights {
        count: diagram.messages.len() as u64,
        id: id.packed(),
        from: from.packed(),
        to: to.packed(),
        kind: kind.packed(),
        sent: sent.packed(),
        took: took.packed(),
        end: end.packed(),
        ended_by: ended_by.packed(),
        traits: traits.packed(),
        reasons,
    }
}

/// Which messages came later than one of the same link that was sent after them.
fn overtaken(diagram: &Diagram) -> Vec<bool> {
    let mut order: Vec<(EventId, usize)> = Vec::new();
    for (place, flight) in diagram.messages.iter().enumerate() {
        if let FlightEnd::Delivered(_) = flight.end {
            order.push((flight.ended_by, place));
        }
    }
    order.sort_unstable();
    let mut latest: BTreeMap<(NodeIx, NodeIx), Time> = BTreeMap::new();
    let mut overtaken = vec![false; diagram.messages.len()];
    for (_, place) in order {
        let flight = &diagram.messages[place];
        let latest = latest
            .entry((flight.from, flight.to))
            .or_insert(flight.sent);
        overtaken[place] = flight.sent < *latest;
        *latest = flight.sent.max(*latest);
    }
    overtaken
}
