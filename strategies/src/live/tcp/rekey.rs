//! New secrets while connections stand: each gets a new handshake, and the old one ends after it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::connection::{self, Side};
use super::handshake::{self, HandshakeError};
use super::record::{Control, Malformed};
use super::secret::Secret;
use super::shared::Shared;
use super::table::Peer;

/// The time between two rounds: it doubles up to the longest.
const ROUND_MIN: Duration = Duration::from_millis(100);
const ROUND_MAX: Duration = Duration::from_secs(5);

/// Sessions of secrets that were removed are closed after this.
const REMOVED_AFTER: Duration = Duration::from_secs(45);

/// Gives every connection a handshake under the first secret, until all have one or the secrets
/// change again. The lower name of a pair dials. A peer that does not have the secret yet is tried
/// again; a session of a secret that was removed is closed in time.
pub(super) async fn rekey_all(shared: Arc<Shared>, version: u64) {
    let (start, mut wait) = (Instant::now(), ROUND_MIN);
    while shared.secrets_version() == version && !shared.closing.is_cancelled() {
        let secrets = shared.secrets();
        let Some(first) = secrets.first() else {
            return;
        };
        let stale: Vec<Arc<Peer>> = {
            let table = shared.table();
            let stale = table.peers().filter(|peer| peer.secret != *first);
            stale.cloned().collect()
        };
        if stale.is_empty() && start.elapsed() >= REMOVED_AFTER {
            return;
        }
        for peer in stale {
            if shared.name < peer.name
                && let Err(error) = rekey(&shared, &peer, first).await
            {
                tracing::debug!(peer = %peer.name, %error, "no handshake under the new secret yet");
            }
            let is_removed = !secrets.contains(&peer.secret);
            if is_removed && !peer.is_superseded() && start.elapsed() >= REMOVED_AFTER {
                tracing::info!(peer = %peer.name, "a session of a removed secret is closed");
                peer.close(crate::runtime::DownReason::Closed);
            }
        }
        tokio::select! {
            () = shared.closing.cancelled() => return,
            () = sleep(wait) => {}
        }
        wait = (wait * 2).min(ROUND_MAX);
    }
}

/// Makes a connection under a secret that takes over from the one that stands.
async fn rekey(
    shared: &Arc<Shared>,
    peer: &Arc<Peer>,
    secret: &Secret,
) -> Result<(), HandshakeError> {
    let within = shared.limits.handshake;
    let elapsed = |_| std::io::Error::from(std::io::ErrorKind::TimedOut);
    let resolved = timeout(within, shared.resolver.resolve(&peer.address)).await;
    let resolved = resolved.map_err(elapsed)??;
    let mut last = HandshakeError::Silence;
    for remote in resolved {
        let attempt = timeout(within, attempt(shared, peer, secret, remote)).await;
        match attempt.map_err(elapsed)? {
            Ok(()) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn attempt(
    shared: &Arc<Shared>,
    peer: &Arc<Peer>,
    secret: &Secret,
    remote: SocketAddr,
) -> Result<(), HandshakeError> {
    let stream = TcpStream::connect(remote).await?;
    connection::tune(&stream);
    let rekey = Control::Rekey(shared.greeting(&stream));
    let (mut session, listener) = handshake::dial(shared, stream, secret).await?;
    if listener.name != peer.name || listener.incarnation != peer.incarnation {
        return Err(Malformed::OutOfPlace.into());
    }
    session.send_control(&rekey).await?;
    match session.recv_control().await? {
        Control::Accept => {}
        Control::Refuse(denial) => return Err(HandshakeError::Denied(denial)),
        Control::Hello(_)
        | Control::Heartbeat
        | Control::Addresses(_)
        | Control::Leave
        | Control::Rekey(_) => return Err(Malformed::OutOfPlace.into()),
    }
    let new = shared.peer(&listener, remote, secret);
    let replaced = shared.table().hand_over(&new);
    if replaced.is_some() {
        connection::spawn(shared, new, session, replaced, Side::Dialler);
    }
    Ok(())
}
