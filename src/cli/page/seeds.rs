//! The map of a campaign's report: every seed by how its run ended.

use std::collections::BTreeMap;
use std::ops::Range;

use hublab_sim::campaign::group::{Group, Groups};
use hublab_sim::campaign::manifest::Parameters;
use hublab_sim::campaign::record::Record;
use hublab_sim::campaign::trial::GENERATED;
use hublab_sim::watch::judge::Verdict;
use serde::Serialize;

use super::campaign::GROUPS_MAX;
use super::pack::{Column, Packed};
use crate::cli::Stop;
use crate::cli::campaign::account::Account;
use crate::cli::campaign::joined::Joined;

/// The map of all seeds has at most this many cells; a cell is of several seeds where there are more.
const CELLS_MAX: u64 = 40_000;
/// It has at most so many rows.
const ROWS_MAX: usize = 400;

/// All seeds by verdict.
#[derive(Debug, Default, Serialize)]
pub(super) struct SeedMap {
    /// The first seed; a text, as a script counts to 2^53.
    first: String,
    /// How many seeds a cell is of.
    per_cell: String,
    /// How many seeds are behind the last cell, of which no run is made.
    beyond: String,
    rows: Vec<MapRow>,
    left_out: u64,
}

#[derive(Debug, Serialize)]
struct MapRow {
    strategy: String,
    scenario: String,
    /// The command that makes a run of it, before and behind the seeds.
    command: (String, String),
    count: usize,
    /// How the worst run of a cell ended: see [`Code`].
    codes: Packed,
    /// The seed of that run, as its place within the cell.
    seeds: Packed,
    /// One more than the number of its group; 0 for none.
    groups: Packed,
    /// How many of its runs were made.
    made: Packed,
}

/// How a run ended, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Code {
    NotMade = 0,
    Held = 1,
    Open = 2,
    Known = 3,
    New = 4,
}

/// The cells of one row, while it is filled.
#[derive(Debug, Clone, Copy)]
struct Cell {
    code: Code,
    seed: u64,
    group: u64,
    made: u64,
}

const EMPTY: Cell = Cell {
    code: Code::NotMade,
    seed: 0,
    group: 0,
    made: 0,
};

pub(super) fn map(
    joined: &Joined,
    groups: &Groups<'_>,
    account: Account<'_>,
    parameters: &Parameters,
) -> Result<SeedMap, Stop> {
    let (mut first, mut last) = (u64::MAX, 0);
    let mut rows: BTreeMap<(String, String), Vec<Cell>> = BTreeMap::new();
    for strategy in &parameters.strategies {
        if parameters.files.is_empty() {
            rows.insert((strategy.clone(), GENERATED.to_owned()), Vec::new());
        }
    }
    joined.each_record(|record| {
        first = first.min(record.seed);
        last = last.max(record.seed);
        rows.entry((record.strategy, record.scenario)).or_default();
        Ok(())
    })?;
    let (first, last, beyond) = range(&parameters.seeds, first, last);
    let Some(span) = last.checked_sub(first) else {
        return Ok(SeedMap::default());
    };
    let left_out = rows.len().saturating_sub(ROWS_MAX);
    // In the order of what was asked for.
    let place = |(strategy, scenario): &(String, String)| {
        let scenario = parameters.files.iter().position(|it| it.path == *scenario);
        let strategy = parameters.strategies.iter().position(|it| it == strategy);
        (scenario, strategy)
    };
    let mut order: Vec<(String, String)> = rows.keys().cloned().collect();
    order.sort_by_key(place);
    order.truncate(ROWS_MAX);
    rows.retain(|key, _| order.contains(key));
    let per_row = CELLS_MAX / rows.len().max(1) as u64;
    let per_cell = (span / per_row.max(1)).saturating_add(1);
    let count = usize::try_from(span / per_cell + 1).unwrap_or(usize::MAX);
    for cells in rows.values_mut() {
        *cells = vec![EMPTY; count];
    }
    let mut key = (String::new(), String::new());
    joined.each_record(|record| {
        (key.0, key.1) = (record.strategy.clone(), record.scenario.clone());
        let Some(cells) = rows.get_mut(&key) else {
            return Ok(());
        };
        let within = record.seed.saturating_sub(first);
        let place = usize::try_from(within / per_cell).unwrap_or(usize::MAX);
        let Some(cell) = cells.get_mut(place) else {
            return Ok(());
        };
        let (code, group) = code_of(&record, groups);
        if code > cell.code {
            (cell.code, cell.seed, cell.group) = (code, within % per_cell, group);
        }
        cell.made += 1;
        Ok(())
    })?;
    Ok(SeedMap {
        first: first.to_string(),
        per_cell: per_cell.to_string(),
        beyond: beyond.to_string(),
        left_out: left_out as u64,
        rows: order
            .into_iter()
            .filter_map(|key| {
                let cells = rows.get(&key)?;
                let command = command(account, &key);
                Some(MapRow::new(key, command, cells))
            })
            .collect(),
    })
}

