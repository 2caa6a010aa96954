//! Finds the certificate of a connection.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::{ACME_TLS, CertificateTable, Unserved};
use crate::store::{Certificate, Domain};

/// Certificates by name, swapped as a whole: a handshake sees the old table or the new one.
#[derive(Debug, Default)]
pub struct Resolver {
    table: ArcSwap<CertificateTable>,
}

impl Resolver {
    /// Serves what is stored now; see [`CertificateTable::next`]. Called again with the same it does nothing.
    /// One caller at a time.
    pub fn serve<'a>(
        &self,
        certificates: impl IntoIterator<Item = (&'a Domain, &'a Certificate)>,
        answers: impl IntoIterator<Item = (&'a Domain, &'a [u8; 32])>,
        fallback: Option<&Domain>,
    ) -> Vec<Unserved> {
        let (next, unserved) = self.table.load().next(certificates, answers, fallback);
        self.table.store(Arc::new(next));
        unserved
    }

    /// What is served.
    #[must_use]
    pub fn table(&self) -> Arc<CertificateTable> {
        self.table.load_full()
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let table = self.table.load();
        // A CA that checks the domain offers this protocol alone, and is never shown anything else.
        let checks = hello
            .alpn()
            .is_some_and(|mut all| all.next() == Some(ACME_TLS) && all.next().is_none());
        let found = if checks {
            table.answer(hello.server_name())
        } else {
            table.certificate(hello.server_name())
        };
        found.cloned()
    }
}
