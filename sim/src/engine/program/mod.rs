//! The programs of nodes: each running node has one, which holds its hub.
//!
//! An event of the engine is followed by the tasks of programs until none is ready; what they ask of
//! their nodes happens at once. Then comes the next event. Sleeps are instants of the engine, behind
//! everything else that is due then.

mod executor;

use std::collections::{BTreeSet, VecDeque};
use std::panic::Location;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use hublab_strategies::hub::Command;
use hublab_strategies::live::{Port, StopReason as End, Taken};
use hublab_strategies::rt::{self, Claim, TaskId};
use hublab_strategies::{DownReason, Event as HubEvent, NodeId, Time};

use super::Engine;
use crate::catalog::Program;
use crate::model::{NodeIx, TaskOrder};
use crate::stream::{self, Purpose, Stream};
use crate::trace::event::{EventId, Payload};
use crate::trace::program::{Kind, claim_with_detail};

use executor::{Executor, Poll, Polled, Ready};

/// The hub id of a run's cluster.
const HUB_ID: &str = "run";

/// Polls of one node's tasks in one instant, after which the last of them is taken to be endless.
const POLLS_MAX: u32 = 100_000;

/// Polls of all tasks in a run, after which it is ended as `inconclusive`.
const POLL_BUDGET: u64 = 50_000_000;

/// The programs of a run.
pub(super) struct Programs {
    executor: Rc<Executor>,
    program: Program,
    name: String,
    order: TaskOrder,
    nodes: Vec<OfNode>,
    /// Nodes with tasks that are ready, each once.
    queue: VecDeque<NodeIx>,
    /// When requests of programs have waited long enough, and whose.
    deadlines: BTreeSet<(Time, NodeIx)>,
    polls: u64,
    /// The instant of the last poll.
    polled_at: Time,
    _installed: rt::Installed,
}

/// The program of one node.
struct OfNode {
    /// While its node runs.
    port: Option<Port>,
    root: Option<TaskId>,
    /// How the program ended.
    end: Arc<Mutex<Option<End>>>,
    ready: Ready,
    is_queued: bool,
    /// The last event of its node that it could hear of.
    told: EventId,
    /// Polls in this instant.
    polls: u32,
    /// Its node has left, or has lost its last handle: its tasks go on.
    is_alone: bool,
}

impl Drop for Programs {
    /// Tasks are dropped while the driver is installed.
    fn drop(&mut self) {
        self.executor.drop_all();
    }
}

impl Programs {
    /// When something of them is due next.
    pub(super) fn next_due(&self) -> Option<Time> {
        let deadline = self.deadlines.first().map(|(at, _)| *at);
        let sleep = self.executor.next_due();
        deadline.into_iter().chain(sleep).min()
    }

    /// True if tasks have been polled so often that the run is ended: what they do need not be an
    /// event.
    pub(super) fn are_exhausted(&self) -> bool {
        self.polls >= POLL_BUDGET
    }

    /// Draws the order of a node's tasks from another stream from now on.
    pub(super) fn turn_stream(&mut self, node: NodeIx, salt: u64) {
        self.nodes[node as usize].ready.turn(salt);
    }

    /// Queues tasks behind their nodes.
    fn queue(&mut self, woken: Vec<(NodeIx, TaskId)>) {
        for (node, task) in woken {
            let of_node = &mut self.nodes[node as usize];
            of_node.ready.push(task);
            if !std::mem::replace(&mut of_node.is_queued, true) {
                self.queue.push_back(node);
            }
        }
    }

    /// Queues what has been woken by the last events. Returns the tasks that others have woken.
    fn collect(&mut self) -> Vec<TaskId> {
        if !self.executor.is_woken() {
            return Vec::new();
        }
        let nodes = &self.nodes;
        let told = |node: NodeIx| nodes[node as usize].told;
        let (woken, foreign) = self.executor.take_woken(Some(&told));
        self.queue(woken);
        foreign
    }

    /// The next task that is ready on a node that is not paused. Nodes take turns.
    fn next_ready(&mut self, is_paused: impl Fn(NodeIx) -> bool) -> Option<(NodeIx, TaskId)> {
        loop {
            let at = self.queue.iter().position(|node| !is_paused(*node))?;
            let node = self.queue.remove(at)?;
            let of_node = &mut self.nodes[node as usize];
            match of_node.ready.pop() {
                Some(task) => {
                    self.queue.push_back(node);
                    return Some((node, task));
                }
                None => of_node.is_queued = false,
            }
        }
    }

