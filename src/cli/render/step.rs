//! The steps of a scenario in words: `partition [n1 n2] | [n3 n4]`.

use std::time::Duration;

use hublab_sim::scenario::{
    Action, Audience, Channels, Children, ClockChange, InFlight, Latency, LinkChange, NodeIx,
    Order, RawRequest, ReleaseOrder, When,
};
use hublab_strategies::time::format_duration;
use hublab_strategies::{ChildId, NodeId};

/// Longer lists are cut short.
const LISTED_MAX: usize = 8;
/// Neighbours from this many on are written as a span.
const SPAN_MIN: usize = 3;

/// Puts steps into words; knows the names of the nodes.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Words<'a> {
    pub(in crate::cli) names: &'a [NodeId],
}

impl Words<'_> {
    /// A step.
    pub(in crate::cli) fn action(self, action: &Action) -> String {
        match action {
            Action::Join(nodes)
            | Action::Leave(nodes)
            | Action::Crash(nodes)
            | Action::Pause(nodes)
            | Action::Resume(nodes) => format!("{} {}", action.name(), self.nodes(nodes)),
            Action::Restart { nodes, strategy } => {
                let all = strategy.iter();
                let all = all.flat_map(|(name, of)| of.iter().map(move |of| (name, of)));
                let with = all.map(|(name, (key, value))| format!(" {name}.{key} = {value}"));
                let with: Vec<String> = with.collect();
                let with = if with.is_empty() {
                    String::new()
                } else {
                    format!(" with{}", with.join(","))
                };
                format!("restart {}{with}", self.nodes(nodes))
            }
            Action::Partition {
                groups,
                in_flight,
                heal_after,
            } => {
                let groups: Vec<String> = groups
                    .iter()
                    .map(|group| format!("[{}]", self.nodes(group)))
                    .collect();
                format!(
                    "partition {}{}",
                    groups.join(" | "),
                    cut_options(*in_flight, *heal_after)
                )
            }
            Action::Cut {
                from,
                to,
                in_flight,
                heal_after,
            } => {
                format!(
                    "cut {} -> {}{}",
                    self.nodes(from),
                    self.nodes(to),
                    cut_options(*in_flight, *heal_after)
                )
            }
            Action::Heal => "heal".to_owned(),
            Action::Link(change) => self.link(change),
            Action::Hold {
                from,
                to,
                channels,
                count,
            } => {
                let next = count
                    .map(|count| format!("next {count} "))
                    .unwrap_or_default();
                let (from, to) = (self.nodes(from), self.nodes(to));
                format!("hold {next}{from} -> {to}{}", of_channels(*channels))
            }
            Action::Release { from, to, order } => {
                let order = match order {
                    ReleaseOrder::Fifo => "",
                    ReleaseOrder::Lifo => ", the last first",
                    ReleaseOrder::Random => ", in drawn order",
                };
                format!("release {} -> {}{order}", self.nodes(from), self.nodes(to))
            }
            Action::Clock { nodes, change } => match change {
                ClockChange::Jump(by) => {
                    format!("clock of {} jumps {}", self.nodes(nodes), signed(*by))
                }
                ClockChange::RatePpm(ppm) => {
                    format!("clock of {} drifts {ppm} ppm", self.nodes(nodes))
                }
            },
            Action::StartChildren {
                on,
                children: which,
                metadata: _,
                replicas,
                announce,
                via,
            } => {
                let mut text = format!("start {} on {}", children(which), self.node(*on));
                if !replicas.is_empty() {
                    text.push_str(&format!(" and {}", self.nodes(replicas)));
                }
                text.push_str(&self.via(*via));
                if !announce {
                    text.push_str(", unannounced");
                }
                text
            }
            Action::StopChildren {
                on,
                children: which,
                via,
            } => {
                format!(
                    "stop {} on {}{}",
                    children(which),
                    self.node(*on),
                    self.via(*via)
                )
            }
            Action::RestartChild { on, child } => {
                format!("restart child {child} on {}", self.node(*on))
            }
            Action::Propagate {
                from,
                members,
                requests,
            } => self.propagate(*from, members, requests),
            Action::Sync(on) => format!("sync on {}", self.node(*on)),
            Action::Broadcast { on, to } => {
                format!("broadcast of {} to {}", self.node(*on), self.nodes(to))
            }
            Action::Rows { on, rows } => {
                let rows = short(rows.iter().map(|row| row.child.to_string()), ", ");
                format!("put rows {rows} on {}", self.node(*on))
            }
            Action::View { on, nodes } => {
                format!("view of {} becomes [{}]", self.node(*on), self.nodes(nodes))
            }
            Action::LeftOut { action, nodes } if nodes.is_empty() => {
                format!("no {action}: there is none to choose from")
            }
            Action::LeftOut { action, nodes } => {
                format!("no {action}: not possible on {}", self.nodes(nodes))
            }
        }
    }

    /// The beginning of a run.
    pub(in crate::cli) fn boot(self, start: &[NodeIx]) -> String {
        if start.is_empty() {
            "nobody runs yet".to_owned()
        } else {
            format!("boot {}", self.nodes(start))
        }
    }

    /// What a `heal_after` undoes.
    pub(in crate::cli) fn healing(self, action: &Action) -> String {
        format!("heal the {}", action.name())
    }

    fn node(self, node: NodeIx) -> String {
        self.names
            .get(node as usize)
            .map_or_else(|| format!("#{node}"), ToString::to_string)
    }

    fn nodes(self, nodes: &[NodeIx]) -> String {
        let runs = nodes.chunk_by(|left, right| left + 1 == *right);
        let words = runs.flat_map(|run| match run {
            [first, .., last] if run.len() >= SPAN_MIN => {
                vec![format!("{}..{}", self.node(*first), self.node(*last))]
            }
            _ => run.iter().map(|node| self.node(*node)).collect(),
        });
        short(words, " ")
    }

    fn via(self, via: Option<NodeIx>) -> String {
        via.map(|via| format!(" via {}", self.node(via)))
            .unwrap_or_default()
    }

    fn link(self, change: &LinkChange) -> String {
        let LinkChange {
            from,
            to,
            channels,
            both,
            latency: law,
            loss,
            duplicate,
            order,
            bytes_per_second,
        } = change;
        let changes = [
            law.map(|law| format!("latency {}", latency(law))),
            loss.map(|loss| format!("loss {loss}")),
            duplicate.map(|duplicate| format!("duplicate {duplicate}")),
            order.map(|order| match order {
                Order::Fifo => "order fifo".to_owned(),
                Order::Any => "order any".to_owned(),
            }),
            bytes_per_second.map(|rate| format!("{rate} bytes/s")),
        ];
        let changes: Vec<String> = changes.into_iter().flatten().collect();
        let arrow = if *both { "<->" } else { "->" };
        format!(
            "link {} {arrow} {}{}: {}",
            self.nodes(from),
            self.nodes(to),
            of_channels(*channels),
            changes.join(", ")
        )
    }

    fn propagate(self, from: NodeIx, members: &Audience, requests: &[RawRequest]) -> String {
        let to = match members {
            Audience::Global => "everybody".to_owned(),
            Audience::Local => "itself".to_owned(),
            Audience::External => "the others".to_owned(),
            Audience::Nodes(nodes) => self.nodes(nodes),
        };
        let requests = short(requests.iter().map(request), ", ");
        format!("propagate from {} to {to}: {requests}", self.node(from))
    }
}

