//! One private file per domain in a directory of ours; what is in it is told by whoever uses this.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use tokio::sync::watch;
use zeroize::Zeroizing;

use super::{CertStoreError, Domain};

const WILDCARD: &str = "_wildcard.";

/// A file is written aside, synced and renamed, so that a reader sees the old one or the new one, and a
/// crash leaves one of the two.
#[derive(Debug)]
pub(super) struct Files {
    directory: PathBuf,
    suffix: &'static str,
    attempts: AtomicU64,
    changed: watch::Sender<u64>,
}

impl Files {
    pub(super) fn open(directory: PathBuf, suffix: &'static str) -> Result<Self, CertStoreError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(file("create", &directory))?;
        let (attempts, changed) = (AtomicU64::new(0), watch::Sender::new(0));
        Ok(Self { directory, suffix, attempts, changed })
    }

    pub(super) fn path(&self, domain: &Domain) -> PathBuf {
        let name = domain.as_str();
        let stem = match name.strip_prefix("*.") {
            Some(rest) => format!("{WILDCARD}{rest}"),
            None => name.to_owned(),
        };
        self.directory.join(stem + self.suffix)
    }

    pub(super) fn read(
        &self,
        domain: &Domain,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, CertStoreError> {
        let path = self.path(domain);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(file("read", &path)(error)),
        }
    }

    pub(super) fn write(&self, domain: &Domain, parts: &[&[u8]]) -> Result<(), CertStoreError> {
        let path = self.path(domain);
        let attempt = self.attempts.fetch_add(1, Ordering::Relaxed);
        let aside = self.directory.join(format!(".{}.{attempt}.new", std::process::id()));
        let written = write_private(&aside, parts)
            .map_err(file("write", &aside))
            .and_then(|()| fs::rename(&aside, &path).map_err(file("replace", &path)))
            .and_then(|()| sync(&self.directory));
        if written.is_err() {
            // The rename may have happened; what is left aside is worthless either way.
            let _ = fs::remove_file(&aside);
        }
        written?;
        self.changed.send_modify(|n| *n += 1);
        Ok(())
    }

    pub(super) fn remove(&self, domain: &Domain) -> Result<(), CertStoreError> {
        let path = self.path(domain);
        match fs::remove_file(&path) {
            Ok(()) => sync(&self.directory)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(file("remove", &path)(error)),
        }
        self.changed.send_modify(|n| *n += 1);
        Ok(())
    }

    pub(super) fn domains(&self) -> Result<Vec<Domain>, CertStoreError> {
        let list = fs::read_dir(&self.directory).map_err(file("list", &self.directory))?;
        let mut domains = Vec::new();
        for entry in list {
            let name = entry.map_err(file("list", &self.directory))?.file_name();
            let Some(stem) = name.to_str().and_then(|n| n.strip_suffix(self.suffix)) else {
                continue;
            };
            let text = match stem.strip_prefix(WILDCARD) {
                Some(rest) => format!("*.{rest}"),
                None => stem.to_owned(),
            };
            domains.extend(text.parse::<Domain>());
        }
        domains.sort();
        Ok(domains)
    }

    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

fn file(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CertStoreError {
    let path = path.to_owned();
    move |source| CertStoreError::File { operation, path, source }
}

fn write_private(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    for part in parts {
        out.write_all(part)?;
    }
    out.sync_all()
}

fn sync(directory: &Path) -> Result<(), CertStoreError> {
    File::open(directory).and_then(|d| d.sync_all()).map_err(file("sync", directory))
}
