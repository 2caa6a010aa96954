//! Certificates from a CA that speaks ACME (RFC 8555).
//!
//! [`phase`] decides, without a clock or a socket, what is to be done about a domain; the client does it
//! at the CA; [`challenge`] is what any node answers the CA. One issuer runs the client and replicates
//! what it learns; this module never decides who that is, and keeps nothing between calls.

pub mod phase;
