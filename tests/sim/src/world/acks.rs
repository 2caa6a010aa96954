//! What operators were told is done.

use std::collections::BTreeMap;

use jaco_api::model::{AuditEvent, AuditKind};

/// A write that was acknowledged: what the audit log must say of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fact {
    /// The kind of the event.
    pub kind: AuditKind,
    /// What must be in its payload.
    pub payload: BTreeMap<&'static str, String>,
}

impl Fact {
    /// A fact of this kind.
    #[must_use]
    pub fn new<const N: usize>(kind: AuditKind, payload: [(&'static str, String); N]) -> Self {
        Self { kind, payload: payload.into() }
    }

    /// Whether an event of the audit log says so.
    #[must_use]
    pub fn is_told_by(&self, event: &AuditEvent) -> bool {
        self.kind == event.kind
            && self.payload.iter().all(|(key, value)| event.payload.get(*key) == Some(value))
    }
}
