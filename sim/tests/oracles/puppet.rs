//! A strategy that does what it is told, when it is told: its parameters say which entry appears or
//! goes where and when. Of its own accord it does nothing, so views are wrong unless told to be
//! right.

use std::time::Duration;

use hublab_strategies::context::Context;
use hublab_strategies::strategy::{Claim, ConfigError};
use hublab_strategies::time::duration_text;
use hublab_strategies::{
    Channel, ChildSpec, Entry, EventStrategy, Members, Message, Metadata, NodeId, Pid,
    Registration, Request, Requests, Strategy,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PuppetConfig {
    /// The time between two rounds. Bounds of oracles ask the strategy for it, so its name is free.
    #[serde(with = "duration_text")]
    #[schemars(schema_with = "duration_text::schema")]
    every: Duration,
    /// `MILLISECONDS NODE ACT...`; the acts are those of [`Puppet::act`].
    acts: Vec<String>,
    /// Messages to each other member in every round.
    burst: usize,
}

impl Default for PuppetConfig {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(2),
            acts: Vec::new(),
            burst: 0,
        }
    }
}

/// An act for the receiver; empty for none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tell(String);

impl Message for Tell {
    const KINDS: &'static [&'static str] = &["puppet.tell"];

    fn kind(&self) -> &'static str {
        "puppet.tell"
    }
}

pub(crate) struct Puppet {
    config: PuppetConfig,
    refs: usize,
    has_hosted: bool,
}

type Cx<'a> = Context<'a, Tell>;

impl Puppet {
    /// `put CHILD OWNER PID [VERSION]`, `drop CHILD OWNER`, `twice CHILD OWNER PID`, `remember COUNT`,
    /// `tell NODE ACT...`, `punctual ACT...` (only by a clock that was never touched), `panic`.
    fn act(&mut self, cx: &mut Cx<'_>, act: &str) {
        let words: Vec<&str> = act.split_whitespace().collect();
        match words[..] {
            ["put", child, owner, pid, ref version @ ..] => {
                let metadata: Metadata = version.iter().map(|version| ("v", *version)).collect();
                let spec = ChildSpec::new(child, "child");
                cx.upsert(&spec, &owner.into(), Some(&pid.into()), &metadata);
            }
            ["drop", child, owner] => cx.remove(&child.into(), &owner.into()),
            ["twice", child, owner, pid] => {
                let entry = Entry {
                    node: owner.into(),
                    pid: Some(Pid::from(pid)),
                };
                let row = Registration {
                    spec: ChildSpec::new(child, "child"),
                    entries: [entry.clone(), entry].into_iter().collect(),
                    metadata: Metadata::default(),
                };
                cx.handle_requests(&Requests::from([Request::Register(vec![row])]));
            }
            ["remember", count] => self.refs = count.parse().expect("a count"),
            ["tell", node, ref rest @ ..] => {
                cx.send(&[node.into()], Channel::SYNC, Tell(rest.join(" ")));
            }
            ["punctual", ref rest @ ..] => {
                if cx.wall_clock() == 1_700_000_000_000_000 + cx.now().0 {
                    self.act(cx, &rest.join(" "));
                }
            }
            ["panic"] => panic!("told to"),
            [] => {}
            _ => panic!("no such act: {act}"),
        }
    }
}

impl EventStrategy for Puppet {
    type Message = Tell;

    fn start(&mut self, cx: &mut Cx<'_>) {
        for (act, key) in self.config.acts.iter().zip(0..) {
            let mut words = act.split_whitespace();
            let at: u64 = words.next().and_then(|at| at.parse().ok()).expect("when");
            let is_mine = words.next() == Some(cx.node().as_str());
            if let Some(delay) = (at * 1_000).checked_sub(cx.now().0).filter(|_| is_mine) {
                cx.set_timer(key, Duration::from_micros(delay));
            }
        }
    }

    fn handle_timer(&mut self, cx: &mut Cx<'_>, key: u64) {
        let act = &self.config.acts[usize::try_from(key).expect("a position")];
        let act: Vec<&str> = act.split_whitespace().skip(2).collect();
        let act = act.join(" ");
        self.act(cx, &act);
    }

    fn handle_message(&mut self, cx: &mut Cx<'_>, _from: &NodeId, message: &Tell) {
        self.act(cx, &message.0);
    }

    /// As long as it has hosted nothing, it sends nothing, like the ports.
    fn round(&mut self, cx: &mut Cx<'_>) {
        self.has_hosted |= !cx.local_data().is_empty();
        if !self.has_hosted {
            return;
        }
        let others: Vec<NodeId> = cx
            .view()
            .iter()
            .filter(|node| *node != cx.node())
            .cloned()
            .collect();
        for _ in 0..self.config.burst {
            cx.send(&others, Channel::SYNC, Tell(String::new()));
        }
    }

    fn propagate(&mut self, _cx: &mut Cx<'_>, _requests: Requests, _members: &Members) {}

    fn round_interval(&self) -> Option<Duration> {
        Some(self.config.every)
    }

    fn refs(&self) -> usize {
        self.refs
    }
}

impl Strategy for Puppet {
    const NAME: &'static str = "puppet";
    const SUMMARY: &'static str = "does what it is told";
    type Config = PuppetConfig;

    fn new(config: &PuppetConfig) -> Result<Self, ConfigError> {
        let config = config.clone();
        Ok(Self {
            config,
            refs: 0,
            has_hosted: false,
        })
    }

    fn claims() -> &'static [Claim] {
        &[]
    }
}
