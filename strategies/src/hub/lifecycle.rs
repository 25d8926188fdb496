//! Starting, stopping and restarting children, for oneself and for others (docs/protocol.md section
//! 2, `StartChildren` and `StopChildren`).
//!
//! The originator of a request keeps no record of it: a reply is passed on as it arrives, and
//! whoever waits for it keeps the time. So a lost request or a target that goes down leaves nothing
//! behind in the hub.

use std::sync::Arc;

use crate::child::{ChildSpec, Entry, Metadata};
use crate::fact::{Change, Fact};
use crate::hub::children::{Batch, Local, Origin, Phase};
use crate::hub::input::{ChildEvent, ChildrenMessage, Envelope};
use crate::hub::{HubCore, Out};
use crate::membership::Membership;
use crate::message::Channel;
use crate::name::{ChildId, NodeId, Pid};
use crate::request::{Members, Registration, Request, Unregistration};
use crate::runtime::{ChildResult, Event};
use crate::strategy::EventStrategy;

/// The most ids in one start or stop request to another node.
const IDS_PER_REQUEST: usize = 1_000;

/// The most rows in one propagated request.
const ROWS_PER_REQUEST: usize = 10_000;

impl<S: EventStrategy, M: Membership> HubCore<S, M> {
    /// As the originator: what runs here starts at once, the others are asked.
    pub(super) fn order_start(
        &mut self,
        ticket: u64,
        specs: &[ChildSpec],
        metadata: &Metadata,
        targets: &[NodeId],
        announce: bool,
        runtime: &mut Out<'_, S, M>,
    ) {
        for target in targets {
            if target == self.node() {
                self.run_children(
                    Origin { peer: None, ticket },
                    specs,
                    metadata,
                    announce,
                    runtime,
                );
                continue;
            }
            for chunk in specs.chunks(IDS_PER_REQUEST) {
                let message = ChildrenMessage::Start {
                    ticket,
                    specs: chunk.to_vec(),
                    metadata: metadata.clone(),
                    announce,
                };
                runtime.send(
                    std::slice::from_ref(target),
                    Channel::REQUESTS,
                    Envelope::Children(message),
                );
            }
        }
    }

    /// As the originator: what runs here stops at once, another node is asked.
    pub(super) fn order_stop(
        &mut self,
        ticket: u64,
        children: &[ChildId],
        target: &NodeId,
        runtime: &mut Out<'_, S, M>,
    ) {
        if target == self.node() {
            return self.stop_children(&Origin { peer: None, ticket }, children, runtime);
        }
        for chunk in children.chunks(IDS_PER_REQUEST) {
            let message = ChildrenMessage::Stop {
                ticket,
                children: chunk.to_vec(),
            };
            runtime.send(
                std::slice::from_ref(target),
                Channel::REQUESTS,
                Envelope::Children(message),
            );
        }
    }

    pub(super) fn handle_children_message(
        &mut self,
        from: &NodeId,
        message: &ChildrenMessage,
        runtime: &mut Out<'_, S, M>,
    ) {
        let origin = |ticket: u64| Origin {
            peer: Some(from.clone()),
            ticket,
        };
        match message {
            ChildrenMessage::Start {
                ticket,
                specs,
                metadata,
                announce,
            } => {
                self.run_children(origin(*ticket), specs, metadata, *announce, runtime);
            }
            ChildrenMessage::Stop { ticket, children } => {
                self.stop_children(&origin(*ticket), children, runtime)
            }
            ChildrenMessage::Answer { ticket, results } => {
                runtime.emit(Event::Answer {
                    ticket: *ticket,
                    node: from.clone(),
                    results: results.clone(),
                });
            }
        }
    }

    /// Starts children on this node; [`Self::finish_start`] follows when all outcomes are known.
    fn run_children(
        &mut self,
        origin: Origin,
        specs: &[ChildSpec],
        metadata: &Metadata,
        announce: bool,
        runtime: &mut Out<'_, S, M>,
    ) {
        let batch = self
            .children
            .open_batch(origin, announce, metadata.clone(), specs.len());
        for spec in specs {
            if self.children.get(spec.id()).is_some() {
                self.end_child(spec.id(), "replaced by a later start", runtime);
            }
            let pid = self.new_pid();
            let index = self.children.add_item(batch, spec.clone(), pid.clone());
            let phase = Phase::Starting { batch, index };
            runtime.start_child(spec, &pid, metadata);
            self.children.insert(Local {
                spec: spec.clone(),
                pid,
                metadata: metadata.clone(),
                phase,
            });
        }
        self.finish_start(batch, runtime);
    }

    fn new_pid(&mut self) -> Pid {
        self.children
            .next_pid(self.state.node(), self.state.incarnation())
    }

    /// Stops a child's process and forgets it. A start that it was part of counts as failed.
    /// Answers the pid of the process.
    fn end_child(
        &mut self,
        child: &ChildId,
        reason: &str,
        runtime: &mut Out<'_, S, M>,
    ) -> Option<Pid> {
        let local = self.children.remove(child)?;
        runtime.stop_child(&local.pid);
        self.forget(&local, reason, runtime);
        Some(local.pid)
    }

