//! Steps that stand for several: repetitions, and nodes that are known only when the script has come so
//! far. [`crate::scenario::resolve()`] writes them out as plain steps; a resolved scenario has none.

use std::collections::BTreeMap;
use std::time::Duration;

use hublab_strategies::time::micros;
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::{Map, Value as Json, json};

use super::tree::us;
use super::{Action, NodeIx, Step, When};

/// The part of a written step that resolving writes out. The step's action is what it does at most: it
/// has every node that can be drawn.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pattern {
    /// `every` with `times` or `until`.
    pub repeat: Option<Repeat>,
    /// A list at `on`, or at `from` of `propagate`: the action is done on each, in this order.
    pub on: Option<Vec<NodeIx>>,
    /// How many nodes are drawn of those at a key of the action.
    pub random: BTreeMap<String, u32>,
    /// The groups of a `partition`, where the file does not list all of them.
    pub parting: Option<Parting>,
    /// `oldest`, `newest` or `random` of `stop_children`.
    pub age: Option<(Age, u32)>,
}

/// A repetition of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeat {
    /// The time between two.
    pub every: Every,
    /// Where it ends.
    pub end: End,
}

/// The time between two repetitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Every {
    /// Always this.
    Fixed(#[serde(with = "us")] Duration),
    /// Drawn from an exponential distribution with this mean.
    Mean(#[serde(with = "us")] Duration),
}

/// The end of a repetition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// After so many, the first included.
    Times(u32),
    /// Before this instant.
    Until(Duration),
}

/// The groups of a partition that follow from the nodes that run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parting {
    /// The group at this place, which the action has empty, is all running nodes in no other group.
    Rest(usize),
    /// Each node of the action's only group is alone, the other running nodes are together.
    Isolate,
    /// So many groups of equal size, in the order of the file.
    Parts {
        /// How many.
        parts: u32,
        /// True if the nodes are drawn.
        shuffle: bool,
    },
}

/// Which children of a node a step stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    /// Those that run the longest.
    Oldest,
    /// Those that were started last.
    Newest,
    /// Any.
    Random,
}

impl Age {
    const ALL: [(Self, &'static str); 3] = [
        (Self::Oldest, "oldest"),
        (Self::Newest, "newest"),
        (Self::Random, "random"),
    ];

    /// Its key in `stop_children`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Oldest => "oldest",
            Self::Newest => "newest",
            Self::Random => "random",
        }
    }
}

impl Repeat {
    /// The most repetitions of a step that begins at `at`, the first included.
    #[must_use]
    pub(crate) fn count_max(&self, at: When) -> u64 {
        match (self.end, self.every) {
            (End::Times(times), _) => u64::from(times),
            (End::Until(end), every) => {
                let span = micros(end).saturating_sub(micros(at.first()));
                match every {
                    Every::Fixed(gap) => span.div_ceil(micros(gap).max(1)),
                    Every::Mean(mean) => nearly_all(span / micros(mean).max(1)),
                }
            }
        }
    }

    /// The last instant at which one can be. Gaps that are drawn come to more than this for a few seeds
    /// in a hundred million: what would be later is left out.
    #[must_use]
    pub fn last(&self, at: When) -> Duration {
        let begun = micros(at.last());
        let last = match (self.end, self.every) {
            (End::Times(times), Every::Fixed(gap)) => {
                let gaps = u64::from(times.saturating_sub(1));
                begun.saturating_add(micros(gap).saturating_mul(gaps))
            }
            (End::Times(times), Every::Mean(mean)) => {
                let gaps = u64::from(times.saturating_sub(1));
                let bound = if gaps == 0 { 0 } else { nearly_all(gaps) };
                begun.saturating_add(micros(mean).saturating_mul(bound))
            }
            (End::Until(end), Every::Fixed(gap)) if at.first() == at.last() => {
                let span = micros(end).saturating_sub(begun).saturating_sub(1);
                begun.saturating_add(span / micros(gap).max(1) * micros(gap))
            }
            (End::Until(end), Every::Fixed(_) | Every::Mean(_)) => micros(end).saturating_sub(1),
        };
        Duration::from_micros(last)
    }
}

