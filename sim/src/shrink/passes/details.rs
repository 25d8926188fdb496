//! Parts of steps and links: elements of lists, options, rows, requests.

use crate::model::Scenario;
use crate::scenario::parts;
use crate::scenario::shape::{LINK, STEP};
use crate::shrink::search::{Edit, Search};

/// Takes parts of steps and of `[[network.link]]` away.
pub(super) fn details(search: &mut Search<'_>) {
    let stronger = search.may_strengthen();
    search.edit(|scenario, _| {
        let mut edits = of_links(scenario, stronger);
        for (place, step) in scenario.steps.iter().enumerate() {
            for lesser in parts::without_one(step, &STEP, stronger) {
                edits.push(Box::new(move |scenario| {
                    scenario.steps[place].action = lesser.action.clone();
                }));
            }
        }
        edits
    });
}

fn of_links(scenario: &Scenario, stronger: bool) -> Vec<Edit> {
    let mut edits: Vec<Edit> = Vec::new();
    for (place, link) in scenario.network.links.iter().enumerate() {
        edits.push(Box::new(move |scenario| {
            drop(scenario.network.links.remove(place));
        }));
        for lesser in parts::without_one(link, &LINK, stronger) {
            edits.push(Box::new(move |scenario| {
                scenario.network.links[place] = lesser.clone();
            }));
        }
    }
    edits
}
