//! Events as lines for people.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use hublab_strategies::{Change, Contents, Metadata, NodeId, Row};

use super::{Names, change_name, change_pid, down, printable, timer};
use crate::model::NodeIx;
use crate::trace::event::{Event, KindIx, NodeSizes, Payload, StopReason};

impl Names {
    /// One line for people: `31.2s n3 got gossip.sync #12 from n1 [e48211 <- e48102]`.
    #[must_use]
    pub fn line(&self, event: &Event) -> String {
        let Event {
            id,
            at,
            node,
            cause,
            ..
        } = event;
        let mut line = format!("{at} {} {}", self.show_node(*node), self.words(event));
        // Writing to a string cannot fail.
        let _ = match cause {
            0 => write!(line, " [e{id}]"),
            cause => write!(line, " [e{id} <- e{cause}]"),
        };
        line
    }

    /// What happened, without when, where and why: `got gossip.sync #12 from n1`.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "one arm per kind of event")]
    pub fn words(&self, event: &Event) -> String {
        let kind = |kind: &KindIx| self.show_kind(*kind);
        let node = |node: &NodeIx| self.show_node(*node);
        match &event.payload {
            Payload::Step {
                index,
                healing,
                action,
            } => {
                let what = if *healing { "heal_after of " } else { "" };
                format!("step {index}: {what}{}", printable(action))
            }
            Payload::Kind { kind, name } => {
                format!("from here on kind {kind} is {}", printable(name))
            }
            Payload::Booted { incarnation, .. } => format!("booted, incarnation {incarnation}"),
            Payload::Stopped(reason) => match reason {
                StopReason::Crash => "crashed".to_owned(),
                StopReason::Leave => "left".to_owned(),
            },
            Payload::Paused => "paused".to_owned(),
            Payload::Resumed => "resumed".to_owned(),
            Payload::PeerUp { peer, incarnation } => {
                format!("sees {} up, incarnation {incarnation}", node(peer))
            }
            Payload::PeerDown { peer, reason } => {
                format!("sees {} down: {}", node(peer), down(*reason))
            }
            Payload::Sent {
                to,
                kind: k,
                number,
                bytes,
                due,
                contents,
                ..
            } => {
                let due =
                    due.map_or_else(|| "never arrives".to_owned(), |due| format!("due {due}"));
                format!(
                    "sent {} #{number} to {}, {bytes} bytes, {due}{}",
                    kind(k),
                    node(to),
                    ContentsText(contents.as_ref())
                )
            }
            Payload::Duplicated {
                to,
                kind: k,
                number,
                due,
            } => {
                format!("a copy of {} #{number} to {}, due {due}", kind(k), node(to))
            }
            Payload::Delivered {
                from,
                kind: k,
                number,
                contents,
            } => format!(
                "got {} #{number} from {}{}",
                kind(k),
                node(from),
                ContentsText(contents.as_ref())
            ),
            Payload::Dropped {
                from,
                kind: k,
                number,
                reason,
                contents,
            } => {
                format!(
                    "never gets {} #{number} from {}: {}{}",
                    kind(k),
                    node(from),
                    reason.as_str(),
                    ContentsText(contents.as_ref())
                )
            }
            Payload::Timer(key) => format!("timer {}", timer(*key)),
            Payload::Row {
                child,
                before,
                after,
            } => {
                format!(
                    "row {}: {} -> {}",
                    printable(child.as_str()),
                    RowText(before.as_deref()),
                    RowText(after.as_deref())
                )
            }
            Payload::View(nodes) => {
                format!("view is [{}]", words_of(nodes.iter().map(NodeId::as_str)))
            }
            Payload::ChildStarted {
                child,
                pid,
                metadata,
            } => {
                format!(
                    "runs {} as {}{}",
                    printable(child.as_str()),
                    printable(pid.as_str()),
                    metadata_text(metadata)
                )
            }
            Payload::ChildStopped { child, pid } => {
                format!(
                    "no longer runs {} as {}",
                    printable(child.as_str()),
                    printable(pid.as_str())
                )
            }
            Payload::Fact(fact) => {
                format!(
                    "fact {} about {}: {}",
                    fact.seq,
                    printable(fact.child.as_str()),
                    change(&fact.change)
                )
            }
            Payload::Answered { by, results } => {
                let failed = results.iter().filter(|(_, result)| result.is_err()).count();
                format!(
                    "answer of {}: {} done, {failed} failed",
                    printable(by.as_str()),
                    results.len() - failed
                )
            }
            Payload::Skipped { child, action } => {
                format!(
                    "{} of {} skipped: it does not run here",
                    printable(action),
                    printable(child.as_str())
                )
            }
            Payload::Mark(name) => format!("mark {}", printable(name)),
            Payload::Panicked(message) => format!("panicked: {}", printable(message)),
            Payload::Connected { peer } => format!("is connected to {}", node(peer)),
            Payload::Disconnected { peer } => format!("is no longer connected to {}", node(peer)),
            Payload::Queued {
                from,
                kind: k,
                number,
                until,
            } => format!(
                "queues {} #{number} from {}, busy until {until}",
                kind(k),
                node(from)
            ),
            Payload::Sizes(NodeSizes {
                rows,
                tombstones,
                refs,
                strategy_bytes,
                queue,
            }) => format!(
                "holds {rows} rows, {tombstones} tombstones, {refs} references, {strategy_bytes} bytes beside the rows, {queue} queued"
            ),
            Payload::Injected { action } => format!("is given: {}", printable(action)),
        }
    }
}

