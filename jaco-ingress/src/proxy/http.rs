//! One request: whose it is, whether it may pass, and how it is changed on its way. How it gets to a replica is in
//! `forward`.

use std::sync::Arc;

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header,
    request::Parts,
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body::Body as _;
use hyper::{body::Incoming, upgrade::OnUpgrade};
use jaco_api::model::TlsMode;
use tokio::time::Instant;

use super::{
    answer::{Account, Refusal, ResponseBody, plain, redirect},
    compress,
    connection::{Open, Peer, Serving},
    forward::{self, Outbound},
    forwarding::{self, Forwarding, Told, Visitor},
    headers,
    live::LiveRoute,
    upgrade::Upgrade,
};
use crate::route::{UpstreamProtocol, host_of, normal, without_prefix};

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
    let mut response = match find(&serving, &head) {
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
                authority: authority.clone(),
                method: head.method.clone(),
                uri: head.uri.clone(),
                told: Told::default(),
                replica: None,
                // Stays if the visitor goes away before there is an answer.
                status: StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
                bytes: 0,
            });
            let asked = Asked { serving: &serving, peer: &peer, visitor, authority };
            let answered = match asked.prepared(&route, head, body, &mut account) {
                Ok(Prepared::Answer(response)) => Ok(*response),
                Ok(Prepared::Forward { mut outbound, gzip }) => {
                    forward::forward(&serving, &route, &mut outbound, &mut account)
                        .await
                        .map(|answered| finished(&route, &outbound, gzip, answered))
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
    Route(Arc<LiveRoute>, HeaderValue),
    /// Nobody else is asked.
    Challenge(Box<Response<ResponseBody>>),
}

fn find(serving: &Serving, request: &Parts) -> Result<Found, Refusal> {
    let authority = authority(request)?;
    let host = authority.to_str().ok().and_then(host_of).ok_or(NO_HOST)?;
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
    let route = live.table.find(&host, &path).ok_or(Refusal::NoRoute)?;
    Ok(Found::Route(Arc::clone(route), authority.clone()))
}

const NO_HOST: Refusal = Refusal::BadRequest("no host of this form");

fn key_authorization(text: &str) -> Response<ResponseBody> {
    let mut response = plain(StatusCode::OK, "");
    *response.body_mut() = ResponseBody::own(Bytes::from(text.to_owned()));
    let octets = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, octets);
    response
}

/// The one authority of a request. Two that differ are what a cache in front of us could be poisoned with.
fn authority(request: &Parts) -> Result<HeaderValue, Refusal> {
    let mut lines = request.headers.get_all(header::HOST).iter();
    let (host, second) = (lines.next(), lines.next());
    if second.is_some() {
        return Err(Refusal::BadRequest("more than one host"));
    }
    let target = request.uri.authority().map(Authority::as_str);
    match (target, host) {
        (Some(target), Some(host)) if host.as_bytes().eq_ignore_ascii_case(target.as_bytes()) => {
            Ok(host.clone())
        }
        // An absolute target goes before the header in HTTP/1.1; in HTTP/2 the two must agree.
        (Some(_), Some(_)) if request.version == Version::HTTP_2 => {
            Err(Refusal::BadRequest("two hosts"))
        }
        (Some(target), _) => HeaderValue::from_str(target).map_err(|_| NO_HOST),
        (None, Some(host)) => Ok(host.clone()),
        (None, None) => Err(Refusal::BadRequest("no host")),
    }
}

struct Asked<'a> {
    serving: &'a Arc<Serving>,
    peer: &'a Arc<Peer>,
    visitor: Visitor,
    authority: HeaderValue,
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
        mut head: Box<Parts>,
        body: Incoming,
        account: &mut Account,
    ) -> Result<Prepared, Refusal> {
        let options = &route.route.options;
        if !self.visitor.secure && route.route.tls != TlsMode::Off && route.route.has_certificate {
            return Ok(Prepared::Answer(Box::new(self.to_https(&head.uri))));
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
        let wanted = upgrade.as_ref().map(|upgrade| &upgrade.wanted);
        account.told = self.rewrite(route, &mut head, wanted)?;
        let alarms = self.peer.alarms.clone();
        let limits = &self.serving.shared.limits;
        let outbound = Outbound::new(head, body, upgrade, alarms, limits, options);
        Ok(Prepared::Forward { outbound, gzip })
    }

    fn to_https(&self, uri: &Uri) -> Response<ResponseBody> {
        let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let path = if path == "*" { "/" } else { path };
        let host = self.authority.to_str().ok().and_then(host_of).unwrap_or_default();
        // An address of IPv6 has its brackets.
        let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
        let to = format!("https://{open}{host}{close}{path}");
        redirect(StatusCode::PERMANENT_REDIRECT, &to)
    }

    /// The target as the replica sees it: only HTTP/2 has the authority in it.
    fn target(&self, uri: &Uri, strip: Option<&str>, http2: bool) -> Result<Uri, Refusal> {
        let path = match (uri.path_and_query(), strip) {
            (Some(path), Some(prefix)) => stripped(path, prefix)?,
            (Some(path), None) => path.clone(),
            (None, _) => PathAndQuery::from_static("/"),
        };
        if !http2 {
            return Ok(Uri::from(path));
        }
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority =
            Some(Authority::try_from(self.authority.as_bytes()).map_err(|_| NO_HOST)?);
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).map_err(|_| Refusal::BadRequest("no path of this form"))
    }

    /// Makes the request what the replica sees. Gives what it is told behind the other headers.
    fn rewrite(
        &self,
        route: &LiveRoute,
        parts: &mut Parts,
        upgrade: Option<&HeaderValue>,
    ) -> Result<Told, Refusal> {
        let options = &route.route.options;
        parts.extensions.clear();
        let strips = options.strip_path && !route.prefix.is_empty();
        let http2 = options.protocol == UpstreamProtocol::H2c && upgrade.is_none();
        parts.uri = self.target(&parts.uri, strips.then_some(&*route.prefix), http2)?;
        parts.version = if http2 { Version::HTTP_2 } else { Version::HTTP_11 };
        let map = &mut parts.headers;
        let takes_trailers = headers::strip_hop_by_hop(map);
        let mut told = forwarding::forwarded(
            map,
            &Forwarding {
                peer: &self.peer.name,
                trusted: self.peer.trusted,
                visitor: self.visitor,
                authority: &self.authority,
                prefix: strips.then_some(&*route.prefix),
                dice: rand::random(),
            },
        );
        if route.access.asks_for_password() {
            map.remove(header::AUTHORIZATION);
        }
        if http2 {
            map.remove(header::HOST);
        } else {
            headers::join_cookies(map);
            if takes_trailers {
                map.insert(header::CONNECTION, HeaderValue::from_static("te"));
            }
            if let Some(wanted) = upgrade {
                map.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
                map.insert(header::UPGRADE, wanted.clone());
            }
            if map.get(header::HOST) != Some(&self.authority) {
                map.insert(header::HOST, self.authority.clone());
            }
        }
        if http2 || !options.request_headers.is_empty() {
            told.move_into(map);
        }
        options.request_headers.apply(map);
        Ok(told)
    }
}

/// The answer of a replica as the visitor gets it.
fn finished(
    route: &LiveRoute,
    outbound: &Outbound,
    gzip: bool,
    mut answered: Response<ResponseBody>,
) -> Response<ResponseBody> {
    let options = &route.route.options;
    if gzip {
        let length = answered.body().size_hint().exact();
        let (status, headers) = (answered.status(), answered.headers_mut());
        if compress::is_worth_it(outbound.method(), status, headers, length) {
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
