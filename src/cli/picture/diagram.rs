//! The space-time diagram as SVG: time runs to the right, each node has a lane, messages are lines from
//! send to delivery.

use std::collections::BTreeSet;

use hublab_sim::model::NodeIx;
use hublab_sim::trace::diagram::{Diagram, Flight, FlightEnd};
use hublab_strategies::Time;

use super::axis::Axis;
use crate::cli::svg::{Anchor, Image, TEXT, cut_to, look, width_of};

/// The width of a page, in points; idle stretches beyond [`FOLDS`] make the picture wider.
const WIDTH: f64 = 505.0;
const FOLDS: usize = 10;
const PER_FOLD: f64 = 42.0;
const WIDEST: f64 = 4_000.0;
const LANE: f64 = 36.0;
const NAMES_MAX: f64 = 110.0;
/// Room for the words of steps, which stand upright.
const STEPS: f64 = 86.0;
const GREY: &str = "#777777";
const SHADE: &str = "#D9D9D9";
const PAUSE: &str = "#EFEFEF";
const BLACK: &str = "#000000";
/// Reasons are written beside losses as long as there are not more than these.
const REASONS_MAX: usize = 40;
/// How far a lost message is drawn.
const LOST_AFTER: f64 = 0.4;

/// A finding to be marked.
#[derive(Debug)]
pub(in crate::cli) struct Flag {
    pub(in crate::cli) at: Time,
    pub(in crate::cli) node: String,
    pub(in crate::cli) text: String,
}

/// The diagram as an SVG file.
pub(in crate::cli) fn svg(diagram: &Diagram, title: &str, flags: &[Flag]) -> String {
    let name = |node| diagram.names.node(node).unwrap_or("?");
    let widest = diagram.lanes.iter().map(|node| width_of(name(*node)));
    let left = widest.fold(0.0, f64::max).min(NAMES_MAX) + 14.0;
    let mut wide = WIDTH;
    let axis = Axis::new(
        instants(diagram, flags),
        usual(diagram),
        left + 4.0,
        |folds| {
            wide += folds.saturating_sub(FOLDS) as f64 * PER_FOLD;
            wide = wide.min(WIDEST);
            wide - left - 18.0
        },
    );
    let legend = legend(diagram, wide - left);
    let steps = if diagram.steps.is_empty() { 8.0 } else { STEPS };
    let top = 2.0 * TEXT + legend.len() as f64 * 1.5 * TEXT + steps;
    let bottom = top + diagram.lanes.len() as f64 * LANE;
    let mut picture = Picture {
        image: Image::new(wide, bottom + 3.0 * TEXT),
        axis,
        diagram,
        span: (left, wide - 6.0),
        rows: (top, bottom),
    };
    picture
        .image
        .text(2.0, 1.4 * TEXT, Anchor::Start, &cut_to(title, wide));
    picture.legend(&legend);
    picture.lanes();
    picture.steps();
    picture.messages();
    picture.changes();
    picture.flags(flags);
    picture.times();
    picture.image.finish()
}

/// The median time of flight: what the axis must show.
fn usual(diagram: &Diagram) -> u64 {
    let flights = diagram
        .messages
        .iter()
        .filter_map(|flight| match flight.end {
            FlightEnd::Delivered(at) => Some(at.since(flight.sent)),
            FlightEnd::Dropped(..) | FlightEnd::UnderWay => None,
        });
    let mut flights: Vec<u64> = flights.filter(|took| *took > 0).collect();
    flights.sort_unstable();
    let window = diagram.window.1.since(diagram.window.0);
    flights
        .get(flights.len() / 2)
        .copied()
        .unwrap_or(window / 50)
}

/// Every instant at which something is drawn.
fn instants(diagram: &Diagram, flags: &[Flag]) -> Vec<u64> {
    let (from, to) = diagram.window;
    let messages = diagram.messages.iter();
    let ends = messages.clone().filter_map(|flight| flight.end.at());
    let stretches = diagram.stretches.iter().flat_map(|it| [it.from, it.to]);
    let all = messages.map(|flight| flight.sent);
    let all = all.chain(ends).chain(stretches).chain([from, to]);
    let all = all.chain(diagram.rows.iter().map(|row| row.at));
    let all = all.chain(diagram.steps.iter().map(|(at, _)| *at));
    let all = all.chain(flags.iter().map(|flag| flag.at));
    all.map(|at| at.clamp(from, to).0).collect()
}