/// Entries of a message that a line shows.
const ENTRIES_SHOWN: u64 = 8;

/// The entries of a message in words: `; n1: a b, n2: c, and 3 more`. Nothing if there are none, or if they
/// are not told.
struct ContentsText<'a>(Option<&'a Contents>);

impl fmt::Display for ContentsText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(contents) = self.0 else {
            return Ok(());
        };
        let mut left = ENTRIES_SHOWN;
        for (place, list) in contents.lists().iter().enumerate() {
            if left == 0 {
                break;
            }
            let mark = if place == 0 { ";" } else { "," };
            write!(f, "{mark} {}:", printable(list.node.as_str()))?;
            for child in list
                .children
                .iter()
                .take(usize::try_from(left).unwrap_or(usize::MAX))
            {
                write!(f, " {}", printable(child.as_str()))?;
                left -= 1;
            }
        }
        match contents.entries().saturating_sub(ENTRIES_SHOWN) {
            0 => Ok(()),
            more => write!(f, ", and {more} more"),
        }
    }
}

/// A row in words: `n1=p1, n2=p2 {team=blue}`; `nothing` if there is none.
#[must_use]
pub fn row_text(row: Option<&Row>) -> String {
    RowText(row).to_string()
}

/// [`row_text`], to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowText<'a>(pub(crate) Option<&'a Row>);

impl fmt::Display for RowText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(row) = self.0 else {
            return f.write_str("nothing");
        };
        if row.is_empty() {
            f.write_str("no entries")?;
        }
        for (place, entry) in row.entries.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            let pid = entry
                .pid
                .as_ref()
                .map_or(Cow::Borrowed("nil"), |pid| printable(pid.as_str()));
            write!(f, "{comma}{}={pid}", printable(entry.node.as_str()))?;
        }
        f.write_str(&metadata_text(&row.metadata))?;
        for (node, metadata) in row.entry_metadata.iter() {
            let (node, metadata) = (printable(node.as_str()), metadata_text(metadata));
            write!(f, ", {node}{metadata}")?;
        }
        row.expires_at
            .map_or(Ok(()), |at| write!(f, ", expires {at}"))
    }
}

fn metadata_text(metadata: &Metadata) -> String {
    if metadata.is_empty() {
        return String::new();
    }
    let pairs: Vec<String> = metadata
        .iter()
        .map(|(key, value)| format!("{}={}", printable(key), printable(value)))
        .collect();
    format!(" {{{}}}", pairs.join(", "))
}

fn words_of<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.map(printable).collect::<Vec<_>>().join(" ")
}

fn change(change: &Change) -> String {
    format!(
        "{} as {}",
        change_name(change),
        printable(change_pid(change))
    )
}
