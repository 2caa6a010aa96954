//! The DNS seam: publishing the TXT records by which a CA checks that a domain is ours.
//!
//! A provider changes exactly the record it is given: records of the same name that others made stay,
//! since a wildcard and its apex are checked with two values under one name.

mod exec;
#[cfg(feature = "rfc2136")]
mod rfc2136;

use async_trait::async_trait;

pub use exec::{ExecDns, HookError};
#[cfg(feature = "rfc2136")]
pub use rfc2136::{Rfc2136Dns, Rfc2136Error, Rfc2136Settings, TsigKey};

use crate::store::Domain;

/// One TXT record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TxtRecord {
    /// The domain that is checked; the record lives at `_acme-challenge` below it.
    pub domain: Domain,
    /// Its text.
    pub value: String,
}

impl TxtRecord {
    /// The full name of the record, without a final dot.
    #[must_use]
    pub fn name(&self) -> String {
        let domain = self.domain.as_str();
        format!("_acme-challenge.{}", domain.strip_prefix("*.").unwrap_or(domain))
    }
}

/// Publishes TXT records in the zone of a domain.
#[async_trait]
pub trait DnsProvider: Send + Sync {
    /// Adds the record beside those that have the same name. Adding it again is success. When this
    /// returns, every authoritative server answers with it.
    ///
    /// # Errors
    /// The zone is not ours or its server refused.
    async fn publish(&self, record: &TxtRecord) -> Result<(), DnsError>;

    /// Removes this record and no other. Removing what is not there is success.
    ///
    /// # Errors
    /// The zone is not ours or its server refused.
    async fn withdraw(&self, record: &TxtRecord) -> Result<(), DnsError>;
}

/// Why a record could not be published or withdrawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DnsError {
    /// The provider is not responsible for the domain.
    #[error("no zone of this provider holds {domain}")]
    NoZone {
        /// The domain.
        domain: Domain,
    },
    /// The server or hook refused or could not be reached.
    #[error("the DNS provider refused to change {name}")]
    Refused {
        /// Full name of the record.
        name: String,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
