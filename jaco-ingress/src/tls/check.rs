//! Whether a certificate can be served for a domain, before it is.

use jaco_api::model::Timestamp;
use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::provider;
use crate::{acme::phase::Validity, store::Domain};

/// Why a certificate cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateProblem {
    /// There is no certificate in the chain.
    #[error("the chain holds no certificate")]
    NoCertificate,
    /// A certificate cannot be read.
    #[error("certificate {position} of the chain cannot be read: {reason}")]
    Unreadable {
        /// Which one, from 1.
        position: usize,
        /// What is wrong.
        reason: String,
    },
    /// A certificate was not issued by the one after it.
    #[error(
        "certificate {position} of the chain was issued by {issuer:?}, but {next:?} comes next"
    )]
    OutOfOrder {
        /// Which one, from 1.
        position: usize,
        /// By whom it was issued.
        issuer: String,
        /// Who comes next.
        next: String,
    },
    /// The first certificate is one of a CA.
    #[error("the first certificate of the chain is a CA's, {subject:?}")]
    LeafIsCa {
        /// Whose.
        subject: String,
    },
    /// The private key cannot be read or is of a kind that cannot be used.
    #[error("the private key cannot be used: {reason}")]
    BadKey {
        /// What is wrong.
        reason: String,
    },
    /// The private key is another certificate's.
    #[error("the private key is not the one of the first certificate")]
    WrongKey,
    /// The certificate is for other names.
    #[error("the certificate is not for {domain} but for {}", names.join(", "))]
    WrongName {
        /// The domain.
        domain: Domain,
        /// Its names.
        names: Vec<String>,
    },
    /// It is over.
    #[error("the certificate expired at {at}")]
    Expired {
        /// When.
        at: Timestamp,
    },
    /// It has not begun.
    #[error("the certificate is not valid before {at}")]
    NotYetValid {
        /// When it begins.
        at: Timestamp,
    },
}

impl CertificateProblem {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoCertificate => {
                "give the PEM file that begins with -----BEGIN CERTIFICATE-----, often called fullchain.pem"
            }
            Self::Unreadable { .. } => "the file is damaged or not PEM: export it again",
            Self::OutOfOrder { .. } | Self::LeafIsCa { .. } => {
                "put the domain's certificate first, then the one that issued it, and so on"
            }
            Self::BadKey { .. } => {
                "give the unencrypted private key as PEM: PKCS#8, PKCS#1 or SEC1; RSA, ECDSA P-256 or P-384, or Ed25519"
            }
            Self::WrongKey => "give the key with which this certificate was requested",
            Self::WrongName { .. } => {
                "give a certificate that has the domain among its subject alternative names"
            }
            Self::Expired { .. } => "give a newer certificate",
            Self::NotYetValid { .. } => "wait, or look whether the clock is right",
        }
    }
}

/// What a certificate that can be served says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedCertificate {
    /// When it is valid.
    pub validity: Validity,
    /// For which names.
    pub names: Vec<String>,
    /// By whom it was issued.
    pub issuer: String,
}

/// Checks that a chain and key can be served for a domain at the time `now`. It is not asked whether
/// anybody trusts the issuer: that is for clients to say.
///
/// # Errors
/// The first thing that is wrong.
pub fn check_certificate(
    chain_pem: &str,
    key_pem: &str,
    domain: &Domain,
    now: Timestamp,
) -> Result<CheckedCertificate, CertificateProblem> {
    let chain = read_chain(chain_pem)?;
    let parsed =
        chain.iter().enumerate().map(|(at, der)| parse(at, der)).collect::<Result<Vec<_>, _>>()?;
    let leaf = parsed.first().ok_or(CertificateProblem::NoCertificate)?;
    if leaf.is_ca() && parsed.len() > 1 {
        return Err(CertificateProblem::LeafIsCa { subject: leaf.subject().to_string() });
    }
    if let Some(at) = parsed.windows(2).position(|two| two[0].issuer() != two[1].subject()) {
        let (issuer, next) =
            (parsed[at].issuer().to_string(), parsed[at + 1].subject().to_string());
        return Err(CertificateProblem::OutOfOrder { position: at + 1, issuer, next });
    }
    check_key(&chain, key_pem)?;
    let names = names(leaf);
    if !names.iter().any(|name| covers(name, domain)) {
        return Err(CertificateProblem::WrongName { domain: domain.clone(), names });
    }
    let validity = validity(leaf);
    if now >= validity.not_after {
        return Err(CertificateProblem::Expired { at: validity.not_after });
    }
    if now < validity.not_before {
        return Err(CertificateProblem::NotYetValid { at: validity.not_before });
    }
    Ok(CheckedCertificate { validity, names, issuer: leaf.issuer().to_string() })
}

fn read_chain(pem: &str) -> Result<Vec<CertificateDer<'static>>, CertificateProblem> {
    let all = CertificateDer::pem_slice_iter(pem.as_bytes()).enumerate();
    all.map(|(at, der)| {
        der.map_err(|e| CertificateProblem::Unreadable { position: at + 1, reason: e.to_string() })
    })
    .collect()
}

fn parse<'a>(
    at: usize,
    der: &'a CertificateDer<'_>,
) -> Result<X509Certificate<'a>, CertificateProblem> {
    let unreadable = |reason: String| CertificateProblem::Unreadable { position: at + 1, reason };
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err(unreadable("something follows it".to_owned())),
        Err(error) => Err(unreadable(error.to_string())),
    }
}

fn check_key(chain: &[CertificateDer<'static>], pem: &str) -> Result<(), CertificateProblem> {
    let bad = |reason: String| CertificateProblem::BadKey { reason };
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|e| bad(e.to_string()))?;
    match CertifiedKey::from_der(chain.to_vec(), key, &provider()) {
        Ok(_) => Ok(()),
        Err(rustls::Error::InconsistentKeys(_)) => Err(CertificateProblem::WrongKey),
        Err(error) => Err(bad(error.to_string())),
    }
}

/// The names of a certificate, as clients compare them: the common name counts no more.
fn names(leaf: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = leaf.subject_alternative_name() else { return Vec::new() };
    let names = names.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        })
        .collect()
}

/// A wildcard stands for exactly one label.
fn covers(name: &str, domain: &Domain) -> bool {
    name == domain.as_str()
        || name.strip_prefix("*.").is_some_and(|parent| {
            domain
                .as_str()
                .split_once('.')
                .is_some_and(|(label, rest)| label != "*" && rest == parent)
        })
}

fn validity(leaf: &X509Certificate<'_>) -> Validity {
    let time = |seconds: i64| Timestamp(u64::try_from(seconds).unwrap_or(0).saturating_mul(1000));
    Validity {
        not_before: time(leaf.validity().not_before.timestamp()),
        // The last second is part of it.
        not_after: time(leaf.validity().not_after.timestamp().saturating_add(1)),
    }
}
