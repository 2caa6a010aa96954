//! Cluster-wide settings.

use jaco_api::{error::ErrorCode, model::AuditKind};

use super::{Outcome, rejection::Rejection};
use crate::state::{Transaction, payload};

/// One cluster setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetSetting {
    /// Key, as in [`jaco_api::model::Settings::entries`].
    pub key: String,
    /// New value.
    pub value: String,
}

impl SetSetting {
    pub(super) fn apply(&self, tx: &mut Transaction<'_>) -> Result<Outcome, Rejection> {
        let old = tx.view().settings().clone();
        let new = old
            .with(&self.key, &self.value)
            .map_err(|e| Rejection::new(ErrorCode::ValidationFailed, e.to_string()))?;
        if new == *old {
            return Ok(Outcome::Done);
        }
        let value = |of: &jaco_api::model::Settings| {
            of.entries().remove(self.key.as_str()).unwrap_or_default()
        };
        tx.audit(
            AuditKind::SettingsChanged,
            payload([("key", self.key.clone()), ("old", value(&old)), ("new", value(&new))]),
        );
        tx.put_settings(new);
        Ok(Outcome::Done)
    }
}
