//! The page: data, style and script in one file that needs nothing else.

use std::io::{self, Write};

use serde::Serialize;

const STYLE: &str = include_str!("assets/page.css");
/// The script, in the order in which it is read.
const SCRIPT: [&str; 12] = [
    include_str!("assets/base.js"),
    include_str!("assets/data.js"),
    include_str!("assets/axis.js"),
    include_str!("assets/curves.js"),
    include_str!("assets/diagram.js"),
    include_str!("assets/state.js"),
    include_str!("assets/panels.js"),
    include_str!("assets/blame.js"),
    include_str!("assets/run.js"),
    include_str!("assets/campaign.js"),
    include_str!("assets/comparison.js"),
    include_str!("assets/main.js"),
];

/// Writes a page with this title and data.
pub(super) fn write(title: &str, data: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    let json = serde_json::to_string(data)?;
    let title = escaped(title);
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         script-src 'unsafe-inline'; img-src data: blob:\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <noscript><p>This report is drawn by a script in this file, which is not allowed to run here.</p></noscript>\n\
         <main id=\"page\"></main>\n<script type=\"application/json\" id=\"data\">"
    )?;
    embedded(&json, out)?;
    out.write_all(b"</script>\n<script>\n\"use strict\";\n(() => {\n")?;
    for part in SCRIPT {
        out.write_all(part.as_bytes())?;
    }
    out.write_all(b"})();\n</script>\n</body>\n</html>\n")
}

/// Writes JSON so that no text in it ends the element around it or is taken for markup: whatever HTML or a
/// line of script could mean by a character is written as its number. JSON has these characters within
/// strings only.
fn embedded(json: &str, out: &mut dyn Write) -> io::Result<()> {
    let mut rest = json;
    let is_unsafe = |c: char| matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}');
    while let Some(at) = rest.find(is_unsafe) {
        out.write_all(&rest.as_bytes()[..at])?;
        let c = rest[at..].chars().next().unwrap_or_default();
        write!(out, "\\u{:04x}", u32::from(c))?;
        rest = &rest[at + c.len_utf8()..];
    }
    out.write_all(rest.as_bytes())
}

/// A text as the content of an element.
fn escaped(text: &str) -> String {
    let printable = hublab_sim::trace::text::printable(text);
    let mut escaped = String::with_capacity(text.len());
    for c in printable.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '\u{2028}' => escaped.push_str("&#x2028;"),
            '\u{2029}' => escaped.push_str("&#x2029;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_in_the_data_is_taken_for_markup() {
        let hostile = "</script><!--<script>\u{2028}&amp;]]>";
        let mut page = Vec::new();
        write(hostile, &[hostile], &mut page).expect("memory can be written");
        let page = String::from_utf8(page).expect("it is text");
        assert_eq!(page.matches("</script>").count(), 2);
        assert!(!page.contains("<!--") && !page.contains('\u{2028}'));
        let data = page.split_once("id=\"data\">").expect("there is data").1;
        let data = data.split_once("</script>").expect("it ends").0;
        let read: Vec<String> = serde_json::from_str(data).expect("it is JSON");
        assert_eq!(read, [hostile]);
    }

    #[test]
    fn the_script_makes_no_markup_of_text_and_asks_nobody() {
        for part in SCRIPT {
            for word in [
                "innerHTML",
                "outerHTML",
                "insertAdjacent",
                "document.write",
                "eval(",
                "fetch(",
                "http:",
            ] {
                let svg = part.replace("http://www.w3.org/2000/svg", "");
                assert!(!svg.contains(word), "{word}");
            }
        }
    }

    /// Texts of what HTML, a script or JSON could take for something else.
    fn hostile() -> impl Strategy<Value = String> {
        let parts = prop::sample::select(vec![
            "</script>",
            "<!--",
            "<script>",
            "]]>",
            "&lt;",
            "\"",
            "'",
            "\\",
            "\u{2028}",
            "\u{2029}",
            "\u{0}",
            "\n",
            "{{",
            "${x}",
            "</title>",
            "<img src=x onerror=alert(1)>",
            "\u{202e}",
            "é",
            "🦀",
            "a",
        ]);
        prop::collection::vec(parts, 0..12).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn any_text_comes_out_as_it_went_in_and_is_never_markup(texts in prop::collection::vec(hostile(), 1..6)) {
            let mut page = Vec::new();
            write(&texts[0], &texts, &mut page).expect("memory can be written");
            let page = String::from_utf8(page).expect("it is text");
            // The page's own elements and no others.
            prop_assert_eq!(page.matches("</script>").count(), 2);
            prop_assert_eq!(page.matches("<title>").count(), 1);
            prop_assert_eq!(page.matches("</title>").count(), 1);
            let (_, rest) = page.split_once("id=\"data\">").expect("the element of the data");
            let (json, _) = rest.split_once("</script>").expect("its end");
            let unsafe_in_markup = ['<', '>', '&', '\u{2028}', '\u{2029}'];
            prop_assert!(!json.contains(unsafe_in_markup));
            let read: Vec<String> = serde_json::from_str(json).expect("the data is JSON");
            prop_assert_eq!(read, texts);
        }
    }
}
