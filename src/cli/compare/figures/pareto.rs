//! What staleness costs: bytes against row-microseconds. A panel per scenario, a mark per cell and
//! strategy.

use super::frame::frames;

/// A map of cost and staleness.
#[derive(Debug)]
pub(super) struct Pareto {
    pub(super) strategies: Vec<String>,
    /// The metrics, with their units: cost to the right, staleness upwards.
    pub(super) measures: [String; 2],
    /// By scenario: its name, and its cells.
    pub(super) panels: Vec<(String, Vec<Spots>)>,
}

/// The strategies of one cell.
#[derive(Debug)]
pub(super) struct Spots {
    pub(super) title: String,
    /// By strategy: both medians, if there are any.
    pub(super) places: Vec<Option<[f64; 2]>>,
}

const JOIN: &str = "#BBBBBB";

impl Pareto {
    /// The image. Marks of one cell are joined: which way a line falls is what is paid for what.
    pub(super) fn svg(&self) -> String {
        let (mut image, all) = frames(&self.strategies, self.panels.len());
        for ((title, cells), frame) in self.panels.iter().zip(all) {
            let known = |axis: usize| {
                let places = cells.iter().flat_map(|cell| cell.places.iter().flatten());
                places.map(move |place| place[axis])
            };
            let (across, up) = (frame.across(known(0)), frame.up(known(1)));
            frame.ticks_below(&mut image, across);
            let [cost, staleness] = &self.measures;
            frame.draw(&mut image, title, up, [cost, staleness]);
            let at = |[cost, staleness]: [f64; 2]| (across.place(cost), up.place(staleness));
            for cell in cells {
                let places: Vec<_> = cell.places.iter().flatten().copied().map(at).collect();
                for pair in places.windows(2) {
                    image.line(pair[0], pair[1], JOIN, 0.5);
                }
            }
            for cell in cells {
                image.titled(&cell.title, |image| {
                    for (strategy, place) in cell.places.iter().enumerate() {
                        if let Some(place) = place {
                            image.marker(strategy, at(*place));
                        }
                    }
                });
            }
        }
        image.finish()
    }

    /// The numbers of the image.
    pub(super) fn csv(&self, field: impl Fn(&str) -> String) -> String {
        let [cost, staleness] = &self.measures;
        let mut text = format!("cell,strategy,{},{}\n", field(cost), field(staleness));
        for cell in self.panels.iter().flat_map(|(_, cells)| cells) {
            for (strategy, place) in cell.places.iter().enumerate() {
                let numbers = place.map(|place| place.map(|number| number.to_string()));
                text.push_str(&format!(
                    "{},{},{}\n",
                    field(&cell.title),
                    field(&self.strategies[strategy]),
                    numbers.unwrap_or_default().join(",")
                ));
            }
        }
        text
    }
}
