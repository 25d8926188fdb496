//! The text of a scenario file as diagnostics show it: under its name, with lines and columns,
//! and safe to print whatever the bytes were.

use std::ops::Range;

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

/// The longest stretch of a line that a diagnostic underlines, in bytes.
const LABEL_MAX: usize = 120;
/// The longest excerpt that is shown as it stands, in bytes; of a longer one, only the
/// surroundings of the label are shown.
const EXCERPT_MAX: usize = 2_000;
/// The length shown on each side of a label in a line that is too long, in bytes.
const SURROUNDINGS: usize = 60;

/// A scenario file's name and text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    name: String,
    /// The text, control characters replaced byte by byte, so that showing it moves no cursor
    /// and offsets stay valid.
    shown: String,
    /// The offset at which each line starts.
    lines: Vec<usize>,
}

impl Text {
    /// The text of a file; `name` is what diagnostics call it.
    #[must_use]
    pub fn new(name: &str, text: &str) -> Self {
        let shown = text
            .chars()
            .map(|c| {
                if c.is_ascii_control() && !matches!(c, '\n' | '\r' | '\t') {
                    '?'
                } else {
                    c
                }
            })
            .collect();
        let starts = text
            .bytes()
            .enumerate()
            .filter(|(_, byte)| *byte == b'\n')
            .map(|(at, _)| at + 1);
        Self {
            name: name.to_owned(),
            shown,
            lines: std::iter::once(0).chain(starts).collect(),
        }
    }

    /// The name that diagnostics show.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The line of an offset, from 1.
    #[must_use]
    pub fn line(&self, offset: usize) -> u32 {
        u32::try_from(self.line_index(offset) + 1).unwrap_or(u32::MAX)
    }

    /// The line and the column of an offset, both from 1.
    #[must_use]
    pub(crate) fn position(&self, offset: usize) -> (u32, u32) {
        let offset = self.floor(offset.min(self.shown.len()));
        let start = self.lines[self.line_index(offset)];
        let column = self.shown[start..offset].chars().count() + 1;
        (self.line(offset), u32::try_from(column).unwrap_or(u32::MAX))
    }

    /// A span for a label: never more than one line, never more than [`LABEL_MAX`] bytes.
    #[must_use]
    pub(crate) fn label(&self, range: Range<usize>) -> SourceSpan {
        let start = self.floor(range.start.min(self.shown.len()));
        let end = range
            .end
            .clamp(start, self.line_end(self.line_index(start)).max(start));
        let end = self.floor(end.min(start + LABEL_MAX)).max(start);
        SourceSpan::from(start..end)
    }

    fn line_index(&self, offset: usize) -> usize {
        self.lines
            .partition_point(|start| *start <= offset)
            .saturating_sub(1)
    }

    /// Where a line ends, its line break not included.
    fn line_end(&self, line: usize) -> usize {
        let end = self
            .lines
            .get(line + 1)
            .map_or(self.shown.len(), |next| next - 1);
        if self.shown[..end].ends_with('\r') && end > self.lines[line] {
            end - 1
        } else {
            end
        }
    }

    /// The nearest character boundary at or below `offset`.
    fn floor(&self, offset: usize) -> usize {
        self.shown.floor_char_boundary(offset)
    }

    /// The excerpt of a span with some lines around it.
    fn excerpt(&self, span: Range<usize>, before: usize, after: usize) -> Range<usize> {
        let (first, last) = (self.line_index(span.start), self.line_index(span.end));
        let last_shown = (last + after).min(self.lines.len() - 1);
        let whole = self.lines[first.saturating_sub(before)]..self.line_end(last_shown);
        if whole.len() <= EXCERPT_MAX {
            return whole;
        }
        let line = self.lines[first]..self.line_end(last);
        let start = span.start.saturating_sub(SURROUNDINGS).max(line.start);
        let end = (span.end + SURROUNDINGS)
            .min(line.end)
            .min(start + EXCERPT_MAX);
        self.floor(start)..self.floor(end.max(start))
    }
}

impl SourceCode for Text {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        context_lines_before: usize,
        context_lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let end = span
            .offset()
            .checked_add(span.len())
            .ok_or(MietteError::OutOfBounds)?;
        if end > self.shown.len()
            || !self.shown.is_char_boundary(span.offset())
            || !self.shown.is_char_boundary(end)
        {
            return Err(MietteError::OutOfBounds);
        }
        let shown = if context_lines_before == 0 && context_lines_after == 0 {
            span.offset()..end
        } else {
            self.excerpt(
                span.offset()..end,
                context_lines_before,
                context_lines_after,
            )
        };
        let line = self.line_index(shown.start);
        let column = self.shown[self.lines[line]..shown.start].chars().count();
        let line_count = self.line_index(shown.end) - line + 1;
        let contents = MietteSpanContents::new_named(
            self.name.clone(),
            &self.shown.as_bytes()[shown.clone()],
            SourceSpan::from(shown),
            line,
            column,
            line_count,
        );
        Ok(Box::new(contents))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_the_start_of_the_file() {
        let text = Text::new("x.toml", "a = 1\r\nbé = 2\n");
        assert_eq!((text.line(0), text.line(7), text.line(13)), (1, 2, 2));
        let contents = text.read_span(&text.label(11..14), 0, 0).unwrap();
        assert_eq!(
            (contents.line(), contents.column(), contents.data()),
            (1, 3, b"= 2".as_slice())
        );
    }

    #[test]
    fn a_label_stays_on_its_line_and_on_character_boundaries() {
        let text = Text::new("x.toml", "aé\nb");
        assert_eq!(text.label(0..5), SourceSpan::from(0..3));
        assert_eq!(text.label(2..3), SourceSpan::from(1..3));
        assert_eq!(text.label(90..95), SourceSpan::from(5..5));
    }

    #[test]
    fn of_a_very_long_line_only_the_surroundings_of_the_label_are_shown() {
        let text = Text::new("x.toml", &"é".repeat(100_000));
        let contents = text.read_span(&text.label(100_000..100_010), 1, 1).unwrap();
        assert!(contents.data().len() < 200, "{}", contents.data().len());
        assert!(std::str::from_utf8(contents.data()).is_ok());
    }

    #[test]
    fn control_characters_are_not_shown_as_they_are() {
        let text = Text::new("x.toml", "a\u{1b}[31m");
        assert_eq!(
            text.read_span(&text.label(0..6), 0, 0).unwrap().data(),
            b"a?[31m"
        );
    }
}
