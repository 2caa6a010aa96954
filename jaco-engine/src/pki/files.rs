//! A node's certificates on disk: `ca.crt`, `<name>.crt`, `<name>.key`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use jaco_api::model::NodeName;
use zeroize::Zeroizing;

use super::{NodeIdentity, PkiError};
use crate::durable;

/// The directory of a node's certificates.
#[derive(Debug, Clone)]
pub struct NodeFiles {
    directory: PathBuf,
}

impl NodeFiles {
    /// The files in this directory, which need not exist yet.
    #[must_use]
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// Keeps the CA certificate and a node's identity. The certificate goes last: it is there only
    /// once everything else is.
    ///
    /// # Errors
    /// [`PkiError::Io`].
    pub fn save(
        &self,
        ca_pem: &str,
        node: &NodeName,
        identity: &NodeIdentity,
    ) -> Result<(), PkiError> {
        durable::private_directory(&self.directory).map_err(io_error("create", &self.directory))?;
        let write = |path: PathBuf, mode, text: &str| {
            durable::write_file(&path, mode, text.as_bytes()).map_err(io_error("write", &path))
        };
        write(self.ca(), 0o644, ca_pem)?;
        write(self.key(node), 0o600, &identity.key_pem)?;
        write(self.certificate(node), 0o644, &identity.cert_pem)
    }

    /// Keeps a node's private key alone, before anybody has signed for it.
    ///
    /// # Errors
    /// [`PkiError::Io`].
    pub fn save_key(&self, node: &NodeName, key_pem: &str) -> Result<(), PkiError> {
        durable::private_directory(&self.directory).map_err(io_error("create", &self.directory))?;
        let path = self.key(node);
        durable::write_file(&path, 0o600, key_pem.as_bytes()).map_err(io_error("write", &path))
    }

    /// A node's private key; `None` when there is none.
    ///
    /// # Errors
    /// [`PkiError::Io`].
    pub fn load_key(&self, node: &NodeName) -> Result<Option<Zeroizing<String>>, PkiError> {
        let path = self.key(node);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(Zeroizing::new(text))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(io_error("read", &path)(e)),
        }
    }

    /// The CA certificate and a node's identity; `None` when the node has no certificate yet.
    ///
    /// # Errors
    /// [`PkiError::Io`].
    pub fn load(&self, node: &NodeName) -> Result<Option<(String, NodeIdentity)>, PkiError> {
        let read = |path: PathBuf| fs::read_to_string(&path).map_err(io_error("read", &path));
        let cert_pem = match read(self.certificate(node)) {
            Ok(text) => text,
            Err(PkiError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(e) => return Err(e),
        };
        let key_pem = Zeroizing::new(read(self.key(node))?);
        Ok(Some((read(self.ca())?, NodeIdentity { cert_pem, key_pem })))
    }

    /// Path of the CA certificate.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.directory.join("ca.crt")
    }
    fn certificate(&self, node: &NodeName) -> PathBuf {
        self.directory.join(format!("{node}.crt"))
    }
    fn key(&self, node: &NodeName) -> PathBuf {
        self.directory.join(format!("{node}.key"))
    }
}

fn io_error(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PkiError {
    let path = path.to_owned();
    move |source| PkiError::Io { operation, path, source }
}