/// The kinds of messages in rows as wide as the picture, each with its place among all.
fn legend(diagram: &Diagram, width: f64) -> Vec<Vec<(f64, Sign)>> {
    let kinds: BTreeSet<u8> = diagram.messages.iter().map(|flight| flight.kind).collect();
    let mut signs: Vec<Sign> = kinds.into_iter().map(Sign::Kind).collect();
    let has = |end: fn(&FlightEnd) -> bool| diagram.messages.iter().any(|flight| end(&flight.end));
    if has(|end| matches!(end, FlightEnd::Dropped(..))) {
        signs.push(Sign::Lost);
    }
    if diagram.rows.iter().any(|row| row.has_entries) {
        signs.push(Sign::Put);
    }
    if diagram.rows.iter().any(|row| !row.has_entries) {
        signs.push(Sign::Removed);
    }
    let mut rows: Vec<Vec<(f64, Sign)>> = Vec::new();
    let mut x = f64::INFINITY;
    for sign in signs {
        let wide = 30.0 + width_of(sign.words(diagram));
        if x + wide > width {
            rows.push(Vec::new());
            x = 0.0;
        }
        if let Some(row) = rows.last_mut() {
            row.push((x, sign));
        }
        x += wide;
    }
    rows
}

/// What the legend explains.
#[derive(Debug, Clone, Copy)]
enum Sign {
    Kind(u8),
    Lost,
    Put,
    Removed,
}

impl Sign {
    fn words(self, diagram: &Diagram) -> &str {
        match self {
            Self::Kind(kind) => diagram.names.kind(kind).unwrap_or("?"),
            Self::Lost => "lost",
            Self::Put => "row put or changed",
            Self::Removed => "row removed",
        }
    }
}

struct Picture<'d> {
    image: Image,
    axis: Axis,
    diagram: &'d Diagram,
    /// Left and right of the lanes.
    span: (f64, f64),
    /// Top and bottom of the lanes.
    rows: (f64, f64),
}

