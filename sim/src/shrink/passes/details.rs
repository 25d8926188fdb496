//! Parts of steps: elements of lists, options, raw requests.

use std::mem::{replace, take};

use hublab_strategies::Metadata;

use crate::model::{Action, Audience, Children, InFlight, LinkChange, RawRequest, Scenario};
use crate::shrink::parts;
use crate::shrink::search::{Edit, Search};

/// Leaves out an option of an action.
type Change = fn(&mut Action);

/// The options that an action may go without.
const OPTIONS: &[Change] = &[
    |action| {
        if let Some(via) = parts::originator(action) {
            *via = None;
        }
    },
    |action| {
        if let Action::StartChildren { metadata, .. } = action {
            *metadata = Metadata::default();
        }
    },
    |action| {
        if let Action::StartChildren { announce, .. } = action {
            *announce = true;
        }
    },
    |action| {
        if let Action::Propagate { members, .. } = action {
            *members = Audience::Global;
        }
    },
    |action| {
        for rows in parts::rows(action) {
            rows.iter_mut()
                .for_each(|row| row.metadata = Metadata::default());
        }
    },
];

/// The options without which a fault does more than with them.
const WEAKENING: &[Change] = &[
    |action| {
        if let Action::Partition { in_flight, .. } | Action::Cut { in_flight, .. } = action {
            *in_flight = InFlight::Drop;
        }
    },
    |action| {
        if let Action::Partition { heal_after, .. } | Action::Cut { heal_after, .. } = action {
            *heal_after = None;
        }
    },
];

/// The values that a change of a link may leave as they are.
const LINK_VALUES: &[fn(&mut LinkChange)] = &[
    |link| link.latency = None,
    |link| link.loss = None,
    |link| link.duplicate = None,
    |link| link.order = None,
    |link| link.bytes_per_second = None,
];

/// Takes parts of steps and of `[[network.link]]` away.
pub(super) fn details(search: &mut Search<'_>) {
    let weakening = if search.may_strengthen() {
        WEAKENING
    } else {
        &[]
    };
    search.edit(|scenario, _| {
        let mut edits = of_links(scenario);
        for (place, step) in scenario.steps.iter().enumerate() {
            edits.extend(of_step(place, &step.action, weakening));
        }
        edits
    });
}

fn of_links(scenario: &Scenario) -> Vec<Edit> {
    let mut edits: Vec<Edit> = Vec::new();
    for (place, link) in scenario.network.links.iter().enumerate() {
        edits.push(Box::new(move |scenario| {
            scenario.network.links.remove(place);
        }));
        for value in LINK_VALUES {
            edits.push(Box::new(move |scenario| {
                value(&mut scenario.network.links[place]);
            }));
        }
        for at in 0..link.from.len() {
            edits.push(Box::new(move |scenario| {
                scenario.network.links[place].from.remove(at);
            }));
        }
        for at in 0..link.to.len() {
            edits.push(Box::new(move |scenario| {
                scenario.network.links[place].to.remove(at);
            }));
        }
    }
    edits
}

/// The parts of an action that may be left out.
fn of_step(place: usize, action: &Action, weakening: &'static [Change]) -> Vec<Edit> {
    let mut edits: Vec<Edit> = Vec::new();
    for option in OPTIONS.iter().chain(weakening) {
        edits.push(Box::new(move |scenario| {
            option(&mut scenario.steps[place].action);
        }));
    }
    if let Action::Link(_) = action {
        for value in LINK_VALUES {
            edits.push(Box::new(move |scenario| {
                if let Action::Link(link) = &mut scenario.steps[place].action {
                    value(link);
                }
            }));
        }
    }
    for part in partial(action) {
        edits.push(Box::new(move |scenario| {
            scenario.steps[place].action = part.clone();
        }));
    }
    edits
}

/// The action without one element of one of its lists.
fn partial(action: &Action) -> Vec<Action> {
    let mut all = Vec::new();
    let mut shape = action.clone();
    let lengths: Vec<usize> = parts::lists(&mut shape)
        .iter()
        .map(|list| list.len())
        .collect();
    for (list, length) in lengths.into_iter().enumerate() {
        for at in 0..length {
            all.push(changed(action, |action| {
                parts::lists(action)[list].remove(at);
            }));
        }
    }
    if let Some(Children::Ids(ids)) = parts::children(&mut shape) {
        for at in 0..ids.len() {
            all.push(changed(action, |action| {
                if let Some(Children::Ids(ids)) = parts::children(action) {
                    ids.remove(at);
                }
            }));
        }
    }
    all.extend(partial_rows(action));
    all.extend(partial_requests(action));
    all
}

/// The action without one of its raw rows, or one entry of a row.
fn partial_rows(action: &Action) -> Vec<Action> {
    let mut all = Vec::new();
    let lists: Vec<Vec<usize>> = parts::rows(&mut action.clone())
        .iter()
        .map(|rows| rows.iter().map(|row| row.entries.len()).collect())
        .collect();
    for (list, rows) in lists.into_iter().enumerate() {
        for (row, entries) in rows.into_iter().enumerate() {
            all.push(changed(action, |action| {
                parts::rows(action)[list].remove(row);
            }));
            for entry in 0..entries {
                all.push(changed(action, |action| {
                    parts::rows(action)[list][row].entries.remove(entry);
                }));
            }
        }
    }
    all
}

/// The action without one of its raw requests, or a part of one.
fn partial_requests(action: &Action) -> Vec<Action> {
    let mut all = Vec::new();
    let mut shape = action.clone();
    let Some(requests) = parts::requests(&mut shape) else {
        return all;
    };
    for (at, request) in take(requests).into_iter().enumerate() {
        all.push(changed(action, |action| {
            if let Some(requests) = parts::requests(action) {
                requests.remove(at);
            }
        }));
        for part in partial_request(&request) {
            all.push(changed(action, |action| {
                if let Some(requests) = parts::requests(action) {
                    drop(replace(&mut requests[at], part.clone()));
                }
            }));
        }
    }
    all
}

/// An `unregister` without one of its children, or one of a child's nodes.
fn partial_request(request: &RawRequest) -> Vec<RawRequest> {
    let RawRequest::Unregister(children) = request else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for (at, (_, nodes)) in children.iter().enumerate() {
        let mut without = children.clone();
        without.remove(at);
        if !without.is_empty() {
            all.push(RawRequest::Unregister(without));
        }
        for node in 0..nodes.len() {
            let mut without = children.clone();
            without[at].1.remove(node);
            all.push(RawRequest::Unregister(without));
        }
    }
    all
}

fn changed(action: &Action, change: impl FnOnce(&mut Action)) -> Action {
    let mut changed = action.clone();
    change(&mut changed);
    changed
}
