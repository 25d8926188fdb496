//! A connection that both sides agreed on: one task reads, one writes.

use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Semaphore;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::codec::{FramedRead, LengthDelimitedCodec};

use super::handshake::{Session, next_frame};
use super::noise::{Opener, PLAINTEXT_BYTES_MAX, Sealer};
use super::outbox::Filled;
use super::record::{self, Assembly, Control, Malformed, Place, Tag};
use super::report::{Refusal, add};
use super::shared::Shared;
use super::table::Peer;
use crate::live::transport::{RecvPermit, TransportEvent};
use crate::runtime::DownReason;

/// Sealed frames are gathered up to this, then written.
const WRITE_BYTES: usize = 64 << 10;

/// A long message lets the other tasks of its thread run after this many bytes: some 100 us of work.
const YIELD_BYTES: usize = 64 << 10;

/// The time for what is queued on a connection that another takes the place of.
const HAND_OVER_WITHIN: Duration = Duration::from_secs(10);

/// Bytes that the kernel may hold unsent: what is queued there can no longer be overtaken.
#[cfg(target_os = "linux")]
const UNSENT_BYTES: u32 = 128 << 10;

/// Which side of a connection this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Dialler,
    Listener,
}

/// Sets a socket up for small messages that should not wait. Failing costs only time.
pub(super) fn tune(stream: &TcpStream) {
    let tuned = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let tuned = tuned.and(socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_BYTES));
    if let Err(error) = tuned {
        tracing::debug!(%error, "cannot tune a socket");
    }
}

/// Starts the tasks of a connection that stands in the table.
pub(super) fn spawn(
    shared: &Arc<Shared>,
    peer: Arc<Peer>,
    session: Session,
    replaced: Option<Arc<Peer>>,
    side: Side,
) {
    shared.count_connection();
    let span = tracing::info_span!(
        "connection",
        node = %shared.name,
        peer = %peer.name,
        incarnation = peer.incarnation,
    );
    let run = run(Arc::clone(shared), peer, session, replaced, side);
    shared
        .tasks
        .spawn(tracing::Instrument::instrument(run, span));
}

/// Serves a connection: reports it up, and down once it ends.
async fn run(
    shared: Arc<Shared>,
    peer: Arc<Peer>,
    mut session: Session,
    replaced: Option<Arc<Peer>>,
    side: Side,
) {
    let _end = End(&shared, &peer);
    // A connection of the same boot is replaced without a word to the hub.
    let is_same_boot = replaced
        .as_ref()
        .is_some_and(|old| old.incarnation == peer.incarnation);
    if let Some(old) = replaced.as_ref().filter(|old| !old.hands_over()) {
        old.close(DownReason::Restarted);
    }
    if side == Side::Listener
        && let Err(error) = session.send_control(&Control::Accept).await
    {
        tracing::debug!(%error, "the dialler is gone");
        peer.close(DownReason::Closed);
    }
    if let Some(old) = &replaced {
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = old.finished.cancelled() => {}
            () = sleep(HAND_OVER_WITHIN) => {
                old.close(DownReason::Closed);
                old.finished.cancelled().await;
            }
        }
    }
    tracing::debug!(address = peer.address, "peer up");
    let up = TransportEvent::Up {
        node: peer.name.clone(),
        incarnation: peer.incarnation,
    };
    if !is_same_boot && !report(&shared, up).await {
        return;
    }
    let place = Place {
        name: peer.name.clone(),
        incarnation: peer.incarnation,
        address: peer.address.clone(),
    };
    shared.learn(&place, true, peer.is_near);
    shared.introduce(&peer);
    serve(&shared, &peer, session).await;
    shared.table().remove(&peer);
    peer.outbox.discard();
    let reason = peer.reason();
    tracing::debug!(?reason, "peer down");
    let node = peer.name.clone();
    if !peer.is_superseded() {
        report(&shared, TransportEvent::Down { node, reason }).await;
    }
}

/// What must be true after a connection, however its task ends.
struct End<'a>(&'a Shared, &'a Arc<Peer>);

