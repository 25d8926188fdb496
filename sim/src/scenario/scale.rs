//! A scenario in slow motion, or in a hurry: every duration times a factor.

use std::time::Duration;

use hublab_strategies::Time;
use hublab_strategies::time::{format_duration, micros, parse_duration};
use serde_json::Value;

use crate::model::{
    Action, After, Claim, Cluster, Latency, LinkChange, LinkParams, Network, Scenario, When,
};

/// The same scenario with every duration multiplied by `factor`, a number above 0: steps, intervals,
/// latencies, bounds, and the parameters of strategies that are durations. What a link carries in a
/// second grows as time shrinks. Resolution is 1 us; what was longer than 0 stays so.
#[must_use]
pub fn scaled(scenario: &Scenario, factor: f64) -> Scenario {
    let scale = Scale(factor);
    let mut scaled = scenario.clone();
    scale.time(&mut scaled.run.duration);
    scale.cluster(&mut scaled.cluster);
    scale.network(&mut scaled.network);
    for step in &mut scaled.steps {
        scale.when(&mut step.at);
        scale.action(&mut step.action);
    }
    for expectation in &mut scaled.expectations {
        scale.claim(&mut expectation.claim);
    }
    for value in scaled
        .strategies
        .values_mut()
        .flat_map(|table| table.values_mut())
    {
        if let Some(Ok(mut time)) = value.as_str().map(parse_duration) {
            scale.time(&mut time);
            *value = Value::String(format_duration(time));
        }
    }
    scaled
}

#[derive(Clone, Copy)]
struct Scale(f64);

impl Scale {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "durations of scenarios are far below 2^52 us, and none is negative"
    )]
    fn us(self, us: u64) -> u64 {
        if us == 0 {
            return 0;
        }
        (libm::round(us as f64 * self.0) as u64).max(1)
    }

    fn time(self, time: &mut Duration) {
        *time = Duration::from_micros(self.us(micros(*time)));
    }

    fn cluster(self, cluster: &mut Cluster) {
        self.time(&mut cluster.discovery_interval);
        self.time(&mut cluster.join_debounce);
        self.time(&mut cluster.down_after);
        self.time(&mut cluster.crash_detected_after);
    }

    fn network(self, network: &mut Network) {
        let LinkParams {
            latency,
            bytes_per_second,
            loss: _,
            duplicate: _,
            order: _,
        } = &mut network.base;
        self.latency(latency);
        self.rate(bytes_per_second);
        self.time(&mut network.send_gap);
        self.time(&mut network.service_time);
        network.links.iter_mut().for_each(|link| self.link(link));
    }

    fn link(self, change: &mut LinkChange) {
        change.latency.iter_mut().for_each(|law| self.latency(law));
        change
            .bytes_per_second
            .iter_mut()
            .for_each(|rate| self.rate(rate));
    }

    fn latency(self, law: &mut Latency) {
        let times = match law {
            Latency::Constant(time) => vec![time],
            Latency::Uniform(low, high) => vec![low, high],
            Latency::Exponential { min, mean } => vec![min, mean],
            Latency::Lognormal { median, p99 } => vec![median, p99],
            Latency::Bimodal {
                fast,
                slow,
                slow_share: _,
            } => vec![fast, slow],
        };
        times.into_iter().for_each(|time| self.time(time));
    }

    /// What is done in a second.
    fn rate(self, rate: &mut u64) {
        *rate = Self(self.0.recip()).us(*rate);
    }

    fn when(self, when: &mut When) {
        match when {
            When::Fixed(at) => self.time(at),
            When::Between(from, to) => {
                self.time(from);
                self.time(to);
            }
        }
    }

    fn action(self, action: &mut Action) {
        action
            .heal_after_mut()
            .into_iter()
            .for_each(|when| self.when(when));
        if let Action::Link(change) = action {
            self.link(change);
        }
    }

    fn claim(self, claim: &mut Claim) {
        match claim {
            Claim::Converged { within, after, .. } => {
                self.time(within);
                match after {
                    After::Time(at) => self.time(at),
                    After::LastStep | After::Heal => {}
                }
            }
            Claim::Registry { at, .. } | Claim::Entry { at, .. } => *at = Time(self.us(at.0)),
            Claim::Metric { name, min, max } if name == "converged_us" => {
                min.iter_mut().chain(max).for_each(|us| *us = self.us(*us));
            }
            Claim::Metric { .. } | Claim::Always(_) | Claim::Violates(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use crate::scenario::{Style, render};

    #[test]
    fn every_duration_shrinks_and_nothing_else_does() {
        let text = |unit: &str, rate: u64| {
            format!(
                r#"
schema = 1
name = "scaled"
[run]
duration = "60{unit}"
strategies = ["pubsub"]
[cluster]
nodes = 2
discovery_interval = "10{unit}"
join_debounce = "5{unit}"
down_after = "60{unit}"
crash_detected_after = "1{unit}"
[strategy.pubsub]
sync_interval = "30{unit}"
[network]
latency = {{ constant = "1{unit}" }}
send_gap = "1{unit}"
service_time = "1{unit}"
bytes_per_second = {rate}
[[step]]
at = "1{unit}..3{unit}"
cut = {{ from = ["n1"], to = ["n2"], heal_after = "9{unit}" }}
[[step]]
at = "20{unit}"
link = {{ from = ["n1"], to = ["n2"], latency = {{ uniform = ["0us", "2{unit}"] }} }}
[[expect]]
converged = {{ within = "30{unit}", after = "heal" }}
[[expect]]
at = "50{unit}"
registry = {{ on = "n1", lacks = ["a"] }}
"#
            )
        };
        let catalog = Catalog::default();
        let read = |text: &str| Scenario::read("s", text.as_bytes(), &catalog).expect("a scenario");
        let shown = |scenario: &Scenario| render(scenario, Style::Full);
        let slow = read(&text("s", 7_000));
        let fast = read(&text("ms", 7_000_000));
        assert_eq!(shown(&scaled(&slow, 0.001)), shown(&fast));
        assert_eq!(shown(&scaled(&slow, 1.0)), shown(&slow));
    }
}
