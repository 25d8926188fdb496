//! Cuts: which links a partition or a one-way cut holds.

use super::LinkKey;
use crate::model::NodeIx;

/// Names a cut, so that just this one can be mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CutId(pub(crate) u32);

/// A set of nodes, by position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeSet(Box<[u64]>);

impl NodeSet {
    pub(crate) fn new(count: usize, nodes: &[NodeIx]) -> Self {
        let mut words = vec![0; count.div_ceil(64)];
        for node in nodes {
            words[*node as usize / 64] |= 1 << (node % 64);
        }
        Self(words.into())
    }

    pub(crate) fn has(&self, node: NodeIx) -> bool {
        self.0
            .get(node as usize / 64)
            .is_some_and(|word| word & (1 << (node % 64)) != 0)
    }

    /// Takes a node in; `false` if it was in.
    pub(crate) fn insert(&mut self, node: NodeIx) -> bool {
        let is_new = !self.has(node);
        self.set(node, true);
        is_new
    }

    /// Takes a node out; `false` if it was not in.
    pub(crate) fn remove(&mut self, node: NodeIx) -> bool {
        let was_in = self.has(node);
        self.set(node, false);
        was_in
    }

    /// The nodes, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = NodeIx> {
        (0..)
            .zip(&self.0)
            .filter(|(_, word)| **word != 0)
            .flat_map(|(at, word)| {
                let bits = (0..64).filter(move |bit| word & (1 << bit) != 0);
                bits.map(move |bit| at * 64 + bit)
            })
    }

    /// Takes a node in, or leaves it out.
    pub(crate) fn set(&mut self, node: NodeIx, member: bool) {
        let word = &mut self.0[node as usize / 64];
        let bit = 1 << (node % 64);
        *word = if member { *word | bit } else { *word & !bit };
    }
}

/// The links that a cut holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Every link between two groups. By node: its group, or [`Reach::NO_GROUP`].
    Groups(Box<[u32]>),
    /// Every link from one set to the other.
    Directed {
        /// The senders.
        from: NodeSet,
        /// The receivers.
        to: NodeSet,
    },
}

impl Reach {
    const NO_GROUP: u32 = u32::MAX;

    /// A partition; a node in no group is cut off from nobody.
    pub(crate) fn groups(count: usize, groups: &[Vec<NodeIx>]) -> Self {
        let mut group_of = vec![Self::NO_GROUP; count];
        for (number, group) in (0..).zip(groups) {
            for node in group {
                group_of[*node as usize] = number;
            }
        }
        Self::Groups(group_of.into())
    }

    /// A one-way cut.
    pub(crate) fn directed(count: usize, from: &[NodeIx], to: &[NodeIx]) -> Self {
        Self::Directed {
            from: NodeSet::new(count, from),
            to: NodeSet::new(count, to),
        }
    }

    /// The links it holds, by sender, then by receiver.
    pub(crate) fn links(&self) -> impl Iterator<Item = LinkKey> {
        let (groups, directed) = match self {
            Self::Groups(group_of) => {
                let count = 0..NodeIx::try_from(group_of.len()).unwrap_or(NodeIx::MAX);
                let all = count
                    .clone()
                    .flat_map(move |a| count.clone().map(move |b| (a, b)));
                (Some(all.filter(|(a, b)| self.holds(*a, *b))), None)
            }
            Self::Directed { from, to } => {
                let all = from.iter().flat_map(|a| to.iter().map(move |b| (a, b)));
                (None, Some(all.filter(|(a, b)| a != b)))
            }
        };
        groups
            .into_iter()
            .flatten()
            .chain(directed.into_iter().flatten())
    }

    /// True if it holds a link. A node's link to itself is never held.
    pub(crate) fn holds(&self, from: NodeIx, to: NodeIx) -> bool {
        match self {
            Self::Groups(group_of) => {
                let (a, b) = (group_of[from as usize], group_of[to as usize]);
                a != b && a != Self::NO_GROUP && b != Self::NO_GROUP
            }
            Self::Directed {
                from: senders,
                to: receivers,
            } => from != to && senders.has(from) && receivers.has(to),
        }
    }
}

/// One partition or one-way cut that is in force.
#[derive(Debug)]
pub(crate) struct Cut {
    pub(crate) id: CutId,
    pub(crate) reach: Reach,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_holds_links_between_groups_and_none_of_a_node_in_no_group() {
        let reach = Reach::groups(4, &[vec![0, 1], vec![2]]);
        assert!(reach.holds(0, 2) && reach.holds(2, 1));
        assert!(!reach.holds(0, 1) && !reach.holds(3, 0) && !reach.holds(2, 3));
    }

    #[test]
    fn a_one_way_cut_holds_one_direction() {
        let reach = Reach::directed(70, &[0], &[69]);
        assert!(reach.holds(0, 69));
        assert!(!reach.holds(69, 0));
    }

    #[test]
    fn the_links_of_a_cut_are_those_it_holds() {
        let all: Vec<NodeIx> = (0..130).collect();
        for reach in [
            Reach::groups(130, &[vec![0, 1, 64], vec![2, 129], vec![63]]),
            Reach::directed(130, &[0, 63, 64, 129], &[64, 1, 0]),
            Reach::directed(130, &all, &all),
        ] {
            let links = all.iter().flat_map(|a| all.iter().map(move |b| (*a, *b)));
            let held: Vec<LinkKey> = links.filter(|(a, b)| reach.holds(*a, *b)).collect();
            assert_eq!(reach.links().collect::<Vec<_>>(), held);
        }
    }
}
