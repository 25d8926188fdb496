//! The two sides of the handshake, up to the names. Nothing here changes what the node knows.

use std::io;
use std::pin::Pin;

use bytes::BytesMut;
use futures_core::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio_util::codec::{FramedRead, LengthDelimitedCodec};

use super::noise::{
    self, FIRST_BYTES, MAGIC, Opener, PLAINTEXT_BYTES_MAX, PREAMBLE_BYTES, PROTOCOL_VERSION,
    SECOND_BYTES_MAX, Sealer, TAG_BYTES,
};
use super::record::{self, Code, Control, Denial, Greeting, Malformed};
use super::report::Refusal;
use super::secret::Secret;
use super::shared::Shared;
use crate::wire;

/// What a refused dialler may still have under way.
const LINGER_BYTES: usize = 1024;

/// Bytes read from a socket at once.
const READ_BYTES: usize = 64 << 10;

/// Why a handshake ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandshakeError {
    /// The connection failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// This side refuses.
    #[error("{refusal}: {detail}")]
    Refused {
        /// Why.
        refusal: Refusal,
        /// What was seen.
        detail: String,
    },
    /// The listener refuses in clear: a hint only.
    #[error("refused by the listener: {0:?}")]
    ByPeer(Code),
    /// The listener, which has proved the secret, refuses.
    #[error("refused by the listener: {0:?}")]
    Denied(Denial),
    /// The dialler closed before it said anything, as checks of a port do.
    #[error("closed without a word")]
    Silence,
}

impl HandshakeError {
    pub(super) fn refused(refusal: Refusal, detail: impl ToString) -> Self {
        Self::Refused {
            refusal,
            detail: detail.to_string(),
        }
    }
}

impl From<Malformed> for HandshakeError {
    fn from(malformed: Malformed) -> Self {
        Self::refused(Refusal::Malformed, malformed)
    }
}

/// A wrong secret, a replay and damage look alike: something does not decrypt.
impl From<snow::Error> for HandshakeError {
    fn from(error: snow::Error) -> Self {
        Self::refused(Refusal::NoProof, error)
    }
}

/// A connection whose two sides have proved the secret to each other, or are about to.
pub(super) struct Session {
    pub(super) reader: FramedRead<OwnedReadHalf, LengthDelimitedCodec>,
    pub(super) writer: OwnedWriteHalf,
    pub(super) sealer: Sealer,
    pub(super) opener: Opener,
    /// The secret that both sides have proved.
    pub(super) secret: Secret,
}

/// A dialler that has proved the secret and said its name.
pub(super) struct Greeted {
    pub(super) session: Session,
    pub(super) greeting: Greeting,
    /// It takes over from a connection that stands.
    pub(super) is_rekey: bool,
}

impl Session {
    fn new(
        stream: TcpStream,
        handshake: snow::HandshakeState,
        secret: &Secret,
    ) -> Result<Self, HandshakeError> {
        let (sealer, opener) = noise::session(handshake)?;
        let (reader, writer) = stream.into_split();
        let codec = LengthDelimitedCodec::builder()
            .length_field_type::<u16>()
            .max_frame_length(PLAINTEXT_BYTES_MAX + TAG_BYTES)
            .new_codec();
        Ok(Self {
            reader: FramedRead::with_capacity(reader, codec, READ_BYTES),
            writer,
            sealer,
            opener,
            secret: secret.clone(),
        })
    }

    /// Sends one control record in a frame of its own.
    pub(super) async fn send_control(&mut self, what: &Control) -> Result<(), HandshakeError> {
        let mut out = Vec::new();
        self.sealer.seal(&record::control(what), &mut out)?;
        Ok(self.writer.write_all(&out).await?)
    }

    /// Receives one control record in a frame of its own.
    pub(super) async fn recv_control(&mut self) -> Result<Control, HandshakeError> {
        let frame = next_frame(&mut self.reader).await.ok_or_else(closed)??;
        let plain = self.opener.open(&frame)?;
        Ok(record::sole_control(plain.freeze())?)
    }
}

/// The next frame, `None` at the end of the connection.
pub(super) async fn next_frame(
    reader: &mut FramedRead<OwnedReadHalf, LengthDelimitedCodec>,
) -> Option<io::Result<BytesMut>> {
    std::future::poll_fn(|context| Pin::new(&mut *reader).poll_next(context)).await
}

fn closed() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

