//! Certificates as files: one PEM file per domain, chain first, key last.

use std::path::PathBuf;

use async_trait::async_trait;
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::{CertStore, CertStoreError, Certificate, Domain, files::Files};

/// A directory with one file per domain, readable by its owner only.
///
/// A reader sees the old certificate or the new one, and a crash leaves one of the two. Only changes
/// through this value wake its watchers.
#[derive(Debug)]
pub struct DirectoryCertStore(Files);

impl DirectoryCertStore {
    /// Opens the directory, creating it (mode 0700) when it is missing.
    ///
    /// # Errors
    /// The directory cannot be created.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, CertStoreError> {
        Files::open(directory.into(), ".pem").map(Self)
    }
}

/// Splits a text where its private key begins.
pub(super) fn parse(text: &str) -> Option<Certificate> {
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

/// What comes between a chain and its key.
pub(super) fn separator(certificate: &Certificate) -> &'static [u8] {
    if certificate.chain.ends_with('\n') { b"" } else { b"\n" }
}

#[async_trait]
impl CertStore for DirectoryCertStore {
    async fn load(&self, domain: &Domain) -> Result<Option<Certificate>, CertStoreError> {
        let Some(bytes) = self.0.read(domain)? else { return Ok(None) };
        let parsed = std::str::from_utf8(&bytes).ok().and_then(parse);
        parsed.map(Some).ok_or_else(|| CertStoreError::Damaged { path: self.0.path(domain) })
    }

    async fn save(&self, domain: &Domain, certificate: &Certificate) -> Result<(), CertStoreError> {
        let Certificate { chain, key } = certificate;
        self.0.write(domain, &[chain.as_bytes(), separator(certificate), key.as_bytes()])
    }

    async fn remove(&self, domain: &Domain) -> Result<(), CertStoreError> {
        self.0.remove(domain)
    }

    async fn domains(&self) -> Result<Vec<Domain>, CertStoreError> {
        self.0.domains()
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.0.watch()
    }
}
