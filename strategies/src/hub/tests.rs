//! Step tests of the hub.
