//! Dialling: one task for each known address.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::addresses::DialHandle;
use super::connection::{self, Side};
use super::handshake::{self, HandshakeError, Session};
use super::record::{Control, Denial, Greeting, Malformed};
use super::report::{Refusal, add};
use super::secret::Secret;
use super::shared::Shared;
use super::table::Claim;
use crate::name::NodeId;

/// Of the addresses that a name resolves to, so many are tried.
const RESOLVED_MAX: usize = 8;

/// The time between two resolutions of a name that leads to several nodes.
const RESOLVE_EVERY: Duration = Duration::from_secs(60);

/// Keeps the nodes behind an address connected, until the address is forgotten.
pub(super) async fn reconnect_loop(shared: Arc<Shared>, address: String, handle: DialHandle) {
    let work = async {
        let (mut failures, mut leads_here, mut several) = (0, false, false);
        loop {
            if let Some(peer) = shared.connected_at(&address) {
                failures = 0;
                tokio::select! {
                    () = peer.finished.cancelled() => {}
                    () = sleep(RESOLVE_EVERY), if several => {
                        // Other nodes may be behind the name by now.
                        several = dial(&shared, &address).await.several;
                        continue;
                    }
                }
            } else {
                add(&shared.report.dials, 1);
                let dialled = dial(&shared, &address).await;
                let now = Instant::now();
                shared.book().dialled(&address, dialled.found.as_ref(), now);
                several = dialled.several;
                if dialled.leads_here && !leads_here {
                    leads_here = true;
                    tracing::info!(node = %shared.name, address, "the address leads to this node itself; it is resolved and tried anew");
                }
                if dialled.found.is_some() {
                    failures = 0;
                } else {
                    add(&shared.report.dials_failed, 1);
                    failures += 1;
                    let ttl = shared.limits.address_ttl;
                    if shared.book().expire(&address, ttl, now) {
                        tracing::info!(node = %shared.name, address, "a learned address has led nowhere for long and is forgotten");
                        return;
                    }
                }
            }
            tokio::select! {
                () = sleep(redial_delay(&shared, &address, failures)) => {}
                () = handle.wake.notified() => failures = 0,
            }
        }
    };
    tokio::select! {
        () = handle.stop.cancelled() => {}
        () = work => {}
    }
}

/// How the dials of one address ended.
#[derive(Default)]
struct Dialled {
    /// A node that is connected now, by this dial or another connection.
    found: Option<NodeId>,
    /// The address leads to this node, too.
    leads_here: bool,
    /// It has more than one resolution.
    several: bool,
}

/// How one dial ended.
enum Outcome {
    /// This node is connected, by this dial or another connection.
    Connected(NodeId),
    /// It is this node itself.
    Myself,
    Failed,
}

/// The delay doubles with each failure after the first, and is drawn between half of it and all.
fn redial_delay(shared: &Shared, address: &str, failures: u32) -> Duration {
    let limits = &shared.limits;
    let longest = if shared.book().is_configured(address) {
        limits.redial_max
    } else {
        limits.redial_learned_max
    };
    let doublings = failures.saturating_sub(1);
    let doubled = limits
        .redial_min
        .saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX));
    // Without entropy all hubs dial at the same pace: a nuisance, not an error.
    let share = getrandom::u32().unwrap_or(0) >> 16;
    doubled
        .min(longest)
        .mul_f64(0.5 + f64::from(share) / f64::from(1 << 17))
}

/// Dials every resolution of an address.
async fn dial(shared: &Arc<Shared>, address: &str) -> Dialled {
    let mut dialled = Dialled::default();
    let owner = shared.book().owner(address);
    if owner.is_some_and(|name| shared.departure(&name, None, 0).is_none()) {
        // Its greeting would not pass the filter.
        return dialled;
    }
    let resolved = timeout(shared.limits.handshake, shared.resolver.resolve(address)).await;
    let mut resolved = match resolved {
        Ok(Ok(resolved)) => resolved,
        Ok(Err(error)) => {
            tracing::info!(address, %error, "an address does not resolve");
            return dialled;
        }
        Err(_) => {
            tracing::info!(address, "an address takes too long to resolve");
            return dialled;
        }
    };
    resolved.truncate(RESOLVED_MAX);
    dialled.several = resolved.len() > 1;
    for remote in resolved {
        match dial_one(shared, address, remote).await {
            Outcome::Connected(name) => {
                dialled.found.get_or_insert(name);
            }
            Outcome::Myself => dialled.leads_here = true,
            Outcome::Failed => {}
        }
    }
    dialled
}

