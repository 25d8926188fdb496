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
//! [`shard`] says which seeds are a process's own, [`tally`] adds records up, and [`joined`] puts
//! shards together; [`known`] has the failures that are no news. [`account`] is what all renderers
//! are given: [`summary`] for people, [`junit`], and [`github`]. Nothing here runs a strategy.

pub(super) mod account;
pub(super) mod folder;
pub(super) mod github;
pub(super) mod joined;
pub(super) mod junit;
pub(super) mod known;
pub(super) mod manifest;
mod place;
pub(super) mod shard;
pub(super) mod summary;
pub(super) mod tally;
