//! Bodies of answers, and the answers that are ours.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header, request::Parts};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::{
    authority::Authority, body::BodyFault, compress::Gzip, connection::Open, forwarding::Told,
    http1, live::LiveRoute, upstream::InFlight,
};

/// The body of an answer.
pub(crate) struct ResponseBody {
    content: Content,
    /// Boxed: it is handed through many hands.
    account: Option<Box<Account>>,
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

/// What a replica answers behind its head.
#[derive(Debug)]
pub(super) enum Answer {
    Http1(http1::Answer),
    Http2(Incoming),
}

/// Why an answer broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BrokenOff {
    #[error(transparent)]
    Http1(#[from] http1::Fault),
    #[error(transparent)]
    Http2(#[from] hyper::Error),
}

/// The receiving half of an exchange with a replica.
pub(super) struct Exchange {
    answer: Answer,
    under_way: InFlight,
    /// Of no use any more when the answer is over.
    _upload: Option<AbortOnDropHandle<()>>,
}

impl Exchange {
    pub(super) fn new(
        answer: Answer,
        under_way: InFlight,
        upload: Option<AbortOnDropHandle<()>>,
    ) -> Self {
        let mut exchange = Self { answer, under_way, _upload: upload };
        exchange.give_back();
        exchange
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        Poll::Ready(match &mut self.answer {
            Answer::Http1(answer) => {
                let frame = ready!(answer.poll(cx));
                self.give_back();
                frame.map(|frame| frame.map_err(Into::into))
            }
            Answer::Http2(incoming) => {
                ready!(Pin::new(incoming).poll_frame(cx)).map(|frame| frame.map_err(Into::into))
            }
        })
    }

    /// Lets another request have the connection as soon as all was read.
    fn give_back(&mut self) {
        if let Answer::Http1(answer) = &mut self.answer
            && let Some(connection) = answer.connection()
        {
            self.under_way.0.give_back(connection);
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.answer {
            Answer::Http1(answer) => answer.has_ended(),
            Answer::Http2(incoming) => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.answer {
            Answer::Http1(answer) => answer.size_hint(),
            Answer::Http2(incoming) => incoming.size_hint(),
        }
    }
}

/// One request, counted and logged when its answer has been sent or given up.
pub(super) struct Account {
    pub(super) route: Arc<LiveRoute>,
    pub(super) began: Instant,
    pub(super) visitor: std::net::IpAddr,
    pub(super) authority: Arc<Authority>,
    /// Without its headers once there is an answer.
    pub(super) request: Box<Parts>,
    /// What the replica is told of it.
    pub(super) told: Told,
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
            deployment = %self.route.deployment,
            service = %self.route.service,
            visitor = %self.visitor,
            id = std::str::from_utf8(self.told.id()).ok().filter(|id| !id.is_empty()),
            host = self.authority.host,
            method = %self.request.method,
            path = self.request.uri.path(),
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

    pub(super) fn account(&mut self, account: Box<Account>) {
        self.account = Some(account);
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
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
            Content::Upstream(exchange) => exchange.is_end_stream(),
            Content::Compressed(..) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Own(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64))
            }
            Content::Upstream(exchange) => exchange.size_hint(),
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
