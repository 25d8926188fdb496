//! Failures that are no news.
//!
//! A failure is known by its fingerprint: the names of the files in a campaign's `failures`. Runs
//! that were not shrunk go by what they look like: they are known if every shrunk failure is that has
//! their signature and looked like the same anomaly, or like none. Or it is known by the name of an anomaly of its strategy, `gossip:A5`; of a run that was
//! not shrunk, the anomaly that it looks like counts. Which failures of a campaign are news, says its
//! [`Summary`].
//!
//! A file of them says why each is none, and until when:
//!
//! ```toml
//! [[known]]
//! name = "A5"
//! strategy = "gossip"
//! reason = "rows of departed nodes, as in the original"
//!
//! [[known]]
//! fingerprint = "pubsub-convergence-ghost-8d1a2f3c"
//! reason = "waits for the new join protocol"
//! until = 2027-01-31
//! ```

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::value::Datetime;

use super::summary::Summary;
use crate::catalog::Catalog;

/// Fingerprints of known failures, and `STRATEGY:NAME` of known anomalies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Known(BTreeSet<String>);

/// A day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day {
    /// The year.
    pub year: u16,
    /// The month, from 1.
    pub month: u8,
    /// The day of the month, from 1.
    pub day: u8,
}

impl Day {
    /// The day of that many days after 1 January 1970, in UTC.
    #[must_use]
    pub fn of_unix_days(days: u64) -> Self {
        // Eras of 400 years, from 1 March 2000 minus 2,000 years: leap days come last in each year.
        let days = days + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 {
            month_from_march + 3
        } else {
            month_from_march - 9
        };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        Self {
            year: u16::try_from(year).unwrap_or(u16::MAX),
            month: u8::try_from(month).unwrap_or_default(),
            day: u8::try_from(day).unwrap_or_default(),
        }
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// Why a text is no list of known failures.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KnownError {
    /// It is not TOML, or has other keys.
    #[error("{0}")]
    Toml(String),
    /// An entry has both a name and a fingerprint, or neither.
    #[error("line {0}: give either `name`, with `strategy`, or `fingerprint`")]
    Which(usize),
    /// A name without a strategy.
    #[error("line {0}: an anomaly's name needs its `strategy`")]
    NoStrategy(usize),
    /// No reason.
    #[error("line {0}: `reason` is empty: say why this is no news")]
    NoReason(usize),
    /// A time of day, or no date.
    #[error("line {0}: `until` is a day, as 2027-01-31")]
    NoDay(usize),
    /// The strategy does not know such an anomaly.
    #[error("line {line}: {reason}")]
    Unknown {
        /// The line.
        line: usize,
        /// The error in the name or the strategy.
        reason: UnknownAnomaly,
    },
}

/// A name that stands for no anomaly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnknownAnomaly {
    /// It is not a strategy and a name.
    #[error("`{0}` is no anomaly: write its strategy and its name, as STRATEGY:A5")]
    Malformed(String),
    /// There is no such strategy.
    #[error("there is no strategy `{strategy}`; strategies are {known}")]
    Strategy {
        /// The name that no strategy has.
        strategy: String,
        /// The names of all strategies, separated by commas.
        known: String,
    },
    /// The strategy has no anomaly of that name.
    #[error("`{strategy}` has no anomaly `{name}`: see `hublab list anomalies`")]
    Name {
        /// The strategy.
        strategy: String,
        /// The id that none of its anomalies has.
        name: String,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    known: Vec<Spanned<Line>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    name: Option<String>,
    fingerprint: Option<String>,
    strategy: Option<String>,
    reason: String,
    until: Option<Datetime>,
}

/// Known failures of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KnownFile {
    /// Those that count.
    pub known: Known,
    /// Those whose day has passed: what they are, and the day.
    pub expired: Vec<(String, Day)>,
}

/// `STRATEGY:NAME`, if the catalog has both.
fn key(strategy: &str, name: &str, catalog: &Catalog) -> Result<String, UnknownAnomaly> {
    if catalog.anomaly(strategy, name).is_some() {
        return Ok(format!("{strategy}:{name}"));
    }
    let strategy = strategy.to_owned();
    Err(match catalog.get(&strategy) {
        None => UnknownAnomaly::Strategy {
            strategy,
            known: catalog.names().join(", "),
        },
        Some(_) => UnknownAnomaly::Name {
            strategy,
            name: name.to_owned(),
        },
    })
}

