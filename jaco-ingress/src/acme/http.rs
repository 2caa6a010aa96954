//! HTTP to a CA: a bound on time and size of every answer, and the last error kept as it was said.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, Request, header::RETRY_AFTER};
use http_body_util::{BodyExt as _, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use instant_acme::{BodyWrapper, BytesResponse, HttpClient};

use super::error::Cause;

/// Chains and problems are kilobytes.
const LONGEST_ANSWER: usize = 1 << 20;
const LONGEST_TEXT: usize = 200;

/// An error as the server sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The status.
    pub status: u16,
    /// How long we are to wait.
    pub retry_after: Option<Duration>,
    /// The beginning of the text.
    pub text: String,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    #[error("no answer in time")]
    TimedOut,
    #[error("the connection failed: {}", causes(.0))]
    Transport(hyper_util::client::legacy::Error),
    #[error("the answer cannot be read: {0}")]
    Body(Cause),
}

/// The library's error names neither host nor reason, its causes do.
fn causes(error: &hyper_util::client::legacy::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

type Https = Client<HttpsConnector<HttpConnector>, BodyWrapper<Bytes>>;

/// A client to a CA; a clone has the same connections and its own memory of what was said.
pub(super) struct Http {
    client: Https,
    timeout: Duration,
    said: Arc<Mutex<Option<Said>>>,
}

impl Http {
    pub(super) fn new(tls: rustls::ClientConfig, timeout: Duration) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(timeout / 2));
        let https = HttpsConnectorBuilder::new().with_tls_config(tls);
        let connector = https.https_only().enable_http1().wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Self { client, timeout, said: Arc::default() }
    }

    /// The same connections, and what will be said on them.
    pub(super) fn session(&self) -> (Self, Heard) {
        let said = Arc::default();
        let heard = Heard(Arc::clone(&said));
        (Self { client: self.client.clone(), timeout: self.timeout, said }, heard)
    }
}

/// The last error that was said in a session.
#[derive(Clone)]
pub(super) struct Heard(Arc<Mutex<Option<Said>>>);

impl Heard {
    pub(super) fn take(&self) -> Option<Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl HttpClient for Http {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let sent = self.client.request(request);
        let (timeout, said) = (self.timeout, Arc::clone(&self.said));
        let answer = async move {
            let (parts, body) = sent.await.map_err(HttpError::Transport)?.into_parts();
            let body =
                Limited::new(body, LONGEST_ANSWER).collect().await.map_err(HttpError::Body)?;
            let body = body.to_bytes();
            let error = (!parts.status.is_success()).then(|| Said {
                status: parts.status.as_u16(),
                retry_after: retry_after(&parts.headers, SystemTime::now()),
                text: String::from_utf8_lossy(&body).chars().take(LONGEST_TEXT).collect(),
            });
            *said.lock().unwrap_or_else(PoisonError::into_inner) = error;
            Ok(BytesResponse { parts, body: Box::new(body) })
        };
        Box::pin(async move {
            let answer = tokio::time::timeout(timeout, answer).await;
            answer
                .unwrap_or(Err(HttpError::TimedOut))
                .map_err(|error: HttpError| instant_acme::Error::Other(Box::new(error)))
        })
    }
}

/// Seconds, or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    httpdate::parse_http_date(text).ok()?.duration_since(now).ok()
}
