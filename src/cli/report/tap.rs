//! Runs as points of the Test Anything Protocol, version 14.

use hublab_sim::campaign::record::Record;
use hublab_sim::watch::judge::Verdict;
use hublab_strategies::Time;

use super::{Reporter, Run, Setting, Target, Totals};
use crate::cli::campaign::words::in_words;
use crate::cli::{Context, Stop};

/// How many points have been written; the plan follows them.
#[derive(Default)]
struct Tap(u64);

pub(super) fn make(_setting: Setting, _context: &Context) -> Box<dyn Reporter> {
    Box::<Tap>::default()
}

impl Tap {
    fn begin(&self, to: &mut Target) -> Result<(), Stop> {
        if self.0 == 0 {
            to.line("TAP version 14")?;
        }
        Ok(())
    }
}

impl Reporter for Tap {
    fn run(&mut self, run: &Run<'_>, to: &mut Target) -> Result<(), Stop> {
        self.begin(to)?;
        self.0 += 1;
        to.text(&point(self.0, run.record))
    }

    fn close(&mut self, _totals: &Totals<'_>, to: &mut Target) -> Result<(), Stop> {
        self.begin(to)?;
        to.line(format!("1..{}", self.0))
    }

    fn wants_runs(&self) -> bool {
        true
    }
}

/// The point of a run, and what failed in it as YAML.
fn point(number: u64, record: &Record) -> String {
    let (word, directive) = if record.verdict == Verdict::Pass {
        ("ok", "")
    } else if record.verdict == Verdict::Inconclusive {
        ("ok", " # SKIP inconclusive")
    } else if record.expected {
        ("not ok", " # TODO known to fail")
    } else {
        ("not ok", "")
    };
    let Record {
        scenario,
        strategy,
        seed,
        ..
    } = record;
    let name = escaped(&format!("{scenario} ({strategy}, seed {seed})"));
    let mut text = format!("{word} {number} - {name}{directive}\n");
    if word == "ok" {
        return text;
    }
    text += &format!("  ---\n  run: {}\n", in_words(record.verdict));
    if let Some(note) = &record.note {
        text += &format!("  note: {}\n", quoted(note));
    }
    if !record.findings.is_empty() {
        text += "  failures:\n";
    }
    for finding in &record.findings {
        for (key, value) in [
            ("  - what", finding.signature.to_string()),
            ("    at", Time(finding.at_us).to_string()),
            ("    detail", finding.detail.clone()),
        ] {
            text += &format!("  {key}: {}\n", quoted(&value));
        }
    }
    text + "  ...\n"
}

/// A description in which nothing begins a directive.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('#', "\\#")
}

/// A text as YAML takes it: a string of JSON is one.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_run_says_what_failed_and_an_open_one_is_skipped() {
        let of = |verdict| Record::bare("a#1.toml", "gossip", 7, verdict);
        assert_eq!(
            point(1, &of(Verdict::Pass)),
            "ok 1 - a\\#1.toml (gossip, seed 7)\n"
        );
        assert_eq!(
            point(2, &of(Verdict::Inconclusive)),
            "ok 2 - a\\#1.toml (gossip, seed 7) # SKIP inconclusive\n"
        );
        let lost = Record {
            note: Some("signal 9\nstack overflow".to_owned()),
            ..of(Verdict::WorkerLost)
        };
        assert_eq!(
            point(3, &lost),
            "not ok 3 - a\\#1.toml (gossip, seed 7)\n  ---\n  run: ended its worker process\n  \
             note: \"signal 9\\nstack overflow\"\n  ...\n"
        );
        let known = Record {
            expected: true,
            ..of(Verdict::Fail)
        };
        assert!(
            point(4, &known).starts_with("not ok 4 - a\\#1.toml (gossip, seed 7) # TODO known")
        );
    }
}
