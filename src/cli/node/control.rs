//! The control socket of a node: a Unix socket that only its owner can open.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hublab_strategies::live::{Events, Hub, SecretError, SecretsError, StartOptions};
use hublab_strategies::{ChildSpec, Metadata};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, BufWriter, Interest};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use super::protocol::{Child, Item, REQUEST_BYTES_MAX, Reply, Request, names};

/// Clients at one time; more of them wait.
const CLIENTS: usize = 64;

/// How long a client may take for one line of a request, and for taking one piece of a reply.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long clients have for their last answers when the hub has stopped.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Watches at one time, beside the clients; more of them are refused.
const WATCHES: usize = 64;

/// The longest path of a socket, in bytes.
const PATH_BYTES_MAX: usize = 107;

/// How often to look whether a client that waits for its answer is still there.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What the clients of a socket may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rights {
    /// Everything.
    All,
    /// What changes nothing.
    Questions,
}

/// A socket that is listened on. Its file goes with it.
#[derive(Debug)]
pub(super) struct Control {
    listener: UnixListener,
    rights: Rights,
    path: PathBuf,
    inode: u64,
}

impl Control {
    /// Makes the socket, with mode 0600 from its first moment on. One that nobody listens on any
    /// more is replaced.
    ///
    /// # Errors
    /// The path is too long, something else is there, somebody listens on it, or the system refuses.
    pub(super) fn bind(path: &Path, rights: Rights) -> io::Result<Self> {
        let bytes = path.as_os_str().len();
        if bytes > PATH_BYTES_MAX {
            let kind = io::ErrorKind::InvalidInput;
            let reason =
                format!("a socket's path may have {PATH_BYTES_MAX} bytes, this has {bytes}");
            return Err(io::Error::new(kind, reason));
        }
        clear(path)?;
        // It is made where nobody else can reach it, and moved when it is ready.
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let nursery = tempfile::Builder::new()
            .prefix(".")
            .rand_bytes(6)
            .tempdir_in(parent.unwrap_or(Path::new(".")))?;
        let born = nursery.path().join("s");
        let listener = UnixListener::bind(&born)?;
        fs::set_permissions(&born, Permissions::from_mode(0o600))?;
        let inode = fs::metadata(&born)?.ino();
        fs::rename(&born, path)?;
        Ok(Self {
            listener,
            rights,
            path: path.to_owned(),
            inode,
        })
    }

    /// Serves clients until the hub stops; `left` is set if one of them had it leave. Then they have
    /// a moment to read their answers. Dropping the future ends all of them.
    pub(super) async fn serve(&self, hub: &Hub, left: &Arc<AtomicBool>, reload: &Reload) {
        let slots = Arc::new(Semaphore::new(CLIENTS));
        let watches = Arc::new(Semaphore::new(WATCHES));
        let mut clients = tokio::task::JoinSet::new();
        loop {
            while clients.try_join_next().is_some() {}
            tokio::select! {
                client = self.client(&slots) => match client {
                    Ok((stream, slot)) => {
                        let client = Client::new(stream, hub.clone(), Arc::clone(left), Access {
                            rights: self.rights,
                            slot: Some(slot),
                            watches: Arc::clone(&watches),
                            reload: Arc::clone(reload),
                        });
                        clients.spawn(async move {
                            if let Err(error) = client.serve().await {
                                tracing::debug!(%error, "control client is gone");
                            }
                        });
                    }
                    Err(error) => {
                        // Out of file descriptors, most likely: others may free some.
                        tracing::warn!(%error, "cannot accept a control client");
                        sleep(Duration::from_millis(100)).await;
                    }
                },
                () = hub.stopped() => break,
            }
        }
        let last_words = async { while clients.join_next().await.is_some() {} };
        // Whoever does not read by then never will.
        drop(timeout(LAST_WORDS, last_words).await);
    }

    /// The next client, once there is room for it.
    async fn client(
        &self,
        slots: &Arc<Semaphore>,
    ) -> io::Result<(UnixStream, OwnedSemaphorePermit)> {
        let slot = Arc::clone(slots).acquire_owned().await;
        let slot = slot.map_err(io::Error::other)?;
        let (stream, _) = self.listener.accept().await?;
        Ok((stream, slot))
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path).is_ok_and(|file| file.ino() == self.inode);
        if is_ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the control socket");
        }
    }
}

/// Removes a socket that nobody listens on.
fn clear(path: &Path) -> io::Result<()> {
    let file = match fs::symlink_metadata(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !file.file_type().is_socket() {
        let kind = io::ErrorKind::AlreadyExists;
        return Err(io::Error::new(kind, "something that is no socket is there"));
    }
    match BlockingStream::connect(path) {
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another node listens on it",
        )),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
    }
}

