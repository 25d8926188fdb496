//! Verdicts at a glance: a row per cell and strategy, a column per endpoint.

use crate::cli::svg::{Anchor, Image, TEXT, cut_to, width_of};

/// A map of verdicts.
#[derive(Debug)]
pub(super) struct Heat {
    pub(super) columns: Vec<String>,
    /// Names, and a word per column.
    pub(super) rows: Vec<(String, Vec<String>)>,
}

const ROW: f64 = 13.0;
const COLUMN_MIN: f64 = 66.0;
const NAMES_MAX: f64 = 230.0;

impl Heat {
    /// The image. Words stand in the cells, so that it can be read without colours.
    pub(super) fn svg(&self) -> String {
        let names = self
            .rows
            .iter()
            .map(|(name, _)| width_of(name))
            .fold(60.0, f64::max);
        let left = names.min(NAMES_MAX) + 8.0;
        let heads = self.columns.iter().map(|head| width_of(head) + 8.0);
        let column = heads.fold(COLUMN_MIN, f64::max);
        let width = left + column * self.columns.len() as f64 + 4.0;
        let top = 2.0 * TEXT;
        let mut image = Image::new(width, top + ROW * self.rows.len() as f64 + 4.0);
        for (place, head) in self.columns.iter().enumerate() {
            let x = left + (place as f64 + 0.5) * column;
            image.text(x, top - 5.0, Anchor::Middle, head);
        }
        for (row, (name, words)) in self.rows.iter().enumerate() {
            let y = top + row as f64 * ROW;
            image.text(left - 5.0, y + 9.5, Anchor::End, &cut_to(name, NAMES_MAX));
            for (place, word) in words.iter().enumerate() {
                let x = left + place as f64 * column;
                image.rectangle((x, y), (column, ROW), fill(word));
                image.text(x + column / 2.0, y + 9.5, Anchor::Middle, word);
            }
        }
        image.finish()
    }

    /// The words of the image.
    pub(super) fn csv(&self, field: impl Fn(&str) -> String) -> String {
        let heads: Vec<String> = self.columns.iter().map(|head| field(head)).collect();
        let mut text = format!("cell,{}\n", heads.join(","));
        for (name, words) in &self.rows {
            let words: Vec<String> = words.iter().map(|word| field(word)).collect();
            text.push_str(&format!("{},{}\n", field(name), words.join(",")));
        }
        text
    }
}

/// Light enough for black text; better and worse differ in lightness, too.
fn fill(word: &str) -> &'static str {
    match word {
        "better" => "#BFDDF2",
        "worse" => "#E39A68",
        "equal" => "#E6E6E6",
        _ => "#FAFAFA",
    }
}
