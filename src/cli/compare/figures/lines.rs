//! Values over one varied key: a panel per combination of everything else, a line per strategy.

use super::frame::{Frame, frames};
use super::scale::Scale;
use crate::cli::svg::{Anchor, Image, cut_to, look};

/// A figure of lines.
#[derive(Debug)]
pub(super) struct Lines {
    /// The varied key.
    pub(super) key: String,
    pub(super) values: Vec<String>,
    /// The metric and its unit.
    pub(super) measure: String,
    pub(super) strategies: Vec<String>,
    pub(super) panels: Vec<Panel>,
}

/// One panel.
#[derive(Debug)]
pub(super) struct Panel {
    pub(super) title: String,
    /// By strategy and value; `None` where nothing was measured.
    pub(super) points: Vec<Vec<Option<Point>>>,
}

/// A median and its interval; infinite where values are missing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    pub(super) value: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Point {
    fn all(self) -> [f64; 3] {
        [self.value, self.low, self.high]
    }
}

impl Lines {
    /// The image. Panels share their axes. A value that most runs are missing stands as an open
    /// mark at the upper edge.
    pub(super) fn svg(&self) -> String {
        let (mut image, all) = frames(&self.strategies, self.panels.len());
        let points = self
            .panels
            .iter()
            .flat_map(|panel| panel.points.iter().flatten().flatten());
        let values = points
            .flat_map(|point| point.all())
            .filter(|value| value.is_finite());
        let values: Vec<f64> = values.collect();
        for (panel, frame) in self.panels.iter().zip(all) {
            let scale = frame.up(values.iter().copied());
            self.panel(&mut image, panel, frame, scale);
        }
        image.finish()
    }

    fn panel(&self, image: &mut Image, panel: &Panel, frame: Frame, scale: Scale) {
        frame.draw(image, &panel.title, scale, [&self.key, &self.measure]);
        let step = (frame.right - frame.left) / self.values.len().max(1) as f64;
        let across = |value: usize| frame.left + (value as f64 + 0.5) * step;
        for (place, value) in self.values.iter().enumerate() {
            let (shown, below) = (cut_to(value, step - 2.0), frame.bottom + 10.0);
            image.text(across(place), below, Anchor::Middle, &shown);
        }
        for (strategy, points) in panel.points.iter().enumerate() {
            let (colour, dashes) = look(strategy);
            // Lines and bands break where a value is missing.
            let known = |point: &Option<Point>| point.is_some_and(|point| point.value.is_finite());
            let places: Vec<(usize, Option<Point>)> = points.iter().copied().enumerate().collect();
            for run in places.split(|(_, point)| !known(point)) {
                let run: Vec<(usize, Point)> = run
                    .iter()
                    .filter_map(|(value, point)| Some((*value, (*point)?)))
                    .collect();
                let lower = run
                    .iter()
                    .map(|(value, point)| (across(*value), scale.place(point.low)));
                let upper = run
                    .iter()
                    .map(|(value, point)| (across(*value), scale.place(point.high)));
                let band: Vec<(f64, f64)> = lower.chain(upper.rev()).collect();
                if run.len() > 1 {
                    image.band(&band, colour);
                }
                let middle: Vec<(f64, f64)> = run
                    .iter()
                    .map(|(value, point)| (across(*value), scale.place(point.value)))
                    .collect();
                image.path(&middle, colour, dashes);
                for ((value, point), middle) in run.iter().zip(&middle) {
                    let ends =
                        [point.low, point.high].map(|end| (across(*value), scale.place(end)));
                    image.line(ends[0], ends[1], colour, 0.8);
                    image.marker(strategy, *middle);
                }
            }
            let missing = places
                .iter()
                .filter(|(_, point)| point.is_some() && !known(point));
            for (value, _) in missing {
                // Beside one another, as several may be missing at one value.
                let at =
                    across(*value) + (strategy as f64 - 0.5 * self.strategies.len() as f64) * 7.0;
                image.text(at, frame.top - 2.0, Anchor::Middle, "×");
                image.marker(strategy, (at + 5.0, frame.top - 5.0));
            }
        }
    }

    /// The numbers of the image.
    pub(super) fn csv(&self, field: impl Fn(&str) -> String) -> String {
        let mut text = format!("panel,strategy,{},median,low,high\n", field(&self.key));
        for panel in &self.panels {
            for (strategy, points) in panel.points.iter().enumerate() {
                for (value, point) in points.iter().enumerate() {
                    let numbers =
                        point.map_or([f64::NAN; 3], |point| [point.value, point.low, point.high]);
                    let numbers = numbers.map(|number| match number.is_finite() {
                        true => number.to_string(),
                        false => String::new(),
                    });
                    text.push_str(&format!(
                        "{},{},{},{}\n",
                        field(&panel.title),
                        field(&self.strategies[strategy]),
                        field(&self.values[value]),
                        numbers.join(",")
                    ));
                }
            }
        }
        text
    }
}
