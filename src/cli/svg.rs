//! Drawing: as much of SVG as figures and diagrams need. Sizes are points; text has the size of a paper's
//! captions, and its width is estimated, as there is no font to ask.

use std::fmt::Write;

/// Size of all text.
pub(in crate::cli) const TEXT: f64 = 8.0;
/// Okabe and Ito's colours, which differ for colour-blind readers and in lightness.
const COLOURS: [&str; 7] = [
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000",
];
/// Dashes, so that lines differ in print without colours.
const DASHES: [&str; 4] = ["", "5 2", "1.5 1.5", "6 2 1.5 2"];

/// The look of the series at a place: colour and dashes.
pub(in crate::cli) fn look(place: usize) -> (&'static str, &'static str) {
    (COLOURS[place % COLOURS.len()], DASHES[place % DASHES.len()])
}

/// Where text is anchored.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

/// An image being drawn.
#[derive(Debug)]
pub(in crate::cli) struct Image {
    width: f64,
    height: f64,
    body: String,
}

impl Image {
    pub(in crate::cli) fn new(width: f64, height: f64) -> Self {
        Self {
            width,
            height,
            body: String::new(),
        }
    }

    fn put(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = self.body.write_fmt(element);
        self.body.push('\n');
    }

    pub(in crate::cli) fn text(&mut self, x: f64, y: f64, anchor: Anchor, text: &str) {
        let (text, anchor) = (escaped(text), anchor.as_str());
        self.put(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
        ));
    }

    /// Text that runs upwards.
    pub(in crate::cli) fn upright(&mut self, x: f64, y: f64, anchor: Anchor, text: &str) {
        let (text, anchor) = (escaped(text), anchor.as_str());
        self.put(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" transform=\"rotate(-90 {x:.1} {y:.1})\">{text}</text>"
        ));
    }

    pub(in crate::cli) fn line(
        &mut self,
        from: (f64, f64),
        to: (f64, f64),
        colour: &str,
        width: f64,
    ) {
        self.put(format_args!(
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{colour}\" stroke-width=\"{width}\"/>",
            from.0, from.1, to.0, to.1
        ));
    }

    /// What is drawn by `draw` belongs together; `title` is shown where a pointer rests on it.
    pub(in crate::cli) fn titled(&mut self, title: &str, draw: impl FnOnce(&mut Self)) {
        self.put(format_args!("<g><title>{}</title>", escaped(title)));
        draw(self);
        self.put(format_args!("</g>"));
    }

    /// A dashed line.
    pub(in crate::cli) fn dashed(
        &mut self,
        from: (f64, f64),
        to: (f64, f64),
        (colour, dashes): (&str, &str),
        width: f64,
    ) {
        self.put(format_args!(
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{colour}\" stroke-width=\"{width}\" stroke-dasharray=\"{dashes}\"/>",
            from.0, from.1, to.0, to.1
        ));
    }

    /// A dot; hollow without `is_full`.
    pub(in crate::cli) fn dot(&mut self, (x, y): (f64, f64), r: f64, colour: &str, is_full: bool) {
        let fill = if is_full { colour } else { "#FFFFFF" };
        self.put(format_args!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{r}\" fill=\"{fill}\" stroke=\"{colour}\" stroke-width=\"0.8\"/>"
        ));
    }

    pub(in crate::cli) fn path(&mut self, points: &[(f64, f64)], colour: &str, dashes: &str) {
        let points = joined(points);
        self.put(format_args!(
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.2\" stroke-dasharray=\"{dashes}\"/>"
        ));
    }

    pub(in crate::cli) fn band(&mut self, points: &[(f64, f64)], colour: &str) {
        let points = joined(points);
        self.put(format_args!(
            "<polygon points=\"{points}\" fill=\"{colour}\" fill-opacity=\"0.15\" stroke=\"none\"/>"
        ));
    }

    pub(in crate::cli) fn filled(&mut self, points: &[(f64, f64)], colour: &str) {
        let points = joined(points);
        self.put(format_args!(
            "<polygon points=\"{points}\" fill=\"{colour}\"/>"
        ));
    }

    pub(in crate::cli) fn rectangle(&mut self, corner: (f64, f64), size: (f64, f64), fill: &str) {
        self.put(format_args!(
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{fill}\" stroke=\"#FFFFFF\" stroke-width=\"1\"/>",
            corner.0, corner.1, size.0, size.1
        ));
    }

    /// The marker of the series at a place: a shape of its own.
    pub(in crate::cli) fn marker(&mut self, place: usize, (x, y): (f64, f64)) {
        let colour = look(place).0;
        let r = 2.2;
        let points = match place % 4 {
            0 => {
                return self.put(format_args!(
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{r}\" fill=\"{colour}\"/>"
                ));
            }
            1 => vec![
                (x - r, y - r),
                (x + r, y - r),
                (x + r, y + r),
                (x - r, y + r),
            ],
            2 => vec![(x, y - 1.3 * r), (x + 1.2 * r, y + r), (x - 1.2 * r, y + r)],
            _ => vec![
                (x, y - 1.4 * r),
                (x + 1.4 * r, y),
                (x, y + 1.4 * r),
                (x - 1.4 * r, y),
            ],
        };
        self.filled(&points, colour);
    }

    /// The file.
    pub(in crate::cli) fn finish(self) -> String {
        let (width, height) = (self.width.ceil(), self.height.ceil());
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}pt\" height=\"{height}pt\" viewBox=\"0 0 {width} {height}\" font-family=\"Helvetica, Arial, sans-serif\" font-size=\"{TEXT}\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"#FFFFFF\"/>\n{}</svg>\n",
            self.body
        )
    }
}

fn joined(points: &[(f64, f64)]) -> String {
    let points: Vec<String> = points
        .iter()
        .map(|(x, y)| format!("{x:.1},{y:.1}"))
        .collect();
    points.join(" ")
}

fn escaped(text: &str) -> String {
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    text.chars().filter(|c| !c.is_control()).collect()
}

/// About how wide a text is.
pub(in crate::cli) fn width_of(text: &str) -> f64 {
    text.chars().count() as f64 * TEXT * 0.56
}

/// A text cut to about a width.
pub(in crate::cli) fn cut_to(text: &str, width: f64) -> String {
    if width_of(text) <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    for c in text.chars() {
        short.push(c);
        if width_of(&short) + width_of("..") > width {
            break;
        }
    }
    short + ".."
}
