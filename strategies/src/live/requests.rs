//! Start and stop requests that wait for answers. The hub keeps no record of them; this does, and
//! keeps the time.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use tokio::sync::oneshot;

use super::error::{ChildError, ChildOutcome};
use crate::name::{ChildId, NodeId};
use crate::runtime::ChildResult;

/// Where the outcomes of a request go; whoever asked may be gone.
pub(super) type Reply = oneshot::Sender<Vec<ChildOutcome>>;

/// What one node was asked: these places of the request.
struct Part {
    places: Range<usize>,
    /// Where the next answer most likely belongs.
    next: usize,
}

struct Waiting<T> {
    reply: Reply,
    /// Until it is known, the outcome is that there was no answer in time.
    outcomes: Vec<ChildOutcome>,
    known: Vec<bool>,
    open: usize,
    parts: BTreeMap<NodeId, Part>,
    deadline: T,
}

impl<T> Waiting<T> {
    fn set(&mut self, place: usize, outcome: Result<crate::name::Pid, ChildError>) {
        if !std::mem::replace(&mut self.known[place], true) {
            self.open -= 1;
            self.outcomes[place].outcome = outcome;
        }
    }

    /// The place of an answer about a child. Answers come in the order of the request, but for those
    /// of requests that were sent in pieces.
    fn place(&mut self, node: &NodeId, child: &ChildId) -> Option<usize> {
        let part = self.parts.get_mut(node)?;
        let fits = |place: &usize| !self.known[*place] && self.outcomes[*place].child == *child;
        let ahead = part.next..part.places.end;
        let place = ahead.chain(part.places.clone()).find(fits)?;
        part.next = place + 1;
        Some(place)
    }
}

/// The requests of one node that are under way, by ticket. Deadlines are instants of its runtime.
pub(super) struct Requests<T> {
    last_ticket: u64,
    waiting: BTreeMap<u64, Waiting<T>>,
    deadlines: BTreeSet<(T, u64)>,
}

impl<T: Copy + Ord> Requests<T> {
    /// None yet; the tickets follow this one.
    pub(super) fn after(last_ticket: u64) -> Self {
        Self {
            last_ticket,
            waiting: BTreeMap::new(),
            deadlines: BTreeSet::new(),
        }
    }

    /// Opens a request that asks each node for its children, in order; the outcomes that are `known`
    /// come first. No node is asked twice. Answers its ticket.
    pub(super) fn open(
        &mut self,
        asked: impl IntoIterator<Item = (NodeId, Vec<ChildId>)>,
        known: Vec<ChildOutcome>,
        deadline: T,
        reply: Reply,
    ) -> u64 {
        self.last_ticket += 1;
        let mut outcomes = known;
        let first_open = outcomes.len();
        let mut parts = BTreeMap::new();
        for (node, children) in asked {
            let first = outcomes.len();
            outcomes.extend(children.into_iter().map(|child| ChildOutcome {
                node: node.clone(),
                child,
                outcome: Err(ChildError::TimedOut),
            }));
            let places = first..outcomes.len();
            parts.insert(
                node,
                Part {
                    places,
                    next: first,
                },
            );
        }
        let waiting = Waiting {
            reply,
            known: (0..outcomes.len())
                .map(|place| place < first_open)
                .collect(),
            open: outcomes.len() - first_open,
            outcomes,
            parts,
            deadline,
        };
        self.waiting.insert(self.last_ticket, waiting);
        self.deadlines.insert((deadline, self.last_ticket));
        self.last_ticket
    }

    /// Takes in what a node answered. Answers that nobody waits for are left alone.
    pub(super) fn answer(&mut self, ticket: u64, node: &NodeId, results: Vec<ChildResult>) {
        let Some(waiting) = self.waiting.get_mut(&ticket) else {
            tracing::debug!(ticket, %node, "answer to a request that nobody waits for");
            return;
        };
        for result in results {
            if let Some(place) = waiting.place(node, &result.child) {
                waiting.set(place, result.outcome.map_err(ChildError::Refused));
            }
        }
        self.close_if_done(ticket);
    }