    /// The consequence of a child's end: the fact, or the failed start.
    fn forget(&mut self, local: &Local, reason: &str, runtime: &mut Out<'_, S, M>) {
        let pid = match &local.phase {
            Phase::Starting { batch, index } => {
                self.children.note(*batch, *index, Err(reason.to_owned()));
                return self.finish_start(*batch, runtime);
            }
            Phase::Running => local.pid.clone(),
            Phase::Restarting { old } => old.clone(),
        };
        self.stamp(local.spec.id(), Change::Stopped { pid }, runtime);
    }

    /// Registers and propagates the children of a start request and replies to it, once all
    /// outcomes are known.
    fn finish_start(&mut self, batch: u64, runtime: &mut Out<'_, S, M>) {
        let Some(batch) = self.children.take_finished(batch) else {
            return;
        };
        let started: Vec<_> = batch
            .items
            .iter()
            .filter(|item| item.outcome().is_ok())
            .collect();
        let rows: Vec<_> = started
            .iter()
            .map(|item| Registration {
                spec: item.spec.clone(),
                entries: Entry {
                    node: self.node().clone(),
                    pid: Some(item.pid.clone()),
                }
                .into(),
                metadata: batch.metadata.clone(),
            })
            .collect();
        self.mutate(runtime, |registry, sink| registry.register(&rows, sink));
        for item in started {
            let (spec, metadata) = (item.spec.clone(), batch.metadata.clone());
            self.stamp(
                item.spec.id(),
                Change::Started {
                    spec,
                    pid: item.pid.clone(),
                    metadata,
                },
                runtime,
            );
        }
        let result = |item: &crate::hub::children::Item| ChildResult {
            child: item.spec.id().clone(),
            outcome: item.outcome().map(|()| item.pid.clone()),
        };
        self.answer(
            &batch.origin,
            batch.items.iter().map(result).collect(),
            runtime,
        );
        if batch.announce {
            for chunk in rows.chunks(ROWS_PER_REQUEST) {
                self.propagate(
                    Request::Register(chunk.to_vec()),
                    Members::External,
                    runtime,
                );
            }
        }
        self.unregister_replaced(&batch, runtime);
    }

    /// A failed start may have replaced a child that ran: its registration must go.
    fn unregister_replaced(&mut self, batch: &Batch, runtime: &mut Out<'_, S, M>) {
        let failed = batch
            .items
            .iter()
            .filter(|item| item.outcome().is_err())
            .map(|item| item.spec.id());
        let stale = |child: &&ChildId| {
            let row = self.registry().get(child);
            self.children.get(child).is_none()
                && row.is_some_and(|row| row.pid_on(self.node()).is_some())
        };
        let stale: Vec<_> = failed.filter(stale).cloned().collect();
        self.propagate_unregistration(&stale, Members::Global, runtime);
    }

    /// Stops children on this node, replies to the request, and propagates.
    fn stop_children(
        &mut self,
        origin: &Origin,
        children: &[ChildId],
        runtime: &mut Out<'_, S, M>,
    ) {
        let mut ended: Vec<Local> = Vec::new();
        let mut results = Vec::with_capacity(children.len());
        for child in children {
            let outcome = match self.children.remove(child) {
                Some(local) => {
                    runtime.stop_child(&local.pid);
                    let pid = local.pid.clone();
                    ended.push(local);
                    Ok(pid)
                }
                None => {
                    runtime.emit(Event::Skipped {
                        child: child.clone(),
                        action: "stop",
                    });
                    Err("does not run here".to_owned())
                }
            };
            results.push(ChildResult {
                child: child.clone(),
                outcome,
            });
        }
        let ids: Vec<_> = ended.iter().map(|local| local.spec.id().clone()).collect();
        self.unregister_here(&self.own_unregistrations(&ids), runtime);
        for local in &ended {
            self.forget(local, "stopped while it was starting", runtime);
        }
        self.answer(origin, results, runtime);
        self.propagate_unregistration(&ids, Members::External, runtime);
    }

    /// Stops all children without propagating it: peers remove the rows of a node that leaves.
    pub(super) fn stop_all_children(&mut self, runtime: &mut Out<'_, S, M>) {
        for child in self.children.ids() {
            let Some(local) = self.children.remove(&child) else {
                continue;
            };
            runtime.stop_child(&local.pid);
            match &local.phase {
                // There is no requester to reply to.
                Phase::Starting { .. } => {}
                Phase::Running | Phase::Restarting { .. } => self.forget(&local, "", runtime),
            }
        }
        self.children.clear();
    }

    /// Gives a child a new process.
    pub(super) fn restart_child(&mut self, child: &ChildId, runtime: &mut Out<'_, S, M>) {
        match self.children.get(child).cloned() {
            Some(local) if !matches!(local.phase, Phase::Starting { .. }) => {
                runtime.stop_child(&local.pid);
                self.replace_process(local, runtime);
            }
            Some(_) | None => runtime.emit(Event::Skipped {
                child: child.clone(),
                action: "restart",
            }),
        }
    }

