//! The secret that a cluster shares.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use zeroize::{Zeroize, Zeroizing};

/// The fewest bytes of a secret.
pub(super) const SECRET_BYTES_MIN: usize = 32;

/// The most bytes of a secret file that are read.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// What a generated secret begins with: its kind and version.
const PREFIX: &str = "hublab-secret-1-";

/// The fewest different bytes of a secret: 16 random ones have at least 10 but for one in a million.
const DIFFERENT_BYTES_MIN: usize = 8;

/// The fewest digits of a hexadecimal secret: 128 bits.
const HEX_DIGITS_MIN: usize = 32;

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
        Ok(Self::derived(bytes))
    }

    /// Reads a secret: the text of [`Self::generate_text`], at least 32 hexadecimal digits, base64, any
    /// other text, or bytes. White space around a text is left out. A file that others can read, and
    /// one whose content may be guessed, is warned of in the log.
    ///
    /// # Errors
    /// It is no regular file or cannot be read, others can write it, it holds fewer than 32 bytes, or
    /// plainly fewer than 128 random bits: one recorded handshake is enough to try guesses.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, SecretError> {
        let path = path.as_ref();
        let bytes = read(path)?;
        let Ok(text) = std::str::from_utf8(&bytes) else {
            return Self::weighed(path, &bytes, false);
        };
        let text = text.trim();
        if let Some(generated) = text.strip_prefix(PREFIX) {
            return Self::generated(generated).ok_or_else(|| SecretError::Damaged {
                path: path.to_owned(),
            });
        }
        match from_hex(text) {
            Some(decoded) if text.len() >= HEX_DIGITS_MIN => Self::weighed(path, &decoded, true),
            Some(decoded) => Err(SecretError::Short(decoded.len())),
            None => Self::weighed(path, text.as_bytes(), is_base64(text)),
        }
    }

    /// The secret behind [`PREFIX`]: 64 digits, and 8 of a checksum.
    fn generated(text: &str) -> Option<Self> {
        let (digits, sum) = text.split_once('-')?;
        let bytes = from_hex(digits).filter(|bytes| bytes.len() == SECRET_BYTES_MIN)?;
        (sum == checksum(&bytes)).then_some(())?;
        Self::new(&bytes).ok()
    }

    /// A secret from a file, unless it can be guessed.
    fn weighed(path: &Path, bytes: &[u8], is_random: bool) -> Result<Self, SecretError> {
        if !is_random && bytes.len() < SECRET_BYTES_MIN {
            return Err(SecretError::Short(bytes.len()));
        }
        if is_weak(bytes) {
            return Err(SecretError::Weak {
                path: path.to_owned(),
            });
        }
        if !is_random {
            tracing::warn!(path = %path.display(), "the secret is no random text: make one with `hublab node --new-secret`");
        }
        Ok(Self::derived(bytes))
    }

    fn derived(bytes: &[u8]) -> Self {
        let key = blake3::derive_key("hublab live 1 cluster secret", bytes);
        Self(Zeroizing::new(key))
    }

    /// A new random secret, for hubs of one program.
    ///
    /// # Errors
    /// The operating system has no entropy.
    pub fn generate() -> Result<Self, SecretError> {
        Self::new(&random()?[..])
    }

    /// The text of a new random secret, with a version and a checksum, for a file that
    /// [`Secret::from_file`] reads.
    ///
    /// # Errors
    /// The operating system has no entropy.
    pub fn generate_text() -> Result<Zeroizing<String>, SecretError> {
        let bytes = random()?;
        let digits = Zeroizing::new(to_hex(&bytes[..]));
        let sum = checksum(&bytes[..]);
        Ok(Zeroizing::new(format!("{PREFIX}{}-{sum}", *digits)))
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

impl PartialEq for Secret {
    /// True if the keys are the same.
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// It is too short to be one.
    #[error("a secret has at least {SECRET_BYTES_MIN} bytes, this one {0}")]
    Short(usize),
    /// It is damaged: its checksum is another.
    #[error("the secret in {} is damaged: its checksum is wrong", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// It can be guessed: it holds plainly fewer than 128 random bits.
    #[error("the secret in {} can be guessed; make one with `hublab node --new-secret`", path.display())]
    Weak {
        /// The file.
        path: PathBuf,
    },
    /// Others can write its file.
    #[error("{} can be written by others than its owner", path.display())]
    Writable {
        /// The file.
        path: PathBuf,
    },
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

/// Why the secrets of a running hub were not replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretsError {
    /// No secret was given.
    #[error("at least one secret is needed")]
    None,
    /// The hub was started without secrets, or has a transport that uses none.
    #[error("the hub was started without secrets")]
    NotUsed,
}

fn random() -> Result<Zeroizing<[u8; 32]>, SecretError> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut bytes[..]).map_err(|error| SecretError::Entropy(error.to_string()))?;
    Ok(bytes)
}

