//! Repair: digests, the heads that follow where they differ, and what is sent to a node that lacks
//! something.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{
    Cx, DIGEST, Head, Operation, Operations, Owner, OwnerLog, OwnerLogMessage, Page, QUICK, head_of,
};
use crate::message::Channel;
use crate::name::NodeId;

impl OwnerLog {
    /// Sends what somebody lacks of some owners, as far as it is here and visible.
    pub(super) fn answer(&self, cx: &mut Cx<'_>, to: &NodeId, lacking: &[Head]) {
        let (to, rows) = (std::slice::from_ref(to), self.config.page_rows as usize);
        let mut pages: Vec<Page> = Vec::new();
        for theirs in lacking {
            let replica = if theirs.owner == *cx.node() {
                &self.own
            } else {
                match self.owners.get(&theirs.owner).filter(|it| it.is_visible()) {
                    Some(owner) => &owner.replica,
                    None => continue,
                }
            };
            let is_same = theirs.incarnation == replica.incarnation();
            let after = if is_same { theirs.high } else { 0 };
            let newer =
                replica.incarnation() > theirs.incarnation || is_same && replica.high() > after;
            if !newer {
                continue;
            }
            let is_own = theirs.owner == *cx.node();
            match is_own.then(|| self.suffix(cx, after)).flatten() {
                Some(message) => cx.send(to, Channel::SYNC, OwnerLogMessage::Operations(message)),
                None => pages.extend(replica.pages(&theirs.owner, rows)),
            }
        }
        let mut batch = Vec::new();
        let mut size = 0;
        for page in pages {
            if size + page.rows.len() > rows && !batch.is_empty() {
                cx.send(
                    to,
                    Channel::SYNC,
                    OwnerLogMessage::Pages(std::mem::take(&mut batch)),
                );
                size = 0;
            }
            size += page.rows.len();
            batch.push(page);
        }
        if !batch.is_empty() {
            cx.send(to, Channel::SYNC, OwnerLogMessage::Pages(batch));
        }
    }

    /// The own operations above a number, if the log reaches back that far.
    pub(super) fn suffix(&self, cx: &Cx<'_>, after: u64) -> Option<Operations> {
        let above = self.log.iter().filter(|it| it.seq() > after);
        let operations: Arc<[Operation]> = above.cloned().collect();
        let is_complete = operations.len() as u64 == self.own.high().saturating_sub(after);
        is_complete.then(|| Operations {
            number: 0,
            owner: cx.node().clone(),
            incarnation: cx.incarnation(),
            head: self.own.high(),
            operations,
            group: Vec::new(),
        })
    }

    pub(super) fn heads(&self, cx: &Cx<'_>) -> Vec<Head> {
        let members = self.owners.iter().filter(|(_, owner)| owner.is_member);
        let heads = members.map(|(node, owner)| owner.head(node));
        heads.chain([head_of(cx.node(), &self.own)]).collect()
    }

    pub(super) fn handle_heads(
        &mut self,
        cx: &mut Cx<'_>,
        from: &NodeId,
        heads: &[Head],
        is_whole: bool,
    ) {
        let mut wanted = Vec::new();
        let mut listed = BTreeSet::new();
        for theirs in heads {
            listed.insert(&theirs.owner);
            if theirs.owner == *from || theirs.owner == *cx.node() {
                self.admit(cx, from, theirs);
            }
            let is_lacking = |owner: &&Owner| {
                let mine = (owner.replica.incarnation(), owner.replica.high());
                owner.is_member && mine < (theirs.incarnation, theirs.high)
            };
            if let Some(owner) = self.owners.get(&theirs.owner).filter(is_lacking) {
                wanted.push(owner.head(&theirs.owner));
            }
        }
        let mut lacking = heads.to_vec();
        if is_whole {
            let is_unlisted = |head: &Head| head.owner != *from && !listed.contains(&head.owner);
            let unlisted = self.heads(cx).into_iter().filter(is_unlisted);
            lacking.extend(unlisted.map(|head| Head {
                incarnation: 0,
                high: 0,
                ..head
            }));
            if !wanted.is_empty() {
                let message = OwnerLogMessage::Heads {
                    heads: wanted,
                    is_whole: false,
                    token: 0,
                };
                cx.send(std::slice::from_ref(from), Channel::SYNC, message);
            }
        }
        self.answer(cx, from, &lacking);
    }

    pub(super) fn send_heads(&self, cx: &mut Cx<'_>, to: &NodeId) {
        let (heads, is_whole, token) = (self.heads(cx), true, 0);
        let message = OwnerLogMessage::Heads {
            heads,
            is_whole,
            token,
        };
        cx.send(std::slice::from_ref(to), Channel::SYNC, message);
    }

    pub(super) fn handle_digest(&mut self, cx: &mut Cx<'_>, from: &NodeId, hash: u64) {
        if hash != self.hash {
            self.hasten(cx);
            self.send_heads(cx, from);
        } else if self.config.digest_backoff_max > self.config.digest_interval {
            cx.send(
                std::slice::from_ref(from),
                Channel::SYNC,
                OwnerLogMessage::Agree,
            );
        }
    }

    /// The next digests are closer to each other.
    pub(super) fn hasten(&mut self, cx: &mut Cx<'_>) {
        self.interval = self.config.digest_interval;
        if self.quick == 0 {
            cx.set_timer(DIGEST, self.interval / 4);
        }
        self.quick = QUICK;
    }
}
