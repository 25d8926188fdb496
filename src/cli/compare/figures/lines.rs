//! Values over one varied key: a panel per combination of everything else, a line per strategy.

use super::scale::{Scale, label};
use crate::cli::svg::{Anchor, Image, TEXT, cut_to, look, width_of};

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

/// The width of a panel is that of a paper's column, or half of a page.
const WIDTH: f64 = 245.0;
const HEIGHT: f64 = 158.0;
const COLUMNS: usize = 2;
const LEFT: f64 = 48.0;
const RIGHT: f64 = 8.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 30.0;
const GREY: &str = "#888888";
const PALE: &str = "#E4E4E4";

impl Lines {
    /// The image. Panels share their axes. A value that most runs are missing stands as an open
    /// mark at the upper edge.
    pub(super) fn svg(&self) -> String {
        let columns = self.panels.len().clamp(1, COLUMNS);
        let rows = self.panels.len().div_ceil(columns).max(1);
        let legend = self.legend_rows(columns as f64 * WIDTH);
        let legend_height = legend.len() as f64 * 1.5 * TEXT + 4.0;
        let mut image = Image::new(columns as f64 * WIDTH, rows as f64 * HEIGHT + legend_height);
        for (row, entries) in legend.iter().enumerate() {
            let y = (row as f64 + 1.0) * 1.5 * TEXT;
            for (x, strategy) in entries {
                let (colour, dashes) = look(*strategy);
                image.path(&[(*x, y - 3.0), (x + 20.0, y - 3.0)], colour, dashes);
                image.marker(*strategy, (x + 10.0, y - 3.0));
                image.text(x + 24.0, y, Anchor::Start, &self.strategies[*strategy]);
            }
        }
        let points = self
            .panels
            .iter()
            .flat_map(|panel| panel.points.iter().flatten().flatten());
        let values = points
            .flat_map(|point| point.all())
            .filter(|value| value.is_finite());
        let values: Vec<f64> = values.collect();
        for (place, panel) in self.panels.iter().enumerate() {
            let x = (place % columns) as f64 * WIDTH;
            let y = (place / columns) as f64 * HEIGHT + legend_height;
            let scale = Scale::new(values.iter().copied(), y + HEIGHT - BOTTOM, y + TOP);
            self.panel(&mut image, panel, x, y, scale);
        }
        image.finish()
    }

    /// Where the entries of the legend stand, row by row.
    fn legend_rows(&self, width: f64) -> Vec<Vec<(f64, usize)>> {
        let mut rows = vec![Vec::new()];
        let mut x = LEFT;
        for (place, name) in self.strategies.iter().enumerate() {
            let wide = 36.0 + width_of(name);
            if x + wide > width && x > LEFT {
                rows.push(Vec::new());
                x = LEFT;
            }
            if let Some(row) = rows.last_mut() {
                row.push((x, place));
            }
            x += wide;
        }
        rows
    }

    fn panel(&self, image: &mut Image, panel: &Panel, x: f64, y: f64, scale: Scale) {
        let (left, right) = (x + LEFT, x + WIDTH - RIGHT);
        let (top, bottom) = (y + TOP, y + HEIGHT - BOTTOM);
        let title = cut_to(&panel.title, WIDTH - LEFT);
        image.text(f64::midpoint(left, right), y + 10.0, Anchor::Middle, &title);
        for tick in scale.ticks() {
            let place = scale.place(tick);
            image.line((left, place), (right, place), PALE, 0.5);
            image.text(left - 4.0, place + 2.8, Anchor::End, &label(tick));
        }
        image.line((left, bottom), (right, bottom), GREY, 0.7);
        image.line((left, top), (left, bottom), GREY, 0.7);
        let step = (right - left) / self.values.len().max(1) as f64;
        let across = |value: usize| left + (value as f64 + 0.5) * step;
        for (place, value) in self.values.iter().enumerate() {
            let shown = cut_to(value, step - 2.0);
            image.text(across(place), bottom + 10.0, Anchor::Middle, &shown);
        }
        image.text(
            f64::midpoint(left, right),
            bottom + 22.0,
            Anchor::Middle,
            &self.key,
        );
        let measure = cut_to(&self.measure, HEIGHT - 10.0);
        image.upright(
            x + 9.0,
            f64::midpoint(top, bottom),
            Anchor::Middle,
            &measure,
        );
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
                image.text(at, top - 2.0, Anchor::Middle, "×");
                image.marker(strategy, (at + 5.0, top - 5.0));
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
