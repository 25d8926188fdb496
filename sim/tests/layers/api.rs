//! The listing of the public interface, `docs/api/`: a change of it is seen in review. It is read from
//! the source as rustfmt lays it out; `#[doc(hidden)]` items are no part of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect_file;

use crate::sources::code_without_strings;

/// The public items of one crate, by path.
#[derive(Default)]
struct Interface {
    items: BTreeMap<String, String>,
    /// The paths of all types and traits, public or not.
    declared: BTreeSet<String>,
    /// The public methods of types, by the file's module and the type's name.
    methods: BTreeMap<(String, String), BTreeSet<String>>,
}

const KINDS: &[&str] = &[
    "fn", "struct", "enum", "trait", "type", "const", "static", "mod",
];

/// The kind and the name that a declaration behind `pub` has.
fn declared(line: &str) -> Option<(&'static str, String)> {
    let mut words = line.split_whitespace();
    let mut word = words.next()?;
    while ["async", "unsafe", "extern", "default"].contains(&word)
        || word == "const" && line.contains(" fn ")
    {
        word = words.next()?;
    }
    let kind = KINDS.iter().find(|kind| **kind == word)?;
    let name = words.next()?;
    let end = name.find(|c: char| !c.is_alphanumeric() && c != '_');
    Some((kind, name[..end.unwrap_or(name.len())].to_owned()))
}

/// The type that an `impl` block is of; `None` for the implementation of a trait.
fn implemented(line: &str) -> Option<String> {
    let rest = line.strip_prefix("impl")?;
    if rest.contains(" for ") {
        return None;
    }
    let rest = if rest.starts_with('<') {
        &rest[closing(rest)? + 1..]
    } else {
        rest
    };
    let name: String = rest
        .trim_start()
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    (!name.is_empty()).then_some(name)
}

fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '<' => depth += 1,
            '>' if before != '-' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
        before = c;
    }
    None
}

/// The names that a `pub use` makes public, as they are called then.
fn reexported(statement: &str) -> Vec<String> {
    let path = statement.trim_end_matches(';').trim();
    let (_, last) = path.rsplit_once("::").unwrap_or(("", path));
    let list = path.find('{').map_or(last, |at| &path[at + 1..]);
    let names = list.trim_end_matches('}').split(',');
    names
        .map(|name| name.split(" as ").last().unwrap_or(name).trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

impl Interface {
    /// That of the crate whose root file is `root`.
    fn of(root: &Path) -> Self {
        let mut interface = Self::default();
        let directory = root.parent().expect("a root file lies in a directory");
        interface.module(root, directory, "", true);
        interface
    }

    /// Takes in a module, with those below it.
    fn module(&mut self, file: &Path, directory: &Path, path: &str, is_public: bool) {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
        let code = code_without_strings(&text);
        let (mut is_hidden, mut is_open, mut is_test) = (false, true, false);
        // The type of the `impl` block, or the public trait, that the lines belong to.
        let (mut block, mut is_trait) = (None, false);
        let mut statement = None::<String>;
        for line in code.lines() {
            if let Some(mut begun) = statement.take() {
                begun.push_str(line.trim());
                if line.ends_with(';') {
                    self.reexports(&begun, path, is_public);
                } else {
                    statement = Some(begun);
                }
                continue;
            }
            if line.starts_with('}') {
                (block, is_trait) = (None, false);
            } else if line.starts_with("#[doc(hidden)]") {
                is_hidden = true;
            } else if line.starts_with("#[non_exhaustive]") {
                is_open = false;
            } else if line.starts_with("#[cfg(test)]") {
                is_test = true;
            } else if let Some(used) = line.strip_prefix("pub use ") {
                if line.ends_with(';') && !is_hidden {
                    self.reexports(used, path, is_public);
                } else if !is_hidden {
                    statement = Some(used.to_owned());
                }
                is_hidden = false;
            } else if line.starts_with("impl") {
                block = implemented(line);
            } else if let Some(method) = line.strip_prefix("    ")
                && let Some(of) = &block
            {
                let public = if is_trait {
                    Some(method)
                } else {
                    method.strip_prefix("pub ")
                };
                let declared = public.and_then(declared);
                if let Some((kind, name)) = declared.filter(|(kind, _)| *kind != "mod") {
                    let key = (path.to_owned(), of.clone());
                    let methods = self.methods.entry(key).or_default();
                    methods.insert(format!("{name}: {kind}"));
                }
            } else if !line.starts_with([' ', '#', '/']) && !line.is_empty() {
                let public = line.strip_prefix("pub ");
                if let Some((kind, name)) = declared(public.unwrap_or(line)) {
                    let is_public = is_public && public.is_some() && !is_hidden;
                    let below = join(path, &name);
                    self.declared.insert(below.clone());
                    if kind == "mod" && line.ends_with(';') && !is_test {
                        let (file, directory) = found(directory, &name);
                        self.module(&file, &directory, &below, is_public);
                    } else if is_public && kind != "mod" {
                        let is_growing = ["struct", "enum"].contains(&kind) && !is_open;
                        let mark = if is_growing { ", non-exhaustive" } else { "" };
                        self.items.insert(below, format!("{kind}{mark}"));
                    }
                    if kind == "trait" && public.is_some() {
                        (block, is_trait) = (Some(name), true);
                    }
                }
                (is_hidden, is_open, is_test) = (false, true, false);
            }
        }
    }

    fn reexports(&mut self, statement: &str, path: &str, is_public: bool) {
        if is_public {
            for name in reexported(statement) {
                self.items.insert(join(path, &name), "re-export".to_owned());
            }
        }
    }

    /// The innermost module around `of` that has a public item of a name.
    fn nearest<'p>(&self, of: &'p str, name: &str) -> Option<&'p str> {
        let mut module = of;
        while !self.items.contains_key(&join(module, name)) {
            if module.is_empty() {
                return None;
            }
            module = module.rsplit_once("::").map_or("", |(around, _)| around);
        }
        Some(module)
    }

    /// One line per item, the methods of a type behind it.
    fn text(&self) -> String {
        let mut text = String::new();
        for (item, kind) in &self.items {
            text.push_str(&format!("{item}: {kind}\n"));
            let (module, name) = item.rsplit_once("::").unwrap_or(("", item));
            let is_reexport = kind == "re-export";
            for ((of, of_type), methods) in &self.methods {
                let is_declared = self.declared.contains(&join(of, of_type));
                let belongs = if is_reexport {
                    // The type lies in a private module below.
                    is_declared && self.nearest(of, name) == Some(module)
                } else {
                    // An `impl` block may lie in another module than its type.
                    of == module || !is_declared
                };
                if of_type == name && belongs {
                    methods.iter().for_each(|method| {
                        text.push_str(&format!("{item}::{method}\n"));
                    });
                }
            }
        }
        text
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}::{name}")
    }
}

/// The file of a module, and the directory of the modules below it.
fn found(directory: &Path, name: &str) -> (PathBuf, PathBuf) {
    let below = directory.join(name);
    let file = directory.join(format!("{name}.rs"));
    if file.exists() {
        (file, below)
    } else {
        (below.join("mod.rs"), below)
    }
}

#[test]
fn the_listings_of_the_public_interface_are_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (name, file) in [
        ("hublab", "src/lib.rs"),
        ("hublab-sim", "sim/src/lib.rs"),
        ("hublab-strategies", "strategies/src/lib.rs"),
    ] {
        let text = Interface::of(&root.join(file)).text();
        assert!(text.lines().count() > 3, "{name}: {text}");
        expect_file![root.join(format!("docs/api/{name}.txt"))].assert_eq(&text);
    }
}
