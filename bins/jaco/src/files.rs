//! Reading manifests from disk.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use jaco_api::{
    manifest::{FileProblem, Files, ManifestFile, Resolved, Source, resolve_allowing},
    model::BindAllowlist,
};

use crate::error::{Error, FileError};

/// Largest manifest that is read.
pub const LIMIT: u64 = 4 << 20;

/// Names of a compose file beside jaco.yaml, in the order they are tried.
pub const COMPOSE_NAMES: [&str; 4] =
    ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];

/// The text of a file of at most [`LIMIT`] bytes.
///
/// # Errors
/// When it cannot be read, is too large or is no text.
pub fn read(path: &Path) -> Result<String, FileError> {
    let bytes = read_bytes(path)?;
    String::from_utf8(bytes).map_err(|e| FileError::NotUtf8 { at: e.utf8_error().valid_up_to() })
}

/// The bytes of a file of at most [`LIMIT`] bytes.
///
/// # Errors
/// When it cannot be read or is too large.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>, FileError> {
    let file = fs::File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(FileError::Directory);
    }
    let mut bytes = Vec::new();
    file.take(LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LIMIT {
        return Err(FileError::TooLarge);
    }
    Ok(bytes)
}

/// The text of a manifest file, with its name in the error.
///
/// # Errors
/// As [`read`].
pub fn manifest(path: &Path) -> Result<String, Error> {
    read(path).map_err(|source| Error::File { path: path.to_owned(), source })
}

/// The compose file that belongs to `jaco`: the one named, or the one beside it.
///
/// # Errors
/// When none is named and none is there.
pub fn compose_for(jaco: &Path, named: Option<&Path>) -> Result<PathBuf, Error> {
    if let Some(path) = named {
        return Ok(path.to_owned());
    }
    let dir = directory(jaco);
    COMPOSE_NAMES
        .iter()
        .map(|name| dir.join(name))
        .map(|path| path.strip_prefix("./").map(Path::to_owned).unwrap_or(path))
        .find(|path| path.is_file())
        .ok_or_else(|| Error::NoCompose { dir: dir.to_owned() })
}

/// The directory a file is in.
#[must_use]
pub fn directory(file: &Path) -> &Path {
    file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes a file that only its owner may read, in one step.
///
/// # Errors
/// When the directory cannot be written to.
pub fn write_private(path: &Path, text: &str) -> io::Result<()> {
    use std::{
        io::Write as _,
        os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    };
    let dir = directory(path);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let draft = path.with_extension(format!("new-{}", std::process::id()));
    let write = || {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, path)
    };
    write().inspect_err(|_| {
        // The draft is of no use; what matters is why it could not take its place.
        let _ = fs::remove_file(&draft);
    })
}

/// jaco.yaml and its compose file, read and not yet looked at.
pub struct Pair {
    /// jaco.yaml.
    pub jaco: Source,
    /// The compose file.
    pub compose: Source,
    directories: Directories,
}

impl Pair {
    /// Reads both.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn read(jaco: &Path, compose: Option<&Path>) -> Result<Self, Error> {
        let text = manifest(jaco)?;
        let compose = compose_for(jaco, compose)?;
        Ok(Self {
            jaco: Source { name: jaco.display().to_string(), text },
            compose: Source { name: compose.display().to_string(), text: manifest(&compose)? },
            directories: Directories { jaco: absolute(jaco), compose: absolute(&compose) },
        })
    }

    /// Interpolates, folds env files in and checks.
    ///
    /// # Errors
    /// Every problem of both files.
    pub fn resolve(&self, allowed: &BindAllowlist) -> Result<Resolved, Error> {
        resolve_allowing(&self.jaco, &self.compose, &self.directories, allowed)
            .map_err(Error::Manifest)
    }
}

fn absolute(file: &Path) -> Option<String> {
    std::path::absolute(directory(file)).ok()?.into_os_string().into_string().ok()
}

/// Where the two files are; what they name is beside them.
struct Directories {
    jaco: Option<String>,
    compose: Option<String>,
}

impl Files for Directories {
    fn read(&self, path: &str) -> Result<String, FileProblem> {
        read(Path::new(path)).map_err(problem)
    }

    fn read_bytes(&self, path: &str) -> Result<Vec<u8>, FileProblem> {
        read_bytes(Path::new(path)).map_err(problem)
    }

    fn directory(&self, of: ManifestFile) -> Option<String> {
        match of {
            ManifestFile::Jaco => self.jaco.clone(),
            ManifestFile::Compose => self.compose.clone(),
        }
    }
}

fn problem(error: FileError) -> FileProblem {
    match error {
        FileError::Read { source } if source.kind() == io::ErrorKind::NotFound => {
            FileProblem::NotFound
        }
        FileError::Read { source } => FileProblem::Unreadable(source.to_string()),
        FileError::NotUtf8 { .. } => FileProblem::NotText,
        e @ (FileError::Directory | FileError::TooLarge) => {
            FileProblem::Unreadable(format!("it {e}"))
        }
    }
}
