//! Certificates of domains: what is kept of them, and what is shown.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{DeploymentName, Digest, Sealed, Timestamp};

/// Where a certificate comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificateSource {
    /// It was obtained from a CA by ACME, and is renewed.
    Acme,
    /// Somebody imported it, and has to import the next one.
    Imported,
}

impl CertificateSource {
    /// The word for it: `acme` or `imported`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Acme => "acme",
            Self::Imported => "imported",
        }
    }
}

impl fmt::Display for CertificateSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A certificate that every node serves for its domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCertificate {
    /// The domain it is for, or a wildcard such as `*.example.com`.
    pub domain: String,
    /// Where it comes from.
    pub source: CertificateSource,
    /// The leaf and what leads to its root, as PEM, leaf first.
    pub chain: Arc<str>,
    /// The leaf's private key as PEM.
    pub key: Sealed,
    /// The names that the leaf is for.
    pub names: Vec<String>,
    /// Who issued it.
    pub issuer: String,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
    /// SHA-256 of the leaf.
    pub fingerprint: Digest,
    /// When it was put here.
    pub stored_at: Timestamp,
}

/// How far a domain is on its way to the next certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificatePhase {
    /// Nothing was tried yet.
    Pending,
    /// A dry run is being made.
    Staging,
    /// The first certificate is being obtained.
    Promoting,
    /// There is one, and its renewal is not due.
    Issued,
    /// The next one is being obtained.
    Renewing,
    /// The last attempt failed; another one is made later.
    Failed,
    /// It was imported.
    Imported,
    /// A route names a certificate that nobody has imported.
    Missing,
}

impl CertificatePhase {
    /// The word for it, in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Staging => "staging",
            Self::Promoting => "promoting",
            Self::Issued => "issued",
            Self::Renewing => "renewing",
            Self::Failed => "failed",
            Self::Imported => "imported",
            Self::Missing => "missing",
        }
    }
}

impl fmt::Display for CertificatePhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The certificate of a domain, or the lack of one, as it is shown. There is no key in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateSummary {
    /// The domain it is for.
    pub domain: String,
    /// How far it is.
    pub phase: CertificatePhase,
    /// The deployments whose routes use it.
    pub deployments: Vec<DeploymentName>,
    /// What there is; absent until the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<ServedCertificate>,
    /// When the phase ends by itself: a renewal is due, an attempt is given up or made again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
    /// How many attempts were made.
    pub attempts: u32,
    /// How many of them have failed since the last certificate.
    pub failures: u32,
    /// Why the last attempt failed, in the CA's own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedCertificate {
    /// Where it comes from.
    pub source: CertificateSource,
    /// The names that it is for.
    pub names: Vec<String>,
    /// Who issued it.
    pub issuer: String,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
    /// SHA-256 of the leaf.
    pub fingerprint: Digest,
}

impl From<&StoredCertificate> for ServedCertificate {
    fn from(stored: &StoredCertificate) -> Self {
        Self {
            source: stored.source,
            names: stored.names.clone(),
            issuer: stored.issuer.clone(),
            not_before: stored.not_before,
            not_after: stored.not_after,
            fingerprint: stored.fingerprint,
        }
    }
}
