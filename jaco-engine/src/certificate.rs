//! A certificate and its key as the state keeps them: checked, and the key sealed.

use std::sync::Arc;

use jaco_api::model::{CertificateSource, Digest, StoredCertificate, Timestamp};
use jaco_ingress::{
    Certificate, Domain,
    tls::{CertificateProblem, check_certificate},
};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use zeroize::Zeroizing;

use crate::seal::{self, Keyring};

/// A certificate that can be served for `domain` at the time `now`, to be stored.
///
/// # Errors
/// Why it cannot be served.
pub(crate) fn stored(
    domain: &Domain,
    certificate: &Certificate,
    source: CertificateSource,
    keyring: &Keyring,
    now: Timestamp,
) -> Result<StoredCertificate, CertificateProblem> {
    let checked = check_certificate(&certificate.chain, &certificate.key, domain, now)?;
    let leaf = CertificateDer::from_pem_slice(certificate.chain.as_bytes())
        .map_err(|_| CertificateProblem::NoCertificate)?;
    Ok(StoredCertificate {
        domain: domain.to_string(),
        source,
        chain: Arc::from(certificate.chain.as_str()),
        key: keyring.seal(seal::CERTIFICATE, certificate.key.as_bytes()),
        names: checked.names,
        issuer: checked.issuer,
        not_before: checked.validity.not_before,
        not_after: checked.validity.not_after,
        fingerprint: Digest::of(&leaf),
        stored_at: now,
    })
}

/// What is served of a stored certificate. None when this node cannot open its key.
pub(crate) fn opened(stored: &StoredCertificate, keyring: &Keyring) -> Option<Certificate> {
    let key = keyring.open(seal::CERTIFICATE, &stored.key).ok()?;
    let key = Zeroizing::new(std::str::from_utf8(&key).ok()?.to_owned());
    Some(Certificate { chain: stored.chain.to_string(), key })
}
