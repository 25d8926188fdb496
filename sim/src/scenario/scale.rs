//! A scenario in slow motion, or in a hurry: every duration times a factor.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a fold over kinds of values looks at those that concern it"
)]

use hublab_strategies::time::{format_duration, micros, parse_duration};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use super::read::model;
use super::shape::{CLUSTER, EXPECT, Key, Kind, NETWORK, RUN, STEP, Shape, TIME_FIELD};
use crate::metric::{LIST, Measure};
use crate::model::{Action, Claim, Parameters, Scenario};

/// The same scenario with every duration multiplied by `factor`, a number above 0: steps, intervals,
/// latencies, bounds, jumps of clocks, and the parameters of strategies that are durations. What a link
/// carries in a second grows as time shrinks. Resolution is 1 us; what was longer than 0 stays so.
#[must_use]
pub fn scaled(scenario: &Scenario, factor: f64) -> Scenario {
    let scale = Scale(factor);
    let mut scaled = scenario.clone();
    scale.part(&mut scaled.run, &RUN);
    scale.part(&mut scaled.cluster, &CLUSTER);
    scale.part(&mut scaled.network, &NETWORK);
    for step in &mut scaled.steps {
        let line = step.line;
        scale.part(step, &STEP);
        step.line = line;
    }
    for expectation in &mut scaled.expectations {
        let line = expectation.line;
        scale.part(expectation, &EXPECT);
        expectation.line = line;
        if let Claim::Metric { name, min, max, .. } = &mut expectation.claim
            && LIST
                .iter()
                .any(|it| it.name == *name && it.measure == Measure::Time)
        {
            min.iter_mut().chain(max).for_each(|us| *us = scale.us(*us));
        }
    }
    scale.parameters(&mut scaled.strategies);
    for of_nodes in &mut scaled.cluster.overrides {
        scale.parameters(&mut of_nodes.strategy);
    }
    for step in &mut scaled.steps {
        if let Action::Restart { strategy, .. } = &mut step.action {
            scale.parameters(strategy);
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

    fn parameters(self, parameters: &mut Parameters) {
        for value in parameters.values_mut().flat_map(|table| table.values_mut()) {
            if let Some(Ok(time)) = value.as_str().map(parse_duration) {
                let time = std::time::Duration::from_micros(self.us(micros(time)));
                *value = Json::String(format_duration(time));
            }
        }
    }

    /// Scales a part of a scenario by its shape.
    fn part<T: Serialize + DeserializeOwned>(self, part: &mut T, shape: &Shape) {
        let tree = super::render::tree(part);
        *part = model(shape.map(tree, &mut |key, value| self.value(key, value)));
    }

    fn value(self, key: &Key, value: Json) -> Json {
        match key.kind {
            Kind::Duration
            | Kind::Positive
            | Kind::When
            | Kind::Every
            | Kind::Window
            | Kind::Durations
            | Kind::Jump => self.times(value),
            Kind::DurationOr(..) => match value.get(TIME_FIELD) {
                Some(time) => json!({ TIME_FIELD: self.times(time.clone()) }),
                None => value,
            },
            Kind::Rate => Self(self.0.recip()).times(value),
            _ => value,
        }
    }

    /// Every number of a value.
    fn times(self, value: Json) -> Json {
        match value {
            Json::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(us), _) => self.us(us).into(),
                (None, Some(us)) => {
                    let size = i64::try_from(self.us(us.unsigned_abs())).unwrap_or(i64::MAX);
                    size.saturating_neg().into()
                }
                (None, None) => Json::Number(number),
            },
            Json::Array(values) => values.into_iter().map(|value| self.times(value)).collect(),
            Json::Object(fields) => {
                let scaled = fields.into_iter();
                let scaled = scaled.map(|(name, value)| (name, self.times(value)));
                Json::Object(scaled.collect())
            }
            Json::Null | Json::Bool(_) | Json::String(_) => value,
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
[[cluster.node]]
names = ["n2"]
service_time = "2{unit}"
down_after = "30{unit}"
clock = {{ jump = "-3{unit}", rate_ppm = 7 }}
strategy = {{ pubsub = {{ sync_interval = "20{unit}" }} }}
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
[[step]]
at = "21{unit}"
clock = {{ nodes = ["n1"], jump = "-4{unit}" }}
[[step]]
at = "22{unit}"
crash = {{ nodes = ["n1"] }}
[[step]]
at = "23{unit}"
restart = {{ nodes = ["n1"], strategy = {{ pubsub = {{ sync_interval = "9{unit}" }} }} }}
[[expect]]
converged = {{ within = "30{unit}", after = "heal" }}
[[expect]]
converged = {{ within = "1{unit}", after = "40{unit}" }}
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
