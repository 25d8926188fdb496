//! The passes: each proposes changes of one kind.

mod details;
mod end;
mod fold;
mod names;
mod network;
mod numbers;
mod settings;
mod steps;
mod times;

use super::search::Search;

/// The passes in the order of what they take away: the largest parts first, so that the finer ones
/// run on small scenarios.
const ALL: &[fn(&mut Search<'_>)] = &[
    end::end,
    steps::steps,
    steps::nodes,
    steps::children,
    steps::pairs,
    fold::fold,
    details::details,
    network::network,
    settings::settings,
    times::times,
    names::names,
];

/// Every pass once; `true` if one of them helped and there is budget left.
pub(super) fn all(search: &mut Search<'_>) -> bool {
    let before = search.accepted;
    for pass in ALL {
        pass(search);
    }
    search.accepted > before && !search.is_over()
}