impl Picture<'_> {
    fn legend(&mut self, rows: &[Vec<(f64, Sign)>]) {
        for (place, row) in rows.iter().enumerate() {
            let y = (place as f64 + 2.2) * 1.5 * TEXT;
            for (x, sign) in row {
                let x = self.span.0 + x;
                let middle = (x + 8.0, y - 2.8);
                match sign {
                    Sign::Kind(kind) => {
                        let (colour, dashes) = look(usize::from(*kind));
                        let ends = ((x, y - 2.8), (x + 16.0, y - 2.8));
                        self.image.dashed(ends.0, ends.1, (colour, dashes), 1.2);
                    }
                    Sign::Lost => self.cross(middle, BLACK),
                    Sign::Put => self.image.dot(middle, 2.4, BLACK, true),
                    Sign::Removed => self.image.dot(middle, 2.4, BLACK, false),
                }
                let words = sign.words(self.diagram);
                self.image.text(x + 20.0, y, Anchor::Start, words);
            }
        }
    }

    fn lane(&self, node: NodeIx) -> Option<f64> {
        let place = self.diagram.lanes.iter().position(|lane| *lane == node)?;
        Some(self.rows.0 + (place as f64 + 0.5) * LANE)
    }

    fn lanes(&mut self) {
        for stretch in &self.diagram.stretches {
            let Some(y) = self.lane(stretch.node) else {
                continue;
            };
            let (from, to) = (self.axis.place(stretch.from), self.axis.place(stretch.to));
            let fill = if stretch.is_paused { PAUSE } else { SHADE };
            let word = if stretch.is_paused { "paused" } else { "down" };
            let (corner, size) = ((from, y - 7.0), ((to - from).max(1.0), 14.0));
            self.image
                .titled(word, |image| image.rectangle(corner, size, fill));
            if to - from > width_of(word) + 4.0 {
                let x = f64::midpoint(from, to);
                self.image.text(x, y - 8.5, Anchor::Middle, word);
            }
        }
        for node in &self.diagram.lanes {
            let Some(y) = self.lane(*node) else {
                continue;
            };
            self.image
                .line((self.span.0, y), (self.span.1, y), GREY, 0.6);
            let name = self.diagram.names.node(*node).unwrap_or("?");
            let name = cut_to(name, NAMES_MAX);
            self.image
                .text(self.span.0 - 5.0, y + 2.8, Anchor::End, &name);
        }
        let (top, bottom) = self.rows;
        for x in self.axis.folds().to_vec() {
            for y in [top, bottom] {
                self.image.line((x - 3.0, y + 3.0), (x, y - 3.0), GREY, 0.6);
                self.image.line((x, y + 3.0), (x + 3.0, y - 3.0), GREY, 0.6);
            }
        }
    }

    fn steps(&mut self) {
        let (top, bottom) = self.rows;
        let mut last = f64::NEG_INFINITY;
        for (at, words) in &self.diagram.steps {
            let x = self.axis.place(*at);
            self.image.dashed((x, top), (x, bottom), (GREY, "1 2"), 0.6);
            // Steps of one instant stand beside each other, as far as there is room.
            let shown = x.max(last + TEXT + 1.0);
            if shown > self.span.1 {
                continue;
            }
            last = shown;
            let words = cut_to(words, STEPS - 10.0);
            let place = (shown + 2.5, top - 7.0);
            self.image.upright(place.0, place.1, Anchor::Start, &words);
        }
    }

    fn messages(&mut self) {
        let dropped = |flight: &&Flight| matches!(flight.end, FlightEnd::Dropped(..));
        let with_reasons = self.diagram.messages.iter().filter(dropped).count() <= REASONS_MAX;
        for flight in &self.diagram.messages {
            let (Some(from), Some(to)) = (self.lane(flight.from), self.lane(flight.to)) else {
                continue;
            };
            let start = (self.axis.place(flight.sent), from);
            let (colour, dashes) = look(usize::from(flight.kind));
            let title = self.title(flight);
            let loop_up = if from == to { -9.0 } else { 0.0 };
            let end = match flight.end {
                FlightEnd::Delivered(at) => (self.axis.place(at), to),
                FlightEnd::Dropped(at, _) => {
                    let x = self.axis.place(at).max(start.0 + 3.0);
                    (x, from + LOST_AFTER * (to - from) + loop_up)
                }
                FlightEnd::UnderWay => (self.span.1, from + 0.9 * (to - from) + loop_up),
            };
            let is_delivered = matches!(flight.end, FlightEnd::Delivered(_));
            self.image.titled(&title, |image| {
                if is_delivered && from == to {
                    let top = (f64::midpoint(start.0, end.0), from + loop_up);
                    image.dashed(start, top, (colour, dashes), 0.9);
                    image.dashed(top, end, (colour, dashes), 0.9);
                } else {
                    image.dashed(start, end, (colour, dashes), 0.9);
                }
                if is_delivered {
                    arrow(image, start, end, colour);
                }
            });
            if let FlightEnd::Dropped(_, reason) = flight.end {
                self.cross(end, colour);
                if with_reasons {
                    let (x, y) = (end.0 + 4.0, end.1 + 2.5);
                    self.image.text(x, y, Anchor::Start, reason.as_str());
                }
            }
        }
    }

    fn title(&self, flight: &Flight) -> String {
        let name = |node| self.diagram.names.node(node).unwrap_or("?");
        let kind = self.diagram.names.kind(flight.kind).unwrap_or("?");
        let copy = if flight.is_copy { ", a copy" } else { "" };
        let end = match flight.end {
            FlightEnd::Delivered(at) => format!("handled at {at}"),
            FlightEnd::Dropped(at, reason) => format!("lost at {at}: {}", reason.as_str()),
            FlightEnd::UnderWay => "under way".to_owned(),
        };
        let (from, to) = (name(flight.from), name(flight.to));
        format!(
            "e{} {kind} {from} to {to}, sent at {}{copy}, {end}",
            flight.id, flight.sent
        )
    }

    fn cross(&mut self, (x, y): (f64, f64), colour: &str) {
        let r = 2.4;
        self.image.line((x - r, y - r), (x + r, y + r), colour, 1.1);
        self.image.line((x - r, y + r), (x + r, y - r), colour, 1.1);
    }

    fn changes(&mut self) {
        for row in &self.diagram.rows {
            let Some(y) = self.lane(row.node) else {
                continue;
            };
            let place = (self.axis.place(row.at), y);
            let word = if row.has_entries {
                "put or changed"
            } else {
                "removed"
            };
            let title = format!("e{} row of {} {word} at {}", row.id, row.child, row.at);
            let is_full = row.has_entries;
            self.image
                .titled(&title, |image| image.dot(place, 2.2, BLACK, is_full));
        }
    }

    fn flags(&mut self, flags: &[Flag]) {
        let lanes = self.diagram.lanes.clone();
        for flag in flags {
            let x = self.axis.place(flag.at);
            let node = self.diagram.names.find(&flag.node);
            let lane = node.filter(|node| lanes.contains(node));
            let Some(y) = lane.and_then(|node| self.lane(node)) else {
                continue;
            };
            let points = [
                (x, y - 3.0),
                (x - 4.0, y - 11.0),
                (x + 4.0, y - 11.0),
                (x, y - 3.0),
            ];
            let title = format!("{} at {}", flag.text, flag.at);
            self.image.titled(&title, |image| {
                image.band(&points, BLACK);
                image.path(&points, BLACK, "");
            });
        }
    }

    fn times(&mut self) {
        let y = self.rows.1 + 1.6 * TEXT;
        let wide = |at: Time| width_of(&at.to_string()) + 4.0;
        for (at, x) in self.axis.ticks(wide) {
            let text = at.to_string();
            let half = width_of(&text) / 2.0;
            let x_text = x.clamp(half, self.span.1 + 6.0 - half);
            self.image
                .line((x, self.rows.1), (x, self.rows.1 + 3.0), GREY, 0.6);
            self.image.text(x_text, y, Anchor::Middle, &text);
        }
    }
}

/// The head of a line.
fn arrow(image: &mut Image, from: (f64, f64), to: (f64, f64), colour: &str) {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let long = libm::sqrt(dx * dx + dy * dy);
    if long < 1e-6 {
        return;
    }
    let (ux, uy) = (dx / long, dy / long);
    let (long, half) = (4.2, 1.5);
    let base = (to.0 - ux * long, to.1 - uy * long);
    let left = (base.0 - uy * half, base.1 + ux * half);
    let right = (base.0 + uy * half, base.1 - ux * half);
    image.filled(&[to, left, right], colour);
}
