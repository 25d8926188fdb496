//! `[[step]]`: one short function per action.

use hublab_strategies::ChildId;
use toml::de::DeValue;

use super::syntax::Value;
use super::table::Table;
use super::{Named, Reader, StepSites};
use crate::model::{Action, Audience, Children, ClockChange, InFlight, NodeIx, Step, When};
use crate::scenario::diagnostic::Problem;
use crate::scenario::shape::{
    BROADCAST, CLOCK, CUT, LINK, NODES, PARTITION, PROPAGATE, REQUEST, RESTART_CHILD, ROW, ROWS,
    START_CHILDREN, STEP, STOP_CHILDREN, SYNC, VIEW,
};

/// The most steps of a scenario.
pub const STEPS_MAX: usize = 100_000;
/// The most children that the steps of a scenario may start, counted once per node.
pub const CHILDREN_MAX: u64 = 1_000_000;

/// An action, and the nodes that it needs up (for `join` and `restart`: down).
type Read = Option<(Action, Named)>;
type ReadAction = for<'t> fn(&mut Reader<'_>, &'t Value<'t>) -> Read;

/// The keys of a step that say nothing against its booting or stopping nodes.
const LIFECYCLE: &[&str] = &["at", "join", "leave", "crash", "restart", "pause", "resume"];

const IN_FLIGHT: &[(&str, InFlight)] = &[
    ("drop", InFlight::Drop),
    ("deliver", InFlight::Deliver),
    ("hold", InFlight::Hold),
];
const AUDIENCES: &[(&str, Audience)] = &[
    ("global", Audience::Global),
    ("local", Audience::Local),
    ("external", Audience::External),
];

/// How each action is read. Adding one: a line here, its function, and its shape.
const ACTIONS: &[(&str, ReadAction)] = &[
    ("join", |reader, value| reader.on_nodes(value, Action::Join)),
    ("leave", |reader, value| {
        reader.on_nodes(value, Action::Leave)
    }),
    ("crash", |reader, value| {
        reader.on_nodes(value, Action::Crash)
    }),
    ("restart", |reader, value| {
        reader.on_nodes(value, Action::Restart)
    }),
    ("pause", |reader, value| {
        reader.on_nodes(value, Action::Pause)
    }),
    ("resume", |reader, value| {
        reader.on_nodes(value, Action::Resume)
    }),
    ("partition", |reader, value| reader.partition(value)),
    ("cut", |reader, value| reader.cut(value)),
    ("heal", |reader, value| reader.heal(value)),
    ("link", |reader, value| reader.link_step(value)),
    ("clock", |reader, value| reader.clock(value)),
    ("start_children", |reader, value| {
        reader.start_children(value)
    }),
    ("stop_children", |reader, value| reader.stop_children(value)),
    ("restart_child", |reader, value| reader.restart_child(value)),
    ("propagate", |reader, value| reader.propagate(value)),
    ("sync", |reader, value| reader.sync(value)),
    ("broadcast", |reader, value| reader.broadcast(value)),
    ("rows", |reader, value| reader.rows_step(value)),
    ("view", |reader, value| reader.view(value)),
];

impl<'t> Reader<'_> {
    /// Every step, in the order of the file. What cannot be read is left out, and reported.
    pub(super) fn steps(&mut self, value: &'t Value<'t>) -> Option<Vec<Step>> {
        let count = value.get_ref().as_array().map_or(0, |steps| steps.len());
        if count > STEPS_MAX {
            let at = self.label(value.span());
            self.report(Problem::TooManySteps { count, at });
            return None;
        }
        self.tables(value, &STEP, |reader, table| {
            let step = reader.step(table);
            let harmless = STEP
                .names()
                .filter(|name| !LIFECYCLE.contains(name))
                .any(|name| table.get(name).is_some());
            reader.sites.unread |= step.is_none() && !harmless;
            step
        })
    }

    fn step(&mut self, table: &Table<'t>) -> Option<Step> {
        let at = self.need(table, "at", Self::when);
        let key = self.choose(table)?;
        let (_, read) = ACTIONS.iter().find(|(name, _)| *name == key)?;
        let value = table.get(key)?;
        self.heal_after = None;
        let (action, subject) = read(self, value)?;
        let sites = StepSites {
            at: self.label(
                table
                    .get("at")
                    .map_or_else(|| table.span(), toml::Spanned::span),
            ),
            action: self.label(table.key_span(key)),
            heal_after: self.heal_after,
            subject,
        };
        let line = self.text.line(table.span().start);
        let step = Step {
            at: at?,
            action,
            line,
        };
        self.sites.steps.push(sites);
        Some(step)
    }

