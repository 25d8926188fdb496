//! The contract of scenario files, sentence by sentence, against the trace of real runs.
//!
//! Times in these tests are exact: the latency is constant (5 ms) unless a test is about chance.

mod boot;
mod chance;
mod claims;
mod clocks;
mod connections;
mod expectations;
mod inflight;
mod lab;
mod measures;
mod network;
mod patterns;
mod pause;
mod simulation;
mod steps;
