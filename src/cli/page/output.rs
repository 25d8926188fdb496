//! The file of a page: written beside its place, and moved there when it is whole.

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::cli::Stop;

/// How every page begins.
const BEGINNING: &[u8] = b"<!doctype html>";

/// A page to be. Nothing is at its place before it is whole.
#[derive(Debug)]
pub(in crate::cli) struct PageFile {
    path: PathBuf,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// Beside it, from the first byte to the last: a command that is interrupted before leaves nothing.
    Beside,
    /// A device or a pipe, which cannot be replaced.
    There(File),
}

impl PageFile {
    /// Makes sure that a page can be written, before the work is done.
    ///
    /// # Errors
    /// It cannot be, or something else is there. Nothing has changed then.
    pub(in crate::cli) fn open(path: &Path) -> Result<Self, Stop> {
        let unwritable = |error| unwritable(path, &error);
        let is_there = fs::metadata(path).ok();
        let place = match is_there {
            Some(there) if there.is_dir() => {
                return Err(refused(path, "it is a directory"));
            }
            Some(there) if !there.is_file() => {
                Place::There(File::options().write(true).open(path).map_err(unwritable)?)
            }
            _ => {
                must_be_a_page(path)?;
                // It is gone at once: only the directory is tried.
                drop(beside(path).map_err(unwritable)?);
                Place::Beside
            }
        };
        Ok(Self {
            path: path.to_owned(),
            place,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the page, and moves it to its place: how large it is.
    ///
    /// # Errors
    /// It cannot be written, or something else is there by now.
    pub(super) fn write(
        self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<u64, Stop> {
        let path = self.path;
        let unwritable = |error| unwritable(&path, &error);
        match self.place {
            Place::There(file) => {
                let mut file = BufWriter::new(file);
                write(&mut file)
                    .and_then(|()| file.flush())
                    .map_err(unwritable)?;
                Ok(0)
            }
            Place::Beside => {
                let mut file = beside(&path).map_err(unwritable)?;
                let mut out = BufWriter::new(&mut file);
                write(&mut out)
                    .and_then(|()| out.flush())
                    .map_err(unwritable)?;
                drop(out);
                let size = file.as_file().metadata().map_or(0, |file| file.len());
                must_be_a_page(&path)?;
                file.persist(&path)
                    .map_err(|error| unwritable(error.error))?;
                Ok(size)
            }
        }
    }
}

/// A new file in the directory of another one.
fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".report-").suffix(".html");
    // As any new file: less what the mask of the process takes away.
    builder.permissions(Permissions::from_mode(0o666));
    builder.tempfile_in(directory)
}

/// Only a page is replaced: whatever else has that name may be what the page is made of.
fn must_be_a_page(path: &Path) -> Result<(), Stop> {
    let mut start = [0; BEGINNING.len()];
    let Ok(mut file) = File::open(path) else {
        // There is none, or it tells when it is written.
        return Ok(());
    };
    let is_page = match file.read(&mut start) {
        Ok(0) | Err(_) => true,
        Ok(long) => start[..long].eq_ignore_ascii_case(BEGINNING),
    };
    if is_page {
        Ok(())
    } else {
        let reason =
            "the report would replace it, and it is no page; name another file for the report";
        Err(refused(path, reason))
    }
}

fn refused(path: &Path, reason: &str) -> Stop {
    Stop::Usage(format!("{}: {reason}", path.display()))
}

fn unwritable(path: &Path, error: &io::Error) -> Stop {
    refused(path, &format!("cannot be written: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_page_is_replaced_and_a_page_that_fails_leaves_the_old_one() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let path = place.path().join("page.html");
        let make =
            |text: &'static str| PageFile::open(&path)?.write(|out| out.write_all(text.as_bytes()));
        assert_eq!(make("<!DOCTYPE html>1"), Ok(16));
        let failed = PageFile::open(&path).and_then(|file| {
            file.write(|out| {
                out.write_all(b"half")?;
                Err(io::Error::other("no room"))
            })
        });
        assert!(matches!(failed, Err(Stop::Usage(reason)) if reason.contains("no room")));
        assert_eq!(fs::read(&path).expect("a page"), b"<!DOCTYPE html>1");
        assert_eq!(make("<!doctype html>2"), Ok(16));
        let mode = fs::metadata(&path).expect("a page").permissions().mode();
        assert_eq!(mode & 0o600, 0o600);
        fs::write(&path, "{}").expect("a file");
        assert!(make("<!doctype html>3").is_err());
        assert_eq!(fs::read(&path).expect("a file"), b"{}");
        // What came there meanwhile stays, too.
        fs::remove_file(&path).expect("a file");
        let file = PageFile::open(&path).expect("nothing is there");
        let names = fs::read_dir(place.path()).expect("a directory").count();
        assert_eq!(names, 0, "an interrupted command leaves nothing");
        fs::write(&path, "[]").expect("a file");
        assert!(file.write(|out| out.write_all(b"<!doctype html>")).is_err());
        assert_eq!(fs::read_dir(place.path()).expect("a directory").count(), 1);
    }
}
