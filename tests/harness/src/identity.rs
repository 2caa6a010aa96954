//! Who a CA's server is: a certificate for its address, and the root that it leads to.

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::{HarnessError, Result};

/// PEM files.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// The root that clients are to trust.
    pub(crate) root: PathBuf,
    /// The server's certificate.
    pub(crate) chain: PathBuf,
    /// Its key.
    pub(crate) key: PathBuf,
}

impl Identity {
    /// Makes one for a server at this address, in files of `directory`.
    pub(crate) fn make(directory: &Path, at: Ipv4Addr) -> Result<Self> {
        fs::create_dir_all(directory).map_err(HarnessError::file("create", directory))?;
        let (root, chain, key) = made(at).map_err(HarnessError::Certificate)?;
        let write = |name: &str, text: &str| {
            let path = directory.join(name);
            fs::write(&path, text).map_err(HarnessError::file("write", &path))?;
            Ok(path)
        };
        Ok(Self {
            root: write("root.pem", &root)?,
            chain: write("cert.pem", &chain)?,
            key: write("key.pem", &key)?,
        })
    }
}

fn made(at: Ipv4Addr) -> Result<(String, String, String), rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let leaf = CertificateParams::new([at.to_string()])?.signed_by(&key, &issuer)?;
    Ok((issuer.pem(), leaf.pem(), key.serialize_pem()))
}
