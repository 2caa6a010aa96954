//! Bodies that come or go as streams.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use jaco_e2e::{Tally, pattern};
use tokio_stream::{Stream, StreamExt as _};

use crate::{http::number, state::Peer};

/// Counts what comes and answers with the name, the number of bytes and their digest.
pub(crate) async fn upload(State(peer): State<Arc<Peer>>, body: Body) -> Response {
    let (mut body, mut tally) = (body.into_data_stream(), Tally::default());
    while let Some(piece) = body.next().await {
        match piece {
            Ok(piece) => tally.add(&piece),
            Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
        }
    }
    format!("{} {tally}", peer.host).into_response()
}

/// Sends that many bytes of the pattern.
pub(crate) async fn download(State(peer): State<Arc<Peer>>, uri: Uri) -> Response {
    let bytes = number(&uri, "bytes");
    let pieces = tokio_stream::iter(pattern(bytes).map(Ok::<_, Infallible>));
    let headers = [("x-host", peer.host.clone()), ("content-length", bytes.to_string())];
    (headers, Body::from_stream(pieces)).into_response()
}

/// Five events, one each 200 ms, the first at once.
pub(crate) async fn events(
    State(peer): State<Arc<Peer>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let ticks = tokio::time::interval(Duration::from_millis(200));
    let ticks = tokio_stream::wrappers::IntervalStream::new(ticks).take(5);
    let mut number = 0;
    Sse::new(ticks.map(move |_| {
        number += 1;
        Ok(Event::default().data(format!("{number} {}", peer.host)))
    }))
}

/// Answers with the trailers of the request, a line each, and with the trailers `x-host` and `x-asked`: the
/// name, and the request's trailer `x-ask`.
pub(crate) async fn trailers(State(peer): State<Arc<Peer>>, body: Body) -> Response {
    let asked = match body.collect().await {
        Ok(body) => body.trailers().cloned().unwrap_or_default(),
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    let lines: String = asked
        .iter()
        .map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    let mut trailers = HeaderMap::new();
    if let Ok(host) = HeaderValue::from_str(&peer.host) {
        trailers.insert("x-host", host);
    }
    trailers.insert(
        "x-asked",
        asked.get("x-ask").cloned().unwrap_or_else(|| HeaderValue::from_static("nothing")),
    );
    let frames = [Frame::data(Bytes::from(lines)), Frame::trailers(trailers)];
    let frames = tokio_stream::iter(frames.map(Ok::<_, Infallible>));
    let body = Body::new(StreamBody::new(frames));
    ([(header::TRAILER, "x-host, x-asked")], body).into_response()
}
