//! A trace as pictures, and as input for tools that draw.
//!
//! | module | draws |
//! | --- | --- |
//! | [`diagram`] | the space-time diagram, as SVG for a paper |
//! | [`axis`] | time, with idle stretches folded |
//! | [`perfetto`] | tracks, slices, flows and counters, for Perfetto |
//! | [`shiviz`] | a log with vector clocks, for ShiViz |
//! | [`graph`] | the causes and effects of one event, for Graphviz |

mod axis;
pub(super) mod diagram;
pub(super) mod graph;
pub(super) mod perfetto;
pub(super) mod shiviz;
