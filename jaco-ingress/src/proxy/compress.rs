//! Compression of answers on their way: each part goes out as soon as it came in.

use std::{
    io::Write as _,
    task::{Poll, ready},
};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body::Frame;

use super::headers::has_token;

/// Smaller answers are not worth it.
const LEAST: u64 = 512;

/// What is compressed: text in the widest sense.
const TYPES: &[&str] = &[
    "application/javascript",
    "application/json",
    "application/manifest+json",
    "application/wasm",
    "application/xml",
    "application/xhtml+xml",
    "image/svg+xml",
    "font/ttf",
    "font/otf",
];

/// Whether a visitor takes gzip.
pub(super) fn is_taken(request: &HeaderMap) -> bool {
    let lines = request.get_all(header::ACCEPT_ENCODING).into_iter();
    let mut members = lines.filter_map(|v| v.to_str().ok()).flat_map(|line| line.split(','));
    members.any(|member| {
        let mut parts = member.split(';').map(str::trim);
        let gzip = parts.next().is_some_and(|t| t.eq_ignore_ascii_case("gzip") || t == "*");
        let refused = parts.any(|p| {
            p.strip_prefix("q=").is_some_and(|q| q.parse::<f32>().is_ok_and(|q| q <= 0.0))
        });
        gzip && !refused
    })
}

/// Whether an answer gains from it and may be changed.
pub(super) fn is_worth_it(
    method: &Method,
    status: StatusCode,
    headers: &HeaderMap,
    length: Option<u64>,
) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    let kind = kind.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let text = kind.starts_with("text/") || TYPES.contains(&&*kind);
    method != Method::HEAD
        && status.is_success()
        && !matches!(status, StatusCode::NO_CONTENT | StatusCode::PARTIAL_CONTENT)
        && text
        && length.is_none_or(|length| length >= LEAST)
        && !headers.contains_key(header::CONTENT_ENCODING)
        && !has_token(headers, &header::CACHE_CONTROL, "no-transform")
}

/// Says so in the head. A strong validator names bytes that are no longer sent.
pub(super) fn mark(headers: &mut HeaderMap) {
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::ACCEPT_RANGES);
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    if let Some(tag) = headers.get(header::ETAG)
        && !tag.as_bytes().starts_with(b"W/")
        && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat())
    {
        headers.insert(header::ETAG, weak);
    }
}

/// A stream of gzip.
pub(super) struct Gzip {
    encoder: Option<GzEncoder<Vec<u8>>>,
    trailers: Option<HeaderMap>,
}

impl Default for Gzip {
    fn default() -> Self {
        let encoder = Some(GzEncoder::new(Vec::new(), Compression::new(4)));
        Self { encoder, trailers: None }
    }
}

impl Gzip {
    /// The next part, from the next one of `source`.
    pub(super) fn poll<E>(
        &mut self,
        mut source: impl FnMut() -> Poll<Option<Result<Frame<Bytes>, E>>>,
    ) -> Poll<Option<Result<Frame<Bytes>, E>>> {
        loop {
            let Some(encoder) = &mut self.encoder else {
                return Poll::Ready(self.trailers.take().map(|t| Ok(Frame::trailers(t))));
            };
            match ready!(source()) {
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        // Writing into memory cannot fail.
                        let _ = encoder.write_all(&data).and_then(|()| encoder.flush());
                        let out = std::mem::take(encoder.get_mut());
                        if !out.is_empty() {
                            return Poll::Ready(Some(Ok(Frame::data(out.into()))));
                        }
                    }
                    Err(frame) => self.trailers = frame.into_trailers().ok(),
                },
                None => {
                    let rest = self.encoder.take().map(GzEncoder::finish);
                    if let Some(Ok(rest)) = rest
                        && !rest.is_empty()
                    {
                        return Poll::Ready(Some(Ok(Frame::data(rest.into()))));
                    }
                }
            }
        }
    }
}
