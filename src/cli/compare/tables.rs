//! Tables as text: for terminals and for Markdown.

/// A table; the first `names` columns are words, the others are set to the right.
#[derive(Debug)]
pub(in crate::cli) struct Table {
    pub(in crate::cli) heads: Vec<String>,
    pub(in crate::cli) names: usize,
    pub(in crate::cli) rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(names: &[String], numbers: &[&str]) -> Self {
        let numbers = numbers.iter().map(|head| (*head).to_owned());
        Self {
            heads: names.iter().cloned().chain(numbers).collect(),
            names: names.len(),
            rows: Vec::new(),
        }
    }

    /// Adds a row of as many cells as there are columns.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    fn widths(&self) -> Vec<usize> {
        let length = |cells: &Vec<String>, column: usize| {
            cells.get(column).map_or(0, |cell| cell.chars().count())
        };
        let widest = |column| {
            let all = std::iter::once(&self.heads).chain(&self.rows);
            all.map(|cells| length(cells, column)).max().unwrap_or(0)
        };
        (0..self.heads.len()).map(widest).collect()
    }

    /// For a terminal: columns two spaces apart. `paint` colours a finished line by its row; the
    /// heads are row `None`.
    pub(super) fn text(&self, paint: impl Fn(Option<usize>, String) -> String) -> String {
        let widths = self.widths();
        let line = |cells: &Vec<String>| {
            let cell = |(column, cell): (usize, &String)| {
                let width = widths[column];
                if column < self.names {
                    format!("{cell:width$}")
                } else {
                    format!("{cell:>width$}")
                }
            };
            let cells: Vec<String> = cells.iter().enumerate().map(cell).collect();
            format!("  {}", cells.join("  ").trim_end())
        };
        let heads = paint(None, line(&self.heads));
        let rows = self.rows.iter().enumerate();
        let rows = rows.map(|(place, cells)| paint(Some(place), line(cells)));
        std::iter::once(heads)
            .chain(rows)
            .map(|line| line + "\n")
            .collect()
    }

    /// As Markdown.
    pub(super) fn markdown(&self) -> String {
        let escaped = |cell: &String| cell.replace('|', "\\|").replace('\n', " ");
        let line = |cells: &Vec<String>| {
            let cells: Vec<String> = cells.iter().map(escaped).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let rule = |column| if column < self.names { "---" } else { "---:" };
        let rules: Vec<&str> = (0..self.heads.len()).map(rule).collect();
        let mut text = line(&self.heads);
        text.push_str(&format!("| {} |\n", rules.join(" | ")));
        text.extend(self.rows.iter().map(line));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["name".to_owned()], &["n"]);
        table.row(vec!["a|b".to_owned(), "1".to_owned()]);
        table.row(vec!["longer".to_owned(), "1,000".to_owned()]);
        assert_eq!(
            table.text(|_, line| line),
            "  name        n\n  a|b         1\n  longer  1,000\n"
        );
        assert_eq!(
            table.markdown(),
            "| name | n |\n| --- | ---: |\n| a\\|b | 1 |\n| longer | 1,000 |\n"
        );
    }
}