    fn on_nodes(&mut self, value: &'t Value<'t>, action: fn(Vec<NodeIx>) -> Action) -> Read {
        let table = self.open(value, &NODES)?;
        let named = self.need(&table, "nodes", Self::some_nodes)?;
        Some((action(named.nodes.clone()), named))
    }

    fn partition(&mut self, value: &'t Value<'t>) -> Read {
        let table = self.open(value, &PARTITION)?;
        let groups = self.need(&table, "groups", Self::groups);
        let (in_flight, heal_after) = self.cut_options(&table);
        Some((
            Action::Partition {
                groups: groups?,
                in_flight,
                heal_after,
            },
            Named::default(),
        ))
    }

    fn cut(&mut self, value: &'t Value<'t>) -> Read {
        let table = self.open(value, &CUT)?;
        let from = self.need(&table, "from", Self::some_nodes);
        let to = self.need(&table, "to", Self::some_nodes);
        let (in_flight, heal_after) = self.cut_options(&table);
        Some((
            Action::Cut {
                from: from?.nodes,
                to: to?.nodes,
                in_flight,
                heal_after,
            },
            Named::default(),
        ))
    }

    fn cut_options(&mut self, table: &Table<'t>) -> (InFlight, Option<When>) {
        let in_flight = self.may(table, "in_flight", |reader, value| {
            reader.word(value, "fate of messages", IN_FLIGHT)
        });
        let heal_after = self.may(table, "heal_after", Self::when);
        self.heal_after = table
            .get("heal_after")
            .map(|value| self.label(value.span()));
        (in_flight.unwrap_or_default(), heal_after)
    }

    fn heal(&mut self, value: &'t Value<'t>) -> Read {
        if self.boolean(value) == Some(false) {
            let at = self.label(value.span());
            self.report(Problem::HealFalse { at });
        }
        Some((Action::Heal, Named::default()))
    }

    fn link_step(&mut self, value: &'t Value<'t>) -> Read {
        let table = self.open(value, &LINK)?;
        Some((Action::Link(self.link(&table)?), Named::default()))
    }

    fn clock(&mut self, value: &'t Value<'t>) -> Read {
        const RATE_MAX: i64 = 1_000_000;
        let table = self.open(value, &CLOCK)?;
        let nodes = self.need(&table, "nodes", Self::some_nodes);
        let change = match self.choose(&table)? {
            "jump" => self.need(&table, "jump", Self::jump).map(ClockChange::Jump),
            _ => self
                .need(&table, "rate_ppm", |reader, value| {
                    reader.integer(value, -RATE_MAX, RATE_MAX)
                })
                .map(ClockChange::RatePpm),
        };
        Some((
            Action::Clock {
                nodes: nodes?.nodes,
                change: change?,
            },
            Named::default(),
        ))
    }

    fn start_children(&mut self, value: &'t Value<'t>) -> Read {
        let table = self.open(value, &START_CHILDREN)?;
        let on = self.need(&table, "on", Self::one);
        let children = self.children(&table);
        let metadata = self
            .may(&table, "metadata", Self::metadata)
            .unwrap_or_default();
        let replicas = self
            .may(&table, "replicas", Self::nodes)
            .unwrap_or_default();
        let announce = self
            .may(&table, "announce", |reader, value| reader.boolean(value))
            .unwrap_or(true);
        let via = self.may(&table, "via", Self::one);
        let (on, children) = (on?, children?);
        self.count_children(&table, &children, 1 + replicas.nodes.len());
        if let Some(value) = table.get("replicas")
            && let Some(node) = on.nodes.first().filter(|on| replicas.nodes.contains(on))
        {
            let name = self.node_id(*node);
            self.repeated(name.as_str(), value);
        }
        let action = Action::StartChildren {
            on: *on.nodes.first()?,
            children,
            metadata,
            replicas: replicas.nodes.clone(),
            announce,
            via: via.as_ref().and_then(|via| via.nodes.first().copied()),
        };
        Some((action, on.and(replicas).and(via.unwrap_or_default())))
    }

    fn count_children(&mut self, table: &Table<'t>, children: &Children, targets: usize) {
        let before = self.children;
        let (count, targets) = (children.len() as u64, targets as u64);
        self.children = before.saturating_add(count.saturating_mul(targets));
        if before <= CHILDREN_MAX && self.children > CHILDREN_MAX {
            let at = self.label(table.key_span("count"));
            self.report(Problem::TooManyChildren {
                total: self.children,
                count,
                targets,
                at,
            });
        }
    }

