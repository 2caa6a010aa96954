//! Operator tokens: issued once, looked up by hash, revoked for ever.

use jaco_api::{
    error::ErrorCode,
    model::{AuditKind, Identity, OperatorToken},
};

use super::{Outcome, rejection::Rejection};
use crate::state::{TokenMatch, Transaction, payload};

/// A new operator token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueToken {
    /// The token, hash included.
    pub token: OperatorToken,
    /// Replaces a present token of the same identity; without it that is `conflict`.
    pub rotate: bool,
}

/// The end of an operator token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokeToken {
    /// Its holder.
    pub identity: Identity,
}

impl IssueToken {
    pub(super) fn apply(&self, tx: &mut Transaction<'_>) -> Result<Outcome, Rejection> {
        let identity = &self.token.identity;
        if [Identity::local(), Identity::system()].contains(identity) {
            return Err(Rejection::new(
                ErrorCode::ValidationFailed,
                format!("{identity:?} cannot be the name of a token: JACO uses it itself"),
            ));
        }
        let Some(hash) = self.token.hash else {
            return Err(Rejection::new(ErrorCode::ValidationFailed, "the token has no hash"));
        };
        if tx.view().token_of_hash(&hash) != TokenMatch::Unknown {
            return Err(Rejection::conflict("a token of this hash was issued before"));
        }
        let present = tx.view().token(identity).filter(|t| t.revoked_at.is_none()).is_some();
        if present && !self.rotate {
            return Err(Rejection::conflict(format!("{identity} has a token already"))
                .hint("rotate it, or revoke it first"));
        }
        let mut facts = payload([
            ("token", identity.to_string()),
            ("role", format!("{:?}", self.token.role).to_lowercase()),
            ("rotated", present.to_string()),
        ]);
        if !self.token.deployments.is_empty() {
            facts.insert("deployments".into(), self.token.deployments.join(", "));
        }
        if self.token.allow_privileged {
            facts.insert("allow_privileged".into(), "true".into());
        }
        facts.extend(self.token.expires_at.map(|t| ("expires_at".into(), t.to_string())));
        tx.audit(AuditKind::TokenIssue, facts);
        tx.put_token(self.token.clone());
        Ok(Outcome::Done)
    }
}

impl RevokeToken {
    pub(super) fn apply(&self, tx: &mut Transaction<'_>) -> Result<Outcome, Rejection> {
        let Some(token) = tx.view().token(&self.identity).cloned() else {
            return Err(Rejection::new(
                ErrorCode::TokenInvalid,
                format!("no token was issued to {}", self.identity),
            )
            .hint("`jaco token list` shows the tokens"));
        };
        if token.revoked_at.is_none() {
            let revoked_at = Some(tx.at());
            tx.put_token(OperatorToken { revoked_at, ..OperatorToken::clone(&token) });
            tx.audit(AuditKind::TokenRevoke, payload([("token", self.identity.to_string())]));
        }
        Ok(Outcome::Done)
    }
}
