//! New files: all of them or none.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::super::Stop;
use super::File;

/// What has been made so far, taken back unless it is kept.
#[derive(Debug, Default)]
struct Made {
    files: Vec<PathBuf>,
    directories: Vec<PathBuf>,
}

impl Made {
    /// Makes a directory, and those above it.
    fn directory(&mut self, path: &Path) -> io::Result<()> {
        if path.as_os_str().is_empty() || path.is_dir() {
            return Ok(());
        }
        if let Some(above) = path.parent() {
            self.directory(above)?;
        }
        fs::create_dir(path)?;
        self.directories.push(path.to_owned());
        Ok(())
    }

    /// Writes a file that is not there.
    fn file(&mut self, path: &Path, text: &str) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        self.files.push(path.to_owned());
        file.write_all(text.as_bytes())
    }

    fn keep(mut self) {
        self.files.clear();
        self.directories.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for file in self.files.drain(..) {
            drop(fs::remove_file(file));
        }
        for directory in self.directories.drain(..).rev() {
            drop(fs::remove_dir(directory));
        }
    }
}

/// Writes all files into a directory, which is made if it is not there.
///
/// # Errors
/// One of the files is there, or cannot be written. Then nothing is left behind.
pub(super) fn all(directory: &Path, files: &[File]) -> Result<(), Stop> {
    let there = files.iter().map(|(name, _)| directory.join(name));
    if let Some(path) = there
        .into_iter()
        .find(|path| path.symlink_metadata().is_ok())
    {
        return Err(Stop::Usage(format!(
            "{}: is there, and is not overwritten; nothing was written",
            path.display()
        )));
    }
    let mut made = Made::default();
    for (name, text) in files {
        let path = directory.join(name);
        let above = path.parent().unwrap_or(directory);
        made.directory(above)
            .map_err(|error| failed(above, &error))?;
        made.file(&path, text)
            .map_err(|error| failed(&path, &error))?;
    }
    made.keep();
    Ok(())
}

fn failed(path: &Path, error: &io::Error) -> Stop {
    Stop::Usage(format!(
        "cannot write {}: {error}; nothing was written",
        path.display()
    ))
}