/// Reads the secret files of the node anew. Returns how many secrets there are.
pub(super) type Reload = Arc<dyn Fn() -> Result<usize, ReloadError> + Send + Sync>;

/// Why the secrets of a node stay as they were.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReloadError {
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] SecretError),
    /// The hub refuses them.
    #[error(transparent)]
    Hub(#[from] SecretsError),
    /// The hub has stopped.
    #[error("the hub has stopped")]
    Stopped,
}

/// What a client may do, and the place that it takes.
struct Access {
    rights: Rights,
    /// Given up by a client that watches.
    slot: Option<OwnedSemaphorePermit>,
    watches: Arc<Semaphore>,
    reload: Reload,
}

/// One client.
struct Client {
    /// The user and process at the other end.
    who: String,
    access: Access,
    requests: BufReader<OwnedReadHalf>,
    replies: BufWriter<OwnedWriteHalf>,
    hub: Hub,
    left: Arc<AtomicBool>,
}

impl Client {
    fn new(stream: UnixStream, hub: Hub, left: Arc<AtomicBool>, access: Access) -> Self {
        let who = stream.peer_cred().map_or_else(
            |_| "unknown".to_owned(),
            |peer| match peer.pid() {
                Some(pid) => format!("uid {} pid {pid}", peer.uid()),
                None => format!("uid {}", peer.uid()),
            },
        );
        let (read, write) = stream.into_split();
        Self {
            who,
            access,
            requests: BufReader::new(read),
            replies: BufWriter::with_capacity(64 << 10, write),
            hub,
            left,
        }
    }

    /// Answers one request after another, until the client hangs up or the hub stops.
    async fn serve(mut self) -> io::Result<()> {
        let hub = self.hub.clone();
        loop {
            let mut line = Vec::new();
            let limit = REQUEST_BYTES_MAX as u64;
            let mut reader = (&mut self.requests).take(limit);
            let length = tokio::select! {
                read = timeout(PATIENCE, reader.read_until(b'\n', &mut line)) => read??,
                () = hub.stopped() => return Ok(()),
            };
            if length == 0 {
                return Ok(());
            }
            if line.last() != Some(&b'\n') && length >= REQUEST_BYTES_MAX {
                return self
                    .end(Reply::Error("the request is too long".to_owned()))
                    .await;
            }
            match serde_json::from_slice(&line) {
                Ok(request) => self.answer(request).await?,
                Err(error) => {
                    let reason = format!("this is no request: {error}");
                    self.end(Reply::Error(reason)).await?;
                }
            }
        }
    }