/// ` (sync, join)`; nothing for all.
fn of_channels(channels: Channels) -> String {
    let names: Vec<&str> = channels.names().collect();
    if names.is_empty() {
        return String::new();
    }
    format!(" ({})", names.join(", "))
}

fn request(request: &RawRequest) -> String {
    match request {
        RawRequest::Register(rows) => {
            format!(
                "register {}",
                short(rows.iter().map(|row| row.child.to_string()), " ")
            )
        }
        RawRequest::Unregister(rows) => {
            format!(
                "unregister {}",
                short(rows.iter().map(|(child, _)| child.to_string()), " ")
            )
        }
        RawRequest::PidUpdate { child, node, pid } => format!("pid of {child} on {node} is {pid}"),
    }
}

fn cut_options(in_flight: InFlight, heal_after: Option<When>) -> String {
    let held = match in_flight {
        InFlight::Drop => "",
        InFlight::Deliver => ", messages on the way arrive",
        InFlight::Hold => ", messages on the way wait",
    };
    let healing = match heal_after {
        None => String::new(),
        Some(When::Fixed(after)) => format!(", for {}", format_duration(after)),
        Some(When::Between(low, high)) => format!(
            ", for {} to {}",
            format_duration(low),
            format_duration(high)
        ),
    };
    format!("{held}{healing}")
}

fn latency(law: Latency) -> String {
    match law {
        Latency::Constant(value) => format_duration(value),
        Latency::Uniform(low, high) => {
            format!("{} to {}", format_duration(low), format_duration(high))
        }
        Latency::Exponential { min, mean } => {
            format!(
                "exponential, at least {}, mean {}",
                format_duration(min),
                format_duration(mean)
            )
        }
        Latency::Lognormal { median, p99 } => {
            format!(
                "log-normal, median {}, p99 {}",
                format_duration(median),
                format_duration(p99)
            )
        }
        Latency::Bimodal {
            fast,
            slow,
            slow_share,
        } => {
            format!(
                "{}, or {} in {slow_share} of cases",
                format_duration(fast),
                format_duration(slow)
            )
        }
    }
}

