//! Why a command is refused.

use std::collections::BTreeMap;

use jaco_api::{
    error::{ApiError, ErrorCode},
    model::AuditKind,
};

/// A refused command: the error its proposer gets and, where users must learn of it, an audit event.
#[derive(Debug)]
pub(super) struct Rejection {
    pub(super) error: ApiError,
    pub(super) audit: Option<(AuditKind, BTreeMap<String, String>)>,
}

impl Rejection {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { error: ApiError::new(code, message), audit: None }
    }
    /// Somebody else was first, or the state does not allow it now.
    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Conflict, message)
    }
    pub(super) fn with(self, key: &str, value: impl std::fmt::Display) -> Self {
        Self { error: self.error.with(key, value), ..self }
    }
    /// What to do about it, where the code's own hint does not fit.
    pub(super) fn hint(self, text: impl std::fmt::Display) -> Self {
        self.with("hint", text)
    }
    pub(super) fn audited(self, kind: AuditKind, payload: BTreeMap<String, String>) -> Self {
        Self { audit: Some((kind, payload)), ..self }
    }
}