/// A bound that the number of events of a Poisson process exceeds for a few seeds in a hundred million,
/// for a number that is expected; and the same for the time of that many events.
fn nearly_all(expected: u64) -> u64 {
    let spread = (expected.isqrt() + 1).saturating_mul(5);
    expected.saturating_add(spread).saturating_add(12)
}

/// The names of a step's fields in the tree.
const AT: &str = "at";
const ACTION: &str = "action";

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let Some(pattern) = &self.pattern else {
            let mut form = to.serialize_struct("Step", 2)?;
            form.serialize_field(AT, &self.at)?;
            form.serialize_field(ACTION, &self.action)?;
            return form.end();
        };
        let tree = |value: serde_json::Result<Json>| value.map_err(S::Error::custom);
        let mut form = Map::new();
        form.insert(AT.to_owned(), tree(serde_json::to_value(self.at))?);
        if let Some(repeat) = &pattern.repeat {
            let every = tree(serde_json::to_value(repeat.every))?;
            form.insert("every".to_owned(), every);
            let (key, end) = match repeat.end {
                End::Times(times) => ("times", Json::from(times)),
                End::Until(end) => ("until", Json::from(micros(end))),
            };
            form.insert(key.to_owned(), end);
        }
        let action = tree(serde_json::to_value(&self.action))?;
        form.insert(ACTION.to_owned(), joined(action, pattern));
        Json::Object(form).serialize(to)
    }
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        struct Form {
            at: When,
            every: Option<Every>,
            times: Option<u32>,
            until: Option<u64>,
            action: Json,
        }
        let form = Form::deserialize(from)?;
        let mut action = form.action;
        let mut pattern = Pattern::default();
        if let Some((tag, Json::Object(table))) =
            action.as_object_mut().and_then(|one| one.iter_mut().next())
        {
            split(tag, table, &mut pattern);
        }
        let until = form.until.map(Duration::from_micros).map(End::Until);
        let end = form.times.map(End::Times).or(until);
        pattern.repeat = form
            .every
            .zip(end)
            .map(|(every, end)| Repeat { every, end });
        let action = Action::deserialize(action).map_err(D::Error::custom)?;
        let pattern = (pattern != Pattern::default()).then(|| Box::new(pattern));
        Ok(Self {
            at: form.at,
            action,
            pattern,
            line: 0,
        })
    }
}

/// The key of the node that does an action.
fn doer(tag: &str) -> &'static str {
    if tag == "propagate" { "from" } else { "on" }
}

/// The tree of a plain action with what a pattern says in its place.
fn joined(mut action: Json, pattern: &Pattern) -> Json {
    let Some((tag, Json::Object(table))) =
        action.as_object_mut().and_then(|one| one.iter_mut().next())
    else {
        return action;
    };
    if let Some(on) = &pattern.on {
        table.insert(doer(tag).to_owned(), json!(on));
    }
    for (key, count) in &pattern.random {
        if let Some(value) = table.get_mut(key) {
            *value = json!({ "random": count, "of": value.take() });
        }
    }
    if let Some(parting) = pattern.parting {
        let mut groups = table.remove("groups").unwrap_or_default();
        let listed = groups.get_mut("groups").map(Json::take).unwrap_or_default();
        let tagged = match parting {
            Parting::Rest(place) => {
                let mut groups = listed;
                if let Some(rest) = groups.get_mut(place) {
                    *rest = "rest".into();
                }
                json!({ "groups": groups })
            }
            Parting::Isolate => {
                let alone = listed.get(0).cloned().unwrap_or_default();
                let alone = match pattern.random.get("isolate") {
                    Some(count) => json!({ "random": count, "of": alone }),
                    None => alone,
                };
                json!({ "isolate": alone })
            }
            Parting::Parts { parts, shuffle } => {
                json!({ "parts": { "parts": parts, "shuffle": shuffle } })
            }
        };
        table.insert("groups".to_owned(), tagged);
    }
    if let Some((age, count)) = pattern.age {
        table.insert("children".to_owned(), json!({ age.name(): count }));
    }
    action
}

