//! Bodies of answers, and the answers that are ours.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, Uri, header};
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, client::conn::http1};
use tokio::time::Instant;

use super::{
    body::{BodyFault, Progress, RequestBody},
    compress::Gzip,
    connection::Open,
    live::LiveRoute,
    upstream::InFlight,
};

/// The body of an answer.
pub(crate) struct ResponseBody {
    content: Content,
    account: Option<Account>,
    /// Of an HTTP/2 connection.
    open: Option<Open>,
}

enum Content {
    /// Ours.
    Own(Option<Bytes>),
    /// A replica's.
    Upstream(Exchange),
    /// A replica's, compressed on its way.
    Compressed(Exchange, Box<Gzip>),
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").finish_non_exhaustive()
    }
}

/// The receiving half of an exchange with a replica. When both halves have come to their end, the connection can
/// take another one.
pub(super) struct Exchange {
    pub(super) incoming: Incoming,
    /// `None` with HTTP/2, whose connection takes many.
    pub(super) connection: Option<http1::SendRequest<RequestBody>>,
    /// How far the sending half is.
    pub(super) sending: Option<Arc<Progress>>,
    pub(super) under_way: InFlight,
}

impl Exchange {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        if frame.is_none() {
            self.ended();
        }
        Poll::Ready(frame)
    }

    fn ended(&mut self) {
        let sent = self.sending.as_ref().is_none_or(|sending| sending.is_done());
        if let Some(connection) = self.connection.take()
            && sent
        {
            self.under_way.0.pool.give_back(connection);
        }
    }
}

impl Exchange {
    /// What is left when the connection goes on with another protocol.
    pub(super) fn into_parts(mut self) -> (InFlight, Option<http1::SendRequest<RequestBody>>) {
        let connection = self.connection.take();
        (self.under_way.clone(), connection)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // A body of a known length ends with its last byte, and nobody asks for more.
        if self.connection.is_some() && self.incoming.is_end_stream() {
            self.ended();
        }
    }
}

/// One request, counted and logged when its answer has been sent or given up.
pub(super) struct Account {
    pub(super) route: Arc<LiveRoute>,
    pub(super) began: Instant,
    pub(super) visitor: std::net::IpAddr,
    pub(super) host: Box<str>,
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) id: Option<HeaderValue>,
    pub(super) replica: Option<std::net::SocketAddr>,
    pub(super) status: StatusCode,
    pub(super) bytes: u64,
}

impl Drop for Account {
    fn drop(&mut self) {
        let took = self.began.elapsed();
        self.route.counters.end(self.status, took);
        tracing::info!(
            target: "jaco_ingress::access",
            deployment = %self.route.route.deployment,
            service = %self.route.route.service,
            visitor = %self.visitor,
            id = self.id.as_ref().and_then(|id| id.to_str().ok()),
            host = %self.host,
            method = %self.method,
            path = self.uri.path(),
            status = self.status.as_u16(),
            bytes = self.bytes,
            took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            replica = self.replica.map(tracing::field::display),
            "request"
        );
    }
}

impl ResponseBody {
    pub(super) fn upstream(exchange: Exchange) -> Self {
        Self { content: Content::Upstream(exchange), account: None, open: None }
    }

    pub(super) fn compressed(self) -> Self {
        let content = match self.content {
            Content::Upstream(exchange) => Content::Compressed(exchange, Box::default()),
            other => other,
        };
        Self { content, account: self.account, open: self.open }
    }

    pub(super) fn own(bytes: Bytes) -> Self {
        Self {
            content: Content::Own((!bytes.is_empty()).then_some(bytes)),
            account: None,
            open: None,
        }
    }

    pub(super) fn hold(&mut self, open: Open) {
        self.open = Some(open);
    }

    pub(super) fn account(&mut self, account: Account) {
        self.account = Some(account);
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        let frame = match &mut this.content {
            Content::Own(bytes) => bytes.take().map(|bytes| Ok(Frame::data(bytes))),
            Content::Upstream(exchange) => ready!(exchange.poll(cx)),
            Content::Compressed(exchange, gzip) => ready!(gzip.poll(|| exchange.poll(cx))),
        };
        if let Some(account) = &mut this.account {
            match &frame {
                Some(Ok(frame)) => {
                    account.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                }
                Some(Err(_)) => {
                    account.route.counters.upstream_errors.fetch_add(1, Relaxed);
                }
                None => {}
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Own(bytes) => bytes.is_none(),
            Content::Upstream(exchange) => exchange.incoming.is_end_stream(),
            Content::Compressed(..) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Own(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64))
            }
            Content::Upstream(exchange) => exchange.incoming.size_hint(),
            Content::Compressed(..) => SizeHint::default(),
        }
    }
}

/// Why a request was not handed on, or got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    BadRequest(&'static str),
    NoRoute,
    NoChallenge,
    Method,
    NotAllowed,
    Unauthorized,
    TooMany,
    TooLarge,
    TooSlow,
    NoReplica,
    Unreachable,
    Broken,
    TimedOut,
}

impl From<BodyFault> for Refusal {
    fn from(fault: BodyFault) -> Self {
        match fault {
            BodyFault::TooLarge => Self::TooLarge,
            BodyFault::TooSlow => Self::TooSlow,
            BodyFault::Broken => Self::BadRequest("the body broke off"),
        }
    }
}

impl Refusal {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::NoRoute | Self::NoChallenge => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAllowed => StatusCode::FORBIDDEN,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::NoReplica => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unreachable | Self::Broken => StatusCode::BAD_GATEWAY,
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::BadRequest(why) => why,
            Self::NoRoute => "no route leads from here",
            Self::NoChallenge => "no such challenge",
            Self::Method => "this method is not for a gateway",
            Self::NotAllowed => "not from this address",
            Self::Unauthorized => "a name and a password are needed",
            Self::TooMany => "too many requests",
            Self::TooLarge => "the body is larger than it may be",
            Self::TooSlow => "the body did not come in time",
            Self::NoReplica => "no healthy replica",
            Self::Unreachable => "the replica cannot be reached",
            Self::Broken => "the replica broke off",
            Self::TimedOut => "the replica did not answer in time",
        }
    }

    pub(super) fn response(self) -> Response<ResponseBody> {
        let mut response = plain(self.status(), self.text());
        let headers = response.headers_mut();
        match self {
            Self::NoReplica | Self::TooMany => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Self::Unauthorized => {
                let ask = HeaderValue::from_static("Basic realm=\"restricted\", charset=\"UTF-8\"");
                headers.insert(header::WWW_AUTHENTICATE, ask);
            }
            // The rest of the body is not read, so nothing can follow it.
            Self::BadRequest(_) | Self::TooLarge | Self::TooSlow => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}

/// An answer of ours.
pub(super) fn plain(status: StatusCode, text: &str) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::own(Bytes::from(format!("{text}\n"))));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::SERVER, HeaderValue::from_static("jaco"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A redirect.
pub(super) fn redirect(status: StatusCode, to: &str) -> Response<ResponseBody> {
    let Ok(location) = HeaderValue::from_str(to) else {
        return Refusal::BadRequest("the address cannot be redirected").response();
    };
    let mut response = plain(status, "moved");
    response.headers_mut().insert(header::LOCATION, location);
    response
}
