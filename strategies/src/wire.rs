//! The wire encoding: the one module that names the codec.
//!
//! `bincode` 2.0.1 with its standard configuration (little endian, variable-length integers) and
//! a decode limit. bincode is unmaintained (RUSTSEC-2025-0141), and its 3.0.0 is a stub; so the
//! version is pinned and nothing else depends on it by name.

use serde::{Serialize, de::DeserializeOwned};

/// The most bytes that decoding will allocate for one message.
pub const DECODE_LIMIT: usize = 64 << 20;

fn config() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<DECODE_LIMIT>()
}

/// Why bytes are not a message. No state has changed when it is returned.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The bytes do not decode to the wanted type.
    #[error("malformed message, nothing was changed: {0}")]
    Malformed(String),
    /// Bytes are left over behind the message.
    #[error("malformed message, nothing was changed: {0} bytes behind its end")]
    TrailingBytes(usize),
}

/// Encodes a value.
///
/// # Panics
/// If the type's `Serialize` is at fault: one of ours never fails.
#[must_use]
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    bincode::serde::encode_to_vec(value, config())
        .expect("the types of this crate encode without error")
}

/// Decodes a value that fills `bytes` exactly.
///
/// # Errors
/// The bytes are malformed, too long, or would need more than [`DECODE_LIMIT`].
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let (value, used) = bincode::serde::decode_from_slice(bytes, config())
        .map_err(|error| DecodeError::Malformed(error.to_string()))?;
    match bytes.len() - used {
        0 => Ok(value),
        left => Err(DecodeError::TrailingBytes(left)),
    }
}

/// The length of a value's encoding in bytes, without storing it.
///
/// # Panics
/// If the type's `Serialize` is at fault: one of ours never fails.
#[must_use]
pub fn encoded_len<T: Serialize + ?Sized>(value: &T) -> u64 {
    let mut writer = bincode::enc::write::SizeWriter::default();
    bincode::serde::encode_into_writer(value, &mut writer, config())
        .expect("the types of this crate encode without error");
    writer.bytes_written as u64
}

/// The length of an unsigned number's encoding: lengths, variants of enums, timestamps.
#[must_use]
pub fn varint_len(value: u64) -> u64 {
    match value {
        0..=250 => 1,
        251..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        0x1_0000_0000..=u64::MAX => 9,
    }
}

/// The length of a text's encoding: its own length in front.
///
/// ```
/// use hublab_strategies::wire::{DECODE_LIMIT, encoded_len, text_len, varint_len};
///
/// assert_eq!(text_len("web-1"), encoded_len(&"web-1"));
/// assert_eq!(varint_len(300), encoded_len(&300_u64));
/// assert!(varint_len(DECODE_LIMIT as u64) < 9);
/// ```
#[must_use]
pub fn text_len(text: &str) -> u64 {
    varint_len(text.len() as u64) + text.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Request;

    #[test]
    fn a_list_that_claims_to_be_endless_is_refused_before_memory_is_taken_for_it() {
        // A registration: no id, no kind, no arguments, then the length of its entries.
        let claim = |length: u64| {
            let mut bytes = encode(&Request::Register(Vec::new()));
            *bytes.last_mut().expect("a length") = 1;
            bytes.extend([0, 0, 0]);
            bytes.extend(encode(&length));
            bytes
        };
        for length in [3, 1 << 20, 1 << 40, u64::MAX] {
            assert!(
                decode::<Request>(&claim(length)).is_err(),
                "{length} entries"
            );
        }
        let mut whole = claim(0);
        whole.push(0);
        assert!(decode::<Request>(&whole).is_ok());
    }
}
