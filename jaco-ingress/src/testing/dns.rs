//! A DNS zone in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use crate::{DnsError, DnsProvider, TxtRecord};

/// A zone in memory.
#[derive(Debug)]
pub struct FakeDns {
    zone: String,
    records: Mutex<BTreeMap<String, BTreeSet<String>>>,
}

impl FakeDns {
    /// A provider that is responsible for `zone` and everything below it.
    #[must_use]
    pub fn new(zone: &str) -> Self {
        Self { zone: zone.to_ascii_lowercase(), records: Mutex::default() }
    }

    fn records(&self) -> MutexGuard<'_, BTreeMap<String, BTreeSet<String>>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a resolver would answer for this name.
    #[must_use]
    pub fn lookup(&self, name: &str) -> Vec<String> {
        self.records().get(name).into_iter().flatten().cloned().collect()
    }

    fn responsible(&self, record: &TxtRecord) -> Result<(), DnsError> {
        let name = record.name();
        match name.strip_suffix(&self.zone) {
            Some(rest) if rest.ends_with('.') => Ok(()),
            _ => Err(DnsError::NoZone { domain: record.domain.clone() }),
        }
    }
}

#[async_trait]
impl DnsProvider for FakeDns {
    async fn publish(&self, record: &TxtRecord) -> Result<(), DnsError> {
        self.responsible(record)?;
        self.records().entry(record.name()).or_default().insert(record.value.clone());
        Ok(())
    }

    async fn withdraw(&self, record: &TxtRecord) -> Result<(), DnsError> {
        self.responsible(record)?;
        let mut records = self.records();
        if let Some(values) = records.get_mut(&record.name()) {
            values.remove(&record.value);
            if values.is_empty() {
                records.remove(&record.name());
            }
        }
        Ok(())
    }
}
