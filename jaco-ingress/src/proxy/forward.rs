//! A request on its way to a replica: which one, over which connection, and what is done when that fails.
//!
//! A request is sent again only if that is harmless: none of it was sent, or it has no body and says by its method
//! that asking twice is asking once. At most two other replicas are asked.

use std::{
    future::Future,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use http::{HeaderValue, Request, Response, StatusCode, Uri, Version, header, request::Parts};
use hyper::{body::Incoming, client::conn::http2};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::{
    alarm::Alarms,
    answer::{Account, Answer, Exchange, Refusal, ResponseBody},
    body::{Progress, RequestBody},
    connection::Serving,
    headers, http1,
    live::LiveRoute,
    pool::{Connection, Wanted},
    upgrade::{self, Upgrade},
    upstream::{InFlight, Replica},
};
use crate::route::{Sticky, UpstreamProtocol};

/// So many replicas are asked for one request.
const REPLICAS: usize = 3;
/// So often is one asked again because a kept connection turned out to be closed.
const STALE: usize = 2;

/// How a request is sent.
pub(super) struct Outbound {
    /// If it is another than the visitor's.
    pub(super) target: Option<Uri>,
    /// Taken when it is sent, and put back if nothing was.
    pub(super) body: RequestBody,
    /// Asking twice is asking once.
    pub(super) harmless: bool,
    pub(super) sending: Option<Arc<Progress>>,
    pub(super) upgrade: Option<Box<Upgrade>>,
    pub(super) protocol: UpstreamProtocol,
    pub(super) patience: Duration,
    pub(super) alarms: Alarms,
}

/// Why one try failed.
struct Failed {
    /// Whether the request may be sent again.
    again: bool,
    refusal: Refusal,
}

/// Sends the request to a replica of the route and gives its answer.
pub(super) async fn forward(
    serving: &Arc<Serving>,
    route: &LiveRoute,
    outbound: &mut Outbound,
    account: &mut Account,
) -> Result<Response<ResponseBody>, Refusal> {
    if route.replicas.is_empty() {
        return Err(Refusal::NoReplica);
    }
    let kept = route.cookie().and_then(|name| cookie(&account.request.headers, name));
    let mut tried: Vec<SocketAddr> = Vec::new();
    let mut refusal = Refusal::NoReplica;
    let mut wanted = kept.clone();
    while tried.len() < REPLICAS {
        let kept_one = wanted
            .take()
            .and_then(|tag| route.replicas.named(|replica| replica.tag.as_deref() == Some(&*tag)));
        let chosen = kept_one.or_else(|| match route.options.sticky {
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
        match ask(serving, route, replica, under_way, outbound, account).await {
            Ok(mut response) => {
                if let (Some(name), Some(tag)) = (route.cookie(), tag) {
                    stay(&mut response, name, &tag, route);
                }
                return Ok(response);
            }
            Err(failed) => {
                refusal = failed.refusal;
                if !failed.again {
                    break;
                }
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
    account: &mut Account,
) -> Result<Response<ResponseBody>, Failed> {
    let limits = &serving.shared.limits;
    let endpoint = &replica.endpoint;
    for stale in 0..=STALE {
        let wanted = Wanted {
            protocol: outbound.protocol,
            // An upgrade cannot be sent again, so it is not risked on a kept connection.
            fresh: stale > 0 || outbound.upgrade.is_some(),
            surely_open: !outbound.harmless,
        };
        let (connection, used) = match endpoint.connection(wanted, limits.connect_time).await {
            Ok(connection) => connection,
            Err(error) => {
                route.counters.upstream_errors.fetch_add(1, Relaxed);
                let reason = &error as &dyn std::error::Error;
                tracing::debug!(replica = %replica.id, node = %replica.node, reason, "no connection");
                return Err(Failed { again: true, refusal: Refusal::Unreachable });
            }
        };
        let mut failed = match send(serving, connection, outbound, account).await {
            Ok((response, upload)) => {
                let upgrade = outbound.upgrade.take();
                return received(serving, response, upload, under_way, upgrade)
                    .map_err(|refusal| Failed { again: false, refusal });
            }
            Err(failed) => failed,
        };
        if let Some(fault) = outbound.sending.as_ref().and_then(|sending| sending.fault()) {
            return Err(Failed { again: false, refusal: fault.into() });
        }
        failed.again |= outbound.harmless && failed.refusal != Refusal::TimedOut;
        // A kept connection that the replica has closed says nothing about the replica.
        if !(failed.again && used && stale < STALE) {
            route.counters.upstream_errors.fetch_add(1, Relaxed);
            return Err(failed);
        }
    }
    Err(Failed { again: false, refusal: Refusal::Broken })
}

/// What is left to be sent when the answer has begun.
type Upload = Option<AbortOnDropHandle<()>>;

/// Sends the request over a connection and waits for the head of the answer.
async fn send(
    serving: &Serving,
    connection: Connection,
    outbound: &mut Outbound,
    account: &mut Account,
) -> Result<(Response<Answer>, Upload), Failed> {
    match connection {
        Connection::Http1(connection) => {
            let head = &mut *account.request;
            let request = http1::Request {
                method: &head.method,
                target: outbound.target.as_ref().unwrap_or(&head.uri),
                headers: &mut head.headers,
                told: account.told.lines(),
            };
            let exchange = pin!(http1::exchange(connection, request, &mut outbound.body));
            let limit = (&outbound.alarms, outbound.patience);
            match in_time(exchange, outbound.sending.as_deref(), limit).await? {
                Ok(http1::Exchanged { response, upload }) => {
                    let upload = upload.map(|upload| serving.finish(upload));
                    Ok((response.map(Answer::Http1), upload))
                }
                Err(unanswered) => Err(broken(unanswered.unsent, &unanswered.fault)),
            }
        }
        // Boxed: every request would have room for what few of them do.
        Connection::Http2(connection) => {
            let response = Box::pin(send_http2(connection, outbound, &account.request)).await?;
            Ok((response.map(Answer::Http2), None))
        }
    }
}

async fn send_http2(
    mut connection: http2::SendRequest<RequestBody>,
    outbound: &mut Outbound,
    head: &Parts,
) -> Result<Response<Incoming>, Failed> {
    let body = std::mem::replace(&mut outbound.body, RequestBody::EMPTY);
    let mut request = Request::from_parts(head.clone(), body);
    *request.version_mut() = Version::HTTP_2;
    if let Some(target) = &outbound.target {
        request.uri_mut().clone_from(target);
    }
    let asked = pin!(connection.try_send_request(request));
    let limit = (&outbound.alarms, outbound.patience);
    in_time(asked, outbound.sending.as_deref(), limit).await?.map_err(|mut error| {
        let unsent = error.take_message();
        let again = unsent.is_some();
        if let Some(request) = unsent {
            outbound.body = request.into_body();
        }
        broken(again, error.error())
    })
}

fn broken(again: bool, reason: &(dyn std::error::Error + 'static)) -> Failed {
    tracing::debug!(reason, again, "an exchange failed");
    Failed { again, refusal: Refusal::Broken }
}

/// Waits for an answer until nothing of the request was sent for `patience`. An upload may take as long as it moves.
async fn in_time<T>(
    mut answer: Pin<&mut impl Future<Output = T>>,
    sending: Option<&Progress>,
    (alarms, patience): (&Alarms, Duration),
) -> Result<T, Failed> {
    let mut last = Instant::now();
    loop {
        tokio::select! {
            biased;
            answer = answer.as_mut() => return Ok(answer),
            () = alarms.at(last + patience) => {}
        }
        match sending.map(Progress::last) {
            Some(moved) if moved > last => last = moved,
            _ => return Err(Failed { again: false, refusal: Refusal::TimedOut }),
        }
    }
}

/// Makes the answer of a replica ours.
fn received(
    serving: &Arc<Serving>,
    response: Response<Answer>,
    upload: Upload,
    under_way: InFlight,
    upgrade: Option<Box<Upgrade>>,
) -> Result<Response<ResponseBody>, Refusal> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let upgrade = upgrade.ok_or(Refusal::Broken)?;
        return upgrade::switch(serving, response, under_way, *upgrade);
    }
    let mut response =
        response.map(|answer| ResponseBody::upstream(Exchange::new(answer, under_way, upload)));
    headers::strip_hop_by_hop(response.headers_mut());
    Ok(response)
}

/// Keeps the visitor with the replica that answered.
fn stay(response: &mut Response<ResponseBody>, name: &str, tag: &str, route: &LiveRoute) {
    let path = if route.prefix.is_empty() { "/" } else { &*route.prefix };
    let secure = if route.has_certificate { "; Secure" } else { "" };
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
