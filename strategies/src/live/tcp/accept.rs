//! Listening: strangers until they have proved the secret.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{sleep, sleep_until, timeout};

use super::connection::{self, Side};
use super::handshake::{self, HandshakeError};
use super::record::{Code, Control};
use super::report::Refusal;
use super::shared::Shared;

/// The pause after the system could not accept: it is out of descriptors, say.
const PAUSE: Duration = Duration::from_millis(50);

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
                sleep(PAUSE).await;
                continue;
            }
        };
        match Arc::clone(&shared.handshakes).try_acquire_owned() {
            Ok(slot) => {
                let welcome = welcome(Arc::clone(&shared), stream, remote, slot);
                shared.tasks.spawn(welcome);
            }
            Err(_) => shared.report.refuse(Refusal::TooMany, &remote, &""),
        }
    }
}

/// Hears a stranger out, within the time of a handshake.
async fn welcome(
    shared: Arc<Shared>,
    stream: TcpStream,
    remote: SocketAddr,
    slot: OwnedSemaphorePermit,
) {
    connection::tune(&stream);
    let known = tokio::select! {
        () = shared.closing.cancelled() => return,
        known = timeout(shared.limits.handshake, admit(&shared, stream, remote)) => known,
    };
    drop(slot);
    match known.unwrap_or_else(|_| Err(HandshakeError::refused(Refusal::TooSlow, ""))) {
        Ok(()) => {}
        Err(HandshakeError::Refused { refusal, detail }) => {
            shared.report.refuse(refusal, &remote, &detail);
        }
        Err(HandshakeError::Io(error)) => {
            shared.report.refuse(Refusal::Malformed, &remote, &error);
        }
        Err(HandshakeError::ByPeer(code)) => {
            tracing::debug!(%remote, ?code, "a dialler refused");
        }
    }
}

/// Takes up a connection whose dialler has proved the secret, if its name is free.
async fn admit(
    shared: &Arc<Shared>,
    stream: TcpStream,
    remote: SocketAddr,
) -> Result<(), HandshakeError> {
    let (mut session, greeting) = handshake::answer(shared, stream).await?;
    let name = &greeting.name;
    match shared.departure(name, None, 0) {
        Some(Some(ready)) => sleep_until(ready).await,
        Some(None) => {}
        None => return Ok(()),
    }
    let peer = shared.peer(&greeting, remote);
    let installed = shared.table().install_accepted(&peer);
    match installed {
        Ok(replaced) => {
            connection::spawn(shared, peer, session, replaced, Side::Listener);
            Ok(())
        }
        Err(code) => {
            session.say(&Control::Refuse(code)).await?;
            match code {
                Code::Duplicate => Ok(()),
                Code::NameTaken | Code::Version | Code::Hub => {
                    Err(HandshakeError::refused(Refusal::NameTaken, name))
                }
            }
        }
    }
}