/// The seeds that are drawn: all that were asked for, unless most of them are far from what was made; and
/// how many are behind them.
fn range(asked: &Range<u64>, first: u64, last: u64) -> (u64, u64, u64) {
    /// A map is at most so many times as wide as what was made.
    const WIDER: u64 = 50;
    let end = asked.end.saturating_sub(1);
    if first > last {
        // Nothing is made: a map of nothing says so.
        let until = end.min(asked.start.saturating_add(9_999));
        return (asked.start, until, end.saturating_sub(until));
    }
    let start = asked.start.min(first);
    let widest = (last - start).max(1_000).saturating_mul(WIDER);
    let until = end.min(start.saturating_add(widest)).max(last);
    (start, until, end.saturating_sub(until))
}

/// The command that makes one run, before and behind its seeds.
fn command(account: Account<'_>, (strategy, scenario): &(String, String)) -> (String, String) {
    // Where the seeds stand is found by such as no name has.
    const SEED: u64 = 7_777_777_777_777_777_777;
    let command = account.command(scenario, strategy, SEED);
    let seeds = format!("{SEED}..{}", SEED + 1);
    let parts = command.split_once(&seeds);
    let (before, behind) = parts.unwrap_or((&command, ""));
    (before.to_owned(), behind.to_owned())
}

impl MapRow {
    fn new(
        (strategy, scenario): (String, String),
        command: (String, String),
        cells: &[Cell],
    ) -> Self {
        let column = |value: fn(&Cell) -> u64| {
            let mut column = Column::default();
            cells.iter().for_each(|cell| column.push(value(cell)));
            column.packed()
        };
        Self {
            strategy,
            scenario,
            command,
            count: cells.len(),
            codes: column(|cell| cell.code as u64),
            seeds: column(|cell| cell.seed),
            groups: column(|cell| cell.group),
            made: column(|cell| cell.made),
        }
    }
}

/// How a run ended, and one more than the number of its group.
fn code_of(record: &Record, groups: &Groups<'_>) -> (Code, u64) {
    match record.verdict {
        Verdict::Pass => return (Code::Held, 0),
        Verdict::Inconclusive => return (Code::Open, 0),
        Verdict::Fail
        | Verdict::TimedOut
        | Verdict::WorkerLost
        | Verdict::NotReproduced
        | Verdict::Mismatch
        | Verdict::Bug => {}
    }
    let place = |of: &[Group<'_>]| of.iter().position(|group| group.has(record));
    let number = |place: usize| {
        if place < GROUPS_MAX {
            place as u64 + 1
        } else {
            0
        }
    };
    match (place(&groups.news), place(&groups.known)) {
        (Some(place), _) => (Code::New, number(place)),
        (None, Some(place)) => (Code::Known, number(groups.news.len() + place)),
        (None, None) => (Code::New, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_that_were_not_made_are_drawn_if_they_are_not_too_many() {
        assert_eq!(range(&(0..4_000), 0, 185), (0, 3_999, 0));
        assert_eq!(range(&(5..6), 5, 5), (5, 5, 0));
        let far = u64::MAX / 2;
        assert_eq!(range(&(0..far), 0, 99), (0, 50_000, far - 50_001));
        assert_eq!(range(&(far..far + 9), far, far + 8), (far, far + 8, 0));
        // Nothing is made.
        assert_eq!(range(&(0..50), u64::MAX, 0), (0, 49, 0));
        assert_eq!(range(&(0..50_000), u64::MAX, 0), (0, 9_999, 40_000));
    }
}
