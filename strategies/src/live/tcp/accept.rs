//! Listening: strangers until they have proved the secret.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, sleep_until, timeout};

use super::connection::{self, Side};
use super::handshake::{self, Greeted, HandshakeError, Session};
use super::record::{Control, Denial};
use super::report::Refusal;
use super::shared::Shared;
use super::strangers::Slot;
use super::table::{Conflict, Peer};

/// The pause after the system could not accept: it is out of descriptors, say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections until the transport closes.
pub(super) async fn listen(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            () = shared.closing.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, remote) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        match shared.strangers.admit(remote.ip()) {
            Some(slot) => {
                let handled = handle_incoming(Arc::clone(&shared), stream, remote, slot);
                shared.tasks.spawn(handled);
            }
            None => shared.report.refuse(Refusal::TooMany, &remote, &""),
        }
    }
}

/// A dialler whose name and boot are connected already.
struct Rival {
    session: Session,
    peer: Arc<Peer>,
    standing: Arc<Peer>,
}

/// Serves a connection up to its names, within the time of a handshake.
async fn handle_incoming(shared: Arc<Shared>, stream: TcpStream, remote: SocketAddr, slot: Slot) {
    connection::tune(&stream);
    let known = tokio::select! {
        () = shared.closing.cancelled() => return,
        () = slot.evicted.cancelled() => Ok(Err(HandshakeError::refused(Refusal::TooMany, ""))),
        known = timeout(shared.limits.handshake, admit(&shared, stream, remote)) => known,
    };
    drop(slot);
    match known.unwrap_or_else(|_| Err(HandshakeError::refused(Refusal::TooSlow, ""))) {
        Ok(None) => {}
        Ok(Some(rival)) => settle(&shared, rival, remote).await,
        Err(HandshakeError::Refused { refusal, detail }) => {
            shared.report.refuse(refusal, &remote, &detail);
        }
        Err(HandshakeError::Io(error)) => {
            shared.report.refuse(Refusal::Malformed, &remote, &error);
        }
        Err(
            error @ (HandshakeError::ByPeer(_)
            | HandshakeError::Denied(_)
            | HandshakeError::Silence),
        ) => tracing::debug!(%remote, %error, "a connection came to nothing"),
    }
}

/// Takes up a connection whose dialler has proved the secret, if its name is free.
async fn admit(
    shared: &Arc<Shared>,
    stream: TcpStream,
    remote: SocketAddr,
) -> Result<Option<Rival>, HandshakeError> {
    let Greeted {
        mut session,
        greeting,
        is_rekey,
    } = handshake::answer(shared, stream).await?;
    let name = &greeting.name;
    match shared.departure(name, None, 0) {
        Some(Some(ready)) => sleep_until(ready).await,
        Some(None) => {}
        None => return Ok(None),
    }
    if let Some(mismatch) = shared.mismatch(&greeting) {
        let denial = Denial::Strategy(shared.strategy.clone());
        session.send_control(&Control::Refuse(denial)).await?;
        return Err(HandshakeError::refused(Refusal::OtherStrategy, mismatch));
    }
    let peer = shared.peer(&greeting, remote, &session.secret);
    if is_rekey {
        let replaced = shared.table().hand_over(&peer);
        if replaced.is_some() {
            connection::spawn(shared, peer, session, replaced, Side::Listener);
            return Ok(None);
        }
    }
    let installed = shared.table().install_accepted(&peer);
    match installed {
        Ok(replaced) => {
            connection::spawn(shared, peer, session, replaced, Side::Listener);
            Ok(None)
        }
        Err(Conflict::Equal(standing)) => Ok(Some(Rival {
            session,
            peer,
            standing,
        })),
        Err(Conflict::Denied(denial)) => {
            let is_taken = matches!(denial, Denial::NameTaken { .. });
            session.send_control(&Control::Refuse(denial)).await?;
            if is_taken {
                return Err(HandshakeError::refused(Refusal::NameTaken, name));
            }
            Ok(None)
        }
    }
}

/// Decides between two connections of the same boot: the one that stands shows a sign of life within
/// two heartbeats, or the new one, which has proved the secret, takes its place.
async fn settle(shared: &Arc<Shared>, rival: Rival, remote: SocketAddr) {
    let Rival {
        mut session,
        peer,
        standing,
    } = rival;
    let frames = standing.frames();
    tokio::select! {
        () = shared.closing.cancelled() => return,
        () = standing.finished.cancelled() => {}
        () = sleep(shared.heartbeat.saturating_mul(2)) => {}
    }
    if standing.frames() == frames {
        let replaced = {
            let mut table = shared.table();
            match table.replace(&standing, &peer) {
                Some(old) => Ok(Some(old)),
                None => table.install_accepted(&peer),
            }
        };
        if let Ok(replaced) = replaced {
            return connection::spawn(shared, peer, session, replaced, Side::Listener);
        }
    }
    shared
        .report
        .refuse(Refusal::NameTaken, &remote, &peer.name);
    let seen = standing.incarnation;
    let refused = Control::Refuse(Denial::NameTaken { seen });
    // The dialler may be gone.
    let _ = timeout(shared.limits.handshake, session.send_control(&refused)).await;
}
