#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

pub mod dns;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;

pub use dns::{DnsError, DnsProvider, TxtRecord};
pub use store::{
    CertStore, CertStoreError, Certificate, DirectoryCertStore, Domain, InvalidDomain,
    MemoryCertStore,
};
