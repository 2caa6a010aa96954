//! Facts that only the audit log keeps.

use std::collections::BTreeMap;

use jaco_api::model::AuditKind;

use super::{Outcome, rejection::Rejection};
use crate::state::Transaction;

/// A fact for the audit log that changes nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordAudit {
    /// What happened.
    pub kind: AuditKind,
    /// To what.
    pub payload: BTreeMap<String, String>,
}

impl RecordAudit {
    pub(super) fn apply(&self, tx: &mut Transaction<'_>) -> Result<Outcome, Rejection> {
        tx.audit(self.kind, self.payload.clone());
        Ok(Outcome::Done)
    }
}
