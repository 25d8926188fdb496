//! Campaigns: many seeds, what fails in them, and which failures are the same.

pub mod record;
pub mod signature;