    /// A task in words: the program by its name, any other task by the place where it was spawned.
    fn describe(&self, node: NodeIx, task: TaskId) -> String {
        if self.nodes[node as usize].root == Some(task) {
            return format!("the program `{}`", self.name);
        }
        let place = self.executor.place(task);
        place.map_or_else(
            || "a task that has ended".to_owned(),
            |(_, place)| format!("the task spawned at {place}"),
        )
    }
}

impl Engine {
    /// Every node that boots runs this program. Called before the first event, in the run's thread.
    pub(crate) fn set_program(&mut self, name: &str, program: Program, order: Option<TaskOrder>) {
        let executor = Executor::new();
        let driver: Rc<dyn rt::Driver> = Rc::<Executor>::clone(&executor);
        let order = order.unwrap_or(TaskOrder::Random);
        let nodes = self.nodes.iter().map(|_| OfNode {
            port: None,
            root: None,
            end: Arc::default(),
            ready: Ready::new(order, Stream::new(0)),
            is_queued: false,
            told: 0,
            polls: 0,
            is_alone: false,
        });
        self.programs = Some(Box::new(Programs {
            nodes: nodes.collect(),
            executor,
            program,
            name: name.to_owned(),
            order,
            queue: VecDeque::new(),
            deadlines: BTreeSet::new(),
            polls: 0,
            polled_at: Time::ZERO,
            _installed: rt::install(driver),
        }));
    }

    /// A node has booted: its program begins.
    pub(super) fn start_program(&mut self, node: NodeIx, name: &NodeId, cause: EventId) {
        let Some(programs) = &mut self.programs else {
            return;
        };
        let executor = Rc::clone(&programs.executor);
        // What went on after its node had left ends now.
        executor.drop_tasks_of(node);
        let incarnation = u64::from(self.nodes[node as usize].incarnation);
        let names = [name.as_str(), &incarnation.to_string()];
        let key = stream::key(self.seed, Purpose::Tasks, &names);
        let (hub, port) = Port::new(HUB_ID, name, incarnation);
        let end = Arc::new(Mutex::new(None));
        let (slot, program) = (Arc::clone(&end), Arc::clone(&programs.program));
        // The program's own code runs in its first poll.
        let task = Box::pin(async move {
            let reason = program(hub).await;
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
        });
        let root = executor.add(node, cause, task, Location::caller());
        let of_node = &mut programs.nodes[node as usize];
        of_node.port = Some(port);
        of_node.root = Some(root);
        of_node.end = end;
        of_node.ready = Ready::new(programs.order, Stream::new(key));
        of_node.told = cause;
        of_node.is_alone = false;
    }

    /// A node has stopped: its hub has, and its program is dropped, unless it goes on alone.
    pub(super) fn stop_program(&mut self, node: NodeIx) {
        let Some(programs) = &mut self.programs else {
            return;
        };
        let executor = Rc::clone(&programs.executor);
        executor.set_now(self.now);
        let of_node = &mut programs.nodes[node as usize];
        drop(of_node.port.take());
        if !of_node.is_alone {
            of_node.root = None;
            executor.drop_tasks_of(node);
        }
    }

    /// Something happened at the hub of a node.
    pub(super) fn tell_program(&mut self, node: NodeIx, cause: EventId, event: &HubEvent) {
        if let Some(programs) = &mut self.programs {
            let of_node = &mut programs.nodes[node as usize];
            of_node.told = cause;
            if let Some(port) = &mut of_node.port {
                port.hub_event(event);
            }
        }
    }

    /// A connection of a node came up.
    pub(super) fn tell_peer_up(&mut self, node: NodeIx, cause: EventId, peer: NodeIx, boot: u64) {
        if let Some(programs) = &mut self.programs {
            let of_node = &mut programs.nodes[node as usize];
            of_node.told = cause;
            if let Some(port) = &mut of_node.port {
                port.peer_up(&self.names[peer as usize], boot);
            }
        }
    }

    /// A connection of a node is gone.
    pub(super) fn tell_peer_down(
        &mut self,
        node: NodeIx,
        cause: EventId,
        peer: NodeIx,
        reason: DownReason,
    ) {
        if let Some(programs) = &mut self.programs {
            let of_node = &mut programs.nodes[node as usize];
            of_node.told = cause;
            if let Some(port) = &mut of_node.port {
                port.peer_down(&self.names[peer as usize], reason);
            }
        }
    }

