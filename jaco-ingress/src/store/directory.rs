//! Certificates as files: one PEM file per domain, chain first, key last.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::{CertStore, CertStoreError, Certificate, Domain};

const SUFFIX: &str = ".pem";
const WILDCARD: &str = "_wildcard.";

/// A directory with one file per domain, readable by its owner only.
///
/// A file is written aside, synced and renamed, so that a reader sees the old certificate or the new
/// one, and a crash leaves one of the two. Only changes through this value wake its watchers.
#[derive(Debug)]
pub struct DirectoryCertStore {
    directory: PathBuf,
    attempts: AtomicU64,
    changed: watch::Sender<u64>,
}

impl DirectoryCertStore {
    /// Opens the directory, creating it (mode 0700) when it is missing.
    ///
    /// # Errors
    /// The directory cannot be created.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, CertStoreError> {
        let directory = directory.into();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(file("create", &directory))?;
        Ok(Self { directory, attempts: AtomicU64::new(0), changed: watch::Sender::new(0) })
    }

    fn path(&self, domain: &Domain) -> PathBuf {
        let name = domain.as_str();
        let stem = match name.strip_prefix("*.") {
            Some(rest) => format!("{WILDCARD}{rest}"),
            None => name.to_owned(),
        };
        self.directory.join(stem + SUFFIX)
    }

    fn replace(&self, path: &Path, certificate: &Certificate) -> Result<(), CertStoreError> {
        let attempt = self.attempts.fetch_add(1, Ordering::Relaxed);
        let aside = self.directory.join(format!(".{}.{attempt}.new", std::process::id()));
        let written = write_private(&aside, certificate)
            .map_err(file("write", &aside))
            .and_then(|()| fs::rename(&aside, path).map_err(file("replace", path)))
            .and_then(|()| sync(&self.directory));
        if written.is_err() {
            // The rename may have happened; what is left aside is worthless either way.
            let _ = fs::remove_file(&aside);
        }
        written
    }
}

fn file(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CertStoreError {
    let path = path.to_owned();
    move |source| CertStoreError::File { operation, path, source }
}

fn write_private(path: &Path, certificate: &Certificate) -> io::Result<()> {
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    out.write_all(certificate.chain.as_bytes())?;
    if !certificate.chain.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.write_all(certificate.key.as_bytes())?;
    out.sync_all()
}

fn sync(directory: &Path) -> Result<(), CertStoreError> {
    File::open(directory).and_then(|d| d.sync_all()).map_err(file("sync", directory))
}

/// Splits a file where its private key begins.
fn parse(text: &str) -> Option<Certificate> {
    let begin = text
        .match_indices("-----BEGIN ")
        .find(|(at, _)| text[*at..].lines().next().is_some_and(|l| l.contains("PRIVATE KEY")))?
        .0;
    let (chain, key) = text.split_at(begin);
    if !chain.contains("-----BEGIN CERTIFICATE-----") {
        return None;
    }
    Some(Certificate { chain: chain.to_owned(), key: Zeroizing::new(key.to_owned()) })
}

#[async_trait]
impl CertStore for DirectoryCertStore {
    async fn load(&self, domain: &Domain) -> Result<Option<Certificate>, CertStoreError> {
        let path = self.path(domain);
        match fs::read_to_string(&path).map(Zeroizing::new) {
            Ok(text) => parse(&text).map(Some).ok_or(CertStoreError::Damaged { path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(file("read", &path)(error)),
        }
    }

    async fn save(&self, domain: &Domain, certificate: &Certificate) -> Result<(), CertStoreError> {
        self.replace(&self.path(domain), certificate)?;
        self.changed.send_modify(|n| *n += 1);
        Ok(())
    }

    async fn remove(&self, domain: &Domain) -> Result<(), CertStoreError> {
        let path = self.path(domain);
        match fs::remove_file(&path) {
            Ok(()) => sync(&self.directory)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(file("remove", &path)(error)),
        }
        self.changed.send_modify(|n| *n += 1);
        Ok(())
    }

    async fn domains(&self) -> Result<Vec<Domain>, CertStoreError> {
        let list = fs::read_dir(&self.directory).map_err(file("list", &self.directory))?;
        let mut domains = Vec::new();
        for entry in list {
            let name = entry.map_err(file("list", &self.directory))?.file_name();
            let Some(stem) = name.to_str().and_then(|n| n.strip_suffix(SUFFIX)) else { continue };
            let text = match stem.strip_prefix(WILDCARD) {
                Some(rest) => format!("*.{rest}"),
                None => stem.to_owned(),
            };
            domains.extend(text.parse::<Domain>());
        }
        domains.sort();
        Ok(domains)
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}
