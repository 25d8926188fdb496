//! What a campaign leaves behind, and what is made of it.
//!
//! A campaign's directory, as `--out` writes it and `merge` joins it:
//!
//! | file | holds |
//! | --- | --- |
//! | `campaign.json` | what was asked for, and which shard of it this is: [`manifest`] |
//! | `results.ndjson` | a line per run: [`folder`] |
//! | `failures/` | a scenario file per group of failures, and its capsule |
//! | `junit.xml` | the same for CI systems: [`junit`] |
//!
//! [`hublab_sim::campaign`] adds records up; [`joined`] puts the directories of shards together, and
//! [`mod@known`] reads those of failures that are no news. [`account`] is what all renderers are
//! given: [`summary`] for people, [`junit`], and [`github`]. Nothing here runs a strategy.
//!
//! [`manifest`]: hublab_sim::campaign::manifest

pub(super) mod account;
pub(super) mod folder;
pub(super) mod github;
pub(super) mod joined;
pub(super) mod junit;
pub(super) mod known;
mod place;
pub(super) mod summary;
pub(super) mod words;
