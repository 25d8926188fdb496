//! The secret that a cluster shares.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// The fewest bytes of a secret.
pub(super) const SECRET_BYTES_MIN: usize = 32;

/// The most bytes of a secret file that are read.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// A secret shared by all hubs of a cluster: who holds it is a member, under any name it likes.
///
/// Only the key derived from it is kept; it is wiped when dropped, and never printed.
#[derive(Clone)]
pub struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    /// A secret of these bytes.
    ///
    /// # Errors
    /// There are fewer than 32.
    pub fn new(bytes: &[u8]) -> Result<Self, SecretError> {
        if bytes.len() < SECRET_BYTES_MIN {
            return Err(SecretError::Short(bytes.len()));
        }
        Ok(Self(Zeroizing::new(blake3::derive_key(
            "hublab live 1 cluster secret",
            bytes,
        ))))
    }

    /// Reads a secret: hexadecimal digits, any other text, or bytes. White space around a text is
    /// left out.
    ///
    /// # Errors
    /// The file cannot be read, or holds fewer than 32 bytes (64 hexadecimal digits).
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, SecretError> {
        let path = path.as_ref();
        let mut bytes = Zeroizing::new(Vec::new());
        File::open(path)
            .and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes))
            .map_err(|error| SecretError::Read {
                path: path.to_owned(),
                error,
            })?;
        let Ok(text) = std::str::from_utf8(&bytes) else {
            return Self::new(&bytes);
        };
        let text = text.trim();
        match from_hex(text) {
            Some(decoded) => Self::new(&decoded),
            None => Self::new(text.as_bytes()),
        }
    }

    /// A new random secret, for hubs of one program.
    ///
    /// # Errors
    /// The operating system has no entropy.
    pub fn generate() -> Result<Self, SecretError> {
        Self::new(&random()?[..])
    }

    /// The text of a new random secret: 64 hexadecimal digits, for a file that
    /// [`Secret::from_file`] reads.
    ///
    /// # Errors
    /// The operating system has no entropy.
    pub fn generate_text() -> Result<Zeroizing<String>, SecretError> {
        let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
        Ok(Zeroizing::new(
            random()?
                .iter()
                .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
                .collect(),
        ))
    }

    /// What stands in for a secret on loopback: anyone can compute it, so it proves nothing.
    pub(super) fn of_hub_id(hub_id: &str) -> Self {
        Self(Zeroizing::new(blake3::derive_key(
            "hublab live 1 loopback without secret",
            hub_id.as_bytes(),
        )))
    }

    pub(super) fn key(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It is too short to be one.
    #[error("a secret has at least {SECRET_BYTES_MIN} bytes, this one {0}")]
    Short(usize),
    /// Its file cannot be read.
    #[error("cannot read the secret from {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        error: io::Error,
    },
    /// The operating system has no entropy for a new one.
    #[error("no entropy for a new secret: {0}")]
    Entropy(String),
}

fn random() -> Result<Zeroizing<[u8; 32]>, SecretError> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut bytes[..]).map_err(|error| SecretError::Entropy(error.to_string()))?;
    Ok(bytes)
}

/// The bytes of a text of hexadecimal digits, `None` if it is another text.
fn from_hex(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let nibble = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .and_then(|n| u8::try_from(n).ok())
    };
    let pairs = text.as_bytes().chunks(2);
    let bytes: Option<Vec<u8>> = pairs
        .map(|pair| match *pair {
            [high, low] => Some(nibble(high)? << 4 | nibble(low)?),
            [..] => None,
        })
        .collect();
    bytes.map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &[u8]) -> Result<Secret, SecretError> {
        let mut name = [0; 8];
        getrandom::fill(&mut name).unwrap();
        let path = std::env::temp_dir().join(format!("hublab-secret-{}", u64::from_le_bytes(name)));
        std::fs::write(&path, content).unwrap();
        let secret = Secret::from_file(&path);
        std::fs::remove_file(&path).unwrap();
        secret
    }

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::new(&[b'x'; 32]).unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }

    #[test]
    fn a_short_secret_is_refused_in_every_form() {
        assert!(matches!(Secret::new(&[1; 31]), Err(SecretError::Short(31))));
        assert!(matches!(read(b""), Err(SecretError::Short(0))));
        assert!(matches!(read(&[b'a'; 62]), Err(SecretError::Short(31))));
        assert!(matches!(read(&[b'z'; 31]), Err(SecretError::Short(31))));
        assert!(matches!(read(&[0xff; 31]), Err(SecretError::Short(31))));
    }

    #[test]
    fn a_generated_text_reads_back_as_32_bytes_with_or_without_a_newline() {
        let text = Secret::generate_text().unwrap();
        assert_eq!(text.len(), 64);
        let plain = read(text.as_bytes()).unwrap();
        let framed = read(format!(" {}\r\n", *text).as_bytes()).unwrap();
        assert_eq!(plain.key(), framed.key());
        let decoded = Secret::new(&from_hex(&text).unwrap()).unwrap();
        assert_eq!(plain.key(), decoded.key());
        assert_ne!(plain.key(), Secret::generate().unwrap().key());
    }

    #[test]
    fn a_text_that_is_not_hexadecimal_is_taken_as_it_is() {
        let text = b"correct horse battery staple, and then some";
        let read = read(text).unwrap();
        assert_eq!(read.key(), Secret::new(text).unwrap().key());
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Secret::from_file("/nowhere/secret").unwrap_err();
        assert!(error.to_string().contains("/nowhere/secret"), "{error}");
    }
}