fn signed(us: i64) -> String {
    let sign = if us < 0 { '-' } else { '+' };
    format!(
        "{sign}{}",
        format_duration(Duration::from_micros(us.unsigned_abs()))
    )
}

fn children(children: &Children) -> String {
    match children {
        Children::Ids(ids) => short(ids.iter().map(ChildId::to_string), " "),
        Children::Counted { count: 1, prefix } => format!("{prefix}-1"),
        Children::Counted { count, prefix } => format!("{prefix}-1..{prefix}-{count}"),
    }
}

fn short(mut words: impl Iterator<Item = String>, between: &str) -> String {
    let mut listed: Vec<String> = words.by_ref().take(LISTED_MAX).collect();
    match words.count() {
        0 => {}
        more => listed.push(format!("and {more} more")),
    }
    listed.join(between)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hublab_sim::catalog::Catalog;
    use hublab_sim::scenario::Scenario;

    /// The words of one step of a file with nodes `n1` to `n12`.
    fn words(step: &str) -> String {
        let file = format!(
            "schema = 1\n[cluster]\nnodes = 12\nstart = [\"n1..n11\"]\n[[step]]\nat = \"1s\"\n{step}\n"
        );
        let scenario = Scenario::read("words.toml", file.as_bytes(), &Catalog::default())
            .unwrap_or_else(|problems| panic!("{step}: {:?}", problems.problems()));
        Words {
            names: &scenario.cluster.nodes,
        }
        .action(&scenario.steps[0].action)
    }

    #[test]
    fn every_action_reads_like_a_sentence() {
        let cases = [
            ("join = { nodes = [\"n12\"] }", "join n12"),
            (
                "crash = { nodes = [\"n1\", \"n3..n5\"] }",
                "crash n1 n3..n5",
            ),
            (
                "partition = { groups = [[\"n1\", \"n2\"], [\"n3..n11\"]], in_flight = \"hold\" }",
                "partition [n1 n2] | [n3..n11], messages on the way wait",
            ),
            (
                "cut = { from = [\"n1\"], to = [\"n2\"], heal_after = \"2s\" }",
                "cut n1 -> n2, for 2s",
            ),
            ("heal = true", "heal"),
            (
                "link = { from = [\"n1\"], to = [\"n2\"], latency = { constant = \"40ms\" }, loss = 0.5 }",
                "link n1 -> n2: latency 40ms, loss 0.5",
            ),
            (
                "clock = { nodes = [\"n1\"], jump = \"-5s\" }",
                "clock of n1 jumps -5s",
            ),
            (
                "clock = { nodes = [\"n1\"], rate_ppm = 100 }",
                "clock of n1 drifts 100 ppm",
            ),
            (
                "start_children = { on = \"n1\", count = 3, prefix = \"x\", replicas = [\"n2\"], via = \"n3\", announce = false }",
                "start x-1..x-3 on n1 and n2 via n3, unannounced",
            ),
            (
                "stop_children = { on = \"n1\", ids = [\"a\", \"b\"] }",
                "stop a b on n1",
            ),
            (
                "restart_child = { on = \"n1\", id = \"a\" }",
                "restart child a on n1",
            ),
            (
                "propagate = { from = \"n1\", members = \"external\", requests = [{ pid_update = { child = \"x\", node = \"n1\", pid = \"p2\" } }, { unregister = [{ child = \"y\", nodes = [\"n1\"] }] }] }",
                "propagate from n1 to the others: pid of x on n1 is p2, unregister y",
            ),
            ("sync = { on = \"n1\" }", "sync on n1"),
            (
                "broadcast = { on = \"n1\", to = [\"n2\"] }",
                "broadcast of n1 to n2",
            ),
            (
                "rows = { on = \"n1\", rows = [{ child = \"x\", nodes = { n1 = \"p1\" } }] }",
                "put rows x on n1",
            ),
            (
                "view = { on = \"n1\", nodes = [\"n1\", \"n2\"] }",
                "view of n1 becomes [n1 n2]",
            ),
            (
                "left_out = { action = \"crash\", nodes = [\"n1\"] }",
                "no crash: not possible on n1",
            ),
            (
                "left_out = { action = \"crash\", nodes = [] }",
                "no crash: there is none to choose from",
            ),
        ];
        for (step, expected) in cases {
            assert_eq!(words(step), expected);
        }
    }

    #[test]
    fn long_lists_are_cut_short() {
        let ids: Vec<String> = (1..=12).map(|k| format!("\"c{k}\"")).collect();
        let step = format!(
            "start_children = {{ on = \"n1\", ids = [{}] }}",
            ids.join(", ")
        );
        assert_eq!(
            words(&step),
            "start c1 c2 c3 c4 c5 c6 c7 c8 and 4 more on n1"
        );
    }
}
