//! How soon changes are seen: the share of them that observers showed within a time. A panel per cell, a
//! line per strategy.

use hublab_sim::watch::measure::Times;

use super::frame::frames;
use crate::cli::svg::look;

/// Shares, 0 to 1, at each of [`Times::CURVE_US`].
pub(super) type Curve = [f64; Times::CURVE_US.len()];

/// A figure of curves.
#[derive(Debug)]
pub(super) struct Curves {
    pub(super) strategies: Vec<String>,
    /// By cell: its title, and the curve of each strategy that has one.
    pub(super) panels: Vec<(String, Vec<Option<Curve>>)>,
}

/// The times of a curve, in milliseconds.
fn milliseconds() -> impl Iterator<Item = f64> + Clone {
    let ms = |us: u64| std::time::Duration::from_micros(us).as_secs_f64() * 1_000.0;
    Times::CURVE_US.into_iter().map(ms)
}

impl Curves {
    /// The image: time on a logarithmic axis, the share from 0 to 1. A curve that ends below 1 belongs to
    /// changes that were never seen.
    pub(super) fn svg(&self) -> String {
        let (mut image, all) = frames(&self.strategies, self.panels.len());
        for ((title, curves), frame) in self.panels.iter().zip(all) {
            let (across, up) = (
                frame.across(milliseconds()),
                frame.up([0.0, 1.0].into_iter()),
            );
            frame.ticks_below(&mut image, across);
            let names = ["propagation (ms)", "share of changes"];
            frame.draw(&mut image, title, up, names);
            for (strategy, curve) in curves.iter().enumerate() {
                let Some(curve) = curve else { continue };
                let (colour, dashes) = look(strategy);
                let places = milliseconds().zip(curve);
                let points: Vec<(f64, f64)> = places
                    .map(|(time, share)| (across.place(time), up.place(*share)))
                    .collect();
                image.path(&points, colour, dashes);
                // One mark where half of the changes are seen, and one at the end.
                let half = curve.iter().position(|share| *share >= 0.5);
                let last = points.len().checked_sub(1);
                for place in half.into_iter().chain(last) {
                    image.marker(strategy, points[place]);
                }
            }
        }
        image.finish()
    }

    /// The numbers of the image.
    pub(super) fn csv(&self, field: impl Fn(&str) -> String) -> String {
        let mut text = "cell,strategy,within_us,share\n".to_owned();
        for (title, curves) in &self.panels {
            for (strategy, curve) in curves.iter().enumerate() {
                let (cell, name) = (field(title), field(&self.strategies[strategy]));
                for (time, share) in Times::CURVE_US.iter().zip(curve.iter().flatten()) {
                    text.push_str(&format!("{cell},{name},{time},{share}\n"));
                }
            }
        }
        text
    }
}
