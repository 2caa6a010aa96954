//! The manifest language: `jaco.yaml` and the compose file, read, checked and resolved.
//!
//! Pure: files come in as text, a [`ManifestDocument`](crate::model::ManifestDocument) or every
//! problem of both files comes out.

mod diagnose;

pub use diagnose::{Diagnostic, Severity};