/// The content of a regular file, if nobody else can write it.
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let refused = |error| SecretError::Read {
        path: path.to_owned(),
        error,
    };
    // Asked before it is opened: opening a pipe would wait for a writer.
    let file = std::fs::metadata(path).map_err(refused)?;
    if !file.is_file() {
        let kind = io::ErrorKind::InvalidInput;
        return Err(refused(io::Error::new(kind, "it is no regular file")));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = file.permissions().mode();
        if mode & 0o022 != 0 {
            return Err(SecretError::Writable {
                path: path.to_owned(),
            });
        }
        if mode & 0o044 != 0 {
            tracing::warn!(path = %path.display(), "others can read the secret");
        }
    }
    let mut bytes = Zeroizing::new(Vec::new());
    let opened = File::open(path).map_err(refused)?;
    let read = opened.take(FILE_BYTES_MAX).read_to_end(&mut bytes);
    read.map_err(refused)?;
    Ok(bytes)
}

/// True if a text may be base64 of random bytes: it has letters of both cases and digits, and nothing
/// else than base64 has.
fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let has = |kind: fn(&u8) -> bool| body.bytes().any(|byte| kind(&byte));
    let of_alphabet = |c: u8| c.is_ascii_alphanumeric() || b"+/-_".contains(&c);
    has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_digit)
        && body.bytes().all(of_alphabet)
}

/// True if bytes plainly hold fewer than 128 random bits: they are few different ones, or words.
fn is_weak(bytes: &[u8]) -> bool {
    let mut different: Vec<u8> = bytes.to_vec();
    different.sort_unstable();
    different.dedup();
    let count = different.len();
    different.zeroize();
    let is_word = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_whitespace();
    count < DIFFERENT_BYTES_MIN || bytes.iter().all(is_word)
}

fn checksum(bytes: &[u8]) -> String {
    to_hex(&blake3::derive_key("hublab live 1 secret checksum", bytes)[..4])
}

fn to_hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    let pairs = bytes.iter();
    pairs
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
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

    /// A file with this content and mode, as a secret.
    fn read_with(content: &[u8], mode: u32) -> Result<Secret, SecretError> {
        use std::os::unix::fs::PermissionsExt;
        let mut name = [0; 8];
        getrandom::fill(&mut name).unwrap();
        let path = std::env::temp_dir().join(format!("hublab-secret-{}", u64::from_le_bytes(name)));
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let secret = Secret::from_file(&path);
        std::fs::remove_file(&path).unwrap();
        secret
    }

    fn read(content: &[u8]) -> Result<Secret, SecretError> {
        read_with(content, 0o600)
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
        assert!(matches!(
            read(b"0123456789abcdef0123456789abcd"),
            Err(SecretError::Short(15))
        ));
        assert!(matches!(read(&[b'z'; 31]), Err(SecretError::Short(31))));
        assert!(matches!(read(&[0xff; 31]), Err(SecretError::Short(31))));
    }

    #[test]
    fn a_generated_text_reads_back_with_or_without_a_newline_and_not_when_damaged() {
        let text = Secret::generate_text().unwrap();
        assert!(text.starts_with(PREFIX) && text.len() == PREFIX.len() + 64 + 1 + 8);
        let plain = read(text.as_bytes()).unwrap();
        assert_eq!(plain, read(format!(" {}\r\n", *text).as_bytes()).unwrap());
        let digits = &text[PREFIX.len()..PREFIX.len() + 64];
        assert_eq!(plain, read(digits.as_bytes()).unwrap());
        assert_ne!(plain, Secret::generate().unwrap());
        let swapped = match text.ends_with('0') {
            true => format!("{}1", &text[..text.len() - 1]),
            false => format!("{}0", &text[..text.len() - 1]),
        };
        for damaged in [&text[..text.len() - 1], &swapped] {
            let refused = read(damaged.as_bytes());
            assert!(matches!(refused, Err(SecretError::Damaged { .. })));
        }
    }

    #[test]
    fn what_can_be_guessed_is_refused() {
        let words = b"correct horse battery staple and then some more";
        for weak in [&[b'x'; 64][..], &[0; 64], &b"ab".repeat(40)[..], words] {
            assert!(
                matches!(read(weak), Err(SecretError::Weak { .. })),
                "{weak:?}"
            );
        }
        assert!(read(b"0123456789abcdef0123456789abcdef").is_ok());
        assert!(read(b"aZ0bY1cX2dW3eV4fU5gT6hS7iR8jQ9kP").is_ok());
    }

    #[test]
    fn a_file_that_others_can_write_or_that_is_a_pipe_is_refused() {
        let text = Secret::generate_text().unwrap();
        for mode in [0o620, 0o602] {
            let refused = read_with(text.as_bytes(), mode);
            assert!(matches!(refused, Err(SecretError::Writable { .. })));
        }
        assert!(read_with(text.as_bytes(), 0o644).is_ok());
        let refused = Secret::from_file("/dev/null");
        assert!(matches!(refused, Err(SecretError::Read { .. })));
    }

    #[test]
    fn a_text_that_is_not_hexadecimal_is_taken_as_it_is() {
        let text = b"Correct horse battery staple, and then some 42";
        let read = read(text).unwrap();
        assert_eq!(read.key(), Secret::new(text).unwrap().key());
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Secret::from_file("/nowhere/secret").unwrap_err();
        assert!(error.to_string().contains("/nowhere/secret"), "{error}");
    }
}
