//! Errors of reading a capsule.

/// Why a capsule cannot be written or read. Reading changes nothing; what was read before the
/// error is sound.
#[derive(Debug, thiserror::Error)]
pub enum CapsuleError {
    /// The file system refuses.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// It does not begin like one.
    #[error("not a capsule: capsules begin with other bytes")]
    NotACapsule,
    /// It is of a version that this program does not read.
    #[error("a capsule of {what} {found}; this program reads {known}")]
    Version {
        /// Which version differs: of the file format, or of the events in it.
        what: &'static str,
        /// The capsule's.
        found: u32,
        /// The one that is read.
        known: u32,
    },
    /// The run it is of was killed, or is still going on.
    #[error("an unfinished capsule: the run that wrote it never ended")]
    Unfinished,
    /// The file ends too early.
    #[error("a truncated capsule: something is missing at byte {at}")]
    Truncated {
        /// Where the missing part begins.
        at: u64,
    },
    /// The contents contradict themselves.
    #[error("a corrupt capsule: {what} at byte {at}")]
    Corrupt {
        /// Where the faulty part begins.
        at: u64,
        /// The problem with it.
        what: &'static str,
    },
    /// The trace is longer than is wanted.
    #[error("a trace of {bytes} bytes, over the limit of {limit} (see --big)")]
    TooLarge {
        /// The length: declared if it was read, reached if it was written.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// One event, or the report, is longer than the format allows.
    #[error("{what} of {bytes} bytes does not fit into a capsule")]
    Oversized {
        /// Which part.
        what: &'static str,
        /// Its length.
        bytes: u64,
    },
}
