//! `[network]`, its links, and latency laws.

use std::time::Duration;

use super::Reader;
use super::syntax::Value;
use super::table::Table;
use crate::model::{Latency, LinkChange, LinkParams, Network, Order};
use crate::scenario::diagnostic::Problem;
use crate::scenario::shape::{BIMODAL, EXPONENTIAL, LATENCY, LINK, LOGNORMAL, Shape};

const ORDERS: &[(&str, Order)] = &[("fifo", Order::Fifo), ("any", Order::Any)];

impl<'t> Reader<'_> {
    pub(super) fn network(&mut self, table: &Table<'t>) -> Network {
        let Network {
            base,
            send_gap,
            service_time,
            ..
        } = Network::default();
        Network {
            base: LinkParams {
                latency: self
                    .may(table, "latency", Self::latency)
                    .unwrap_or(base.latency),
                loss: self
                    .may(table, "loss", |reader, value| reader.probability(value))
                    .unwrap_or(base.loss),
                duplicate: self
                    .may(table, "duplicate", |reader, value| {
                        reader.probability(value)
                    })
                    .unwrap_or(base.duplicate),
                order: self.may(table, "order", Self::order).unwrap_or(base.order),
                bytes_per_second: self
                    .may(table, "bytes_per_second", Self::bandwidth)
                    .unwrap_or(base.bytes_per_second),
            },
            send_gap: self
                .may(table, "send_gap", Self::duration)
                .unwrap_or(send_gap),
            service_time: self
                .may(table, "service_time", Self::duration)
                .unwrap_or(service_time),
            links: self.list(table, "link", |reader, value| {
                reader.tables(value, &LINK, Self::link)
            }),
        }
    }

    /// `[[network.link]]`, and the table of a `link` step.
    pub(super) fn link(&mut self, table: &Table<'t>) -> Option<LinkChange> {
        let from = self.need(table, "from", Self::some_nodes);
        let to = self.need(table, "to", Self::some_nodes);
        let change = LinkChange {
            from: from.unwrap_or_default().nodes,
            to: to.unwrap_or_default().nodes,
            latency: self.may(table, "latency", Self::latency),
            loss: self.may(table, "loss", |reader, value| reader.probability(value)),
            duplicate: self.may(table, "duplicate", |reader, value| {
                reader.probability(value)
            }),
            order: self.may(table, "order", Self::order),
            bytes_per_second: self.may(table, "bytes_per_second", Self::bandwidth),
        };
        Some(change)
    }

    fn order(&mut self, value: &'t Value<'t>) -> Option<Order> {
        self.word(value, "order", ORDERS)
    }

    fn bandwidth(&mut self, value: &'t Value<'t>) -> Option<u64> {
        self.count(value, 0)
    }

    fn latency(&mut self, value: &'t Value<'t>) -> Option<Latency> {
        let table = self.open(value, &LATENCY)?;
        let law = self.choose(&table)?;
        let value = table.get(law)?;
        match law {
            "constant" => self.duration(value).map(Latency::Constant),
            "uniform" => self.uniform(value),
            "exponential" => {
                let (min, mean) = self.ordered(value, &EXPONENTIAL, "min", "mean")?;
                Some(Latency::Exponential { min, mean })
            }
            "lognormal" => {
                let (median, p99) = self.ordered(value, &LOGNORMAL, "median", "p99")?;
                if median.is_zero() {
                    let at = self.label(value.span());
                    self.report(Problem::ZeroDuration { at });
                }
                Some(Latency::Lognormal { median, p99 })
            }
            _ => self.bimodal(value),
        }
    }

    fn uniform(&mut self, value: &'t Value<'t>) -> Option<Latency> {
        let ends = value
            .get_ref()
            .as_array()
            .map(|ends| ends.iter().collect::<Vec<_>>());
        let Some(&[low, high]) = ends.as_deref() else {
            self.wrong_type(value, "two durations, like [\"1ms\", \"10ms\"]", None);
            return None;
        };
        let (low, high) = (self.duration(low), self.duration(high));
        let (low, high) = (low?, high?);
        self.in_order(value, ("the first", low), ("the second", high));
        Some(Latency::Uniform(low, high))
    }

    /// A table of two durations, the first at most the second.
    fn ordered(
        &mut self,
        value: &'t Value<'t>,
        shape: &'static Shape,
        smaller: &'static str,
        larger: &'static str,
    ) -> Option<(Duration, Duration)> {
        let table = self.open(value, shape)?;
        let low = self.need(&table, smaller, Self::duration);
        let high = self.need(&table, larger, Self::duration);
        let (low, high) = (low?, high?);
        self.in_order(value, (smaller, low), (larger, high));
        Some((low, high))
    }

    fn bimodal(&mut self, value: &'t Value<'t>) -> Option<Latency> {
        let table = self.open(value, &BIMODAL)?;
        let fast = self.need(&table, "fast", Self::duration);
        let slow = self.need(&table, "slow", Self::duration);
        let slow_share = self.need(&table, "slow_share", |reader, value| {
            reader.probability(value)
        });
        let (fast, slow) = (fast?, slow?);
        self.in_order(value, ("fast", fast), ("slow", slow));
        Some(Latency::Bimodal {
            fast,
            slow,
            slow_share: slow_share?,
        })
    }

    fn in_order(
        &mut self,
        value: &Value<'_>,
        (smaller, low): (&'static str, Duration),
        (larger, high): (&'static str, Duration),
    ) {
        if low > high {
            let at = self.label(value.span());
            self.report(Problem::Disordered {
                smaller,
                larger,
                at,
            });
        }
    }
}