/// Dials one address with each secret in turn, until one is accepted.
async fn dial_one(shared: &Arc<Shared>, address: &str, remote: SocketAddr) -> Outcome {
    for secret in shared.secrets().iter() {
        let mut attempt = Attempt {
            shared,
            keys: [address.to_owned(), remote.to_string()],
            dialling: None,
        };
        let result = timeout(shared.limits.handshake, attempt.run(secret, remote))
            .await
            .unwrap_or_else(|_| Err(HandshakeError::refused(Refusal::TooSlow, "")));
        let error = match result {
            Ok(outcome) => return outcome,
            Err(error) => error,
        };
        drop(attempt);
        match error {
            HandshakeError::Refused { refusal, detail } => {
                shared.report.refuse(refusal, &address, &detail);
                if refusal != Refusal::NoProof {
                    return Outcome::Failed;
                }
            }
            HandshakeError::Denied(Denial::Duplicate) => {
                tracing::debug!(address, "left to the other side's dial");
                return Outcome::Failed;
            }
            HandshakeError::Denied(Denial::NameTaken { seen }) => {
                let detail = format!("boot {seen} of this name is connected");
                refused_by_peer(shared, address, &detail);
                shared.name_taken(seen).await;
                return Outcome::Failed;
            }
            HandshakeError::Denied(Denial::Strategy(mark)) => {
                let detail = format!("it runs {}", mark.name);
                refused_by_peer(shared, address, &detail);
                return Outcome::Failed;
            }
            HandshakeError::ByPeer(code) => {
                refused_by_peer(shared, address, &format!("{code:?}"));
                return Outcome::Failed;
            }
            error @ (HandshakeError::Io(_) | HandshakeError::Silence) => {
                tracing::debug!(address, %remote, %error, "dial failed");
                return Outcome::Failed;
            }
        }
    }
    Outcome::Failed
}

fn refused_by_peer(shared: &Shared, address: &str, detail: &str) {
    shared
        .report
        .refuse(Refusal::RefusedByPeer, &address, &detail);
}

/// One dial under way: what it holds of the table is given back when it is dropped.
struct Attempt<'a> {
    shared: &'a Arc<Shared>,
    /// The address as it was given, and as it was resolved.
    keys: [String; 2],
    dialling: Option<NodeId>,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let mut table = self.shared.table();
        self.keys.iter().for_each(|key| table.end(key));
        if let Some(name) = &self.dialling {
            table.unclaim(name);
        }
    }
}

impl Attempt<'_> {
    async fn run(
        &mut self,
        secret: &Secret,
        remote: SocketAddr,
    ) -> Result<Outcome, HandshakeError> {
        if self.shared.loopback_only && !remote.ip().is_loopback() {
            return Err(HandshakeError::refused(Refusal::SecretNeeded, remote));
        }
        let stream = TcpStream::connect(remote).await?;
        connection::tune(&stream);
        let hello = Control::Hello(self.shared.greeting(&stream));
        {
            let mut table = self.shared.table();
            self.keys.iter().for_each(|key| table.begin(key));
        }
        let (session, listener) = handshake::dial(self.shared, stream, secret).await?;
        let claim = {
            let mut table = self.shared.table();
            self.keys.iter().for_each(|key| table.end(key));
            table.claim(&listener)
        };
        match claim {
            Claim::Myself => return Ok(Outcome::Myself),
            Claim::Connected => return Ok(Outcome::Connected(listener.name)),
            Claim::NameTaken => {
                return Err(HandshakeError::refused(Refusal::NameTaken, &listener.name));
            }
            Claim::Granted => self.dialling = Some(listener.name.clone()),
        }
        if let Some(mismatch) = self.shared.mismatch(&listener) {
            return Err(HandshakeError::refused(Refusal::OtherStrategy, mismatch));
        }
        self.greet(session, hello, listener, remote).await
    }

    /// Says who we are, and takes up the connection once that is accepted.
    async fn greet(
        &mut self,
        mut session: Session,
        hello: Control,
        listener: Greeting,
        remote: SocketAddr,
    ) -> Result<Outcome, HandshakeError> {
        match self.shared.departure(&listener.name, None, 0) {
            Some(Some(ready)) => sleep_until(ready).await,
            Some(None) => {}
            None => return Ok(Outcome::Failed),
        }
        session.send_control(&hello).await?;
        match session.recv_control().await? {
            Control::Accept => {}
            Control::Refuse(denial) => return Err(HandshakeError::Denied(denial)),
            Control::Hello(_)
            | Control::Heartbeat
            | Control::Addresses(_)
            | Control::Leave
            | Control::Rekey(_) => return Err(Malformed::OutOfPlace.into()),
        }
        let peer = self.shared.peer(&listener, remote, &session.secret);
        let installed = self.shared.table().install_dialled(&peer);
        self.dialling = None;
        if let Ok(replaced) = installed {
            connection::spawn(self.shared, peer, session, replaced, Side::Dialler);
        }
        Ok(Outcome::Connected(listener.name))
    }
}
