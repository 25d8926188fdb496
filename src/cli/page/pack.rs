//! Numbers and texts in little room: columns of numbers, tables of strings, and texts as a template and
//! the numbers in it. Columns are LZ4 blocks, as the tree has it already and a browser's script reads it in
//! twenty lines; in base64, as they stand in a text.

use std::collections::HashMap;

use serde::Serialize;

/// Bytes, packed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Packed {
    /// How many bytes they are.
    raw: usize,
    /// An LZ4 block of them, in base64.
    data: String,
}

impl Packed {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self {
            raw: bytes.len(),
            data: base64(&lz4_flex::block::compress(bytes)),
        }
    }

    /// Strings, as a JSON array.
    pub(super) fn strings(strings: &[String]) -> Self {
        let text = serde_json::to_vec(strings).expect("strings are JSON");
        Self::of(&text)
    }

    /// Its length in a file.
    pub(super) fn len(&self) -> usize {
        self.data.len()
    }
}

/// Numbers, each in as many bytes as it needs, seven bits in each, the lowest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Column(Vec<u8>);

impl Column {
    pub(super) fn push(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push((value & 0x7f) as u8);
    }

    pub(super) fn packed(&self) -> Packed {
        Packed::of(&self.0)
    }
}

/// Numbers that ascend, as differences.
#[derive(Debug, Clone, Default)]
pub(super) struct Rising {
    last: u64,
    column: Column,
}

impl Rising {
    pub(super) fn push(&mut self, value: u64) {
        self.column.push(value.saturating_sub(self.last));
        self.last = self.last.max(value);
    }

    pub(super) fn packed(&self) -> Packed {
        self.column.packed()
    }
}

/// Things that are told by their number, each once.
#[derive(Debug, Clone)]
pub(super) struct Table<T> {
    places: HashMap<T, u32>,
    all: Vec<T>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            places: HashMap::new(),
            all: Vec::new(),
        }
    }
}

impl<T: Clone + Eq + std::hash::Hash> Table<T> {
    pub(super) fn place(&mut self, thing: T) -> u32 {
        let next = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        let Self { places, all } = self;
        *places.entry(thing).or_insert_with_key(|thing| {
            all.push(thing.clone());
            next
        })
    }

    pub(super) fn all(&self) -> &[T] {
        &self.all
    }
}

/// What stands in a template for a number.
const HOLE: char = '\u{1}';
/// Longer numbers are left in the template: a script counts to 2^53.
const DIGITS_MAX: usize = 15;

/// Texts of which many differ in their numbers alone.
#[derive(Debug, Clone, Default)]
pub(super) struct Texts {
    templates: Table<String>,
    which: Column,
    numbers: Column,
}

impl Texts {
    pub(super) fn push(&mut self, text: &str) {
        let mut template = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            if digits == 0 {
                template.push(if c == HOLE { '\u{fffd}' } else { c });
                rest = &rest[c.len_utf8()..];
                continue;
            }
            let (number, behind) = rest.split_at(digits);
            // Zeros in front stay where they are, or they would be lost.
            let zeros = number.len() - number.trim_start_matches('0').len();
            let (zeros, number) = number.split_at(zeros);
            template.push_str(zeros);
            match number.parse() {
                Ok(value) if number.len() <= DIGITS_MAX => {
                    template.push(HOLE);
                    self.numbers.push(value);
                }
                Ok(_) | Err(_) => template.push_str(number),
            }
            rest = behind;
        }
        let place = self.templates.place(template);
        self.which.push(place.into());
    }

    pub(super) fn packed(&self) -> PackedTexts {
        PackedTexts {
            templates: Packed::strings(self.templates.all()),
            which: self.which.packed(),
            numbers: self.numbers.packed(),
        }
    }
}

/// [`Texts`], packed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct PackedTexts {
    /// The templates; U+0001 stands for a number.
    pub(super) templates: Packed,
    /// The template of each text.
    pub(super) which: Packed,
    /// The numbers of all texts.
    pub(super) numbers: Packed,
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            if place > chunk.len() {
                text.push('=');
            } else {
                let six = (bits >> (18 - 6 * place)) & 0x3f;
                text.push(char::from(ALPHABET[six as usize]));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn texts_that_differ_in_their_numbers_share_a_template() {
        let mut texts = Texts::default();
        for text in [
            "got #12 at 1.05s",
            "got #7 at 2.03s",
            "12345678901234567890",
        ] {
            texts.push(text);
        }
        let templates = ["got #\u{1} at \u{1}.0\u{1}s", "12345678901234567890"];
        assert_eq!(texts.templates.all(), templates);
        assert_eq!(texts.which.0, [0, 0, 1]);
        assert_eq!(texts.numbers.0, [12, 1, 5, 7, 2, 3]);
    }

    #[test]
    fn rising_numbers_are_differences() {
        let mut rising = Rising::default();
        [3, 5, 305].into_iter().for_each(|value| rising.push(value));
        assert_eq!(rising.column.0, [3, 2, 0xac, 2]);
    }
}
