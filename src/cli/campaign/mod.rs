//! What a campaign leaves behind, and what is made of it.
//!
//! A campaign's directory, as `--out` writes it and `merge` joins it:
//!
//! | file | holds |
//! | --- | --- |
//! | `campaign.json` | what was asked for, and which shard of it this is: [`manifest`] |
//! | `results.ndjson` | a line per run: [`folder`] |
//! | `failures/` | a scenario file per group of failures, and its capsule |
//! | `junit.xml` | the same for CI systems: `report::junit` |
//!
//! [`hublab_sim::campaign`] adds records up; [`joined`] puts the directories of shards together, and
//! [`mod@known`] reads those of failures that are no news. [`account`] is what
//! reporters are given, and [`share`] reads `--shard`. Nothing here runs a strategy.
//!
//! [`manifest`]: hublab_sim::campaign::manifest

pub(super) mod account;
pub(super) mod folder;
pub(super) mod joined;
pub(super) mod known;
pub(super) mod place;
pub(super) mod share;
pub(super) mod words;
