//! Admits a request, or answers it with the reason why not, before any handler sees it.
//!
//! What is not known fails closed: a connection without a [`Peer`], a method without a
//! [`Rule`](crate::admission::Rule).

use std::{
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::{Either, Ready, ready};
use jaco_api::{
    error::{ApiError, ErrorCode},
    model::Principal,
};
use tonic::{Request, Status, body::Body};
use tower::{Layer, Service};

use super::{Api, Membership};
use crate::admission::{self, Need, Peer};

/// Puts a [`Gate`] in front of every service.
#[derive(Clone)]
pub(crate) struct GateLayer {
    pub(crate) api: Arc<Api>,
}

/// The gate in front of one service.
#[derive(Clone)]
pub(crate) struct Gate<S> {
    inner: S,
    api: Arc<Api>,
}

impl<S> Layer<S> for GateLayer {
    type Service = Gate<S>;
    fn layer(&self, inner: S) -> Gate<S> {
        Gate { inner, api: Arc::clone(&self.api) }
    }
}

impl<S> Service<http::Request<Body>> for Gate<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>>,
{
    type Response = http::Response<Body>;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Self::Response, S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        match admit(&self.api, &request) {
            Ok(caller) => {
                if let Some(principal) = caller {
                    request.extensions_mut().insert(principal);
                }
                Either::Left(self.inner.call(request))
            }
            Err(error) => {
                tracing::debug!(path = request.uri().path(), %error, "request refused");
                Either::Right(ready(Ok(Status::from(error).into_http())))
            }
        }
    }
}

/// Decides about one request. The caller is absent where the method needs none.
fn admit<B>(api: &Api, request: &http::Request<B>) -> Result<Option<Principal>, ApiError> {
    let path = request.uri().path();
    let rule = admission::rule(path).ok_or_else(|| {
        ApiError::new(ErrorCode::VersionMismatch, format!("this node has no method {path}"))
    })?;
    let peer = request.extensions().get::<Peer>().ok_or_else(|| {
        ApiError::new(ErrorCode::PermissionDenied, "nothing is known of this connection")
    })?;
    let membership = match api.membership() {
        Ok(membership) => Some(membership),
        Err(_) if rule.before_init => None,
        Err(uninitialized) => return Err(uninitialized),
    };
    let authorization = request.headers().get(http::header::AUTHORIZATION);
    let operator = |peer: &Peer| {
        authenticate(api, membership.as_deref(), peer, authorization.map(|h| h.as_bytes()))
    };
    match rule.need {
        Need::Nothing => Ok(None),
        Need::Operator(least) => {
            let principal = operator(peer)?;
            admission::permit_role(&principal, least)?;
            Ok(Some(principal))
        }
        Need::Local => match peer {
            Peer::InProcess | Peer::Local { .. } => operator(peer).map(Some),
            Peer::Remote { .. } => Err(ApiError::new(
                ErrorCode::PermissionDenied,
                "this is answered on the node's own socket only",
            )),
        },
        Need::Member => match &membership {
            Some(m) => admission::member(m.cluster, peer).map(|()| None),
            None => api.membership().map(|_| None),
        },
    }
}

fn authenticate(
    api: &Api,
    membership: Option<&Membership>,
    peer: &Peer,
    authorization: Option<&[u8]>,
) -> Result<Principal, ApiError> {
    let now = api.clock.now();
    let source: Option<IpAddr> = match peer {
        Peer::Remote { address, .. } => Some(address.ip()),
        Peer::InProcess | Peer::Local { .. } => None,
    };
    // A call without a token guesses nothing and is not counted.
    let guess = source.filter(|_| authorization.is_some());
    if let Some(source) = guess {
        api.attempts().check(source, now)?;
    }
    let state = membership.map(|m| m.state.newest()).unwrap_or_default();
    let result = admission::authenticate(&state, peer, authorization, now);
    if let (Some(source), Err(error)) = (guess, &result)
        && error.code == ErrorCode::TokenInvalid
    {
        api.attempts().failed(source, now);
        tracing::warn!(%source, "a token that is not known was presented");
    }
    result
}

/// The caller that the gate admitted.
pub(crate) fn caller<T>(request: &Request<T>) -> Result<Principal, Status> {
    request.extensions().get::<Principal>().cloned().ok_or_else(|| {
        ApiError::new(ErrorCode::PermissionDenied, "nothing is known of the caller").into()
    })
}
