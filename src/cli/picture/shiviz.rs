//! A log with vector clocks, in the form that ShiViz reads without being told how: the event in a line,
//! and a line with the host and its clock as JSON.
//!
//! Each node is a host; the script is one of its own, as its steps cause what nodes do. Messages carry
//! clocks whether their sending is logged or not, so a filtered log has true clocks.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "most events are shown by their names alone"
)]

use std::collections::BTreeMap;
use std::io::{self, Write};

use hublab_sim::model::NodeIx;
use hublab_sim::trace::event::{EventId, Payload, WORLD};
use hublab_sim::trace::{Event, Names};

/// The host of steps.
const SCRIPT: &str = "script";

/// The writer of a log.
#[derive(Debug)]
pub(in crate::cli) struct Log {
    /// By node; the script is last.
    clocks: Vec<Vec<u64>>,
    hosts: Vec<String>,
    /// The clocks that messages carry, and how many deliveries are to come.
    carried: BTreeMap<EventId, (Vec<u64>, u32)>,
    /// The step under way, of a node or of the script, and the clock it began with.
    step: Option<(EventId, Vec<u64>)>,
}

impl Log {
    pub(in crate::cli) fn new(names: &Names, nodes: usize) -> Self {
        let name = |node: usize| {
            let name = NodeIx::try_from(node).ok().and_then(|ix| names.node(ix));
            host(name.unwrap_or("?"))
        };
        let mut hosts: Vec<String> = (0..nodes).map(name).collect();
        let mut script = SCRIPT.to_owned();
        while hosts.contains(&script) {
            script.push('_');
        }
        hosts.push(script);
        Self {
            clocks: vec![vec![0; nodes + 1]; nodes + 1],
            hosts,
            carried: BTreeMap::new(),
            step: None,
        }
    }

    /// Takes in the next event, and writes it if it `is_shown`.
    pub(in crate::cli) fn event(
        &mut self,
        event: &Event,
        names: &Names,
        is_shown: bool,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let script = self.hosts.len() - 1;
        let host = match &event.payload {
            Payload::Step { .. } => script,
            Payload::Kind { .. } => return Ok(()),
            _ if event.node == WORLD => return Ok(()),
            _ => usize::try_from(event.node).unwrap_or(script).min(script),
        };
        let is_loss = matches!(event.payload, Payload::Dropped { .. });
        // A connection is made and lost at both ends: what one of them does, the other learns.
        if let Some((step, clock)) = &self.step
            && *step == event.cause
        {
            merge(&mut self.clocks[host], clock);
        }
        if let Some((carried, left)) = self.carried.get_mut(&event.cause) {
            if !is_loss {
                merge(&mut self.clocks[host], carried);
            }
            if is_loss || matches!(event.payload, Payload::Delivered { .. }) {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    self.carried.remove(&event.cause);
                }
            }
        }
        if is_shown {
            self.clocks[host][host] += 1;
            let clock = self.hosts.iter().zip(&self.clocks[host]);
            let clock: serde_json::Map<String, serde_json::Value> = clock
                .filter(|(_, count)| **count > 0)
                .map(|(host, count)| (host.clone(), (*count).into()))
                .collect();
            let line = names.line(event);
            let clock = serde_json::Value::Object(clock);
            writeln!(out, "{line}\n{} {clock}", self.hosts[host])?;
        }
        if event.payload.begins_step() {
            self.step = Some((event.id, self.clocks[host].clone()));
        }
        match &event.payload {
            Payload::Sent { .. } => {
                self.carried
                    .insert(event.id, (self.clocks[host].clone(), 1));
            }
            Payload::Duplicated { .. } => {
                if let Some((_, left)) = self.carried.get_mut(&event.cause) {
                    *left += 1;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn merge(clock: &mut [u64], other: &[u64]) {
    for (known, told) in clock.iter_mut().zip(other) {
        *known = (*known).max(*told);
    }
}

/// A name without blanks, which end a host's name in the log.
fn host(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_whitespace() { '_' } else { c })
        .collect()
}
