//! Certificates as files that only the holder of a key can read: a cache that outlives the cluster's state.

use std::{fmt, path::PathBuf};

use async_trait::async_trait;
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::{
    CertStore, CertStoreError, Certificate, Domain,
    directory::{parse, separator},
    files::Files,
};

const NONCE_LEN: usize = 24;
/// Kept apart from whatever else is sealed by the same key.
const CONTEXT: &str = "certificate ";

/// A directory with one sealed file per domain. The domain is part of the seal: a file that was renamed
/// does not open.
pub struct SealedCertStore {
    files: Files,
    cipher: XChaCha20Poly1305,
}

impl fmt::Debug for SealedCertStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedCertStore").field("files", &self.files).finish_non_exhaustive()
    }
}

impl SealedCertStore {
    /// Opens the directory, creating it (mode 0700) when it is missing.
    ///
    /// # Errors
    /// The directory cannot be created.
    pub fn open(
        directory: impl Into<PathBuf>,
        key: &Zeroizing<[u8; 32]>,
    ) -> Result<Self, CertStoreError> {
        let cipher = XChaCha20Poly1305::new(&(**key).into());
        Ok(Self { files: Files::open(directory.into(), ".sealed")?, cipher })
    }

    fn open_file(&self, domain: &Domain, sealed: &[u8]) -> Option<Certificate> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let context = format!("{CONTEXT}{domain}");
        let payload = Payload { msg: body, aad: context.as_bytes() };
        let plain = self.cipher.decrypt(&XNonce::from(*nonce), payload).ok().map(Zeroizing::new)?;
        parse(std::str::from_utf8(&plain).ok()?)
    }
}

#[async_trait]
impl CertStore for SealedCertStore {
    async fn load(&self, domain: &Domain) -> Result<Option<Certificate>, CertStoreError> {
        let Some(sealed) = self.files.read(domain)? else { return Ok(None) };
        let opened = self.open_file(domain, &sealed);
        opened.map(Some).ok_or_else(|| CertStoreError::Damaged { path: self.files.path(domain) })
    }

    async fn save(&self, domain: &Domain, certificate: &Certificate) -> Result<(), CertStoreError> {
        let Certificate { chain, key } = certificate;
        let plain = [chain.as_bytes(), separator(certificate), key.as_bytes()].concat();
        let plain = Zeroizing::new(plain);
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce[..]);
        let context = format!("{CONTEXT}{domain}");
        let body = self
            .cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: &plain, aad: context.as_bytes() })
            .expect("XChaCha20-Poly1305 takes any message that fits in memory");
        self.files.write(domain, &[&nonce, &body])
    }

    async fn remove(&self, domain: &Domain) -> Result<(), CertStoreError> {
        self.files.remove(domain)
    }

    async fn domains(&self) -> Result<Vec<Domain>, CertStoreError> {
        self.files.domains()
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.files.watch()
    }
}