impl KnownFile {
    /// Reads the text of a file; `today` decides which entries still count.
    ///
    /// # Errors
    /// It is none.
    pub fn read(text: &str, today: Day, catalog: &Catalog) -> Result<Self, KnownError> {
        let file: File =
            toml::from_str(text).map_err(|error| KnownError::Toml(error.to_string()))?;
        let mut read = Self::default();
        for entry in file.known {
            let line = text[..entry.span().start].matches('\n').count() + 1;
            let entry = entry.into_inner();
            if entry.reason.trim().is_empty() {
                return Err(KnownError::NoReason(line));
            }
            let what = match (entry.name, entry.fingerprint, entry.strategy) {
                (Some(name), None, Some(strategy)) => key(&strategy, &name, catalog)
                    .map_err(|reason| KnownError::Unknown { line, reason })?,
                (Some(_), None, None) => return Err(KnownError::NoStrategy(line)),
                (None, Some(fingerprint), _) => fingerprint,
                (Some(_), Some(_), _) | (None, None, _) => return Err(KnownError::Which(line)),
            };
            let until = match entry.until {
                None => None,
                Some(Datetime {
                    date: Some(date),
                    time: None,
                    offset: None,
                }) => Some(Day {
                    year: date.year,
                    month: date.month,
                    day: date.day,
                }),
                Some(_) => return Err(KnownError::NoDay(line)),
            };
            match until.filter(|day| *day < today) {
                Some(day) => read.expired.push((what, day)),
                None => drop(read.known.0.insert(what)),
            }
        }
        Ok(read)
    }
}

impl Known {
    /// Failures with these fingerprints.
    #[must_use]
    pub fn new(fingerprints: impl IntoIterator<Item = String>) -> Self {
        Self(fingerprints.into_iter().collect())
    }

    /// An anomaly of a strategy, as `gossip:A5`.
    ///
    /// # Errors
    /// There is none.
    pub fn anomaly(text: &str, catalog: &Catalog) -> Result<Self, UnknownAnomaly> {
        let parts = text.split_once(':');
        let (strategy, name) = parts.ok_or_else(|| UnknownAnomaly::Malformed(text.to_owned()))?;
        key(strategy, name, catalog).map(|key| Self::new([key]))
    }

    /// These and those.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// True if an anomaly of a strategy is known by its name.
    #[must_use]
    pub fn has_anomaly(&self, strategy: &str, name: &str) -> bool {
        self.0.contains(&format!("{strategy}:{name}"))
    }

