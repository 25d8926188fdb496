//! Finding and reading scenario files.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use miette::Diagnostic;

use super::read::{FILE_BYTES_MAX, bytes_max};

/// Why a path gives no scenario files. Each code is `scenario::` and the variant's name.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum LoadError {
    /// Nothing is there.
    #[error("{}: there is no such file or directory", .path.display())]
    #[diagnostic(code(scenario::no_such_path))]
    NoSuchPath {
        /// The path.
        path: PathBuf,
    },
    /// The operating system refuses to read it.
    #[error("{}: cannot be read: {reason}", .path.display())]
    #[diagnostic(
        code(scenario::unreadable),
        help("check the permissions of the file and of its directories")
    )]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// The operating system's error.
        reason: io::Error,
    },
    /// A directory without a single `*.toml` in it or below it.
    #[error("{}: the directory has no scenario files", .path.display())]
    #[diagnostic(
        code(scenario::no_scenarios),
        help("scenario files end in `.toml`; directories are searched with all below them")
    )]
    NoScenarios {
        /// The directory.
        path: PathBuf,
    },
    /// A device or a socket: reading it might never end.
    #[error("{}: neither a file nor a directory", .path.display())]
    #[diagnostic(code(scenario::not_a_file))]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
}

/// The deepest directory that is searched, below the one named.
const DEPTH_MAX: usize = 32;

/// The scenario files of some paths: a file stands for itself, a directory for every `*.toml` in
/// it and below it, by name. No file twice.
///
/// # Errors
/// The problems of all paths that give none.
pub fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Vec<LoadError>> {
    let mut files = Vec::new();
    let mut seen = BTreeSet::new();
    let mut errors = Vec::new();
    for path in paths {
        match find_one(path) {
            Ok(found) => files.extend(found.into_iter().filter(|file| seen.insert(file.clone()))),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        Ok(files)
    } else {
        Err(errors)
    }
}

/// The path that stands for the standard input.
const STDIN: &str = "-";

/// The bytes of a scenario file, of a pipe, or of the standard input (`-`): of one that is too long,
/// only so many that the reader sees it.
///
/// # Errors
/// It is no file, or cannot be read.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>, LoadError> {
    let unreadable = |reason| refused(path, reason);
    if path.as_os_str() == STDIN {
        return read_from(io::stdin().lock()).map_err(unreadable);
    }
    let kind = fs::metadata(path).map_err(unreadable)?;
    if !kind.is_file() && !is_pipe(&kind) {
        return Err(LoadError::NotAFile {
            path: path.to_owned(),
        });
    }
    let file = File::open(path).map_err(unreadable)?;
    read_from(file).map_err(unreadable)
}

fn read_from(mut source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut limit = |most: usize, bytes: &mut Vec<u8>| {
        let rest = (most + 1).saturating_sub(bytes.len());
        source.by_ref().take(rest as u64).read_to_end(bytes)
    };
    limit(FILE_BYTES_MAX, &mut bytes)?;
    let most = bytes_max(&bytes);
    limit(most, &mut bytes)?;
    Ok(bytes)
}

/// True if it is a named pipe, or what a shell makes of `<(command)`.
#[cfg(unix)]
fn is_pipe(kind: &fs::Metadata) -> bool {
    std::os::unix::fs::FileTypeExt::is_fifo(&kind.file_type())
}

#[cfg(not(unix))]
fn is_pipe(_: &fs::Metadata) -> bool {
    false
}

fn refused(path: &Path, reason: io::Error) -> LoadError {
    let path = path.to_owned();
    if reason.kind() == io::ErrorKind::NotFound {
        LoadError::NoSuchPath { path }
    } else {
        LoadError::Unreadable { path, reason }
    }
}

fn find_one(path: &Path) -> Result<Vec<PathBuf>, LoadError> {
    if path.as_os_str() == STDIN {
        return Ok(vec![path.to_owned()]);
    }
    let kind = fs::metadata(path).map_err(|reason| refused(path, reason))?;
    if kind.is_file() || is_pipe(&kind) {
        return Ok(vec![path.to_owned()]);
    }
    if !kind.is_dir() {
        return Err(LoadError::NotAFile {
            path: path.to_owned(),
        });
    }
    let mut files = Vec::new();
    walk(path, DEPTH_MAX, &mut files)?;
    if files.is_empty() {
        Err(LoadError::NoScenarios {
            path: path.to_owned(),
        })
    } else {
        Ok(files)
    }
}

