//! One writer per directory.
//!
//! A lock ends with the process, however that ends, and leaves nothing behind.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::Stop;

/// The lock of a directory, held while this lives; `None` on systems that lock no directories.
#[derive(Debug)]
pub(super) struct Lock {
    _directory: Option<File>,
}

/// Why a directory cannot be locked.
#[derive(Debug, thiserror::Error)]
pub(super) enum LockError {
    #[error("{}: another process writes into this directory", .0.display())]
    Held(PathBuf),
    #[error("{}: it cannot be locked: {reason}", .path.display())]
    Unusable { path: PathBuf, reason: io::Error },
}

impl From<LockError> for Stop {
    fn from(error: LockError) -> Self {
        Self::Usage(error.to_string())
    }
}

/// Locks a directory that is there: files in it may be replaced while it is locked.
///
/// # Errors
/// Another process has its lock, or it cannot be read.
pub(super) fn lock(directory: &Path) -> Result<Lock, LockError> {
    if !cfg!(unix) {
        return Ok(Lock { _directory: None });
    }
    let file = File::open(directory).map_err(|reason| LockError::Unusable {
        path: directory.to_owned(),
        reason,
    })?;
    lock_by(&file, directory)?;
    Ok(Lock {
        _directory: Some(file),
    })
}

/// Locks a directory by a file that only its writer opens; the lock is held while the file is open.
///
/// # Errors
/// Another process has the lock, or it cannot be had.
pub(super) fn lock_by(file: &File, directory: &Path) -> Result<(), LockError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(LockError::Held(directory.to_owned())),
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
        Err(TryLockError::Error(reason)) => Err(LockError::Unusable {
            path: directory.to_owned(),
            reason,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_writer_at_a_time() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let first = lock(place.path()).expect("nobody else has it");
        assert!(matches!(lock(place.path()), Err(LockError::Held(_))));
        drop(first);
        lock(place.path()).expect("it is free again");
    }
}