    /// Lets programs go on whose sleep or request is over at or before `limit`, if that comes before
    /// everything else.
    pub(super) fn turn_of_programs(&mut self, limit: Time) -> bool {
        let Some(programs) = &self.programs else {
            return false;
        };
        let Some(due) = programs.next_due().filter(|due| *due <= limit) else {
            return false;
        };
        let is_first = |other: Option<Time>| other.is_none_or(|other| due < other);
        if !is_first(self.queue.next_due().map(Time)) || !is_first(self.script.next_at()) {
            return false;
        }
        self.advance(due);
        if let Some(programs) = &mut self.programs {
            let executor = Rc::clone(&programs.executor);
            executor.set_now(due);
            executor.end_sleeps();
            let (woken, _) = executor.take_woken(None);
            programs.queue(woken);
            while let Some((at, node)) = programs.deadlines.first().copied()
                && at <= due
            {
                programs.deadlines.pop_first();
                if let Some(port) = &mut programs.nodes[node as usize].port {
                    port.expire(due);
                }
            }
        }
        self.run_programs();
        true
    }

    /// Polls tasks of programs until none is ready.
    #[inline]
    pub(super) fn run_programs(&mut self) {
        if let Some(programs) = &self.programs
            && (programs.executor.is_woken() || !programs.queue.is_empty())
        {
            self.poll_programs();
        }
    }

    fn poll_programs(&mut self) {
        while let Some(programs) = &mut self.programs {
            programs.executor.set_now(self.now);
            let foreign = programs.collect();
            for task in foreign {
                self.woken_from_outside(task);
            }
            let Some(programs) = &mut self.programs else {
                return;
            };
            let nodes = &self.nodes;
            let is_paused = |node: NodeIx| nodes[node as usize].life.is_paused();
            let Some((node, task)) = programs.next_ready(is_paused) else {
                return;
            };
            self.poll_task(node, task);
        }
    }

    fn poll_task(&mut self, node: NodeIx, task: TaskId) {
        let Some(programs) = &mut self.programs else {
            return;
        };
        if programs.polled_at != self.now {
            programs.polled_at = self.now;
            for of_node in &mut programs.nodes {
                of_node.polls = 0;
            }
        }
        programs.polls += 1;
        let of_node = &mut programs.nodes[node as usize];
        of_node.polls += 1;
        if of_node.polls > POLLS_MAX {
            let (cause, who) = (of_node.told, programs.describe(node, task));
            let text = format!("{who} was polled {POLLS_MAX} times in one instant");
            return self.fail_program(node, cause, Kind::Endless, &text);
        }
        let (executor, is_root) = (Rc::clone(&programs.executor), of_node.root == Some(task));
        let Some(Poll {
            cause,
            claims,
            outcome,
        }) = executor.poll(task)
        else {
            return;
        };
        for claim in claims {
            self.record_claim(node, cause, claim);
        }
        let is_over = match &outcome {
            Polled::Pending => false,
            Polled::Ended | Polled::Panicked(_) => is_root,
        };
        self.take_orders(node, cause, is_over);
        if is_over {
            self.end_program(node, cause, outcome);
        }
    }

    fn record_claim(&mut self, node: NodeIx, cause: EventId, claim: Claim) {
        let mark = match claim {
            Claim::Seen(name) => name.into(),
            Claim::Broken { claim, detail } => {
                Kind::Always.mark(claim_with_detail(claim, &detail)).into()
            }
            Claim::Panicked(message) => Kind::Panicked.mark(explained(message)).into(),
            // A claim that this version does not know says nothing.
            _ => return,
        };
        self.record(node, cause, Payload::Mark(mark));
    }

    /// Does what a program has asked of its node. `is_over`: it cannot ask any more.
    fn take_orders(&mut self, node: NodeIx, cause: EventId, is_over: bool) {
        loop {
            let Some(code) = self.nodes[node as usize].node.as_deref() else {
                return;
            };
            let Some(programs) = &mut self.programs else {
                return;
            };
            let of_node = &mut programs.nodes[node as usize];
            let Some(port) = &mut of_node.port else {
                return;
            };
            match port.take(self.now, code.registry()) {
                Taken::Nothing => return,
                Taken::Commands(commands, done) => {
                    let due = port.next_due();
                    programs.deadlines.extend(due.map(|due| (due, node)));
                    for command in commands {
                        let action = action(&command).into();
                        let cause = self.record(node, cause, Payload::Injected { action });
                        self.obey(node, cause, command);
                        self.drain_immediate();
                    }
                    if let Some(done) = done {
                        // Whoever asked may be gone; it is done all the same.
                        let _ = done.send(());
                    }
                }
                Taken::Leave(leaver) => {
                    of_node.is_alone = true;
                    let children = self.nodes[node as usize].children.len();
                    let action = LEAVE.into();
                    let cause = self.record(node, cause, Payload::Injected { action });
                    self.leave(node, cause);
                    leaver.left(children);
                    return;
                }
                Taken::Abandoned => {
                    if !is_over {
                        of_node.is_alone = true;
                        let action = "program.drop".into();
                        let cause = self.record(node, cause, Payload::Injected { action });
                        self.crash(node, cause);
                    }
                    return;
                }
            }
        }
    }

