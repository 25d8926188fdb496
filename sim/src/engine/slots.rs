//! A table whose entries are known by the number of their slot; a free slot is used again.

/// Values in numbered slots.
#[derive(Debug)]
pub(super) struct Slots<T> {
    slots: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slots<T> {
    /// Puts a value into a free slot and returns its number.
    pub(super) fn insert(&mut self, value: T) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 slots")
        });
        self.slots[slot as usize] = Some(value);
        slot
    }

    /// The value in a slot that is in use.
    pub(super) fn at(&mut self, slot: u32) -> &mut T {
        self.slots[slot as usize].as_mut().expect("a slot in use")
    }

    /// Takes the value out of a slot that is in use.
    pub(super) fn remove(&mut self, slot: u32) -> T {
        self.free.push(slot);
        self.slots[slot as usize].take().expect("a slot in use")
    }

    /// How many slots there are, in use or free.
    #[cfg(test)]
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// All values with their slots, by slot.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut T)> {
        let slots = (0..).zip(&mut self.slots);
        slots.filter_map(|(slot, value)| value.as_mut().map(|value| (slot, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_in_the_middle_is_used_again() {
        let mut slots = Slots::default();
        let [a, b, c] = ["a", "b", "c"].map(|value| slots.insert(value));
        assert_eq!(slots.remove(b), "b");
        assert_eq!(slots.insert("d"), b);
        let all: Vec<_> = slots
            .iter_mut()
            .map(|(slot, value)| (slot, *value))
            .collect();
        assert_eq!(all, [(a, "a"), (b, "d"), (c, "c")]);
    }
}
