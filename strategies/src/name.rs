//! Names: nodes, children and pids.
//!
//! A name is one shared, immutable string behind one pointer. Cloning counts a reference;
//! comparing two clones of one name never reads the text. Names order and hash by their text,
//! never by address or by number of creation, so nothing about a run depends on where or when a
//! name was made. A name no one holds is freed: a node that sees millions of child ids over its
//! life keeps only those it still needs.

use std::fmt;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Hashes a name by passing its cached hash through: fixed, keyless, the same in every run.
pub type NameHasher = BuildHasherDefault<PassThrough>;

/// The hasher behind [`NameHasher`]; it accepts one `u64`, the hash a name already carries.
#[derive(Debug, Default, Clone, Copy)]
pub struct PassThrough(u64);

impl Hasher for PassThrough {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = fnv1a(bytes, self.0);
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// FNV-1a, then a multiply-xor finish so that all bits are usable as hash-table bits.
fn hash_text(text: &str) -> u64 {
    let hash = fnv1a(text.as_bytes(), 0xcbf2_9ce4_8422_2325);
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    mixed ^ (mixed >> 32)
}

fn fnv1a(bytes: &[u8], start: u64) -> u64 {
    bytes.iter().fold(start, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

struct Inner {
    hash: u64,
    text: Box<str>,
}

/// A shared immutable string of pointer size. [`NodeId`], [`ChildId`] and [`Pid`] wrap it.
#[derive(Clone)]
struct Name(Arc<Inner>);

impl Name {
    fn new(text: &str) -> Self {
        Self(Arc::new(Inner {
            hash: hash_text(text),
            text: text.into(),
        }))
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.hash == other.0.hash && self.0.text == other.0.text)
    }
}

impl Eq for Name {}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        if Arc::ptr_eq(&self.0, &other.0) {
            std::cmp::Ordering::Equal
        } else {
            self.0.text.cmp(&other.0.text)
        }
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Makes a name of a text where it lies.
struct Reader;

impl Visitor<'_> for Reader {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E>(self, text: &str) -> Result<Name, E> {
        Ok(Name::new(text))
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $type(Name);

        impl $type {
            /// Makes a name from its text.
            #[must_use]
            pub fn new(text: &str) -> Self {
                Self(Name::new(text))
            }

            /// The text of the name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0.0.text
            }

            /// The hash of the text: the same in every process, computed once.
            #[must_use]
            pub fn text_hash(&self) -> u64 {
                self.0.0.hash
            }
        }

        impl Hash for $type {
            fn hash<H: Hasher>(&self, state: &mut H) {
                state.write_u64(self.0.0.hash);
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl From<&str> for $type {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }

        impl From<String> for $type {
            fn from(text: String) -> Self {
                Self::new(&text)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Reader).map(Self)
            }
        }
    };
}

name! {
    /// The name of a cluster node. Nodes order by the plain string order of the whole name, so
    /// `n10 < n2`, as in the original.
    NodeId
}
name! {
    /// The id of a child process, unique on one node; several nodes may run a child of one id.
    ChildId
}
name! {
    /// A process identifier: opaque, compared for equality only. The hub makes them as
    /// `<node>.<incarnation>.<k>`.
    Pid
}

/// The hash that [`NameHasher`] gives a text, for look-ups by `&str`.
#[must_use]
pub fn text_hash(text: &str) -> u64 {
    hash_text(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_order_by_plain_text() {
        assert!(NodeId::new("n10") < NodeId::new("n2"));
        assert_eq!(NodeId::new("a"), NodeId::new("a"));
    }

    #[test]
    fn a_name_is_one_pointer() {
        assert_eq!(size_of::<NodeId>(), size_of::<usize>());
        assert_eq!(size_of::<Option<Pid>>(), size_of::<usize>());
    }
}