    async fn answer(&mut self, request: Request) -> io::Result<()> {
        let hub = self.hub.clone();
        if self.access.rights == Rights::Questions && request.changes() {
            let reason = "this socket answers questions only".to_owned();
            return self.end(Reply::Error(reason)).await;
        }
        // A client that gave up while it waited for its turn wants nothing done.
        if request.changes() && self.has_gone().await {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let audited = request.audited();
        let outcomes = match request {
            Request::Start {
                children,
                kind,
                args,
                metadata,
                on,
            } => {
                let spec = |id: String| ChildSpec::with_args(id, &kind, args.clone());
                let options = StartOptions::default()
                    .on(on)
                    .metadata(Metadata::new(metadata));
                let asked = hub.start_children_with(children.into_iter().map(spec), options);
                self.unless_gone(asked).await?
            }
            Request::Stop { children, on } => {
                self.unless_gone(hub.stop_children_on(children, on)).await?
            }
            Request::Lookup { child } => {
                let row = hub.lookup(&child);
                let item = row.map_or_else(|| Child::absent(child), |row| Child::from(&*row));
                self.item(Item::Child(item)).await?;
                return self.end(Reply::End {}).await;
            }
            Request::Registry {} => return self.registry(&hub).await,
            Request::Members {} => {
                self.item(Item::Members {
                    node: hub.node().to_string(),
                    members: names(&hub.members()),
                    connected: names(&hub.connected()),
                })
                .await?;
                return self.end(Reply::End {}).await;
            }
            Request::Stats {} => {
                self.item(hub.stats().into()).await?;
                return self.end(Reply::End {}).await;
            }
            Request::Watch { child } => {
                let events = child.map_or_else(|| hub.events(), |child| hub.watch(&child));
                return self.watch(events).await;
            }
            Request::ReloadSecrets {} => {
                let reloaded = (self.access.reload)();
                let told = match &reloaded {
                    Ok(secrets) => format!("{secrets} secrets"),
                    Err(error) => error.to_string(),
                };
                self.audit(&audited, &told);
                return match reloaded {
                    Ok(secrets) => {
                        self.item(Item::Secrets { secrets }).await?;
                        self.end(Reply::End {}).await
                    }
                    Err(error) => self.end(Reply::Error(error.to_string())).await,
                };
            }
            Request::Leave {} => return self.leave(&hub).await,
        };
        let failed = match &outcomes {
            Ok(outcomes) => outcomes.iter().filter(|it| it.outcome.is_err()).count(),
            Err(_) => 0,
        };
        let result = match &outcomes {
            Ok(outcomes) => format!("{} done, {failed} not", outcomes.len() - failed),
            Err(error) => error.to_string(),
        };
        self.audit(&audited, &result);
        match outcomes {
            Ok(outcomes) => {
                for outcome in outcomes {
                    self.item(Item::Outcome(outcome.into())).await?;
                }
                self.end(Reply::End {}).await
            }
            Err(error) => self.end(Reply::Error(error.to_string())).await,
        }
    }

    /// One line of the log for each change.
    fn audit(&self, what: &str, result: &str) {
        tracing::info!(target: "hublab::audit", who = self.who, what, result, "control");
    }

    /// True if the client has closed its connection; one that only sends no more has not.
    async fn has_gone(&self) -> bool {
        let ready = self.replies.get_ref().ready(Interest::WRITABLE).await;
        ready.is_ok_and(|ready| ready.is_write_closed())
    }

    /// Waits for an answer as long as the client does.
    async fn unless_gone<T>(&self, answer: impl Future<Output = T>) -> io::Result<T> {
        let gone = async {
            while !self.has_gone().await {
                sleep(LOOK_EVERY).await;
            }
        };
        tokio::select! {
            answer = answer => Ok(answer),
            () = gone => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    async fn registry(&mut self, hub: &Hub) -> io::Result<()> {
        let mut rows: Vec<_> = hub.registry().collect();
        rows.sort_unstable_by(|a, b| a.spec.id().cmp(b.spec.id()));
        for row in rows {
            self.item(Item::Child(Child::from(&*row))).await?;
        }
        self.end(Reply::End {}).await
    }

    /// Events as they come, until the hub stops or the client hangs up.
    async fn watch(&mut self, mut events: Events) -> io::Result<()> {
        // It takes no place of a command.
        let Ok(_place) = Arc::clone(&self.access.watches).try_acquire_owned() else {
            let reason = format!("there are {WATCHES} watches already");
            return self.end(Reply::Error(reason)).await;
        };
        self.access.slot = None;
        loop {
            let mut rest = [0; 1];
            tokio::select! {
                event = events.next() => match event {
                    Some(event) => {
                        self.item(Item::Event(event.into())).await?;
                        self.flush().await?;
                    }
                    None => return self.end(Reply::End {}).await,
                },
                // A client that says anything now, or hangs up, has seen enough.
                _ = self.requests.read(&mut rest) => return self.end(Reply::End {}).await,
            }
        }
    }

    async fn leave(&mut self, hub: &Hub) -> io::Result<()> {
        match hub.leave().await {
            Ok(farewell) => {
                self.left.store(true, Ordering::Release);
                self.audit("leave", "left");
                self.item(farewell.into()).await?;
                self.end(Reply::End {}).await
            }
            Err(error) => self.end(Reply::Error(error.to_string())).await,
        }
    }

    async fn item(&mut self, item: Item) -> io::Result<()> {
        self.write(Reply::Item(Box::new(item))).await
    }

    /// The last reply to a request.
    async fn end(&mut self, reply: Reply) -> io::Result<()> {
        self.write(reply).await?;
        self.flush().await
    }

    async fn write(&mut self, reply: Reply) -> io::Result<()> {
        let mut line = serde_json::to_vec(&reply)?;
        line.push(b'\n');
        timeout(PATIENCE, self.replies.write_all(&line)).await?
    }

    async fn flush(&mut self) -> io::Result<()> {
        timeout(PATIENCE, self.replies.flush()).await?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_socket_is_its_owners_alone_and_goes_with_the_node() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("a.sock");
        let control = Control::bind(&path, Rights::All).expect("a free place");
        let mode = fs::metadata(&path)
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let taken = Control::bind(&path, Rights::All).expect_err("it is taken");
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        assert_eq!(fs::read_dir(place.path()).expect("a directory").count(), 1);
        drop(control);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_path_that_is_too_long_is_refused() {
        let path = Path::new("/").join("s".repeat(107));
        let refused = Control::bind(&path, Rights::All).expect_err("it is too long");
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    }

    #[tokio::test]
    async fn a_socket_left_behind_is_replaced_and_a_file_is_not() {
        let place = tempfile::tempdir().expect("a directory");
        let (stale, file) = (place.path().join("stale"), place.path().join("file"));
        drop(UnixListener::bind(&stale).expect("a free place"));
        assert!(Control::bind(&stale, Rights::All).is_ok());
        fs::write(&file, "precious").expect("it can be written");
        let refused = Control::bind(&file, Rights::All).expect_err("it is no socket");
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&file).expect("it is there"), "precious");
    }
}