/// The dialler's side, until the listener has proved the secret and said its name.
pub(super) async fn dial(
    shared: &Shared,
    mut stream: TcpStream,
    secret: &Secret,
) -> Result<(Session, Greeting), HandshakeError> {
    let mut handshake = noise::initiator(secret.key(), &shared.preamble)?;
    let mut first = [0; PREAMBLE_BYTES + FIRST_BYTES];
    first[..PREAMBLE_BYTES].copy_from_slice(&shared.preamble);
    handshake.write_message(&[], &mut first[PREAMBLE_BYTES..])?;
    stream.write_all(&first).await?;
    match stream.read_u8().await {
        Ok(0) => {}
        Ok(code) => {
            let code = Code::from_byte(code).ok_or(Malformed::OutOfPlace)?;
            return Err(HandshakeError::ByPeer(code));
        }
        Err(_) => {
            let detail = "the listener closed without an answer: its secret may be another";
            return Err(HandshakeError::refused(Refusal::NoProof, detail));
        }
    }
    let length = usize::from(stream.read_u16().await?);
    if length > SECOND_BYTES_MAX {
        return Err(Malformed::TooLong.into());
    }
    let mut second = [0; SECOND_BYTES_MAX];
    let second = &mut second[..length];
    stream.read_exact(second).await?;
    let mut payload = [0; SECOND_BYTES_MAX];
    let length = handshake.read_message(second, &mut payload)?;
    let greeting = wire::decode(&payload[..length]).map_err(|_| Malformed::Control)?;
    let session = Session::new(stream, handshake, secret)?;
    Ok((session, proper(greeting)?))
}

/// The listener's side, until the dialler has proved the secret and said its name.
pub(super) async fn answer(
    shared: &Shared,
    mut stream: TcpStream,
) -> Result<Greeted, HandshakeError> {
    check_preamble(shared, &mut stream).await?;
    let mut first = [0; FIRST_BYTES];
    stream.read_exact(&mut first).await?;
    let (mut handshake, secret) = prove(shared, &first)?;
    let mut second = [0; 3 + SECOND_BYTES_MAX];
    let greeting = wire::encode(&shared.greeting(&stream));
    let length = handshake.write_message(&greeting, &mut second[3..])?;
    let prefix = u16::try_from(length).map_err(|_| snow::Error::Input)?;
    second[1..3].copy_from_slice(&prefix.to_be_bytes());
    stream.write_all(&second[..3 + length]).await?;
    let mut session = Session::new(stream, handshake, &secret)?;
    let (greeting, is_rekey) = match session.recv_control().await? {
        Control::Hello(greeting) => (greeting, false),
        Control::Rekey(greeting) => (greeting, true),
        Control::Accept
        | Control::Refuse(_)
        | Control::Heartbeat
        | Control::Addresses(_)
        | Control::Leave => return Err(Malformed::OutOfPlace.into()),
    };
    Ok(Greeted {
        session,
        greeting: proper(greeting)?,
        is_rekey,
    })
}

fn proper(greeting: Greeting) -> Result<Greeting, HandshakeError> {
    if greeting.is_proper() {
        Ok(greeting)
    } else {
        Err(Malformed::Control.into())
    }
}

async fn check_preamble(shared: &Shared, stream: &mut TcpStream) -> Result<(), HandshakeError> {
    let mut head = [0; 6];
    if stream.read(&mut head[..1]).await.unwrap_or(0) == 0 {
        return Err(HandshakeError::Silence);
    }
    stream.read_exact(&mut head[1..]).await?;
    if head[..4] != MAGIC {
        return Err(HandshakeError::refused(Refusal::NotAHub, ""));
    }
    let version = u16::from_be_bytes([head[4], head[5]]);
    if version != PROTOCOL_VERSION {
        refuse(stream, Code::Version).await;
        return Err(HandshakeError::refused(Refusal::OtherVersion, version));
    }
    let mut hub = [0; 32];
    stream.read_exact(&mut hub).await?;
    if hub != shared.preamble[6..] {
        refuse(stream, Code::Hub).await;
        return Err(HandshakeError::refused(Refusal::OtherHub, ""));
    }
    Ok(())
}

/// The handshake under the secret that message 1 proves, and that secret.
fn prove(
    shared: &Shared,
    first: &[u8; FIRST_BYTES],
) -> Result<(snow::HandshakeState, Secret), HandshakeError> {
    let mut last = snow::Error::Decrypt;
    for secret in shared.secrets().iter() {
        let mut handshake = noise::responder(secret.key(), &shared.preamble)?;
        match handshake.read_message(first, &mut []) {
            Ok(_) => return Ok((handshake, secret.clone())),
            Err(error) => last = error,
        }
    }
    Err(last.into())
}

/// Says why in clear, and reads what is under way: unread bytes would have the system discard the
/// answer. Failing is no matter, it is only a hint.
async fn refuse(stream: &mut TcpStream, code: Code) {
    let said = stream.write_all(&[code.byte()]).await;
    if said.is_err() || stream.shutdown().await.is_err() {
        return;
    }
    let mut rest = [0; LINGER_BYTES];
    let mut read = 0;
    while read < LINGER_BYTES
        && let Ok(more @ 1..) = stream.read(&mut rest[read..]).await
    {
        read += more;
    }
}
