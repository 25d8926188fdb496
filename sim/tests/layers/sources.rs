//! The source files of `sim/src`, as text.

use std::fs;
use std::path::{Path, PathBuf};

/// One source file.
pub(crate) struct Source {
    /// Its path below `sim/src`.
    pub(crate) path: PathBuf,
    /// The top-level module that it belongs to.
    pub(crate) module: String,
    /// Its text.
    pub(crate) text: String,
}

/// Every file of `sim/src` but `lib.rs` and those of tests, in the order of paths.
pub(crate) fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    for file in files(&root) {
        let path = file.strip_prefix(&root).expect("a file of the sources");
        let first = path.components().next().expect("a name").as_os_str();
        let module = first.to_string_lossy().replace(".rs", "");
        let is_test = path.file_stem().is_some_and(|stem| stem == "tests");
        if module != "lib" && !is_test {
            let text = fs::read_to_string(&file).expect("a source file");
            let path = path.to_owned();
            sources.push(Source { path, module, text });
        }
    }
    sources
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory of sources") {
        let path = entry.expect("an entry of the directory").path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The text without comments and without the tests at its end.
pub(crate) fn code(text: &str) -> String {
    reduced(text, true)
}

/// [`code`] without the contents of string literals.
pub(crate) fn code_without_strings(text: &str) -> String {
    reduced(text, false)
}

fn reduced(text: &str, with_strings: bool) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
        } else if begins_tests(rest) {
            break;
        } else if first == '"' {
            let after = after_literal(rest);
            if with_strings {
                code.push_str(&rest[..rest.len() - after.len()]);
            }
            rest = after;
        } else if rest.starts_with("'\"'") {
            rest = &rest[3..];
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    code
}

/// True if the text begins with a test module; one in a file of its own may have code behind it.
fn begins_tests(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("#[cfg(test)]\n") else {
        return false;
    };
    let line = rest.lines().next().unwrap_or_default();
    let item = line.trim_start_matches("pub(crate) ");
    let item = item.trim_start_matches("pub(super) ");
    item.starts_with("mod ") && !line.ends_with(';')
}

fn after_literal(text: &str) -> &str {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == '"' && !escaped {
            return &text[at + 1..];
        }
        escaped = c == '\\' && !escaped;
    }
    ""
}