    /// Those that are known to all; none if there are none. What only some shards of a campaign
    /// were told is news to the others.
    #[must_use]
    pub fn to_all<'a>(all: impl IntoIterator<Item = &'a Self>) -> Self {
        let all = all.into_iter().map(|known| known.0.clone());
        Self(all.reduce(|some, more| &some & &more).unwrap_or_default())
    }

    /// True if nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if a failure is.
    #[must_use]
    pub fn has(&self, fingerprint: &str) -> bool {
        self.0.contains(fingerprint)
    }

    /// Those that a campaign met, and those that it did not.
    #[must_use]
    pub fn split(&self, summary: &Summary) -> (Vec<&str>, Vec<&str>) {
        let mut met: BTreeSet<String> = BTreeSet::new();
        for group in summary.groups().all() {
            met.extend(group.fingerprints.iter().map(|&one| one.to_owned()));
            let anomaly = group.key.what.anomaly();
            met.extend(anomaly.map(|name| format!("{}:{name}", group.key.strategy)));
        }
        let known = self.0.iter().map(String::as_str);
        known.partition(|one| met.contains(*one))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::record::tests::shrunk;

    fn known(fingerprints: &[&str]) -> Known {
        Known::new(fingerprints.iter().copied().map(str::to_owned))
    }

    #[test]
    fn known_failures_that_are_not_met_are_named() {
        let mut met = Summary::new(&(0..9)).knowing(known(&["f", "g"]));
        met.add(&shrunk("pubsub", 1, "f"));
        assert_eq!(met.known.split(&met), (vec!["f"], vec!["g"]));
    }

    const TODAY: Day = Day {
        year: 2026,
        month: 11,
        day: 28,
    };

    fn read(text: &str) -> Result<KnownFile, KnownError> {
        KnownFile::read(text, TODAY, &Catalog::default())
    }

    #[test]
    fn a_file_names_failures_with_reason_and_day() {
        let text = "[[known]]\nname = 'A5'\nstrategy = 'gossip'\nreason = 'as in the original'\n\
            [[known]]\nfingerprint = 'f'\nreason = 'soon'\nuntil = 2026-11-28\n\
            [[known]]\nfingerprint = 'g'\nreason = 'was soon'\nuntil = 2026-11-27\n";
        let file = read(text).expect("a file");
        assert_eq!(file.known, known(&["gossip:A5", "f"]));
        let [(what, day)] = &file.expired[..] else {
            panic!("{file:?}");
        };
        assert_eq!(
            (what.as_str(), day.to_string().as_str()),
            ("g", "2026-11-27")
        );
        assert_eq!(read(""), Ok(KnownFile::default()));
    }

    #[test]
    fn what_is_wrong_in_a_file_is_told_with_its_line() {
        let good = "[[known]]\nfingerprint = 'f'\nreason = 'r'\n";
        for (entry, word) in [
            ("reason = 'r'", "either `name`"),
            (
                "name = 'A5'\nfingerprint = 'f'\nreason = 'r'",
                "either `name`",
            ),
            ("name = 'A5'\nreason = 'r'", "needs its `strategy`"),
            ("fingerprint = 'f'\nreason = ' '", "say why"),
            (
                "name = 'A5'\nstrategy = 'gosip'\nreason = 'r'",
                "no strategy `gosip`",
            ),
            (
                "name = 'A99'\nstrategy = 'gossip'\nreason = 'r'",
                "no anomaly `A99`",
            ),
            (
                "fingerprint = 'f'\nreason = 'r'\nuntil = 2026-11-28T10:00:00Z",
                "is a day",
            ),
        ] {
            let error = read(&format!("{good}[[known]]\n{entry}\n")).expect_err(entry);
            let text = error.to_string();
            assert!(
                text.starts_with("line 4: ") && text.contains(word),
                "{text}"
            );
        }
        for (text, word) in [
            ("[[known]]\nfingerprint = 'f'\n", "reason"),
            (
                "[[known]]\nfingerprint = 'f'\nreason = 'r'\nuntill = 1\n",
                "untill",
            ),
            ("[known", "TOML"),
        ] {
            let error = read(text).expect_err(text).to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn days_are_counted_as_the_calendar_does() {
        for (days, day) in [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (789, "1972-02-29"),
            (11_016, "2000-02-29"),
            (20_785, "2026-11-28"),
        ] {
            assert_eq!(Day::of_unix_days(days).to_string(), day);
        }
    }

    #[test]
    fn an_anomaly_is_known_by_its_name_shrunk_or_not() {
        let catalog = Catalog::default();
        let mut known = Known::anomaly("pubsub:A2", &catalog).expect("an anomaly");
        for bad in ["A2", "pubsub:A99", "nobody:A2"] {
            assert!(Known::anomaly(bad, &catalog).is_err(), "{bad}");
        }
        known.extend(Known::anomaly("gossip:A2", &catalog).expect("an anomaly"));
        let mut named = shrunk("pubsub", 1, "f");
        named.findings[0].anomaly = Some("A2".to_owned());
        let mut hinted = shrunk("pubsub", 2, "f");
        hinted.findings[0].fingerprint = None;
        hinted.findings[0].hint = Some("A2".to_owned());
        let mut other = hinted.clone();
        other.findings[0].hint = Some("A5".to_owned());
        let mut summary = Summary::new(&(0..9)).knowing(known.clone());
        for record in [&named, &hinted, &other] {
            summary.add(record);
        }
        let groups = summary.groups();
        assert_eq!(groups.known[0].runs, 2);
        assert_eq!((groups.known.len(), groups.news.len()), (1, 1));
        assert_eq!(
            known.split(&summary),
            (vec!["pubsub:A2"], vec!["gossip:A2"])
        );
    }

    #[test]
    fn what_one_shard_was_not_told_is_not_known() {
        let (one, other) = (known(&["f", "g"]), known(&["g", "h"]));
        assert_eq!(Known::to_all([&one, &other]), known(&["g"]));
        assert_eq!(Known::to_all([&one, &Known::default()]), Known::default());
        assert_eq!(Known::to_all([]), Known::default());
    }
}
