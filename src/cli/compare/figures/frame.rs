//! What the figures with panels share: their places, the legend above them, their axes.

use super::scale::{Scale, label};
use crate::cli::svg::{Anchor, Image, TEXT, cut_to, look, width_of};

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

/// The ends of a panel's axes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    x: f64,
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

/// An image with a legend of these strategies, and the frames of so many panels.
pub(super) fn frames(strategies: &[String], panels: usize) -> (Image, Vec<Frame>) {
    let columns = panels.clamp(1, COLUMNS);
    let rows = panels.div_ceil(columns).max(1);
    let legend = legend_rows(strategies, columns as f64 * WIDTH);
    let legend_height = legend.len() as f64 * 1.5 * TEXT + 4.0;
    let mut image = Image::new(columns as f64 * WIDTH, rows as f64 * HEIGHT + legend_height);
    for (row, entries) in legend.iter().enumerate() {
        let y = (row as f64 + 1.0) * 1.5 * TEXT;
        for (x, strategy) in entries {
            let (colour, dashes) = look(*strategy);
            image.path(&[(*x, y - 3.0), (x + 20.0, y - 3.0)], colour, dashes);
            image.marker(*strategy, (x + 10.0, y - 3.0));
            image.text(x + 24.0, y, Anchor::Start, &strategies[*strategy]);
        }
    }
    let frame = |place: usize| {
        let x = (place % columns) as f64 * WIDTH;
        let y = (place / columns) as f64 * HEIGHT + legend_height;
        Frame {
            x,
            left: x + LEFT,
            right: x + WIDTH - RIGHT,
            top: y + TOP,
            bottom: y + HEIGHT - BOTTOM,
        }
    };
    (image, (0..panels).map(frame).collect())
}

/// Where the entries of the legend stand, row by row.
fn legend_rows(strategies: &[String], width: f64) -> Vec<Vec<(f64, usize)>> {
    let mut rows = vec![Vec::new()];
    let mut x = LEFT;
    for (place, name) in strategies.iter().enumerate() {
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

impl Frame {
    /// An axis for these values, upwards.
    pub(super) fn up(&self, values: impl Iterator<Item = f64> + Clone) -> Scale {
        Scale::new(values, self.bottom, self.top)
    }

    /// An axis for these values, to the right.
    pub(super) fn across(&self, values: impl Iterator<Item = f64> + Clone) -> Scale {
        Scale::new(values, self.left, self.right)
    }

    /// The panel's title, its axes, and the values beside the one that goes up.
    pub(super) fn draw(&self, image: &mut Image, title: &str, up: Scale, names: [&str; 2]) {
        let (left, right, top, bottom) = (self.left, self.right, self.top, self.bottom);
        let title = cut_to(title, WIDTH - LEFT);
        image.text(
            f64::midpoint(left, right),
            top - 14.0,
            Anchor::Middle,
            &title,
        );
        for tick in up.ticks() {
            let place = up.place(tick);
            image.line((left, place), (right, place), PALE, 0.5);
            image.text(left - 4.0, place + 2.8, Anchor::End, &label(tick));
        }
        image.line((left, bottom), (right, bottom), GREY, 0.7);
        image.line((left, top), (left, bottom), GREY, 0.7);
        let [of_right, of_up] = names;
        let (middle, below) = (f64::midpoint(left, right), bottom + 22.0);
        image.text(middle, below, Anchor::Middle, of_right);
        let (beside, middle) = (self.x + 9.0, f64::midpoint(top, bottom));
        image.upright(
            beside,
            middle,
            Anchor::Middle,
            &cut_to(of_up, HEIGHT - 10.0),
        );
    }

    /// The values below the axis that goes to the right.
    pub(super) fn ticks_below(&self, image: &mut Image, across: Scale) {
        for tick in across.ticks() {
            let place = across.place(tick);
            image.line((place, self.top), (place, self.bottom), PALE, 0.5);
            // The last one stays within the image.
            let shown = label(tick);
            let middle = place.min(self.right + RIGHT - width_of(&shown) / 2.0);
            image.text(middle, self.bottom + 10.0, Anchor::Middle, &shown);
        }
    }
}
