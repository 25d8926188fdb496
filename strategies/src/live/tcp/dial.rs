//! Dialling: one task for each known address.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::{sleep, sleep_until, timeout};

use super::addresses::DialHandle;
use super::connection::{self, Side};
use super::handshake::{self, HandshakeError, Session};
use super::record::{Code, Control, Greeting, Malformed};
use super::report::{Refusal, add};
use super::secret::Secret;
use super::shared::Shared;
use super::table::Claim;
use crate::name::NodeId;

/// Of the addresses that a name resolves to, so many are tried.
const RESOLVED_MAX: usize = 8;

/// Keeps whoever is behind an address connected, until the address is forgotten.
pub(super) async fn reconnect_loop(shared: Arc<Shared>, address: String, handle: DialHandle) {
    let work = async {
        let mut failures = 0;
        loop {
            if let Some(peer) = shared.connected_at(&address) {
                failures = 0;
                peer.finished.cancelled().await;
            } else {
                add(&shared.report.dials, 1);
                let outcome = dial(&shared, &address).await;
                shared.book().dialled(&address, outcome.name());
                match outcome {
                    Outcome::Myself => return,
                    Outcome::Connected(_) => failures = 0,
                    Outcome::Failed => {
                        add(&shared.report.dials_failed, 1);
                        failures += 1;
                    }
                }
            }
            tokio::select! {
                () = sleep(redial_delay(&shared, failures)) => {}
                () = handle.wake.notified() => failures = 0,
            }
        }
    };
    tokio::select! {
        () = handle.stop.cancelled() => {}
        () = work => {}
    }
}

/// How a dial ended.
enum Outcome {
    /// This node is connected, by this dial or another connection.
    Connected(NodeId),
    /// The address leads here.
    Myself,
    Failed,
}

impl Outcome {
    fn name(&self) -> Option<&NodeId> {
        match self {
            Self::Connected(name) => Some(name),
            Self::Myself | Self::Failed => None,
        }
    }
}

/// The delay doubles with each failure, and is drawn between half of it and all.
fn redial_delay(shared: &Shared, failures: u32) -> Duration {
    let limits = &shared.limits;
    let doubled = limits
        .redial_min
        .saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX));
    // Without entropy all hubs dial at the same pace: a nuisance, not an error.
    let share = getrandom::u32().unwrap_or(0) >> 16;
    doubled
        .min(limits.redial_max)
        .mul_f64(0.5 + f64::from(share) / f64::from(1 << 17))
}

/// Dials an address with each secret in turn, until one is accepted.
async fn dial(shared: &Arc<Shared>, address: &str) -> Outcome {
    let name = shared.book().name(address);
    if name.is_some_and(|name| shared.departure(&name, None, 0).is_none()) {
        // Its greeting would not pass the filter.
        return Outcome::Failed;
    }
    for secret in &shared.secrets {
        let mut attempt = Attempt {
            shared,
            address,
            greeted: None,
        };
        let result = timeout(shared.limits.handshake, attempt.run(secret))
            .await
            .unwrap_or_else(|_| Err(HandshakeError::refused(Refusal::TooSlow, "")));
        match result {
            Ok(outcome) => return outcome,
            Err(HandshakeError::Refused { refusal, detail }) => {
                shared.report.refuse(refusal, &address, &detail);
                if refusal != Refusal::NoProof {
                    return Outcome::Failed;
                }
            }
            Err(HandshakeError::ByPeer(Code::Duplicate)) => {
                tracing::debug!(address, "left to the other side's dial");
                return Outcome::Failed;
            }
            Err(HandshakeError::ByPeer(code)) => {
                let detail = format!("{code:?}");
                shared
                    .report
                    .refuse(Refusal::RefusedByPeer, &address, &detail);
                return Outcome::Failed;
            }
            Err(HandshakeError::Io(error)) => {
                tracing::debug!(address, %error, "dial failed");
                return Outcome::Failed;
            }
        }
    }
    Outcome::Failed
}

/// One dial under way: what it holds of the table is given back when it is dropped.
struct Attempt<'a> {
    shared: &'a Arc<Shared>,
    address: &'a str,
    greeted: Option<NodeId>,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let mut table = self.shared.table();
        table.end(self.address);
        if let Some(name) = &self.greeted {
            table.unclaim(name);
        }
    }
}

impl Attempt<'_> {
    async fn run(&mut self, secret: &Secret) -> Result<Outcome, HandshakeError> {
        let (stream, remote) = connect(self.shared, self.address).await?;
        connection::tune(&stream);
        self.shared.table().begin(self.address);
        let (session, listener) = handshake::dial(self.shared, stream, secret).await?;
        let claim = {
            let mut table = self.shared.table();
            table.end(self.address);
            table.claim(&listener)
        };
        match claim {
            Claim::Myself => return Ok(Outcome::Myself),
            Claim::Connected => return Ok(Outcome::Connected(listener.name)),
            Claim::NameTaken => {
                return Err(HandshakeError::refused(Refusal::NameTaken, &listener.name));
            }
            Claim::Granted => self.greeted = Some(listener.name.clone()),
        }
        self.greet(session, listener, remote).await
    }

    /// Says who we are, and takes up the connection once that is accepted.
    async fn greet(
        &mut self,
        mut session: Session,
        listener: Greeting,
        remote: SocketAddr,
    ) -> Result<Outcome, HandshakeError> {
        let hello = Control::Hello(self.shared.greeting.clone());
        match self.shared.departure(&listener.name, None, 0) {
            Some(Some(ready)) => sleep_until(ready).await,
            Some(None) => {}
            None => return Ok(Outcome::Failed),
        }
        session.say(&hello).await?;
        match session.hear().await? {
            Control::Accept => {}
            Control::Refuse(code) => return Err(HandshakeError::ByPeer(code)),
            Control::Hello(_) | Control::Heartbeat | Control::Addresses(_) | Control::Leave => {
                return Err(Malformed::OutOfPlace.into());
            }
        }
        let peer = self.shared.peer(&listener, remote);
        let installed = self.shared.table().install_dialled(&peer);
        self.greeted = None;
        if let Ok(replaced) = installed {
            connection::spawn(self.shared, peer, session, replaced, Side::Dialler);
        }
        Ok(Outcome::Connected(listener.name))
    }
}

/// Connects to the first of an address' resolutions that answers.
async fn connect(
    shared: &Shared,
    address: &str,
) -> Result<(TcpStream, SocketAddr), HandshakeError> {
    let mut last = None;
    for resolved in lookup_host(address).await?.take(RESOLVED_MAX) {
        if shared.loopback_only && !resolved.ip().is_loopback() {
            return Err(HandshakeError::refused(Refusal::SecretNeeded, resolved));
        }
        match TcpStream::connect(resolved).await {
            Ok(stream) => return Ok((stream, resolved)),
            Err(error) => last = Some(error),
        }
    }
    let nothing = || std::io::Error::other("the name resolves to no address");
    Err(last.unwrap_or_else(nothing).into())
}