/// True if a file is a plan of `compare`: it lists scenarios, before any table. What cannot be read is told
/// when it is read as a scenario.
fn is_plan(path: &Path) -> bool {
    let Ok(bytes) = read_bytes(path) else {
        return false;
    };
    let text = String::from_utf8_lossy(&bytes);
    let mut keys = text
        .lines()
        .map(str::trim_start)
        .take_while(|line| !line.starts_with('['));
    keys.any(|line| {
        let rest = line.strip_prefix("scenarios");
        rest.is_some_and(|rest| rest.trim_start().starts_with('='))
    })
}

/// Adds the scenario files of a directory, then those of the directories in it, by name; plans are none.
/// Links to directories are not followed: they may lead in a circle.
fn walk(directory: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), LoadError> {
    let unreadable = |reason| refused(directory, reason);
    let mut entries = fs::read_dir(directory)
        .and_then(Iterator::collect::<io::Result<Vec<_>>>)
        .map_err(unreadable)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    let mut directories = Vec::new();
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type().map_err(unreadable)?);
        if kind.is_dir() {
            directories.push(path);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "toml")
            && path.is_file()
            && !is_plan(&path)
        {
            files.push(path);
        }
    }
    let Some(depth) = depth.checked_sub(1) else {
        return Ok(());
    };
    directories
        .iter()
        .try_for_each(|directory| walk(directory, depth, files))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_stands_for_its_files_by_name_and_a_file_is_not_taken_twice() {
        let root = tempfile::tempdir().unwrap();
        let sub = root.path().join("sub");
        fs::create_dir(&sub).unwrap();
        for name in ["b.toml", "a.toml", "notes.md", "sub/c.toml"] {
            fs::write(root.path().join(name), "").unwrap();
        }
        let plan = "schema = 1\n scenarios = [\"a.toml\"]\n[vary]\n";
        fs::write(root.path().join("plan.toml"), plan).unwrap();
        let other = "schema = 1\n[cluster]\nscenarios = 1\n";
        fs::write(root.path().join("sub/d.toml"), other).unwrap();
        let found = find(&[root.path().join("b.toml"), root.path().to_owned()]).unwrap();
        let names: Vec<_> = found
            .iter()
            .map(|path| path.strip_prefix(root.path()).unwrap().to_str().unwrap())
            .collect();
        assert_eq!(names, ["b.toml", "a.toml", "sub/c.toml", "sub/d.toml"]);
    }

    #[test]
    fn of_a_file_that_is_too_long_one_byte_too_many_is_read() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("long.toml");
        fs::write(&path, vec![b'#'; 3 * FILE_BYTES_MAX]).unwrap();
        assert_eq!(read_bytes(&path).unwrap().len(), FILE_BYTES_MAX + 1);
    }

    #[test]
    fn a_resolved_file_may_be_longer() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("long.toml");
        let text = format!(
            "schema = 1\nresolved = true # by explain\n{}",
            "#".repeat(3 << 20)
        );
        fs::write(&path, &text).unwrap();
        assert_eq!(read_bytes(&path).unwrap(), text.as_bytes());
        let other = text.replace("true", "false");
        fs::write(&path, other).unwrap();
        assert_eq!(read_bytes(&path).unwrap().len(), FILE_BYTES_MAX + 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_read_to_its_end() {
        use std::io::Write;
        use std::os::fd::AsRawFd;

        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"schema = 1\n").unwrap();
        drop(writer);
        let path = PathBuf::from(format!("/dev/fd/{}", reader.as_raw_fd()));
        let paths = std::slice::from_ref(&path);
        assert_eq!(find(paths).unwrap(), paths);
        assert_eq!(read_bytes(&path).unwrap(), b"schema = 1\n");
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_no_scenario_and_a_circle_of_links_ends() {
        assert!(matches!(
            read_bytes(Path::new("/dev/zero")),
            Err(LoadError::NotAFile { .. })
        ));
        let root = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(root.path(), root.path().join("loop")).unwrap();
        assert!(matches!(
            find(&[root.path().to_owned()]).unwrap_err()[..],
            [LoadError::NoScenarios { .. }]
        ));
    }
}
