//! Certificates as files that only the holder of a key can read: a cache that outlives the cluster's state.

use std::{
    fmt, fs,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

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

    /// Opens the directory with the key in a file of its own, which is made (mode 0600) when it is missing.
    ///
    /// # Errors
    /// The directory cannot be created, or the file holds no key, cannot be read or cannot be made.
    pub fn open_with_key_file(
        directory: impl Into<PathBuf>,
        file: impl Into<PathBuf>,
    ) -> Result<Self, CertStoreError> {
        let (directory, file) = (directory.into(), file.into());
        for parent in directory.parent().into_iter().chain(file.parent()) {
            make_directory(parent)?;
        }
        let key = match read_key(&file)? {
            Some(key) => key,
            None => make_key(&file)?,
        };
        Self::open(directory, &key)
    }

    fn open_file(&self, domain: &Domain, sealed: &[u8]) -> Option<Certificate> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let context = format!("{CONTEXT}{domain}");
        let payload = Payload { msg: body, aad: context.as_bytes() };
        let plain = self.cipher.decrypt(&XNonce::from(*nonce), payload).ok().map(Zeroizing::new)?;
        parse(std::str::from_utf8(&plain).ok()?)
    }
}

fn failed<'a>(
    operation: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> CertStoreError + 'a {
    move |source| CertStoreError::File { operation, path: path.to_owned(), source }
}

fn make_directory(path: &Path) -> Result<(), CertStoreError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(failed("create", path))
}

fn read_key(path: &Path) -> Result<Option<Zeroizing<[u8; 32]>>, CertStoreError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", path)(error)),
    };
    let key = <[u8; 32]>::try_from(bytes.as_slice()).map(Zeroizing::new);
    key.map(Some).map_err(|_| CertStoreError::Damaged { path: path.to_owned() })
}

/// A key is there whole or not at all: it is written aside first.
fn make_key(path: &Path) -> Result<Zeroizing<[u8; 32]>, CertStoreError> {
    let mut key = Zeroizing::new([0; 32]);
    rand::fill(&mut key[..]);
    let aside = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options.open(&aside).and_then(|mut file| {
        file.write_all(&key[..])?;
        file.sync_all()?;
        fs::rename(&aside, path)
    });
    written.map_err(failed("write", path))?;
    Ok(key)
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