    /// `ids`, or `count` and `prefix`.
    fn children(&mut self, table: &Table<'t>) -> Option<Children> {
        if self.choose(table)? == "ids" {
            return self
                .need(table, "ids", Self::some_children)
                .map(Children::Ids);
        }
        let count = self.need(table, "count", |reader, value| {
            reader.integer(value, 1, 1_000_000)
        });
        let prefix = self.need(table, "prefix", Self::name);
        Some(Children::Counted {
            count: u32::try_from(count?).ok()?,
            prefix: prefix?.to_owned(),
        })
    }

    fn some_children(&mut self, value: &'t Value<'t>) -> Option<Vec<ChildId>> {
        self.not_empty(value, "children");
        self.child_ids(value)
    }

    /// A list of child ids, each once.
    pub(super) fn child_ids(&mut self, value: &'t Value<'t>) -> Option<Vec<ChildId>> {
        Some(self.names(value)?.into_iter().map(ChildId::new).collect())
    }

    fn stop_children(&mut self, value: &'t Value<'t>) -> Read {
        let table = self.open(value, &STOP_CHILDREN)?;
        let on = self.need(&table, "on", Self::one);
        let children = self.children(&table);
        let via = self.may(&table, "via", Self::one);
        let on = on?;
        let action = Action::StopChildren {
            on: *on.nodes.first()?,
            children: children?,
            via: via.as_ref().and_then(|via| via.nodes.first().copied()),
        };
        Some((action, on.and(via.unwrap_or_default())))
    }

    fn restart_child(&mut self, value: &'t Value<'t>) -> Read {
        let table = self.open(value, &RESTART_CHILD)?;
        let on = self.need(&table, "on", Self::one);
        let child = self.need(&table, "id", Self::name).map(ChildId::new);
        let on = on?;
        Some((
            Action::RestartChild {
                on: *on.nodes.first()?,
                child: child?,
            },
            on,
        ))
    }

    fn propagate(&mut self, value: &'t Value<'t>) -> Read {
        let table = self.open(value, &PROPAGATE)?;
        let from = self.need(&table, "from", Self::one);
        let members = self
            .may(&table, "members", Self::audience)
            .unwrap_or(Audience::Global);
        let requests = self.need(&table, "requests", |reader, value| {
            reader.not_empty(value, "requests");
            reader.tables(value, &REQUEST, Self::request)
        });
        let from = from?;
        Some((
            Action::Propagate {
                from: *from.nodes.first()?,
                members,
                requests: requests?,
            },
            from,
        ))
    }

    fn audience(&mut self, value: &'t Value<'t>) -> Option<Audience> {
        match value.get_ref() {
            DeValue::String(word) if word != "all" => self.word(value, "audience", AUDIENCES),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => self.nodes(value).map(|named| Audience::Nodes(named.nodes)),
        }
    }

    fn sync(&mut self, value: &'t Value<'t>) -> Read {
        let table = self.open(value, &SYNC)?;
        let on = self.need(&table, "on", Self::one)?;
        Some((Action::Sync(*on.nodes.first()?), on))
    }

    fn broadcast(&mut self, value: &'t Value<'t>) -> Read {
        let table = self.open(value, &BROADCAST)?;
        let on = self.need(&table, "on", Self::one);
        let to = self.need(&table, "to", Self::nodes);
        let on = on?;
        Some((
            Action::Broadcast {
                on: *on.nodes.first()?,
                to: to?.nodes,
            },
            on,
        ))
    }

    fn rows_step(&mut self, value: &'t Value<'t>) -> Read {
        let table = self.open(value, &ROWS)?;
        let on = self.need(&table, "on", Self::one);
        let rows = self.need(&table, "rows", |reader, value| {
            reader.tables(value, &ROW, Self::row)
        });
        let on = on?;
        Some((
            Action::Rows {
                on: *on.nodes.first()?,
                rows: rows?,
            },
            on,
        ))
    }

    fn view(&mut self, value: &'t Value<'t>) -> Read {
        let table = self.open(value, &VIEW)?;
        let on = self.need(&table, "on", Self::one);
        let nodes = self.need(&table, "nodes", Self::nodes);
        let on = on?;
        Some((
            Action::View {
                on: *on.nodes.first()?,
                nodes: nodes?.nodes,
            },
            on,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_of_the_format_is_read() {
        let read: Vec<&str> = ACTIONS.iter().map(|(name, _)| *name).collect();
        let declared: Vec<&str> = STEP.choices.iter().map(|keys| keys[0]).collect();
        assert_eq!(read, declared);
    }
}
