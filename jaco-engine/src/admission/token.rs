//! Operator tokens: who may issue which.

use globset::Glob;
use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{Digest, Identity, OperatorToken, Principal, Role, Span, Timestamp},
};

use super::{covers, permit_role};
use crate::{
    command::{Command, IssueToken, RevokeToken},
    state::State,
};

/// Longest list of deployment globs a token may carry.
const MOST_GLOBS: usize = 64;

/// The token that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Its holder.
    pub identity: Identity,
    /// What the holder may do.
    pub role: Role,
    /// Globs of deployment names; empty means every deployment.
    pub deployments: Vec<String>,
    /// Whether the holder may admit workloads that equal host access.
    pub allow_privileged: bool,
    /// How long it works; zero means for ever.
    pub ttl: Span,
    /// Whether a present token of this holder is replaced.
    pub rotate: bool,
}

/// A new token, known by `hash` only. Nobody issues more than they have.
///
/// # Errors
/// `permission_denied`, or `validation_failed` for a reserved name or an unreadable glob. That the
/// identity has a token already is found out by `apply`.
pub fn issue(
    who: &Principal,
    wish: Wish,
    hash: Digest,
    now: Timestamp,
) -> Result<Command, ApiError> {
    permit_role(who, Role::Admin)?;
    if [Identity::local(), Identity::system()].contains(&wish.identity) {
        return Err(invalid(format!("{} is a reserved name", wish.identity)));
    }
    if wish.deployments.len() > MOST_GLOBS {
        return Err(invalid(format!("a token carries at most {MOST_GLOBS} deployment globs")));
    }
    for glob in &wish.deployments {
        Glob::new(glob).map_err(|e| invalid(format!("deployment glob {glob:?}: {}", e.kind())))?;
    }
    let denied = |what: String| Err(ApiError::new(ErrorCode::PermissionDenied, what));
    if wish.allow_privileged && !who.allow_privileged {
        return denied(format!("{} may not admit privileged workloads itself", who.identity));
    }
    if let Some(wider) = wider_than(&who.deployments, &wish.deployments) {
        return denied(format!("{} may not change {wider} itself", who.identity));
    }
    let token = OperatorToken {
        identity: wish.identity,
        hash: Some(hash),
        role: wish.role,
        deployments: wish.deployments,
        allow_privileged: wish.allow_privileged,
        issued_at: now,
        expires_at: (wish.ttl.0 > 0).then(|| now.after(wish.ttl.to_std())),
        revoked_at: None,
    };
    Ok(Command::IssueToken(IssueToken { token, rotate: wish.rotate }))
}

/// What `wish` covers beyond `own`, in words. A wished glob must be one of the own ones, or a plain
/// name that they cover: whether one pattern contains another is not guessed.
fn wider_than(own: &[String], wish: &[String]) -> Option<String> {
    if own.is_empty() {
        return None;
    }
    if wish.is_empty() {
        return Some("every deployment".to_owned());
    }
    let plain = |g: &str| g.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    wish.iter()
        .find(|g| !(own.contains(g) || plain(g) && covers(own, g)))
        .map(|g| format!("deployments {g}"))
}

/// The end of a token.
///
/// # Errors
/// `permission_denied`, or `token_invalid` when the identity has none.
pub fn revoke(state: &State, who: &Principal, identity: Identity) -> Result<Command, ApiError> {
    permit_role(who, Role::Admin)?;
    if state.token(&identity).is_none() {
        return Err(invalid(format!("there is no token of {identity}")));
    }
    Ok(Command::RevokeToken(RevokeToken { identity }))
}

fn invalid(message: String) -> ApiError {
    ApiError::new(ErrorCode::ValidationFailed, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admin(globs: &[&str], allow_privileged: bool) -> Principal {
        Principal {
            identity: "boss".parse().unwrap(),
            role: Role::Admin,
            deployments: globs.iter().map(|g| (*g).to_owned()).collect(),
            allow_privileged,
            uid: None,
        }
    }

    fn wish(globs: &[&str]) -> Wish {
        Wish {
            identity: "ci".parse().unwrap(),
            role: Role::Deployer,
            deployments: globs.iter().map(|g| (*g).to_owned()).collect(),
            allow_privileged: false,
            ttl: Span(0),
            rotate: false,
        }
    }

    fn code(result: Result<Command, ApiError>) -> Option<ErrorCode> {
        result.err().map(|e| e.code)
    }

    #[test]
    fn nobody_issues_more_than_they_have() {
        let now = Timestamp(5);
        let hash = Digest([1; 32]);
        let deployer = Principal { role: Role::Deployer, ..admin(&[], true) };
        assert_eq!(code(issue(&deployer, wish(&[]), hash, now)), Some(ErrorCode::PermissionDenied));
        let privileged = Wish { allow_privileged: true, ..wish(&[]) };
        assert_eq!(code(issue(&admin(&[], true), privileged.clone(), hash, now)), None);
        assert_eq!(
            code(issue(&admin(&[], false), privileged, hash, now)),
            Some(ErrorCode::PermissionDenied)
        );
        let limited = admin(&["shop-*", "blog"], false);
        for (globs, fine) in [
            (&["shop-*"][..], true),
            (&["shop-a", "blog"][..], true),
            (&[][..], false),
            (&["*"][..], false),
            (&["shop-*", "shop"][..], false),
            (&["shop-?"][..], false),
        ] {
            let got = code(issue(&limited, wish(globs), hash, now));
            assert_eq!(got, (!fine).then_some(ErrorCode::PermissionDenied), "{globs:?}");
        }
    }

    #[test]
    fn a_life_counts_from_the_issue_and_names_of_ours_are_refused() {
        let hash = Digest([1; 32]);
        let hour = Wish { ttl: Span::secs(3600), ..wish(&[]) };
        let Command::IssueToken(issued) =
            issue(&admin(&[], false), hour, hash, Timestamp(7)).unwrap()
        else {
            panic!("another command");
        };
        assert_eq!(issued.token.expires_at, Some(Timestamp(3_600_007)));
        let local = Wish { identity: Identity::local(), ..wish(&[]) };
        assert_eq!(
            code(issue(&admin(&[], false), local, hash, Timestamp(7))),
            Some(ErrorCode::ValidationFailed)
        );
        assert_eq!(
            code(issue(&admin(&[], false), wish(&["[a"]), hash, Timestamp(7))),
            Some(ErrorCode::ValidationFailed)
        );
    }
}