impl Drop for End<'_> {
    fn drop(&mut self) {
        let Self(shared, peer) = self;
        shared.table().remove(peer);
        peer.outbox.discard();
        peer.stop.cancel();
        peer.finished.cancel();
    }
}

/// Hands something to the hub; `false` if that is over.
async fn report(shared: &Shared, event: TransportEvent) -> bool {
    tokio::select! {
        () = shared.stop.cancelled() => false,
        sent = shared.events.send(event) => sent.is_ok(),
    }
}

/// Reads and writes until one of the two ends.
async fn serve(shared: &Arc<Shared>, peer: &Arc<Peer>, session: Session) {
    let Session {
        reader,
        writer,
        sealer,
        opener,
        secret: _,
    } = session;
    if shared.closing.is_cancelled() {
        peer.outbox.close(None);
    }
    let mut writing = tokio::spawn({
        let (shared, peer) = (Arc::clone(shared), Arc::clone(peer));
        async move {
            let mut writer = Writer {
                sealer,
                socket: writer,
                sealed: Vec::with_capacity(WRITE_BYTES + PLAINTEXT_BYTES_MAX + 64),
            };
            let stop = peer.stop.clone();
            tokio::select! {
                () = stop.cancelled() => {}
                () = writer.run(&shared, &peer) => {}
            }
        }
    });
    let mut reading = Reader {
        shared,
        peer,
        opener,
        assembly: Assembly::new(shared.limits.message_bytes, shared.limits.queue_bytes),
        budget: Arc::new(Semaphore::new(shared.limits.message_bytes)),
    };
    let reason = tokio::select! {
        () = peer.stop.cancelled() => DownReason::Closed,
        reason = reading.run(reader) => reason,
    };
    if peer.hands_over() && !peer.stop.is_cancelled() {
        // The other side has sent all of its own; this side finishes, too.
        let _ = timeout(HAND_OVER_WITHIN, &mut writing).await;
    }
    peer.close(reason);
    if !writing.is_finished()
        && let Err(error) = writing.await
    {
        tracing::error!(%error, "the writer of a connection failed");
    }
}

struct Reader<'a> {
    shared: &'a Arc<Shared>,
    peer: &'a Peer,
    opener: Opener,
    assembly: Assembly,
    /// Bytes of messages that the hub has not let go of yet.
    budget: Arc<Semaphore>,
}

