//! `jaco.v1.Token`.

use std::sync::Arc;

use jaco_api::{
    convert::{InvalidMessage, parse},
    error::{ApiError, ErrorCode},
    model::{OperatorToken, Role, Span},
    pb::{self, token_server},
};
use tonic::{Request, Response, Status};

use super::{Api, gate::caller};
use crate::{
    admission::{self, Wish},
    pki,
};

/// Operator tokens.
pub(crate) struct Service(pub(crate) Arc<Api>);

#[tonic::async_trait]
impl token_server::Token for Service {
    async fn issue(
        &self,
        request: Request<pb::IssueTokenRequest>,
    ) -> Result<Response<pb::IssueTokenResponse>, Status> {
        let who = caller(&request)?;
        let wish = wish(request.into_inner()).map_err(ApiError::from)?;
        let membership = self.0.membership()?;
        let (token, hash) = pki::new_token();
        let identity = wish.identity.clone();
        let command = admission::issue(&who, wish, hash, self.0.clock.now())?;
        membership.submit(&who, "", command).await?;
        let issued =
            membership.state.newest().token(&identity).map(|t| shown(t)).ok_or_else(|| {
                ApiError::new(ErrorCode::Conflict, "the token was changed at the same time")
            })?;
        Ok(Response::new(pb::IssueTokenResponse { token: token.to_string(), issued: Some(issued) }))
    }

    async fn revoke(
        &self,
        request: Request<pb::RevokeTokenRequest>,
    ) -> Result<Response<pb::RevokeTokenResponse>, Status> {
        let who = caller(&request)?;
        let identity = parse("identity", &request.into_inner().identity).map_err(ApiError::from)?;
        let (membership, state) = self.0.state()?;
        let command = admission::revoke(&state, &who, identity)?;
        membership.submit(&who, "", command).await?;
        Ok(Response::new(pb::RevokeTokenResponse {}))
    }

    async fn list(
        &self,
        _: Request<pb::ListTokensRequest>,
    ) -> Result<Response<pb::ListTokensResponse>, Status> {
        let (_, state) = self.0.state()?;
        let tokens = state.tokens().map(|t| shown(t)).collect();
        Ok(Response::new(pb::ListTokensResponse { tokens }))
    }
}

fn shown(token: &OperatorToken) -> pb::OperatorToken {
    token.clone().into()
}

fn wish(message: pb::IssueTokenRequest) -> Result<Wish, InvalidMessage> {
    // An absent role is the least one.
    let role = match message.role() {
        pb::Role::Unspecified => Role::Viewer,
        role => role.try_into()?,
    };
    Ok(Wish {
        identity: parse("identity", &message.identity)?,
        role,
        deployments: message.deployments,
        allow_privileged: message.allow_privileged,
        ttl: Span(message.ttl),
        rotate: message.rotate,
    })
}
