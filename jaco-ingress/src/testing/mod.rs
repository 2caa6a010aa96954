//! Fakes that keep real state, and the suites that every implementation must pass.
//!
//! The suites panic at the first rule that is broken, naming it: call them from a test.

mod conformance;
mod dns;
#[cfg(feature = "proxy")]
#[doc(hidden)]
pub mod fuzzing;

pub use conformance::{cert_store as cert_store_suite, dns_provider as dns_provider_suite};
pub use dns::FakeDns;
