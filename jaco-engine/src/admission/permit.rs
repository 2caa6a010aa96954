//! What a caller may do.

use globset::Glob;
use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{DeploymentName, Principal, Role},
};

/// Whether the caller's role reaches `least`.
///
/// # Errors
/// `permission_denied`.
pub fn permit_role(principal: &Principal, least: Role) -> Result<(), ApiError> {
    if principal.role >= least {
        return Ok(());
    }
    Err(ApiError::new(
        ErrorCode::PermissionDenied,
        format!(
            "{} has role {} and this needs {}",
            principal.identity,
            role(principal.role),
            role(least)
        ),
    ))
}

/// Whether the caller may change a deployment, or see its secrets.
///
/// # Errors
/// `permission_denied`.
pub fn permit_change(principal: &Principal, deployment: &DeploymentName) -> Result<(), ApiError> {
    permit_role(principal, Role::Deployer)?;
    if covers(&principal.deployments, deployment.as_str()) {
        return Ok(());
    }
    Err(ApiError::new(
        ErrorCode::PermissionDenied,
        format!("{} may not change deployment {deployment}", principal.identity),
    )
    .with("allowed", principal.deployments.join(", ")))
}

/// Whether the caller may change what belongs to the cluster: who is limited to some deployments must not
/// change what others use.
///
/// # Errors
/// `permission_denied`.
pub(super) fn permit_unlimited(who: &Principal) -> Result<(), ApiError> {
    permit_role(who, Role::Admin)?;
    if who.deployments.is_empty() {
        return Ok(());
    }
    let message = format!("{} is limited to some deployments", who.identity);
    Err(ApiError::new(ErrorCode::PermissionDenied, message)
        .with("allowed", who.deployments.join(", ")))
}

/// Whether a list of globs covers a deployment name; an empty list covers every name, and a glob
/// that cannot be read covers none.
#[must_use]
pub fn covers(globs: &[String], name: &str) -> bool {
    globs.is_empty()
        || globs.iter().any(|g| Glob::new(g).is_ok_and(|g| g.compile_matcher().is_match(name)))
}

pub(super) fn role(role: Role) -> &'static str {
    match role {
        Role::Viewer => "viewer",
        Role::Deployer => "deployer",
        Role::Admin => "admin",
    }
}

#[cfg(test)]
mod tests {
    use jaco_api::model::Identity;

    use super::*;

    fn principal(role: Role, globs: &[&str]) -> Principal {
        Principal {
            identity: Identity::new("ci").unwrap(),
            role,
            deployments: globs.iter().map(|g| (*g).to_owned()).collect(),
            allow_privileged: false,
            uid: None,
        }
    }

    #[test]
    fn roles_and_globs_limit_changes() {
        let shop = DeploymentName::new("shop").unwrap();
        for (role, globs, allowed) in [
            (Role::Viewer, &[][..], false),
            (Role::Deployer, &[][..], true),
            (Role::Deployer, &["shop"][..], true),
            (Role::Deployer, &["sh*"][..], true),
            (Role::Deployer, &["blog", "shop-*"][..], false),
            (Role::Deployer, &["[broken"][..], false),
            (Role::Admin, &["blog"][..], false),
            (Role::Admin, &[][..], true),
        ] {
            let result = permit_change(&principal(role, globs), &shop);
            assert_eq!(result.is_ok(), allowed, "{role:?} {globs:?}");
            if let Err(e) = result {
                assert_eq!(e.code, ErrorCode::PermissionDenied);
            }
        }
    }
}
