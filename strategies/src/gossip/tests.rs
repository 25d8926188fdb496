//! Step tests of Gossip.
