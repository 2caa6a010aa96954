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

use http::{HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use hyper::{body::Incoming, client::conn::http2};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::{
    alarm::Alarms,
    answer::{Account, Answer, Exchange, Refusal, ResponseBody},
    body::{Progress, RequestBody},
    connection::Serving,
    headers, http1,
    limits::Limits,
    live::LiveRoute,
    pool::{Connection, Wanted},
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
    head: Box<Parts>,
    /// Taken when it is sent, and put back if nothing was.
    body: RequestBody,
    /// Asking twice is asking once.
    harmless: bool,
    sending: Option<Arc<Progress>>,
    upgrade: Option<Box<Upgrade>>,
    protocol: UpstreamProtocol,
    patience: Duration,
    alarms: Alarms,
}

impl Outbound {
    pub(super) fn new(
        head: Box<Parts>,
        body: Incoming,
        upgrade: Option<Box<Upgrade>>,
        alarms: Alarms,
        limits: &Limits,
        options: &RouteOptions,
    ) -> Self {
        let body = RequestBody::new(body, options.max_body, limits.body_time);
        Self {
            harmless: head.method.is_idempotent() && body.is_empty() && upgrade.is_none(),
            sending: body.progress(),
            protocol: match upgrade {
                Some(_) => UpstreamProtocol::Http1,
                None => options.protocol,
            },
            patience: options.timeout.unwrap_or(limits.answer_time),
            alarms,
            head,
            body,
            upgrade,
        }
    }

    pub(super) fn method(&self) -> &Method {
        &self.head.method
    }
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
    let kept = route.cookie.as_deref().and_then(|name| cookie(&outbound.head.headers, name));
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
        match ask(serving, route, replica, under_way, outbound, account.told.lines()).await {
            Ok(mut response) => {
                if let (Some(name), Some(tag)) = (&route.cookie, tag) {
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
    told: &[u8],
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
        let mut failed = match send(serving, connection, outbound, told).await {
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
    told: &[u8],
) -> Result<(Response<Answer>, Upload), Failed> {
    match connection {
        Connection::Http1(connection) => {
            let exchange =
                pin!(http1::exchange(connection, &mut outbound.head, told, &mut outbound.body));
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
            let response = Box::pin(send_http2(connection, outbound)).await?;
            Ok((response.map(Answer::Http2), None))
        }
    }
}

async fn send_http2(
    mut connection: http2::SendRequest<RequestBody>,
    outbound: &mut Outbound,
) -> Result<Response<Incoming>, Failed> {
    let body = std::mem::replace(&mut outbound.body, RequestBody::EMPTY);
    let request = Request::from_parts((*outbound.head).clone(), body);
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
