//! One request: whose it is, whether it may pass, and how it is changed on its way. How it gets to a replica is in
//! `forward`.

use std::sync::Arc;

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header,
    request::Parts,
    uri::{self, PathAndQuery, Scheme},
};
use http_body::Body as _;
use hyper::{body::Incoming, upgrade::OnUpgrade};
use tokio::time::Instant;

use super::{
    answer::{Account, Refusal, ResponseBody, plain, redirect},
    authority::{Authority, NO_HOST},
    body::RequestBody,
    compress,
    connection::{Open, Peer, Serving},
    forward::{self, Outbound},
    forwarding::{self, Forwarding, Told, Visitor},
    headers,
    live::LiveRoute,
    upgrade::Upgrade,
};
use crate::route::{RouteOptions, UpstreamProtocol, normal, without_prefix};

const CHALLENGE: &str = "/.well-known/acme-challenge/";

/// The answer to a request.
pub(super) async fn answer(
    serving: Arc<Serving>,
    peer: Arc<Peer>,
    open: Option<Open>,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let began = Instant::now();
    let (head, body) = request.into_parts();
    // Boxed: it is handed through many hands.
    let head = Box::new(head);
    let mut response = match find(&serving, &peer, &head) {
        Ok(Found::Challenge(response)) => *response,
        Err(refusal) => {
            tracing::debug!(peer = %peer.address, uri = %head.uri, ?refusal, "refused");
            refusal.response()
        }
        Ok(Found::Route(route, authority)) => {
            route.counters.begin();
            let limits = &serving.shared.limits;
            let visitor =
                forwarding::visitor(&head.headers, peer.address.ip(), peer.secure, |ip| {
                    limits.trusts(ip)
                });
            let mut account = Box::new(Account {
                route: Arc::clone(&route),
                began,
                visitor: visitor.address,
                authority,
                request: head,
                told: Told::default(),
                replica: None,
                // Stays if the visitor goes away before there is an answer.
                status: StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
                bytes: 0,
            });
            let asked = Asked { serving: &serving, peer: &peer, visitor };
            let answered = match asked.prepared(&route, body, &mut account) {
                Ok(Prepared::Answer(response)) => Ok(*response),
                Ok(Prepared::Forward { mut outbound, gzip }) => {
                    forward::forward(&serving, &route, &mut outbound, &mut account)
                        .await
                        .map(|answered| finished(&route, &account.request.method, gzip, answered))
                }
                Err(refusal) => Err(refusal),
            };
            let mut response = answered.unwrap_or_else(Refusal::response);
            account.status = response.status();
            response.body_mut().account(account);
            response
        }
    };
    if let Some(open) = open {
        response.body_mut().hold(open);
    }
    response
}

enum Found {
    /// With the authority that was asked for.
    Route(Arc<LiveRoute>, Arc<Authority>),
    /// Nobody else is asked.
    Challenge(Box<Response<ResponseBody>>),
}

fn find(serving: &Serving, peer: &Peer, request: &Parts) -> Result<Found, Refusal> {
    let authority = peer.authority.of(request)?;
    if matches!(request.method, Method::CONNECT | Method::TRACE) {
        return Err(Refusal::Method);
    }
    let path = match request.uri.path() {
        "*" => "/",
        path => path,
    };
    let path = normal(path);
    let live = serving.shared.live.load();
    if let Some(token) = path.strip_prefix(CHALLENGE) {
        let challenge = live.picture.challenges.get(token).ok_or(Refusal::NoChallenge)?;
        return Ok(Found::Challenge(Box::new(key_authorization(challenge))));
    }
    let route = live.table.find(&authority.host, &path).ok_or(Refusal::NoRoute)?;
    Ok(Found::Route(Arc::clone(route), authority))
}

fn key_authorization(text: &str) -> Response<ResponseBody> {
    let mut response = plain(StatusCode::OK, "");
    *response.body_mut() = ResponseBody::own(Bytes::from(text.to_owned()));
    let octets = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, octets);
    response
}

struct Asked<'a> {
    serving: &'a Arc<Serving>,
    peer: &'a Arc<Peer>,
    visitor: Visitor,
}

/// What is to be done for a request. It is decided before anything waits: what waits is kept small.
enum Prepared {
    /// It is answered here.
    Answer(Box<Response<ResponseBody>>),
    /// It goes to a replica. `gzip`: its answer may be compressed.
    Forward { outbound: Outbound, gzip: bool },
}