    /// The program of a node has come to its end.
    fn end_program(&mut self, node: NodeIx, cause: EventId, outcome: Polled) {
        let Some(programs) = &mut self.programs else {
            return;
        };
        let of_node = &mut programs.nodes[node as usize];
        of_node.is_alone = false;
        let slot = Arc::clone(&of_node.end);
        let end = match outcome {
            Polled::Panicked(message) => Some(End::Panicked(message)),
            Polled::Pending | Polled::Ended => {
                slot.lock().unwrap_or_else(PoisonError::into_inner).take()
            }
        };
        if let Some(End::Failed(error)) = end {
            self.fail_program(node, cause, Kind::Failed, &error);
        } else if let Some(End::Panicked(message)) = end {
            self.fail_program(node, cause, Kind::Panicked, &explained(message));
        } else if self.nodes[node as usize].is_running() {
            let action = LEAVE.into();
            let cause = self.record(node, cause, Payload::Injected { action });
            self.leave(node, cause);
        } else {
            // It had left before.
            self.stop_program(node);
        }
    }

    /// The program of a node is at fault: that is a violation, and a crash of its node.
    fn fail_program(&mut self, node: NodeIx, cause: EventId, kind: Kind, text: &str) {
        let cause = self.record(node, cause, Payload::Mark(kind.mark(text).into()));
        if self.nodes[node as usize].is_running() {
            self.crash(node, cause);
        } else {
            self.stop_program(node);
        }
        self.drain_immediate();
    }

    /// Another thread has woken a task: what comes of it depends on that thread's speed.
    fn woken_from_outside(&mut self, task: TaskId) {
        let Some(programs) = &self.programs else {
            return;
        };
        let Some((node, _)) = programs.executor.place(task) else {
            return;
        };
        let who = programs.describe(node, task);
        let cause = programs.nodes[node as usize].told;
        let text = format!("{who} was woken by a thread outside the run");
        self.fail_program(node, cause, Kind::Foreign, &text);
    }

    /// The run is over: tells which tasks wait for something that nobody can do any more, and drops
    /// all of them.
    pub(super) fn finish_programs(&mut self, crashed: bool) {
        let Some(programs) = self.programs.take() else {
            return;
        };
        if !crashed {
            for (node, cause, task) in programs.executor.stuck() {
                let who = programs.describe(node, task);
                let text = format!("{who} waits for something that nobody can do any more");
                self.record(node, cause, Payload::Mark(Kind::Stuck.mark(text).into()));
            }
        }
    }
}

const LEAVE: &str = "program.leave";

/// The name of what a program asks, in the trace.
fn action(command: &Command) -> &'static str {
    match command {
        Command::StartChildren { .. } => "program.start_children",
        Command::StopChildren { .. } => "program.stop_children",
        Command::RestartChild(_) => "program.restart_child",
        Command::Propagate { .. } => "program.propagate",
        Command::Sync => "program.sync",
        Command::Broadcast(_) => "program.broadcast",
        Command::PutRows(_) => "rows",
        Command::SetView(_) => "view",
        Command::Leave => LEAVE,
    }
}

/// The message of a panic, with the way out if it comes of what cannot work in a run.
fn explained(message: String) -> String {
    const TOKIO: &str = "Tokio 1.x runtime";
    // What the standard library says when it is refused a thread.
    const THREAD: &str = "assertion `left == right` failed\n  left: -1\n right: 0";
    if message.contains(TOKIO) {
        format!(
            "{message}: tokio's timers, tasks and sockets do not work in a run; \
             use those of `hublab_strategies::rt`"
        )
    } else if message == THREAD {
        format!(
            "{message}: a thread, perhaps, which runs at a speed of its own and is refused in a run; \
             use `hublab_strategies::rt::spawn`"
        )
    } else {
        message
    }
}
