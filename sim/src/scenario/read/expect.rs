//! `[[expect]]`: one short function per claim.

use hublab_strategies::{ChildId, Pid, Time};
use toml::de::DeValue;

use super::syntax::Value;
use super::table::Table;
use super::{ExpectSites, Reader};
use crate::metric;
use crate::model::{After, Claim, Expectation};
use crate::scenario::diagnostic::Problem;
use crate::scenario::shape::{CONVERGED, ENTRY, EXPECT, METRIC, REGISTRY};
use crate::scenario::suggest;
use crate::watch::oracle;

const AFTER: &[(&str, After)] = &[("last_step", After::LastStep), ("heal", After::Heal)];

impl<'t> Reader<'_> {
    /// Every expectation, in the order of the file. What cannot be read is left out, and reported.
    pub(super) fn expectations(&mut self, value: &'t Value<'t>) -> Option<Vec<Expectation>> {
        self.tables(value, &EXPECT, Self::expectation)
    }

    fn expectation(&mut self, table: &Table<'t>) -> Option<Expectation> {
        let strategy = self
            .may(table, "strategy", Self::strategy)
            .map(str::to_owned);
        let key = self.choose(table)?;
        let value = table.get(key)?;
        self.claim_site = self.label(table.key_span(key));
        let claim = match key {
            "converged" => self.converged(value),
            "registry" => self.registry(table, value),
            "entry" => self.entry(table, value),
            "always" => self.oracle(value).map(Claim::Always),
            "violates" => self.oracle(value).map(Claim::Violates),
            _ => self.metric(value),
        }?;
        let at = table.get("at").map(|at| self.label(at.span()));
        self.sites.expectations.push(ExpectSites {
            at: at.unwrap_or(self.claim_site),
            claim: self.claim_site,
        });
        Some(Expectation {
            strategy,
            claim,
            line: self.text.line(table.span().start),
        })
    }

    fn converged(&mut self, value: &'t Value<'t>) -> Option<Claim> {
        let table = self.open(value, &CONVERGED)?;
        let within = self.need(&table, "within", Self::duration);
        let after = self
            .may(&table, "after", Self::after)
            .unwrap_or(After::LastStep);
        let nodes = table
            .get("nodes")
            .filter(|nodes| nodes.get_ref().as_str() != Some("all"));
        let nodes = nodes
            .and_then(|value| self.some_nodes(value))
            .map(|named| named.nodes);
        self.claim_site = self.label(table.key_span("within"));
        Some(Claim::Converged {
            within: within?,
            after,
            nodes,
        })
    }

    fn after(&mut self, value: &'t Value<'t>) -> Option<After> {
        let text = self.text_as(value, "\"last_step\", \"heal\", or a time")?;
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            return self.duration(value).map(After::Time);
        }
        self.word(value, "start", AFTER)
    }

    /// `at` and `on`, which the claims about one registry need.
    fn place(&mut self, table: &Table<'t>, claim: &Table<'t>) -> (Option<Time>, Option<u32>) {
        let at = self.need(table, "at", Self::time);
        let on = self.need(claim, "on", Self::node);
        self.claim_site = self.label(
            claim
                .get("on")
                .map_or_else(|| claim.span(), toml::Spanned::span),
        );
        (at, on)
    }

    fn registry(&mut self, table: &Table<'t>, value: &'t Value<'t>) -> Option<Claim> {
        let claim = self.open(value, &REGISTRY)?;
        let (at, on) = self.place(table, &claim);
        let has = self.list(&claim, "has", Self::child_ids);
        let lacks = self.list(&claim, "lacks", Self::child_ids);
        let both: std::collections::BTreeSet<&ChildId> = has.iter().collect();
        if let Some(child) = lacks.iter().find(|child| both.contains(child)) {
            let at = self.label(claim.key_span("lacks"));
            self.report(Problem::Contradiction {
                child: suggest::shown(child.as_str()),
                at,
            });
        }
        if claim.get("has").is_none() && claim.get("lacks").is_none() {
            self.claims_nothing(&claim, "registry", "give it `has` or `lacks`");
        }
        Some(Claim::Registry {
            at: at?,
            on: on?,
            has,
            lacks,
        })
    }

    fn claims_nothing(&mut self, table: &Table<'t>, claim: &'static str, needs: &'static str) {
        let at = self.label(table.span());
        self.report(Problem::ClaimsNothing { claim, needs, at });
    }

    fn entry(&mut self, table: &Table<'t>, value: &'t Value<'t>) -> Option<Claim> {
        let claim = self.open(value, &ENTRY)?;
        let (at, on) = self.place(table, &claim);
        let child = self.need(&claim, "child", Self::name).map(ChildId::new);
        let nodes = self.may(&claim, "nodes", Self::node_ids);
        let pids = self.may(&claim, "pids", Self::node_texts);
        let metadata = self.may(&claim, "metadata", Self::metadata);
        let first = self
            .may(&claim, "first", Self::node)
            .map(|node| self.node_id(node));
        let pids = pids.map(|pids| {
            pids.into_iter()
                .map(|(node, pid)| (node, Pid::new(pid)))
                .collect()
        });
        Some(Claim::Entry {
            at: at?,
            on: on?,
            child: child?,
            nodes,
            pids,
            metadata,
            first,
        })
    }

    fn oracle(&mut self, value: &'t Value<'t>) -> Option<String> {
        let name = self.text_as(value, "the name of an oracle")?;
        if oracle::NAMES.contains(&name) {
            return Some(name.to_owned());
        }
        let at = self.label(value.span());
        let help = suggest::help(name, oracle::NAMES.iter().copied());
        self.report(Problem::UnknownOracle {
            name: suggest::shown(name),
            at,
            help,
        });
        None
    }

    fn metric(&mut self, value: &'t Value<'t>) -> Option<Claim> {
        let table = self.open(value, &METRIC)?;
        let name = self.need(&table, "name", Self::metric_name);
        let bound = |reader: &mut Self, value: &'t Value<'t>| reader.count(value, 0);
        let (min, max) = (
            self.may(&table, "min", bound),
            self.may(&table, "max", bound),
        );
        if min.zip(max).is_some_and(|(min, max)| min > max) {
            let at = self.label(value.span());
            self.report(Problem::Disordered {
                smaller: "min",
                larger: "max",
                at,
            });
        }
        if table.get("min").is_none() && table.get("max").is_none() {
            self.claims_nothing(&table, "metric", "give it `min` or `max`");
        }
        Some(Claim::Metric {
            name: name?,
            min,
            max,
        })
    }

    fn metric_name(&mut self, value: &'t Value<'t>) -> Option<String> {
        let DeValue::String(name) = value.get_ref() else {
            self.wrong_type(value, "the name of a metric", None);
            return None;
        };
        let (base, kind) = name
            .split_once('.')
            .map_or((name.as_ref(), None), |(base, kind)| (base, Some(kind)));
        let known = metric::NAMES.contains(&base)
            && kind.is_none_or(|kind| !kind.is_empty() && metric::is_per_kind(base));
        if known {
            return Some(name.clone().into_owned());
        }
        let at = self.label(value.span());
        let help = match kind {
            Some(_) if metric::NAMES.contains(&base) => {
                Some(format!("`{base}` does not exist per kind of message"))
            }
            Some(_) | None => suggest::help(base, metric::NAMES.iter().copied()),
        };
        self.report(Problem::UnknownMetric {
            name: suggest::shown(name),
            at,
            help,
        });
        None
    }
}
