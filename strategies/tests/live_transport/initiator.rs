//! A second initiator, written from the description of the protocol only: it shares no code with the
//! transport, and so shows what others would have to write.

use std::io;

use snow::{Builder, TransportState};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The key of a cluster's secret.
pub(crate) fn key(secret: &[u8]) -> [u8; 32] {
    blake3::derive_key("hublab live 1 cluster secret", secret)
}

/// The first bytes of a connection: magic, version, hub id.
pub(crate) fn preamble(version: u16, hub_id: &str) -> Vec<u8> {
    let mut bytes = b"HUBL".to_vec();
    bytes.extend(version.to_be_bytes());
    bytes.extend(blake3::hash(hub_id.as_bytes()).as_bytes());
    bytes
}

/// A number of the wire encoding: one byte up to 250, else a mark and the bytes.
pub(crate) fn number(value: u64) -> Vec<u8> {
    match value {
        0..=250 => vec![value.to_le_bytes()[0]],
        251..=0xffff => [&[251], &value.to_le_bytes()[..2]].concat(),
        0x1_0000..=0xffff_ffff => [&[252], &value.to_le_bytes()[..4]].concat(),
        0x1_0000_0000..=u64::MAX => [&[253], &value.to_le_bytes()[..]].concat(),
    }
}

/// A text of the wire encoding: its length and its bytes.
pub(crate) fn text(text: &str) -> Vec<u8> {
    [&number(text.len() as u64), text.as_bytes()].concat()
}

/// A record: 0 a part of a message, 1 its last part, 2 the transport's own.
pub(crate) fn record(tag: u8, channel: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).expect("a short record");
    [&[tag, channel], &length.to_be_bytes()[..], body].concat()
}

/// How the listener took it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The handshake goes on.
    GoOn,
    /// It refused with this code.
    Refused(u8),
    /// It closed without a word.
    Closed,
}

/// A connection to a hub, after the handshake.
pub(crate) struct Initiator {
    stream: TcpStream,
    noise: TransportState,
    /// Everything sent so far.
    pub(crate) written: Vec<u8>,
    /// The name in the listener's greeting.
    pub(crate) listener: String,
}

/// Sends bytes as the start of a connection, and hears the answer's first byte.
pub(crate) async fn open(address: &str, bytes: &[u8]) -> (TcpStream, Answer) {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    // A listener that has refused already may have closed its side.
    drop(stream.write_all(bytes).await);
    let answer = match stream.read_u8().await {
        Ok(0) => Answer::GoOn,
        Ok(code) => Answer::Refused(code),
        Err(_) => Answer::Closed,
    };
    (stream, answer)
}

/// Preamble and first message of a handshake, and its state.
pub(crate) fn first(key: &[u8; 32], hub_id: &str) -> (Vec<u8>, snow::HandshakeState) {
    let mut bytes = preamble(2, hub_id);
    let pattern = "Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s".parse();
    let mut noise = Builder::new(pattern.expect("a pattern"))
        .psk(0, key)
        .and_then(|builder| builder.prologue(&bytes))
        .and_then(Builder::build_initiator)
        .expect("a handshake");
    let mut message = [0; 48];
    let length = noise.write_message(&[], &mut message).expect("it fits");
    assert_eq!(length, 48);
    bytes.extend(message);
    (bytes, noise)
}

impl Initiator {
    /// Goes through the handshake up to the listener's greeting; says no name yet.
    pub(crate) async fn connect(
        address: &str,
        hub_id: &str,
        secret: &[u8],
    ) -> Result<Self, Answer> {
        let (bytes, mut noise) = first(&key(secret), hub_id);
        let (mut stream, answer) = open(address, &bytes).await;
        if answer != Answer::GoOn {
            return Err(answer);
        }
        let length = stream.read_u16().await.expect("a length");
        let mut second = vec![0; usize::from(length)];
        stream.read_exact(&mut second).await.expect("a message");
        let mut greeting = vec![0; second.len()];
        noise
            .read_message(&second, &mut greeting)
            .expect("the listener holds the secret");
        let name = usize::from(greeting[0]);
        let listener = String::from_utf8(greeting[1..=name].to_vec()).expect("a name");
        Ok(Self {
            stream,
            noise: noise.into_transport_mode().expect("it is over"),
            written: bytes,
            listener,
        })
    }

    /// Connects, says its name, and returns the control record that answers.
    pub(crate) async fn greeted(
        address: &str,
        hub_id: &str,
        secret: &[u8],
        name: &str,
        incarnation: u64,
    ) -> (Self, Vec<u8>) {
        let mut this = Self::connect(address, hub_id, secret)
            .await
            .expect("the secret is right");
        this.send(&hello(name, incarnation)).await;
        let answer = this.receive().await.expect("an answer");
        (this, answer)
    }

    /// Seals a frame.
    pub(crate) fn seal(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut sealed = vec![0; plain.len() + 16];
        self.noise
            .write_message(plain, &mut sealed)
            .expect("it fits");
        let length = u16::try_from(sealed.len()).expect("a short frame");
        [&length.to_be_bytes()[..], &sealed].concat()
    }

    /// Sends bytes as they are.
    pub(crate) async fn send_raw(&mut self, bytes: &[u8]) {
        self.written.extend(bytes);
        drop(self.stream.write_all(bytes).await);
    }

    /// Sends records in a frame.
    pub(crate) async fn send(&mut self, plain: &[u8]) {
        let sealed = self.seal(plain);
        self.send_raw(&sealed).await;
    }

    /// The plaintext of the next frame.
    pub(crate) async fn receive(&mut self) -> io::Result<Vec<u8>> {
        let length = usize::from(self.stream.read_u16().await?);
        let mut sealed = vec![0; length];
        self.stream.read_exact(&mut sealed).await?;
        let mut plain = vec![0; length];
        let length = self
            .noise
            .read_message(&sealed, &mut plain)
            .map_err(io::Error::other)?;
        plain.truncate(length);
        Ok(plain)
    }

    /// Reads until the listener closes.
    pub(crate) async fn closed(&mut self) {
        let mut rest = [0; 4096];
        while let Ok(1..) = self.stream.read(&mut rest).await {}
    }
}

/// The greeting of a dialler: control record 0 with name, incarnation, no address, and the strategy
/// with a hash of it and its parameters.
pub(crate) fn hello(name: &str, incarnation: u64) -> Vec<u8> {
    let strategy = blake3::hash(b"pubsub PubSubConfig { sync_interval: 30s, profile: V05E2 }");
    let hash = strategy.as_bytes().first_chunk().copied();
    let hash = u64::from_le_bytes(hash.expect("a long hash"));
    let greeting = [text(name), number(incarnation), text("")].concat();
    let mark = [text("pubsub"), number(hash)].concat();
    record(2, 0, &[vec![0], greeting, mark].concat())
}

/// The answer to a greeting that is accepted.
pub(crate) fn accept() -> Vec<u8> {
    record(2, 0, &[1])
}

/// The answer to a greeting whose name is taken by this boot.
pub(crate) fn name_taken(seen: u64) -> Vec<u8> {
    record(2, 0, &[vec![2, 0], number(seen)].concat())
}
