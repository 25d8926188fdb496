//! The handshake and the session: which bytes prove the secret, and how the rest is sealed.
//!
//! | direction | bytes |
//! | --- | --- |
//! | dialler | preamble: magic `HUBL`, protocol version (u16, big endian), BLAKE3 of the hub id (32) |
//! | dialler | Noise message 1 (48): an ephemeral key, proof of the secret, no payload |
//! | listener | 0, length (u16, big endian), Noise message 2 with the listener's greeting; or a refusal code (1) and the end |
//! | dialler | first sealed frame: the dialler's greeting |
//! | listener | first sealed frame: accepted or refused |
//! | both | sealed frames |
//!
//! The preamble is the prologue of `Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s`. A listener that
//! cannot decrypt message 1 says nothing and closes. Message 1 can be replayed, but who replays it
//! cannot seal the first frame, and until that one opens the listener knows no name.
//!
//! A sealed frame is its length (u16, big endian) and a Noise message of at most 16 KiB plaintext.
//! Nonces count frames; a session ends before they run out, so no key is changed within one.

use std::sync::Arc;

use bytes::BytesMut;
use snow::{Builder, HandshakeState, StatelessTransportState};

/// The version of everything on the wire: this module, the records, and the messages in them.
pub(super) const PROTOCOL_VERSION: u16 = 2;

/// The first bytes of a connection.
pub(super) const MAGIC: [u8; 4] = *b"HUBL";

/// The length of the preamble.
pub(super) const PREAMBLE_BYTES: usize = 4 + 2 + 32;

/// The length of Noise message 1.
pub(super) const FIRST_BYTES: usize = 32 + TAG_BYTES;

/// The most bytes of Noise message 2: key, greeting, tag.
pub(super) const SECOND_BYTES_MAX: usize = 32 + 1024 + TAG_BYTES;

/// The most plaintext of a sealed frame.
pub(super) const PLAINTEXT_BYTES_MAX: usize = 16 << 10;

/// What sealing adds to a frame, without its length.
pub(super) const TAG_BYTES: usize = 16;

const PATTERN: &str = "Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s";

/// The preamble of a hub.
pub(super) type Preamble = [u8; PREAMBLE_BYTES];

/// The preamble of hubs of this id.
pub(super) fn preamble(hub_id: &str) -> Preamble {
    let mut bytes = [0; PREAMBLE_BYTES];
    bytes[..4].copy_from_slice(&MAGIC);
    bytes[4..6].copy_from_slice(&PROTOCOL_VERSION.to_be_bytes());
    bytes[6..].copy_from_slice(blake3::hash(hub_id.as_bytes()).as_bytes());
    bytes
}

/// A handshake from the dialler's side.
pub(super) fn initiator(
    key: &[u8; 32],
    preamble: &Preamble,
) -> Result<HandshakeState, snow::Error> {
    builder(key, preamble)?.build_initiator()
}

/// A handshake from the listener's side.
pub(super) fn responder(
    key: &[u8; 32],
    preamble: &Preamble,
) -> Result<HandshakeState, snow::Error> {
    builder(key, preamble)?.build_responder()
}

pub(super) fn builder<'a>(
    key: &'a [u8; 32],
    preamble: &'a Preamble,
) -> Result<Builder<'a>, snow::Error> {
    Builder::new(PATTERN.parse()?)
        .psk(0, key)?
        .prologue(preamble)
}

/// The two halves of a finished handshake.
pub(super) fn session(handshake: HandshakeState) -> Result<(Sealer, Opener), snow::Error> {
    let state = Arc::new(handshake.into_stateless_transport_mode()?);
    let sealer = Sealer {
        state: Arc::clone(&state),
        nonce: 0,
    };
    Ok((sealer, Opener { state, nonce: 0 }))
}

/// Seals what is sent.
pub(super) struct Sealer {
    state: Arc<StatelessTransportState>,
    nonce: u64,
}

impl Sealer {
    /// Appends a sealed frame to `out`. `plain` has at most [`PLAINTEXT_BYTES_MAX`] bytes.
    pub(super) fn seal(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), snow::Error> {
        let length = plain.len() + TAG_BYTES;
        let prefix = u16::try_from(length).map_err(|_| snow::Error::Input)?;
        out.extend_from_slice(&prefix.to_be_bytes());
        let start = out.len();
        out.resize(start + length, 0);
        self.state
            .write_message(self.nonce, plain, &mut out[start..])?;
        self.nonce += 1;
        Ok(())
    }
}

/// Opens what is received.
pub(super) struct Opener {
    state: Arc<StatelessTransportState>,
    nonce: u64,
}

impl Opener {
    /// The plaintext of a sealed frame, given without its length.
    pub(super) fn open(&mut self, sealed: &[u8]) -> Result<BytesMut, snow::Error> {
        let mut plain = BytesMut::zeroed(sealed.len().saturating_sub(TAG_BYTES));
        self.state.read_message(self.nonce, sealed, &mut plain)?;
        self.nonce += 1;
        Ok(plain)
    }
}