impl Reader<'_> {
    async fn run(
        &mut self,
        mut reader: FramedRead<OwnedReadHalf, LengthDelimitedCodec>,
    ) -> DownReason {
        let mut busy = 0;
        loop {
            if busy >= YIELD_BYTES {
                busy = 0;
                yield_now().await;
            }
            let frame = match timeout(
                self.shared.patience(&self.peer.name),
                next_frame(&mut reader),
            )
            .await
            {
                Ok(Some(Ok(frame))) => frame,
                Ok(None) => {
                    self.peer.read_to_end();
                    return DownReason::Closed;
                }
                Ok(Some(Err(error))) if error.kind() == std::io::ErrorKind::InvalidData => {
                    return self.give_up(&error);
                }
                Ok(Some(Err(error))) => {
                    tracing::debug!(%error, "connection lost");
                    return DownReason::Closed;
                }
                Err(_) => return DownReason::Silent,
            };
            self.peer.count_frame();
            busy += frame.len();
            add(&self.shared.report.wire_bytes_received, frame.len() + 2);
            let mut plain = match self.opener.open(&frame) {
                Ok(plain) => plain.freeze(),
                Err(error) => return self.give_up(&error),
            };
            loop {
                match record::next(&mut plain) {
                    Ok(None) => break,
                    Ok(Some((tag, channel, body))) => match self.take(tag, channel, body).await {
                        Ok(true) => {}
                        Ok(false) => return DownReason::Closed,
                        Err(malformed) => return self.give_up(&malformed),
                    },
                    Err(malformed) => return self.give_up(&malformed),
                }
            }
        }
    }

    /// Takes one record; `false` if the hub is gone.
    async fn take(&mut self, tag: Tag, channel: u8, body: Bytes) -> Result<bool, Malformed> {
        match tag {
            Tag::Control => self.recv_control(record::decode_control(&body)?).await,
            Tag::Part | Tag::Last => match self.assembly.take(tag == Tag::Last, channel, body)? {
                Some(message) => Ok(self.deliver(channel, message).await),
                None => Ok(true),
            },
        }
    }

    /// Handles a record of the peer's transport; `false` if the hub is gone.
    async fn recv_control(&self, control: Control) -> Result<bool, Malformed> {
        match control {
            Control::Heartbeat => Ok(true),
            Control::Leave => {
                let node = self.peer.name.clone();
                self.shared.book().left(&node);
                Ok(report(self.shared, TransportEvent::Left { node }).await)
            }
            Control::Addresses(places) => {
                for place in &places {
                    self.shared.learn(place, false, self.peer.is_near);
                }
                Ok(true)
            }
            Control::Hello(_) | Control::Accept | Control::Refuse(_) | Control::Rekey(_) => {
                Err(Malformed::OutOfPlace)
            }
        }
    }

    /// Hands a message to the hub, once it has let go of enough earlier ones of this peer.
    async fn deliver(&self, channel: u8, bytes: Bytes) -> bool {
        let report = &self.shared.report;
        add(&report.messages_received, 1);
        add(&report.message_bytes_received, bytes.len());
        // No message is longer than the budget, and lengths are below 4 GiB.
        let cost = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let Ok(permit) = Arc::clone(&self.budget).acquire_many_owned(cost).await else {
            return false;
        };
        let message = TransportEvent::Message {
            from: self.peer.name.clone(),
            channel,
            bytes,
            permit: RecvPermit::new(permit),
        };
        self.shared.events.send(message).await.is_ok()
    }

    fn give_up(&self, error: &dyn std::fmt::Display) -> DownReason {
        self.shared
            .report
            .refuse(Refusal::Malformed, &self.peer.name, error);
        DownReason::Closed
    }
}

struct Writer {
    sealer: Sealer,
    socket: OwnedWriteHalf,
    /// Frames that wait to be written.
    sealed: Vec<u8>,
}

impl Writer {
    /// Writes until nothing more will come, or it fails; either closes the peer or its sending half.
    async fn run(&mut self, shared: &Shared, peer: &Peer) {
        let mut plain = Vec::with_capacity(PLAINTEXT_BYTES_MAX);
        let mut written = Instant::now();
        loop {
            plain.clear();
            let filled = peer.outbox.fill(Instant::now(), &mut plain);
            if filled == Filled::Some {
                if let Err(error) = self.sealer.seal(&plain, &mut self.sealed) {
                    tracing::info!(%error, "the session's nonces are used up");
                    return peer.close(DownReason::Closed);
                }
                if self.sealed.len() < WRITE_BYTES {
                    continue;
                }
            }
            if !self.sealed.is_empty() {
                if self.flush(shared).await.is_err() {
                    return peer.close(DownReason::Closed);
                }
                written = Instant::now();
                yield_now().await;
                continue;
            }
            match filled {
                Filled::Some => {}
                Filled::Finished => {
                    // The peer sees the end of the stream, and closes its half.
                    peer.written_to_end();
                    drop(self.socket.shutdown().await);
                    return;
                }
                Filled::Nothing(ready) => {
                    let beat = written + shared.heartbeat;
                    tokio::select! {
                        () = peer.outbox.changed() => {}
                        () = sleep_until(ready.unwrap_or(beat).min(beat)) => {}
                    }
                    if Instant::now() >= beat {
                        shared.send_control(peer, &Control::Heartbeat);
                        written = Instant::now();
                    }
                }
            }
        }
    }

    /// Writes what is sealed. A peer that takes it in slowly is not silent as long as its
    /// heartbeats arrive; what is queued for it meanwhile is bounded.
    async fn flush(&mut self, shared: &Shared) -> std::io::Result<()> {
        self.socket.write_all(&self.sealed).await?;
        add(&shared.report.wire_bytes_sent, self.sealed.len());
        self.sealed.clear();
        Ok(())
    }
}
