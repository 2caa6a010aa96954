//! A request on its way to a replica: which one, over which connection, and what is done when that fails.
//!
//! A request is sent again only if that is harmless: none of it was sent, or it has no body and says by its method
//! that asking twice is asking once. At most two other replicas are asked.

use std::{
    future::Future,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::{
    answer::{Account, Exchange, Refusal, ResponseBody},
    body::{Progress, RequestBody},
    connection::Serving,
    headers,
    limits::Limits,
    live::LiveRoute,
    pool::Connection,
    upgrade::{self, Upgrade},
    upstream::{InFlight, Replica},
};
use crate::route::{RouteOptions, Sticky, UpstreamProtocol};

/// So many replicas are asked for one request.
const REPLICAS: usize = 3;
/// So often is one asked again because a kept connection turned out to be closed.
const STALE: usize = 2;

/// A request in the form in which it is sent.
pub(super) struct Outbound {
    request: Request<RequestBody>,
    /// Its head once more, if it may be sent again.
    spare: Option<Request<()>>,
    sending: Option<Arc<Progress>>,
    upgrade: Option<Upgrade>,
    protocol: UpstreamProtocol,
    patience: Duration,
}

impl Outbound {
    pub(super) fn new(
        request: Request<Incoming>,
        upgrade: Option<Upgrade>,
        limits: &Limits,
        options: &RouteOptions,
    ) -> Self {
        let request =
            request.map(|body| RequestBody::new(body, options.max_body, limits.body_time));
        let harmless = request.method().is_idempotent() && request.body().is_empty();
        let spare = (harmless && upgrade.is_none()).then(|| head_of(&request));
        Self {
            sending: request.body().progress(),
            spare,
            protocol: match upgrade {
                Some(_) => UpstreamProtocol::Http1,
                None => options.protocol,
            },
            patience: options.timeout.unwrap_or(limits.answer_time),
            request,
            upgrade,
        }
    }
}

fn head_of<B>(request: &Request<B>) -> Request<()> {
    let mut head = Request::new(());
    head.method_mut().clone_from(request.method());
    head.uri_mut().clone_from(request.uri());
    *head.version_mut() = request.version();
    head.headers_mut().clone_from(request.headers());
    head
}

/// Why one try failed.
struct Failed {
    /// The request, if it may be sent again.
    again: Option<Request<RequestBody>>,
    refusal: Refusal,
}

/// Sends the request to a replica of the route and gives its answer.
pub(super) async fn forward(
    serving: &Arc<Serving>,
    route: &LiveRoute,
    mut outbound: Outbound,
    account: &mut Account,
) -> Result<Response<ResponseBody>, Refusal> {
    if route.replicas.is_empty() {
        return Err(Refusal::NoReplica);
    }
    let kept = route.cookie.as_deref().and_then(|name| cookie(outbound.request.headers(), name));
    let mut tried: Vec<SocketAddr> = Vec::new();
    let mut refusal = Refusal::NoReplica;
    let mut wanted = kept.clone();
    while tried.len() < REPLICAS {
        let kept_one = wanted
            .take()
            .and_then(|tag| route.replicas.named(|replica| replica.tag.as_deref() == Some(&*tag)));
        let chosen = kept_one.or_else(|| match route.route.options.sticky {
            Some(Sticky::Address) => route.replicas.of_visitor(account.visitor, &tried),
            _ => route.replicas.choose(&tried),
        });
        let Some((replica, under_way)) = chosen else { break };
        let address = replica.endpoint.address;
        account.replica = Some(address);
        if !tried.is_empty() {
            route.counters.retries.fetch_add(1, Relaxed);
        }
        let tag = replica.tag.clone().filter(|tag| kept.as_deref() != Some(tag));
        match ask(serving, route, replica, under_way, &mut outbound).await {
            Ok(mut response) => {
                if let (Some(name), Some(tag)) = (&route.cookie, tag) {
                    stay(&mut response, name, &tag, route);
                }
                return Ok(response);
            }
            Err(failed) => {
                refusal = failed.refusal;
                let Some(request) = failed.again else { break };
                outbound.request = request;
                tried.push(address);
            }
        }
    }
    Err(refusal)
}

/// Asks one replica.
async fn ask(
    serving: &Arc<Serving>,
    route: &LiveRoute,
    replica: &Replica,
    under_way: InFlight,
    outbound: &mut Outbound,
) -> Result<Response<ResponseBody>, Failed> {
    let limits = &serving.shared.limits;
    let endpoint = &replica.endpoint;
    for stale in 0..=STALE {
        // An upgrade cannot be sent again, so it is not risked on a kept connection.
        let fresh = stale > 0 || outbound.upgrade.is_some();
        let connection = endpoint.connection(outbound.protocol, fresh, limits.connect_time).await;
        let (connection, used) = match connection {
            Ok(connection) => connection,
            Err(error) => {
                route.counters.upstream_errors.fetch_add(1, Relaxed);
                let reason = &error as &dyn std::error::Error;
                tracing::debug!(replica = %replica.id, node = %replica.node, reason, "no connection");
                let again = Some(std::mem::replace(&mut outbound.request, nothing()));
                return Err(Failed { again, refusal: Refusal::Unreachable });
            }
        };
        let request = std::mem::replace(&mut outbound.request, nothing());
        let sent = send(connection, request, outbound.sending.as_deref(), outbound.patience).await;
        let mut failed = match sent {
            Ok((response, connection)) => {
                let exchange = |incoming| Exchange {
                    incoming,
                    connection,
                    sending: outbound.sending.clone(),
                    under_way,
                };
                return received(serving, response, exchange, outbound.upgrade.take())
                    .map_err(|refusal| Failed { again: None, refusal });
            }
            Err(failed) => failed,
        };
        if let Some(fault) = outbound.sending.as_ref().and_then(|sending| sending.fault()) {
            return Err(Failed { again: None, refusal: fault.into() });
        }
        if failed.again.is_none()
            && failed.refusal != Refusal::TimedOut
            && let Some(spare) = &outbound.spare
        {
            failed.again = Some(head_of(spare).map(|()| RequestBody::EMPTY));
        }
        match failed.again {
            // A kept connection that the replica has closed says nothing about the replica.
            Some(request) if used && stale < STALE => outbound.request = request,
            again => {
                route.counters.upstream_errors.fetch_add(1, Relaxed);
                return Err(Failed { again, refusal: failed.refusal });
            }
        }
    }
    Err(Failed { again: None, refusal: Refusal::Broken })
}

fn nothing() -> Request<RequestBody> {
    Request::new(RequestBody::EMPTY)
}

type Kept = Option<hyper::client::conn::http1::SendRequest<RequestBody>>;

/// Sends the request over a connection and waits for the head of the answer.
async fn send(
    connection: Connection,
    request: Request<RequestBody>,
    sending: Option<&Progress>,
    patience: Duration,
) -> Result<(Response<Incoming>, Kept), Failed> {
    let (answered, connection) = match connection {
        Connection::Http1(mut connection) => {
            let answer = connection.try_send_request(request);
            (in_time(answer, sending, patience).await, Some(connection))
        }
        Connection::Http2(mut connection) => {
            let answer = connection.try_send_request(request);
            (in_time(answer, sending, patience).await, None)
        }
    };
    match answered {
        Some(Ok(response)) => Ok((response, connection)),
        Some(Err(mut error)) => {
            let again = error.take_message();
            let reason = error.error() as &dyn std::error::Error;
            tracing::debug!(reason, unsent = again.is_some(), "an exchange failed");
            Err(Failed { again, refusal: Refusal::Broken })
        }
        None => Err(Failed { again: None, refusal: Refusal::TimedOut }),
    }
}

/// Waits for an answer until nothing of the request was sent for `patience`. An upload may take as long as it moves.
async fn in_time<T>(
    answer: impl Future<Output = T>,
    sending: Option<&Progress>,
    patience: Duration,
) -> Option<T> {
    let mut answer = pin!(answer);
    let mut last = Instant::now();
    loop {
        if let Ok(answer) = tokio::time::timeout_at(last + patience, answer.as_mut()).await {
            return Some(answer);
        }
        match sending.map(Progress::last) {
            Some(moved) if moved > last => last = moved,
            _ => return None,
        }
    }
}

/// Makes the answer of a replica ours.
fn received(
    serving: &Arc<Serving>,
    response: Response<Incoming>,
    exchange: impl FnOnce(Incoming) -> Exchange,
    upgrade: Option<Upgrade>,
) -> Result<Response<ResponseBody>, Refusal> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let upgrade = upgrade.ok_or(Refusal::Broken)?;
        return upgrade::switch(serving, response, exchange, upgrade);
    }
    let mut response = response.map(|incoming| ResponseBody::upstream(exchange(incoming)));
    headers::strip_hop_by_hop(response.headers_mut());
    Ok(response)
}

/// Keeps the visitor with the replica that answered.
fn stay(response: &mut Response<ResponseBody>, name: &str, tag: &str, route: &LiveRoute) {
    let path = if route.prefix.is_empty() { "/" } else { &*route.prefix };
    let secure = if route.route.has_certificate { "; Secure" } else { "" };
    let cookie = format!("{name}={tag}; Path={path}; HttpOnly; SameSite=Lax{secure}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

fn cookie(headers: &http::HeaderMap, name: &str) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).into_iter();
    let mut pairs = lines.filter_map(|v| v.to_str().ok()).flat_map(|line| line.split(';'));
    pairs.find_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        (key == name).then(|| value.to_owned())
    })
}
