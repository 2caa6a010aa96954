//! Accepts a member's certificate: chain up to the cluster's CA, identity from the URI name.

use std::{fmt, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    server::ParsedCertificate,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{CaPin, PeerIdentity, peer_identity};

/// Whom a caller speaks to.
enum Whom {
    /// A joining node: any member of the cluster whose CA its token pins.
    Pinned(CaPin),
    /// A member: exactly one other, below the CA it knows.
    Member { roots: Arc<RootCertStore>, expected: PeerIdentity },
}

/// The verifier of calls to members.
pub(super) struct PeerVerifier {
    provider: Arc<CryptoProvider>,
    whom: Whom,
}

impl fmt::Debug for PeerVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.whom {
            Whom::Pinned(pin) => write!(f, "PeerVerifier({pin})"),
            Whom::Member { expected, .. } => write!(f, "PeerVerifier({expected})"),
        }
    }
}

impl PeerVerifier {
    /// Accepts this member alone.
    pub(super) fn new(
        roots: Arc<RootCertStore>,
        provider: Arc<CryptoProvider>,
        expected: PeerIdentity,
    ) -> Self {
        Self { provider, whom: Whom::Member { roots, expected } }
    }

    /// Accepts any member below the CA of this pin.
    pub(super) fn pinned(provider: Arc<CryptoProvider>, pin: CaPin) -> Self {
        Self { provider, whom: Whom::Pinned(pin) }
    }

    /// The CA that the chain must lead to.
    fn roots(&self, chain: &[CertificateDer<'_>]) -> Result<Arc<RootCertStore>, Error> {
        match &self.whom {
            Whom::Member { roots, .. } => Ok(Arc::clone(roots)),
            Whom::Pinned(pin) => {
                let pinned = chain.iter().find(|cert| CaPin::of_der(cert) == *pin);
                let ca =
                    pinned.ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
                let mut roots = RootCertStore::empty();
                roots.add(ca.clone().into_owned())?;
                Ok(Arc::new(roots))
            }
        }
    }

    fn accepts(&self, shown: &PeerIdentity) -> bool {
        match &self.whom {
            Whom::Pinned(_) => true,
            Whom::Member { expected, .. } => shown == expected,
        }
    }
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(end_entity)?,
            &*self.roots(intermediates)?,
            intermediates,
            now,
            self.provider.signature_verification_algorithms.all,
        )?;
        match peer_identity(end_entity) {
            Ok(shown) if self.accepts(&shown) => Ok(ServerCertVerified::assertion()),
            _ => Err(CertificateError::NotValidForName.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
