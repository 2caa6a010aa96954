//! One request: whose it is, whether it may pass, and how it is changed on its way. How it gets to a replica is in
//! `forward`.

use std::sync::Arc;

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header,
    uri::{Authority, PathAndQuery, Scheme},
};
use hyper::body::Incoming;
use jaco_api::model::TlsMode;
use tokio::time::Instant;

use super::{
    answer::{Account, Refusal, ResponseBody, plain, redirect},
    compress,
    connection::{Open, Peer, Serving},
    forward::{self, Outbound},
    headers::{self, Forwarding, Visitor},
    live::LiveRoute,
    upgrade::Upgrade,
};
use crate::route::{UpstreamProtocol, host_of, normal, without_prefix};

const CHALLENGE: &str = "/.well-known/acme-challenge/";

/// The answer to a request.
pub(super) async fn answer(
    serving: Arc<Serving>,
    peer: Peer,
    open: Option<Open>,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let began = Instant::now();
    let mut response = match find(&serving, &request) {
        Ok(Found::Challenge(response)) => *response,
        Err(refusal) => {
            tracing::debug!(peer = %peer.address, uri = %request.uri(), ?refusal, "refused");
            refusal.response()
        }
        Ok(Found::Route(route, authority, host)) => {
            route.counters.begin();
            let limits = &serving.shared.limits;
            let visitor =
                headers::visitor(request.headers(), peer.address.ip(), peer.secure, |ip| {
                    limits.trusts(ip)
                });
            let mut account = Account {
                route: Arc::clone(&route),
                began,
                visitor: visitor.address,
                host,
                method: request.method().clone(),
                uri: request.uri().clone(),
                id: None,
                replica: None,
                // Stays if the visitor goes away before there is an answer.
                status: StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
                bytes: 0,
            };
            let asked = Asked { serving: &serving, peer: &peer, visitor, authority };
            let mut response =
                asked.pass(&route, request, &mut account).await.unwrap_or_else(Refusal::response);
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
    Route(Arc<LiveRoute>, Authority, Box<str>),
    /// Nobody else is asked.
    Challenge(Box<Response<ResponseBody>>),
}

fn find(serving: &Serving, request: &Request<Incoming>) -> Result<Found, Refusal> {
    let authority = authority(request)?;
    let host = host_of(authority.as_str());
    let host: Box<str> = host.ok_or(Refusal::BadRequest("no host of this form"))?.into();
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        return Err(Refusal::Method);
    }
    let path = match request.uri().path() {
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
    Ok(Found::Route(Arc::clone(route), authority, host))
}

fn key_authorization(text: &str) -> Response<ResponseBody> {
    let mut response = plain(StatusCode::OK, "");
    *response.body_mut() = ResponseBody::own(Bytes::from(text.to_owned()));
    let octets = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, octets);
    response
}

/// The one authority of a request. Two that differ are what a cache in front of us could be poisoned with.
fn authority(request: &Request<Incoming>) -> Result<Authority, Refusal> {
    let mut lines = request.headers().get_all(header::HOST).iter();
    let (host, second) = (lines.next(), lines.next());
    if second.is_some() {
        return Err(Refusal::BadRequest("more than one host"));
    }
    let host = host
        .map(|value| Authority::try_from(value.as_bytes()))
        .transpose()
        .map_err(|_| Refusal::BadRequest("no host of this form"))?;
    match (request.uri().authority(), host) {
        // An absolute target goes before the header in HTTP/1.1; in HTTP/2 the two must agree.
        (Some(target), Some(host)) if request.version() == Version::HTTP_2 && *target != host => {
            Err(Refusal::BadRequest("two hosts"))
        }
        (Some(target), _) => Ok(target.clone()),
        (None, Some(host)) => Ok(host),
        (None, None) => Err(Refusal::BadRequest("no host")),
    }
}

struct Asked<'a> {
    serving: &'a Arc<Serving>,
    peer: &'a Peer,
    visitor: Visitor,
    authority: Authority,
}