    /// What a node was asked and has not answered fails, in one request or in all.
    pub(super) fn fail(&mut self, node: &NodeId, only: Option<u64>, error: &ChildError) {
        let tickets: Vec<u64> = match only {
            Some(ticket) => vec![ticket],
            None => self.waiting.keys().copied().collect(),
        };
        for ticket in tickets {
            let Some(waiting) = self.waiting.get_mut(&ticket) else {
                continue;
            };
            let places = waiting.parts.get(node).map(|part| part.places.clone());
            for place in places.unwrap_or_default() {
                waiting.set(place, Err(error.clone()));
            }
            self.close_if_done(ticket);
        }
    }

    /// Replies, if every outcome is known.
    pub(super) fn close_if_done(&mut self, ticket: u64) {
        if self
            .waiting
            .get(&ticket)
            .is_some_and(|waiting| waiting.open == 0)
        {
            self.close(ticket);
        }
    }

    fn close(&mut self, ticket: u64) {
        if let Some(waiting) = self.waiting.remove(&ticket) {
            self.deadlines.remove(&(waiting.deadline, ticket));
            // Nobody may wait any more: what was asked happened all the same.
            drop(waiting.reply.send(waiting.outcomes));
        }
    }

    /// When the next request has waited long enough.
    pub(super) fn next_due(&self) -> Option<T> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Replies to requests whose time is up with what is known.
    pub(super) fn expire(&mut self, now: T) {
        while let Some((at, ticket)) = self.deadlines.first().copied()
            && at <= now
        {
            self.close(ticket);
        }
    }

    /// How many are under way.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;
    use crate::name::Pid;

    fn ids(text: &str) -> Vec<ChildId> {
        text.split_whitespace().map(ChildId::new).collect()
    }

    fn ok(children: &str) -> Vec<ChildResult> {
        let result = |child: ChildId| ChildResult {
            outcome: Ok(Pid::new(&format!("p-{child}"))),
            child,
        };
        ids(children).into_iter().map(result).collect()
    }

    fn seen(mut reply: oneshot::Receiver<Vec<ChildOutcome>>) -> Vec<String> {
        let outcomes = reply.try_recv().expect("it was replied to");
        let text = |it: ChildOutcome| match it.outcome {
            Ok(pid) => format!("{} {} {pid}", it.node, it.child),
            Err(error) => format!("{} {} {error}", it.node, it.child),
        };
        outcomes.into_iter().map(text).collect()
    }

    #[tokio::test]
    async fn answers_in_pieces_and_out_of_order_come_back_in_the_order_of_the_request() {
        let mut requests = Requests::after(0);
        let (reply, outcomes) = oneshot::channel();
        let asked = [("n1".into(), ids("a b a")), ("n2".into(), ids("a"))];
        let ticket = requests.open(asked, Vec::new(), Instant::now(), reply);
        requests.answer(ticket, &"n2".into(), ok("a"));
        requests.answer(ticket, &"n1".into(), ok("b a"));
        requests.answer(ticket, &"n3".into(), ok("a"));
        assert_eq!(requests.len(), 1);
        requests.answer(ticket, &"n1".into(), ok("a stranger"));
        assert_eq!(
            seen(outcomes),
            ["n1 a p-a", "n1 b p-b", "n1 a p-a", "n2 a p-a"]
        );
        assert_eq!((requests.len(), requests.next_due()), (0, None));
    }

    #[tokio::test]
    async fn a_node_that_goes_down_fails_its_part_and_time_fails_the_rest() {
        let mut requests = Requests::after(0);
        let (reply, outcomes) = oneshot::channel();
        let deadline = Instant::now() + Duration::from_secs(1);
        let asked = [
            ("n1".into(), ids("a")),
            ("n2".into(), ids("b")),
            ("n3".into(), ids("c")),
        ];
        let ticket = requests.open(asked, Vec::new(), deadline, reply);
        requests.answer(ticket, &"n1".into(), ok("a"));
        requests.fail(&"n2".into(), None, &ChildError::WentDown);
        requests.expire(deadline - Duration::from_millis(1));
        assert_eq!(requests.next_due(), Some(deadline));
        requests.expire(deadline);
        let expected = [
            "n1 a p-a",
            "n2 b the node went down before it answered",
            "n3 c no answer in time",
        ];
        assert_eq!(seen(outcomes), expected);
    }
}