    fn replace_process(&mut self, local: Local, runtime: &mut Out<'_, S, M>) {
        let old = match local.phase {
            Phase::Restarting { old } => old,
            Phase::Running | Phase::Starting { .. } => local.pid,
        };
        let pid = self.new_pid();
        runtime.start_child(&local.spec, &pid, &local.metadata);
        self.children.insert(Local {
            pid,
            phase: Phase::Restarting { old },
            ..local
        });
    }

    /// Handles reports of processes. Those of processes replaced or stopped meanwhile are ignored.
    pub(super) fn handle_children(&mut self, events: Vec<ChildEvent>, runtime: &mut Out<'_, S, M>) {
        for event in events {
            match event {
                ChildEvent::Started(pid) => self.child_started(&pid, runtime),
                ChildEvent::Failed { pid, reason } => self.child_gone(&pid, &reason, runtime),
                ChildEvent::Exited(pid) => {
                    self.child_gone(&pid, "ended while it was starting", runtime)
                }
                ChildEvent::Crashed(pid) => self.child_crashed(&pid, runtime),
            }
        }
    }

    fn child_started(&mut self, pid: &Pid, runtime: &mut Out<'_, S, M>) {
        let Some(mut local) = self.children.by_pid(pid).cloned() else {
            return;
        };
        match local.phase {
            Phase::Starting { batch, index } => {
                self.children.note(batch, index, Ok(()));
                self.finish_start(batch, runtime);
            }
            Phase::Running => {}
            Phase::Restarting { .. } => {
                local.phase = Phase::Running;
                let child = local.spec.id().clone();
                self.children.insert(local);
                self.stamp(&child, Change::Restarted { pid: pid.clone() }, runtime);
                let node = self.node().clone();
                let update = Request::PidUpdate {
                    child,
                    node,
                    pid: Some(pid.clone()),
                };
                self.propagate(update, Members::Global, runtime);
            }
        }
    }

    /// A process is gone for good.
    fn child_gone(&mut self, pid: &Pid, reason: &str, runtime: &mut Out<'_, S, M>) {
        let Some(child) = self
            .children
            .by_pid(pid)
            .map(|local| local.spec.id().clone())
        else {
            return;
        };
        let Some(local) = self.children.remove(&child) else {
            return;
        };
        self.forget(&local, reason, runtime);
        match local.phase {
            // Never registered: the reply to the request has the result.
            Phase::Starting { .. } => {}
            Phase::Running | Phase::Restarting { .. } => {
                self.propagate_unregistration(&[child], Members::Global, runtime);
            }
        }
    }

    fn child_crashed(&mut self, pid: &Pid, runtime: &mut Out<'_, S, M>) {
        let Some(local) = self.children.by_pid(pid).cloned() else {
            return;
        };
        match local.phase {
            Phase::Starting { .. } => {
                self.child_gone(pid, "crashed while it was starting", runtime)
            }
            Phase::Running | Phase::Restarting { .. } => self.replace_process(local, runtime),
        }
    }

    fn answer(&mut self, origin: &Origin, results: Vec<ChildResult>, runtime: &mut Out<'_, S, M>) {
        let ticket = origin.ticket;
        match &origin.peer {
            None => runtime.emit(Event::Answer {
                ticket,
                node: self.node().clone(),
                results,
            }),
            Some(peer) => {
                let message = Envelope::Children(ChildrenMessage::Answer { ticket, results });
                runtime.send(std::slice::from_ref(peer), Channel::REQUESTS, message);
            }
        }
    }

    fn own_unregistrations(&self, children: &[ChildId]) -> Vec<Unregistration> {
        let own = |child: &ChildId| Unregistration {
            child: child.clone(),
            nodes: vec![self.node().clone()],
        };
        children.iter().map(own).collect()
    }

    fn propagate_unregistration(
        &mut self,
        children: &[ChildId],
        members: Members,
        runtime: &mut Out<'_, S, M>,
    ) {
        for chunk in children.chunks(ROWS_PER_REQUEST) {
            self.propagate(
                Request::Unregister(self.own_unregistrations(chunk)),
                members.clone(),
                runtime,
            );
        }
    }

    fn propagate(&mut self, request: Request, members: Members, runtime: &mut Out<'_, S, M>) {
        self.with_strategy(runtime, |strategy, cx| {
            strategy.propagate(cx, Arc::new([request]), &members)
        });
    }

    /// Stamps a change of what runs here, for the trace and for the strategy.
    fn stamp(&mut self, child: &ChildId, change: Change, runtime: &mut Out<'_, S, M>) {
        self.facts += 1;
        let owner = self.node().clone();
        let fact = Fact {
            owner,
            incarnation: self.incarnation(),
            seq: self.facts,
            child: child.clone(),
            change,
        };
        runtime.emit(Event::Fact(Box::new(fact.clone())));
        self.with_strategy(runtime, |strategy, cx| strategy.local_change(cx, &fact));
    }
}
