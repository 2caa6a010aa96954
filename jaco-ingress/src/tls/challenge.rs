//! The certificate by which TLS-ALPN-01 is answered (RFC 8737).

use std::sync::Arc;

use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::{
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    sign::CertifiedKey,
};

use super::{TlsError, provider};
use crate::store::Domain;

/// Makes the certificate that answers a challenge. Any node can: its key is of no consequence.
///
/// # Errors
/// There is no randomness.
pub fn challenge_certificate(
    domain: &Domain,
    digest: &[u8; 32],
) -> Result<Arc<CertifiedKey>, TlsError> {
    let make = || {
        let mut params = CertificateParams::new([domain.as_str().to_owned()])?;
        params.distinguished_name = DistinguishedName::new();
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
        let key = KeyPair::generate()?;
        let leaf = params.self_signed(&key)?.der().clone();
        Ok((leaf, PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()))))
    };
    let (leaf, key) = make().map_err(TlsError::Challenge)?;
    // Its critical extension is not known to the check that a key fits its certificate.
    let key = provider().key_provider.load_private_key(key).map_err(TlsError::Unusable)?;
    Ok(Arc::new(CertifiedKey::new(vec![leaf], key)))
}
