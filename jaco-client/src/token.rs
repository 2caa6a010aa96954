//! Operator tokens.

use std::time::Duration;

use jaco_api::{
    model::{Identity, OperatorToken, Role, Span},
    pb,
};
use serde::Serialize;
use tonic::transport::Channel;

use crate::{Client, Error, retry::Repeat};

/// A token to issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueToken {
    /// Name of its holder.
    pub identity: Identity,
    /// What the holder may do.
    pub role: Role,
    /// Globs of deployment names it may change; empty means every deployment.
    pub deployments: Vec<String>,
    /// Whether it may admit workloads that equal host access.
    pub allow_privileged: bool,
    /// How long it works; for ever when absent.
    pub ttl: Option<Duration>,
    /// Replaces an existing token of this identity.
    pub rotate: bool,
}

/// A token that was issued.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct IssuedToken {
    /// 64 hexadecimal digits: shown once, stored nowhere.
    pub token: String,
    /// What it may do.
    #[serde(flatten)]
    pub issued: OperatorToken,
}

impl std::fmt::Debug for IssuedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuedToken").field("issued", &self.issued).finish_non_exhaustive()
    }
}

fn service(channel: Channel) -> pb::token_client::TokenClient<Channel> {
    pb::token_client::TokenClient::new(channel)
}

impl Client {
    /// Issues a token.
    ///
    /// # Errors
    /// `conflict` when the identity has one and `rotate` is not set.
    pub async fn issue_token(&self, token: &IssueToken) -> Result<IssuedToken, Error> {
        let request = pb::IssueTokenRequest {
            identity: token.identity.to_string(),
            role: pb::Role::from(token.role).into(),
            deployments: token.deployments.clone(),
            allow_privileged: token.allow_privileged,
            ttl: token.ttl.map_or(0, |ttl| Span::from(ttl).0),
            rotate: token.rotate,
        };
        let answer = self
            .call(Repeat::Harmful, &request, |c, r| async move { service(c).issue(r).await })
            .await?;
        Ok(IssuedToken {
            token: answer.token,
            issued: answer
                .issued
                .ok_or_else(|| Error::answer("a token without its row"))?
                .try_into()
                .map_err(Error::answer)?,
        })
    }

    /// Makes an identity's token worthless.
    ///
    /// # Errors
    /// `token_invalid` when there is none.
    pub async fn revoke_token(&self, identity: &Identity) -> Result<(), Error> {
        let request = pb::RevokeTokenRequest { identity: identity.to_string() };
        self.call(Repeat::Harmful, &request, |c, r| async move { service(c).revoke(r).await })
            .await
            .map(|_| ())
    }

    /// Every token, without its secret.
    ///
    /// # Errors
    /// When no node answers.
    pub async fn tokens(&self) -> Result<Vec<OperatorToken>, Error> {
        self.call(Repeat::Harmless, &pb::ListTokensRequest {}, |c, r| async move {
            service(c).list(r).await
        })
        .await?
        .tokens
        .into_iter()
        .map(|t| t.try_into().map_err(Error::answer))
        .collect()
    }
}
