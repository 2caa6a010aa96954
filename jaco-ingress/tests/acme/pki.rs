//! A private CA for the servers of the tests.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// A root, and a certificate of localhost that leads to it, all as PEM.
pub(crate) struct Pki {
    pub(crate) root: String,
    pub(crate) chain: String,
    pub(crate) key: String,
}

pub(crate) fn localhost() -> Pki {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    Pki { root: issuer.pem(), chain: leaf.pem(), key: key.serialize_pem() }
}
