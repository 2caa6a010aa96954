//! Certificates from a CA that speaks ACME (RFC 8555).
//!
//! [`phase`] decides, without a clock or a socket, what is to be done about a domain; [`AcmeClient`] does it
//! at the CA; [`challenge`] is what any node answers the CA. One issuer runs the client and replicates
//! what it learns; this module never decides who that is, and keeps nothing between calls.

pub mod challenge;
#[cfg(feature = "acme")]
mod client;
#[cfg(feature = "acme")]
mod error;
#[cfg(feature = "acme")]
mod http;
#[cfg(feature = "acme")]
mod order;
pub mod phase;

#[cfg(feature = "acme")]
pub use client::{AcmeClient, ExternalAccount, Limits};
#[cfg(feature = "acme")]
pub use error::{AcmeError, Cause};
#[cfg(feature = "acme")]
pub use http::Said;
#[cfg(feature = "acme")]
pub use order::{Obtained, OrderRequest, PlacedOrder, Publisher};
