//! `[run] branch` and `changes`: what a run does otherwise than its seed says.
//!
//! Messages are the network's: see [`Network::judge`](crate::network::Network::judge).

use std::collections::VecDeque;

use hublab_strategies::time::micros;
use hublab_strategies::{Time, TimerKey};

use super::Engine;
use crate::model::{Change, NodeIx, Run, TimerKind};
use crate::stream::{mix, sub_key};

/// What is still to come of a run's deviations.
#[derive(Debug)]
pub(super) struct Deviations {
    /// By instant, in microseconds: whose streams turn into others, or back.
    turns: VecDeque<(u64, Turn)>,
    /// Timers that fire at another instant than they are set for.
    fires: Vec<Fire>,
    /// All changes.
    changes: Vec<Change>,
}

#[derive(Debug, Clone, Copy)]
enum Turn {
    /// Those of the whole run, for good.
    Branch(u64),
    /// Those of one node: made twice, it is undone.
    Node(NodeIx, u64),
}

#[derive(Debug)]
struct Fire {
    timer: (NodeIx, TimerKind, u64),
    due: Time,
    at: Time,
    /// True if such a timer was set.
    is_met: bool,
}

impl Deviations {
    /// Those of a run.
    pub(super) fn new(run: &Run) -> Self {
        let mut turns = Vec::new();
        let mut fires = Vec::new();
        if let Some(branch) = run.branch {
            turns.push((micros(branch.after) + 1, Turn::Branch(branch.number)));
        }
        for change in &run.changes {
            match *change {
                Change::Draw { node, at, number } => {
                    let (at, turn) = (micros(at), Turn::Node(node, salt(number)));
                    turns.extend([(at, turn), (at + 1, turn)]);
                }
                Change::Fire {
                    node,
                    timer,
                    key,
                    due,
                    at,
                } => fires.push(Fire {
                    timer: (node, timer, key),
                    due: Time(micros(due)),
                    at: Time(micros(at)),
                    is_met: false,
                }),
                Change::Lose(_) | Change::Double { .. } | Change::Arrive { .. } => {}
            }
        }
        turns.sort_by_key(|(at, _)| *at);
        Self {
            turns: turns.into(),
            fires,
            changes: run.changes.clone(),
        }
    }

    /// When the next streams turn; `u64::MAX`: never.
    pub(super) fn next_turn(&self) -> u64 {
        self.turns.front().map_or(u64::MAX, |(at, _)| *at)
    }

    /// When a timer fires that is set to fire at `due`, if that is changed.
    pub(super) fn fires_at(&mut self, node: NodeIx, key: TimerKey, due: Time) -> Option<Time> {
        let (kind, number) = TimerKind::of(key);
        let timer = (node, kind, number);
        let mut fires = self.fires.iter_mut();
        let fire = fires.find(|fire| fire.timer == timer && fire.due == due)?;
        fire.is_met = true;
        Some(fire.at)
    }

    /// True if a timer that is changed was never set so, or an instant that is changed never came.
    fn misses(&self, change: &Change) -> bool {
        match *change {
            Change::Draw { node, at, number } => {
                self.turns.iter().any(|(instant, turn)| match *turn {
                    Turn::Node(of, by) => (of, by, *instant) == (node, salt(number), micros(at)),
                    Turn::Branch(_) => false,
                })
            }
            Change::Fire {
                node,
                timer,
                key,
                due,
                ..
            } => self.fires.iter().any(|fire| {
                !fire.is_met && fire.timer == (node, timer, key) && fire.due.0 == micros(due)
            }),
            Change::Lose(_) | Change::Double { .. } | Change::Arrive { .. } => false,
        }
    }

    /// True if no timer fires at another instant.
    pub(super) fn keeps_timers(&self) -> bool {
        self.fires.is_empty()
    }
}

/// What the key of a node's stream is combined with: combined twice, it is the key again.
fn salt(number: u64) -> u64 {
    mix(number.wrapping_add(0x5851_f42d_4c95_7f2d))
}

impl Engine {
    /// The changes that name what has not occurred.
    pub(super) fn unmet(&self) -> Vec<Change> {
        let is_unmet = |change: &&Change| {
            let is_unsent = change.message().is_some_and(|message| {
                let link = (message.from, message.to);
                self.network.sent(link, message.channel) <= message.number
            });
            is_unsent || self.deviations.misses(change)
        };
        self.deviations
            .changes
            .iter()
            .filter(is_unmet)
            .copied()
            .collect()
    }

    /// Turns the streams whose instant has come.
    #[cold]
    pub(super) fn turn_streams(&mut self) {
        while self.deviations.next_turn() <= self.now.0 {
            let Some((_, turn)) = self.deviations.turns.pop_front() else {
                break;
            };
            match turn {
                Turn::Branch(number) => {
                    self.seed = sub_key(self.seed, number);
                    self.network.branch(number);
                    for node in (0..).take(self.nodes.len()) {
                        self.turn_streams_of(node, salt(number));
                    }
                }
                Turn::Node(node, salt) => self.turn_streams_of(node, salt),
            }
        }
        self.next_turn = self.deviations.next_turn();
    }

    fn turn_streams_of(&mut self, node: NodeIx, salt: u64) {
        self.nodes[node as usize].turn_stream(salt);
        if let Some(programs) = &mut self.programs {
            programs.turn_stream(node, salt);
        }
    }
}
