//! The certificate this node shows, replaceable while connections are served.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use jaco_api::model::Timestamp;
use rustls::{
    SignatureScheme,
    client::ResolvesClientCert,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use x509_parser::prelude::FromDer as _;

use super::{
    NodeIdentity, PeerIdentity, PkiError,
    identity::{peer_identity, x509_error},
    tls,
};

/// When a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// From then on.
    pub not_before: Timestamp,
    /// Until then.
    pub not_after: Timestamp,
}

impl Validity {
    /// When two thirds of its life are over.
    #[must_use]
    pub fn renew_at(&self) -> Timestamp {
        let life = self.not_after.since(self.not_before);
        self.not_before.after(Duration::from_millis(
            u64::try_from(life.as_millis()).unwrap_or(u64::MAX) / 3 * 2,
        ))
    }
}

/// This node's certificate and key as TLS uses them. Clones share what is shown: a replacement
/// counts from the next handshake on, without touching open connections.
#[derive(Clone)]
pub struct Credentials {
    shown: Arc<RwLock<Shown>>,
}

#[derive(Clone)]
struct Shown {
    key: Arc<CertifiedKey>,
    identity: PeerIdentity,
    validity: Validity,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({})", self.identity())
    }
}

impl Credentials {
    /// Credentials from a node's certificate and key.
    ///
    /// # Errors
    /// [`PkiError`] when either cannot be read, or the certificate names no node.
    pub fn new(identity: &NodeIdentity) -> Result<Self, PkiError> {
        Ok(Self { shown: Arc::new(RwLock::new(Shown::read(identity)?)) })
    }

    /// Shows another certificate from now on.
    ///
    /// # Errors
    /// As [`Self::new`]; then the former one stays.
    pub fn replace(&self, identity: &NodeIdentity) -> Result<(), PkiError> {
        let next = Shown::read(identity)?;
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(())
    }

    /// Whom the certificate names.
    #[must_use]
    pub fn identity(&self) -> PeerIdentity {
        self.read().identity
    }

    /// When the certificate is valid.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.read().validity
    }

    /// Whether it is time for a new certificate: two thirds of its life are over.
    #[must_use]
    pub fn renew_due(&self, now: Timestamp) -> bool {
        now >= self.validity().renew_at()
    }

    fn read(&self) -> Shown {
        self.shown.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Shown {
    fn read(identity: &NodeIdentity) -> Result<Self, PkiError> {
        let pem = |what| move |source| PkiError::Pem { what, source };
        let chain = CertificateDer::pem_slice_iter(identity.cert_pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(pem("the node certificate"))?;
        let leaf = chain.first().ok_or(PkiError::Pem {
            what: "the node certificate",
            source: rustls_pki_types::pem::Error::NoItemsFound,
        })?;
        let (peer, validity) = (peer_identity(leaf)?, validity(leaf)?);
        let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes())
            .map_err(pem("the node's private key"))?;
        let key = CertifiedKey::from_der(chain, key, &tls::provider())
            .map_err(|source| PkiError::Tls { what: "the node's certificate and key", source })?;
        Ok(Self { key: Arc::new(key), identity: peer, validity })
    }
}

fn validity(leaf: &CertificateDer<'_>) -> Result<Validity, PkiError> {
    let (_, parsed) = x509_parser::certificate::X509Certificate::from_der(leaf)
        .map_err(|e| PkiError::Certificate(x509_error(e)))?;
    let at = |t: x509_parser::time::ASN1Time| {
        Timestamp(u64::try_from(t.timestamp()).unwrap_or(0).saturating_mul(1000))
    };
    let span = parsed.validity();
    Ok(Validity { not_before: at(span.not_before), not_after: at(span.not_after) })
}

impl ResolvesServerCert for Credentials {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.read().key)
    }
}

impl ResolvesClientCert for Credentials {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        Some(self.read().key)
    }
    fn has_certs(&self) -> bool {
        true
    }
}