impl Asked<'_> {
    async fn pass(
        &self,
        route: &Arc<LiveRoute>,
        mut request: Request<Incoming>,
        account: &mut Account,
    ) -> Result<Response<ResponseBody>, Refusal> {
        let options = &route.route.options;
        if !self.visitor.secure && route.route.tls != TlsMode::Off && route.route.has_certificate {
            return Ok(self.to_https(request.uri()));
        }
        route.access.check(self.visitor.address, request.headers())?;
        if let Some(to) = &options.redirect {
            let path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
            let path = if to.keep_path { path } else { "" };
            let status = match to.permanent {
                true => StatusCode::PERMANENT_REDIRECT,
                false => StatusCode::TEMPORARY_REDIRECT,
            };
            return Ok(redirect(status, &format!("{}{path}", to.to)));
        }
        if options.max_body.is_some_and(|most| content_length(&request) > most) {
            return Err(Refusal::TooLarge);
        }
        let upgrade = (request.version() == Version::HTTP_11)
            .then(|| headers::upgrade_of(request.headers()))
            .flatten()
            .map(|wanted| Upgrade {
                wanted,
                client: hyper::upgrade::on(&mut request),
                visit: Arc::clone(&self.peer.visit),
            });
        let gzip = options.compress && compress::is_taken(request.headers());
        let method = request.method().clone();
        let request =
            self.rewritten(route, request, upgrade.as_ref().map(|upgrade| &upgrade.wanted))?;
        account.id = headers::request_id(request.headers()).cloned();
        let outbound = Outbound::new(request, upgrade, &self.serving.shared.limits, options);
        let mut answered = forward::forward(self.serving, route, outbound, account).await?;
        if gzip {
            let length = http_body::Body::size_hint(answered.body()).exact();
            let (status, headers) = (answered.status(), answered.headers_mut());
            if compress::is_worth_it(&method, status, headers, length) {
                compress::mark(headers);
                answered = answered.map(ResponseBody::compressed);
            }
        }
        if options.compress {
            answered
                .headers_mut()
                .append(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        options.response_headers.apply(answered.headers_mut());
        Ok(answered)
    }

    fn to_https(&self, uri: &Uri) -> Response<ResponseBody> {
        let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let path = if path == "*" { "/" } else { path };
        let to = format!("https://{}{path}", self.authority.host());
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
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).map_err(|_| Refusal::BadRequest("no path of this form"))
    }

    /// The request as the replica sees it.
    fn rewritten(
        &self,
        route: &LiveRoute,
        request: Request<Incoming>,
        upgrade: Option<&HeaderValue>,
    ) -> Result<Request<Incoming>, Refusal> {
        let options = &route.route.options;
        let (mut parts, body) = request.into_parts();
        parts.extensions.clear();
        let strips = options.strip_path && !route.prefix.is_empty();
        let http2 = options.protocol == UpstreamProtocol::H2c && upgrade.is_none();
        parts.uri = self.target(&parts.uri, strips.then_some(&*route.prefix), http2)?;
        parts.version = if http2 { Version::HTTP_2 } else { Version::HTTP_11 };
        let map = &mut parts.headers;
        headers::strip_hop_by_hop(map);
        // We have answered it ourselves as soon as the body is asked for.
        map.remove(header::EXPECT);
        map.remove("http2-settings");
        headers::forwarded(
            map,
            &Forwarding {
                peer: self.peer.address.ip(),
                trusted: self.peer.trusted,
                visitor: self.visitor,
                authority: self.authority.as_str(),
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
            if map.contains_key(header::TE) {
                map.insert(header::CONNECTION, HeaderValue::from_static("te"));
            }
            if let Some(wanted) = upgrade {
                map.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
                map.insert(header::UPGRADE, wanted.clone());
            }
            let authority = self.authority.as_str();
            if map.get(header::HOST).is_none_or(|host| host != authority) {
                let host = HeaderValue::from_str(authority)
                    .map_err(|_| Refusal::BadRequest("no host of this form"))?;
                map.insert(header::HOST, host);
            }
        }
        options.request_headers.apply(map);
        Ok(Request::from_parts(parts, body))
    }
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

fn content_length(request: &Request<Incoming>) -> u64 {
    http_body::Body::size_hint(request.body()).lower()
}