impl Asked<'_> {
    fn prepared(
        self,
        route: &LiveRoute,
        body: Incoming,
        account: &mut Account,
    ) -> Result<Prepared, Refusal> {
        let options = &*route.options;
        let head = &mut account.request;
        if !self.visitor.secure && route.to_https {
            return Ok(Prepared::Answer(Box::new(to_https(&account.authority, &head.uri))));
        }
        route.access.check(self.visitor.address, &head.headers)?;
        if let Some(to) = &options.redirect {
            let path = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
            let path = if to.keep_path { path } else { "" };
            let status = match to.permanent {
                true => StatusCode::PERMANENT_REDIRECT,
                false => StatusCode::TEMPORARY_REDIRECT,
            };
            let response = redirect(status, &format!("{}{path}", to.to));
            return Ok(Prepared::Answer(Box::new(response)));
        }
        if options.max_body.is_some_and(|most| body.size_hint().lower() > most) {
            return Err(Refusal::TooLarge);
        }
        let client = head.extensions.remove::<OnUpgrade>();
        let upgrade = (head.version == Version::HTTP_11)
            .then(|| headers::upgrade_of(&head.headers).zip(client))
            .flatten()
            .map(|(wanted, client)| {
                Box::new(Upgrade { wanted, client, peer: Arc::clone(self.peer) })
            });
        let gzip = options.compress && compress::is_taken(&head.headers);
        let target = self.rewrite(route, account, upgrade.as_deref())?;
        let limits = &self.serving.shared.limits;
        let body = RequestBody::new(body, options.max_body, limits.body_time);
        let outbound = Outbound {
            target,
            harmless: account.request.method.is_idempotent()
                && body.is_empty()
                && upgrade.is_none(),
            sending: body.progress(),
            body,
            protocol: protocol(options, upgrade.as_deref()),
            upgrade,
            patience: options.timeout.unwrap_or(limits.answer_time),
            alarms: self.peer.alarms.clone(),
        };
        Ok(Prepared::Forward { outbound, gzip })
    }

    /// Makes the request what the replica sees. Gives its target, if that is another than the visitor's.
    fn rewrite(
        &self,
        route: &LiveRoute,
        account: &mut Account,
        upgrade: Option<&Upgrade>,
    ) -> Result<Option<Uri>, Refusal> {
        let options = &*route.options;
        let Account { request, authority, told, .. } = account;
        let strips = options.strip_path && !route.prefix.is_empty();
        let http2 = protocol(options, upgrade) == UpstreamProtocol::H2c;
        let strip = strips.then_some(&*route.prefix);
        let target = target(&request.uri, authority, strip, http2)?;
        request.extensions.clear();
        let map = &mut request.headers;
        let takes_trailers = headers::strip_hop_by_hop(map);
        *told = forwarding::forwarded(
            map,
            &Forwarding {
                peer: &self.peer.name,
                trusted: self.peer.trusted,
                visitor: self.visitor,
                authority: &authority.written,
                prefix: strip,
                dice: rand::random(),
            },
        );
        if route.access.asks_for_password() {
            map.remove(header::AUTHORIZATION);
        }
        if !http2 {
            headers::join_cookies(map);
            if takes_trailers {
                map.insert(header::CONNECTION, HeaderValue::from_static("te"));
            }
            if let Some(upgrade) = upgrade {
                map.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
                map.insert(header::UPGRADE, upgrade.wanted.clone());
            }
        }
        if http2 || !options.request_headers.is_empty() {
            told.move_into(map);
        }
        if http2 {
            map.remove(header::HOST);
        }
        options.request_headers.apply(map);
        Ok(target)
    }
}

/// What is spoken to the replica.
fn protocol(options: &RouteOptions, upgrade: Option<&Upgrade>) -> UpstreamProtocol {
    match upgrade {
        Some(_) => UpstreamProtocol::Http1,
        None => options.protocol,
    }
}

fn to_https(authority: &Authority, uri: &Uri) -> Response<ResponseBody> {
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let path = if path == "*" { "/" } else { path };
    let host = &authority.host;
    // An address of IPv6 has its brackets.
    let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
    let to = format!("https://{open}{host}{close}{path}");
    redirect(StatusCode::PERMANENT_REDIRECT, &to)
}

/// The target as the replica sees it, if that is another than the visitor's: only HTTP/2 has the authority in it.
fn target(
    uri: &Uri,
    authority: &Authority,
    strip: Option<&str>,
    http2: bool,
) -> Result<Option<Uri>, Refusal> {
    let path = match (uri.path_and_query(), strip) {
        (Some(path), Some(prefix)) => stripped(path, prefix)?,
        _ if !http2 => return Ok(None),
        (Some(path), None) => path.clone(),
        (None, _) => PathAndQuery::from_static("/"),
    };
    if !http2 {
        return Ok(Some(Uri::from(path)));
    }
    let mut parts = uri::Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority =
        Some(uri::Authority::try_from(authority.written.as_bytes()).map_err(|_| NO_HOST)?);
    parts.path_and_query = Some(path);
    let target = Uri::from_parts(parts);
    target.map(Some).map_err(|_| Refusal::BadRequest("no path of this form"))
}

/// The answer of a replica as the visitor gets it.
fn finished(
    route: &LiveRoute,
    method: &Method,
    gzip: bool,
    mut answered: Response<ResponseBody>,
) -> Response<ResponseBody> {
    let options = &*route.options;
    if gzip {
        let length = answered.body().size_hint().exact();
        let (status, headers) = (answered.status(), answered.headers_mut());
        if compress::is_worth_it(method, status, headers, length) {
            compress::mark(headers);
            answered = answered.map(ResponseBody::compressed);
        }
    }
    if options.compress {
        answered.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    options.response_headers.apply(answered.headers_mut());
    answered
}

fn stripped(path: &PathAndQuery, prefix: &str) -> Result<PathAndQuery, Refusal> {
    let plain = normal(path.path());
    let left = without_prefix(&plain, prefix);
    let text = match path.query() {
        Some(query) => format!("{left}?{query}"),
        None => left.to_owned(),
    };
    text.try_into().map_err(|_| Refusal::BadRequest("no path of this form"))
}
