//! The cluster's certificate authority.

use std::{
    collections::BTreeSet,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use jaco_api::model::{ClusterId, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer,
    DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData, SanType, SerialNumber, string::Ia5String,
};
use rustls_pki_types::PrivatePkcs8KeyDer;
use zeroize::Zeroizing;

use super::{NodeIdentity, PeerIdentity, PkiError, SigningRequest};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a node certificate lives; it is renewed after two thirds of that.
pub const NODE_CERTIFICATE_LIFE: Duration = DAY.saturating_mul(90);
const CA_LIFE: Duration = DAY.saturating_mul(3_653);
/// Certificates begin in the past: members' clocks differ.
const BACKDATED: Duration = Duration::from_secs(60 * 60);

/// The cluster's CA with its private key (Ed25519).
pub struct Authority {
    ca_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority")
    }
}

impl Authority {
    /// A new CA for a cluster.
    ///
    /// # Errors
    /// [`PkiError::Make`].
    pub fn create(cluster: ClusterId, now: Timestamp) -> Result<Self, PkiError> {
        let make = |source| PkiError::Make { what: "the cluster CA", source };
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, format!("JACO cluster {cluster}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_validity(&mut params, now, CA_LIFE);
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).map_err(make)?;
        let pkcs8 = Zeroizing::new(key.serialize_der());
        let ca_pem = CertifiedIssuer::self_signed(params, key).map_err(make)?.pem();
        Self::load(&ca_pem, &pkcs8)
    }

    /// The CA of a certificate (PEM) and its private key (PKCS#8 DER).
    ///
    /// # Errors
    /// [`PkiError::Make`] when either cannot be read.
    pub fn load(ca_pem: &str, pkcs8: &[u8]) -> Result<Self, PkiError> {
        let read = |source| PkiError::Make { what: "a signer from the CA's key", source };
        let key = KeyPair::from_pkcs8_der_and_sign_algo(
            &PrivatePkcs8KeyDer::from(pkcs8),
            &rcgen::PKCS_ED25519,
        )
        .map_err(read)?;
        let issuer = Issuer::from_ca_cert_pem(ca_pem, key).map_err(read)?;
        Ok(Self { ca_pem: ca_pem.to_owned(), issuer })
    }

    /// The CA certificate, PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The private key, PKCS#8 DER: to be sealed.
    #[must_use]
    pub fn pkcs8(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.issuer.key().serialize_der())
    }

    /// A certificate with a fresh key for a node, valid for its name, its addresses and localhost.
    ///
    /// # Errors
    /// [`PkiError::Make`].
    pub fn issue(
        &self,
        identity: &PeerIdentity,
        addresses: &[IpAddr],
        now: Timestamp,
    ) -> Result<NodeIdentity, PkiError> {
        let request = SigningRequest::new()?;
        let cert_pem = self.sign_csr(&request.csr_pem, identity, addresses, now)?;
        Ok(request.signed(cert_pem))
    }

    /// A certificate for the public key of a request. The names come from the identity that was
    /// authenticated; the names in the request are ignored.
    ///
    /// # Errors
    /// [`PkiError::Make`] when the request cannot be read or its signature does not fit its key.
    pub fn sign_csr(
        &self,
        csr_pem: &str,
        identity: &PeerIdentity,
        addresses: &[IpAddr],
        now: Timestamp,
    ) -> Result<String, PkiError> {
        let make = |source| PkiError::Make { what: "a node certificate", source };
        let request = CertificateSigningRequestParams::from_pem(csr_pem).map_err(make)?;
        self.sign(&request.public_key, identity, addresses, now).map_err(make)
    }

    fn sign(
        &self,
        key: &impl PublicKeyData,
        identity: &PeerIdentity,
        addresses: &[IpAddr],
        now: Timestamp,
    ) -> Result<String, rcgen::Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, identity.node.as_str());
        params.subject_alt_names = vec![
            SanType::URI(Ia5String::try_from(identity.node_uri())?),
            SanType::URI(Ia5String::try_from(identity.member_uri())?),
            SanType::DnsName(Ia5String::try_from(identity.node.as_str())?),
            SanType::DnsName(Ia5String::try_from("localhost")?),
        ];
        let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        let addresses: BTreeSet<IpAddr> =
            addresses.iter().filter(|a| !a.is_unspecified()).copied().chain(loopback).collect();
        params.subject_alt_names.extend(addresses.into_iter().map(SanType::IpAddress));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let mut serial: [u8; 16] = rand::random();
        serial[0] &= 0x7f; // positive, as RFC 5280 wants it
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        set_validity(&mut params, now, NODE_CERTIFICATE_LIFE);
        Ok(params.signed_by(key, &self.issuer)?.pem())
    }
}

fn set_validity(params: &mut CertificateParams, now: Timestamp, life: Duration) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let since_epoch = Duration::from_secs(now.0 / 1000);
    params.not_before = epoch + since_epoch.saturating_sub(BACKDATED);
    params.not_after = epoch + since_epoch + life;
}
