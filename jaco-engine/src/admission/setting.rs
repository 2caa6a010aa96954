//! Cluster-wide settings.

use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{Principal, Role},
};

use super::permit_role;
use crate::{
    command::{Command, SetSetting},
    state::State,
};

/// A change of one setting.
///
/// # Errors
/// `permission_denied`, or `validation_failed` for an unknown key or a value that does not fit.
pub fn set(
    state: &State,
    who: &Principal,
    key: String,
    value: String,
) -> Result<Command, ApiError> {
    permit_role(who, Role::Admin)?;
    state
        .settings()
        .with(&key, &value)
        .map_err(|e| ApiError::new(ErrorCode::ValidationFailed, e.to_string()))?;
    Ok(Command::SetSetting(SetSetting { key, value }))
}
