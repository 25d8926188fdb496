//! The actions of a vector, from its words to the actions of scenario steps.
//!
//! `trigger_sync at n1`, `broadcast_local_registry to n2, n3 at n1`, `propagate register a@n2 at
//! n2, members: external`, `propagate unregister a@n2 at n2`, `propagate pid_update a@n2 -> p2 at
//! n2`. Lists may stand in brackets; one `propagate` may name several children, and several
//! requests joined by `and`.

/// The pid and the metadata tag of every row that an action registers.
const PID: &str = "p";
const TAG: &str = "m";

/// One action: the node that does it, and what it does.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Action {
    pub(super) at: String,
    pub(super) what: What,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum What {
    Sync,
    Broadcast {
        to: Vec<String>,
    },
    Propagate {
        members: Audience,
        requests: Vec<Request>,
    },
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// `global`, `local` or `external`.
    Word(String),
    Nodes(Vec<String>),
}

/// One request about one child.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    Register {
        child: String,
        nodes: Vec<String>,
        pid: String,
        tag: String,
    },
    Unregister {
        child: String,
        nodes: Vec<String>,
    },
    PidUpdate {
        child: String,
        node: String,
        pid: String,
    },
}

impl Action {
    /// The nodes it names: not all of them need to exist.
    pub(super) fn nodes(&self) -> Vec<&String> {
        let named: Vec<&String> = match &self.what {
            What::Sync => Vec::new(),
            What::Broadcast { to } => to.iter().collect(),
            What::Propagate { members, requests } => {
                let listed = match members {
                    Audience::Word(_) => [].iter(),
                    Audience::Nodes(nodes) => nodes.iter(),
                };
                listed
                    .chain(requests.iter().flat_map(Request::nodes))
                    .collect()
            }
        };
        std::iter::once(&self.at).chain(named).collect()
    }
}

impl Request {
    fn nodes(&self) -> std::slice::Iter<'_, String> {
        match self {
            Self::Register { nodes, .. } | Self::Unregister { nodes, .. } => nodes.iter(),
            Self::PidUpdate { node, .. } => std::slice::from_ref(node).iter(),
        }
    }
}

/// Reads one action.
pub(super) fn parse(text: &str) -> Result<Action, String> {
    let unknown = || format!("cannot read the action `{text}`");
    let (text, members) = split_members(text);
    let (doing, at) = text.rsplit_once(" at ").ok_or_else(unknown)?;
    let (verb, rest) = doing.trim().split_once(' ').unwrap_or((doing.trim(), ""));
    let what = match verb {
        "trigger_sync" | "init_sync" | "sync" => What::Sync,
        "broadcast_local_registry" | "broadcast_local_data" | "broadcast" => What::Broadcast {
            to: list(rest.trim().strip_prefix("to ").ok_or_else(unknown)?),
        },
        "propagate" => What::Propagate {
            members,
            requests: requests(rest).ok_or_else(unknown)?,
        },
        _ => return Err(unknown()),
    };
    Ok(Action {
        at: at.trim().to_owned(),
        what,
    })
}

/// Takes `, members: ...` off the end.
fn split_members(text: &str) -> (&str, Audience) {
    let Some((rest, members)) = text.split_once("members") else {
        return (text, Audience::Word("global".to_owned()));
    };
    let members = members.trim_start_matches([':', '=']).trim();
    let members = match members.trim_start_matches(':') {
        word @ ("global" | "local" | "external") => Audience::Word(word.to_owned()),
        names => Audience::Nodes(list(names)),
    };
    (rest.trim_end().trim_end_matches(','), members)
}

/// Names between commas, spaces, `and` and brackets.
fn list(text: &str) -> Vec<String> {
    text.split(|c: char| c.is_whitespace() || matches!(c, ',' | '[' | ']' | '"'))
        .filter(|word| !word.is_empty() && *word != "and")
        .map(str::to_owned)
        .collect()
}

/// `register a@n2`, `register a@n1,n2 b@n3 and unregister c@n4`, `pid_update a@n2 -> p2`.
fn requests(text: &str) -> Option<Vec<Request>> {
    let spaced = text.replace(['[', ']', ';'], " ").replace("->", " -> ");
    let mut words = spaced
        .split_whitespace()
        .flat_map(|word| word.split_inclusive(','))
        .peekable();
    let mut requests: Vec<Request> = Vec::new();
    let mut verb = "";
    while let Some(word) = words.next() {
        let word = word.trim_end_matches(',');
        match word {
            "" | "and" => {}
            "register" | "unregister" | "pid_update" => verb = word,
            "->" => requests
                .last_mut()?
                .set_pid(words.next()?.trim_end_matches(','))?,
            _ => match word.split_once('@') {
                Some((child, node)) => requests.push(request(verb, child, node)?),
                // A further node of the child before.
                None => requests.last_mut()?.add_node(word)?,
            },
        }
    }
    (!requests.is_empty()).then_some(requests)
}

fn request(verb: &str, child: &str, node: &str) -> Option<Request> {
    let (child, node) = (child.to_owned(), node.to_owned());
    match verb {
        "register" => Some(Request::Register {
            child,
            nodes: vec![node],
            pid: PID.to_owned(),
            tag: TAG.to_owned(),
        }),
        "unregister" => Some(Request::Unregister {
            child,
            nodes: vec![node],
        }),
        "pid_update" => Some(Request::PidUpdate {
            child,
            node,
            pid: PID.to_owned(),
        }),
        _ => None,
    }
}

impl Request {
    fn set_pid(&mut self, new: &str) -> Option<()> {
        match self {
            Self::Register { pid, .. } | Self::PidUpdate { pid, .. } => new.clone_into(pid),
            Self::Unregister { .. } => return None,
        }
        Some(())
    }

    fn add_node(&mut self, node: &str) -> Option<()> {
        match self {
            Self::Register { nodes, .. } | Self::Unregister { nodes, .. } => {
                nodes.push(node.to_owned())
            }
            Self::PidUpdate { .. } => return None,
        }
        Some(())
    }
}