/// Takes out of the tree of an action what makes it a pattern.
fn split(tag: &str, table: &mut Map<String, Json>, pattern: &mut Pattern) {
    for (key, value) in table.iter_mut() {
        if let Some((count, of)) = drawn(value) {
            pattern.random.insert(key.clone(), count);
            *value = of;
        }
    }
    if let Some(value) = table.get_mut(doer(tag))
        && let Json::Array(nodes) = value
    {
        pattern.on = Some(nodes.iter().filter_map(node).collect());
        *value = nodes.first().cloned().unwrap_or_default();
    }
    if tag == "partition"
        && let Some(groups) = table.get_mut("groups")
    {
        split_groups(groups, pattern);
    }
    if let Some(children) = table.get_mut("children") {
        let aged = Age::ALL.into_iter().find_map(|(age, key)| {
            let count = children.get(key)?.as_u64()?;
            Some((age, u32::try_from(count).ok()?))
        });
        if aged.is_some() {
            pattern.age = aged;
            *children = json!({ "ids": [] });
        }
    }
}

fn split_groups(groups: &mut Json, pattern: &mut Pattern) {
    let plain = if let Some(Json::Array(listed)) = groups.get_mut("groups") {
        let Some(rest) = listed.iter().position(Json::is_string) else {
            return;
        };
        pattern.parting = Some(Parting::Rest(rest));
        listed[rest] = json!([]);
        Json::Array(std::mem::take(listed))
    } else if let Some(alone) = groups.get_mut("isolate") {
        pattern.parting = Some(Parting::Isolate);
        let mut alone = alone.take();
        if let Some((count, of)) = drawn(&mut alone) {
            pattern.random.insert("isolate".to_owned(), count);
            alone = of;
        }
        json!([alone])
    } else if let Some(parts) = groups.get("parts") {
        let count = parts.get("parts").unwrap_or(parts);
        let count = count.as_u64().and_then(|count| u32::try_from(count).ok());
        let shuffle = parts.get("shuffle").and_then(Json::as_bool);
        pattern.parting = Some(Parting::Parts {
            parts: count.unwrap_or_default(),
            shuffle: shuffle.unwrap_or_default(),
        });
        json!([])
    } else {
        return;
    };
    *groups = json!({ "groups": plain });
}

/// The number of nodes that are drawn, and of which.
fn drawn(value: &mut Json) -> Option<(u32, Json)> {
    let count = value.get("random")?.as_u64()?;
    let of = value.get_mut("of").filter(|of| of.is_array())?;
    Some((u32::try_from(count).ok()?, of.take()))
}

fn node(value: &Json) -> Option<NodeIx> {
    value.as_u64().and_then(|node| NodeIx::try_from(node).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_of_drawn_gaps_is_hardly_more_than_what_is_expected() {
        let at = When::Fixed(Duration::from_secs(10));
        let repeat = |every, end| Repeat { every, end };
        let second = Duration::from_secs(1);
        let fixed = repeat(Every::Fixed(second), End::Times(5));
        assert_eq!((fixed.count_max(at), fixed.last(at).as_secs()), (5, 14));
        let until = repeat(Every::Fixed(second), End::Until(second * 13));
        assert_eq!((until.count_max(at), until.last(at).as_secs()), (3, 12));
        let drawn = repeat(Every::Mean(second), End::Times(601));
        assert_eq!(drawn.last(at).as_secs(), 10 + 600 + 5 * 25 + 12);
        let one = repeat(Every::Mean(second), End::Times(1));
        assert_eq!(one.last(at).as_secs(), 10);
    }
}
