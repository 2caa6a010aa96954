//! Certificates in memory.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use tokio::sync::watch;

use super::{CertStore, CertStoreError, Certificate, Domain};

/// A store that forgets everything when it is dropped.
#[derive(Debug, Default)]
pub struct MemoryCertStore {
    certificates: Mutex<BTreeMap<Domain, Certificate>>,
    changed: watch::Sender<u64>,
}

impl MemoryCertStore {
    fn certificates(&self) -> MutexGuard<'_, BTreeMap<Domain, Certificate>> {
        self.certificates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl CertStore for MemoryCertStore {
    async fn load(&self, domain: &Domain) -> Result<Option<Certificate>, CertStoreError> {
        Ok(self.certificates().get(domain).cloned())
    }

    async fn save(&self, domain: &Domain, certificate: &Certificate) -> Result<(), CertStoreError> {
        self.certificates().insert(domain.clone(), certificate.clone());
        self.changed.send_modify(|n| *n += 1);
        Ok(())
    }

    async fn remove(&self, domain: &Domain) -> Result<(), CertStoreError> {
        if self.certificates().remove(domain).is_some() {
            self.changed.send_modify(|n| *n += 1);
        }
        Ok(())
    }

    async fn domains(&self) -> Result<Vec<Domain>, CertStoreError> {
        Ok(self.certificates().keys().cloned().collect())
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}
