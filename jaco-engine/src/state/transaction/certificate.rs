//! Certificates, what is under way to them, and accounts at CAs.

use std::sync::Arc;

use jaco_api::model::{CertificateSource, Sealed, StoredCertificate};
use jaco_ingress::Domain;

use super::Transaction;
use crate::state::Issuance;

impl Transaction<'_> {
    /// Adds or replaces what is served for a domain.
    pub(crate) fn put_certificate(&mut self, domain: Domain, certificate: StoredCertificate) {
        self.unsettled_domains |= certificate.source == CertificateSource::Imported;
        self.state.certificates.put(domain, Arc::new(certificate));
    }
    /// Takes out what is served for a domain.
    pub(crate) fn remove_certificate(&mut self, domain: &Domain) {
        self.state.certificates.remove(domain);
    }
    /// Adds or replaces what is under way for a domain.
    pub(crate) fn put_issuance(&mut self, issuance: Issuance) {
        let issuance = Issuance { version: self.state.index, ..issuance };
        self.state.issuances.put(issuance.domain.clone(), Arc::new(issuance));
    }
    /// Keeps the credentials of an account, or forgets them.
    pub(crate) fn put_account(&mut self, account: (String, String), credentials: Option<Sealed>) {
        match credentials {
            Some(sealed) => self.state.acme_accounts.put(account, Arc::new(sealed)),
            None => self.state.acme_accounts.remove(&account),
        };
    }

    /// Takes out what was obtained, or is being obtained, for domains that no route has any more.
    pub(super) fn settle_domains(&mut self) {
        if !std::mem::take(&mut self.unsettled_domains) {
            return;
        }
        let state = &self.state;
        let gone = |domain: &&Domain| !state.is_to_obtain(domain);
        let issuances: Vec<_> =
            state.issuances.iter().map(|(domain, _)| domain).filter(gone).cloned().collect();
        let obtained =
            state.certificates.iter().filter(|(_, c)| c.source == CertificateSource::Acme);
        let certificates: Vec<_> =
            obtained.map(|(domain, _)| domain).filter(gone).cloned().collect();
        for domain in &issuances {
            self.state.issuances.remove(domain);
        }
        for domain in &certificates {
            self.state.certificates.remove(domain);
        }
    }
}
