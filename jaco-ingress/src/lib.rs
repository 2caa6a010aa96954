#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

pub mod acme;
pub mod dns;
#[cfg(feature = "proxy")]
pub mod l4;
#[cfg(feature = "proxy")]
pub mod proxy;
#[cfg(feature = "proxy")]
pub mod route;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
pub mod tls;

pub use dns::{DnsError, DnsProvider, TxtRecord};
#[cfg(feature = "proxy")]
pub use proxy::{Ingress, Limits, Transport};
#[cfg(feature = "proxy")]
pub use route::Picture;
pub use store::{
    CertStore, CertStoreError, Certificate, DirectoryCertStore, Domain, InvalidDomain,
    MemoryCertStore, SealedCertStore,
};
