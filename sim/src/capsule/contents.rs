//! The contents of messages in a block. Many messages list the same children: what they share in memory
//! is written once in a block, and shared again when it is read.

use hashbrown::HashMap;
use hublab_strategies::{Contents, Listed, NodeId};
use rustc_hash::FxBuildHasher;

use super::CapsuleError;
use super::codec::{put, take_value};

/// A block ends early when its messages name this many lists.
const FULL: u32 = 1 << 19;
/// The most lists that the messages of a block may name: a full block, and one message to all nodes.
const MAX: u32 = 1 << 20;

/// The lists of one block.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// Those so far, in the order of their first use.
    known: Vec<Listed>,
    /// Where a list stands, by its node and the address of its children: those of `known` are kept, so no
    /// address is used twice. Only ever asked by key.
    places: HashMap<(NodeId, usize), u32, FxBuildHasher>,
    /// How often messages named one.
    named: u32,
}

impl Lists {
    /// True if the block should end.
    pub(super) fn is_full(&self) -> bool {
        self.named >= FULL
    }

    /// Appends the contents of a message to the bytes of a block: 0 if they are not told; else one more
    /// than the number of lists, and for each its place, followed by the list itself if it is new.
    pub(super) fn put(
        &mut self,
        raw: &mut Vec<u8>,
        contents: Option<&Contents>,
    ) -> Result<(), CapsuleError> {
        let Some(contents) = contents else {
            return put(raw, &0_u32);
        };
        let lists = contents.lists();
        let count = u32::try_from(lists.len()).unwrap_or(u32::MAX);
        self.named = self.named.saturating_add(count);
        if self.named > MAX {
            let (what, bytes) = ("a message", lists.len() as u64);
            return Err(CapsuleError::Oversized { what, bytes });
        }
        put(raw, &(count + 1))?;
        for list in lists {
            let key = (list.node.clone(), list.children.as_ptr().addr());
            let next = u32::try_from(self.known.len()).unwrap_or(u32::MAX);
            let place = *self.places.entry(key).or_insert(next);
            put(raw, &place)?;
            if place == next {
                put(raw, list)?;
                self.known.push(list.clone());
            }
        }
        Ok(())
    }

    /// Takes the contents of a message off the bytes of a block; `None` if they are malformed.
    pub(super) fn take(&mut self, rest: &mut &[u8]) -> Option<Option<Contents>> {
        let count: u32 = take_value(rest)?;
        let Some(count) = count.checked_sub(1) else {
            return Some(None);
        };
        self.named = self
            .named
            .checked_add(count)
            .filter(|named| *named <= MAX)?;
        let mut lists = Vec::new();
        for _ in 0..count {
            let place: u32 = take_value(rest)?;
            let place = usize::try_from(place).ok()?;
            if place == self.known.len() {
                self.known.push(take_value(rest)?);
            }
            lists.push(self.known.get(place)?.clone());
        }
        Some(Some(Contents::new(lists)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hublab_strategies::ChildId;

    use super::*;

    fn contents(shared: &Arc<[ChildId]>) -> Contents {
        let list = |node: &str, children: Arc<[ChildId]>| Listed {
            node: node.into(),
            children,
        };
        let own = [ChildId::from("c")].into();
        Contents::new(vec![list("n1", Arc::clone(shared)), list("n2", own)])
    }

    #[test]
    fn lists_that_messages_share_are_written_once_and_shared_again() {
        let shared: Arc<[ChildId]> = ["a", "b"].map(ChildId::from).into();
        let told = [
            Some(contents(&shared)),
            None,
            Some(Contents::NONE),
            Some(contents(&shared)),
        ];
        let (mut raw, mut lists) = (Vec::new(), Lists::default());
        let mut ends = Vec::new();
        for contents in &told {
            lists.put(&mut raw, contents.as_ref()).unwrap();
            ends.push(raw.len());
        }
        // Two more lists: one by its place alone.
        assert_eq!(lists.known.len(), 3);
        assert!(ends[3] - ends[2] < ends[0], "{ends:?}");
        let (mut rest, mut lists) = (raw.as_slice(), Lists::default());
        let read: Vec<_> = told
            .iter()
            .map(|_| lists.take(&mut rest).unwrap())
            .collect();
        assert!(rest.is_empty());
        assert_eq!(read, told);
        let children = |at: usize| &read[at].as_ref().unwrap().lists()[0].children;
        assert!(Arc::ptr_eq(children(0), children(3)));
    }

    #[test]
    fn a_message_that_names_too_many_lists_or_one_that_is_not_there_is_malformed() {
        for bytes in [&[2_u8, 1][..], &[2], &[0xfc, 0xff, 0xff, 0xff, 0xff, 0]] {
            assert_eq!(Lists::default().take(&mut &*bytes), None, "{bytes:?}");
        }
    }
}
