//! Requests and answers: what HTTP says beside bodies.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{HeaderMap, Method, StatusCode, body::Frame, header, http::HeaderValue};
use jaco_e2e::Outcome;

use super::client::{Visit, empty};

/// A page, its head alone, and no page when it is known already, over one connection.
pub(super) async fn pages(visit: &Visit) -> Outcome {
    let mut sender = visit.connect().await?;
    let page = sender.send(visit.request(Method::GET, "/page").body(empty())?).await?;
    assert_eq!(page.status(), StatusCode::OK, "{visit}");
    let tag = page.headers()[header::ETAG].clone();
    let text = page.collect().await?.to_bytes();
    assert_eq!(text, "a page that does not change", "{visit}");

    let head = sender.send(visit.request(Method::HEAD, "/page").body(empty())?).await?;
    assert_eq!(head.status(), StatusCode::OK, "{visit}");
    let length = text.len().to_string();
    assert_eq!(head.headers()[header::CONTENT_LENGTH], length.as_str(), "{visit}");
    assert_eq!(head.headers()[header::ETAG], tag, "{visit}");
    assert!(head.collect().await?.to_bytes().is_empty(), "{visit}");

    let known = visit.request(Method::GET, "/page").header(header::IF_NONE_MATCH, &tag);
    let known = sender.send(known.body(empty())?).await?;
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED, "{visit}");
    assert_eq!(known.headers()[header::ETAG], tag, "{visit}");
    assert!(known.collect().await?.to_bytes().is_empty(), "{visit}");
    Ok(())
}

/// Events come when they are sent: five in 0.8 s.
pub(super) async fn events(visit: &Visit) -> Outcome {
    let mut body = visit.get("/events").await?.into_body();
    let (mut text, mut first) = (String::new(), None);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        text.push_str(std::str::from_utf8(&data)?);
        if first.is_none() {
            first = Some(Instant::now());
            assert!(text.starts_with("data: 1 ") && !text.contains("data: 5 "), "{visit}: {text}");
        }
    }
    let numbers = text.lines().filter_map(|line| line.strip_prefix("data: ")?.split(' ').next());
    assert_eq!(numbers.collect::<Vec<_>>(), ["1", "2", "3", "4", "5"], "{visit}: {text}");
    let span = first.ok_or("no event")?.elapsed();
    assert!(span > Duration::from_millis(500), "{visit}: all in {span:?}");
    Ok(())
}

/// Trailers of the request reach the peer, and its own come back.
pub(super) async fn trailers(visit: &Visit) -> Outcome {
    let asks = HeaderMap::from_iter([("x-ask".parse()?, HeaderValue::from_static("me"))]);
    let frames = [Frame::data(Bytes::from_static(b"a body")), Frame::trailers(asks)];
    let body = StreamBody::new(tokio_stream::iter(frames.map(Ok))).boxed_unsync();
    let request = visit.request(Method::POST, "/trailers");
    let request = request.header(header::TE, "trailers").header(header::TRAILER, "x-ask");
    let answer = visit.connect().await?.send(request.body(body)?).await?;
    assert_eq!(answer.status(), StatusCode::OK, "{visit}");
    let answer = answer.collect().await?;
    let trailers = answer.trailers().cloned().unwrap_or_default();
    let text = answer.to_bytes();
    assert!(text.starts_with(b"x-ask: me\n"), "{visit}: the peer saw {text:?}");
    assert_eq!(trailers.get("x-asked").map(HeaderValue::as_bytes), Some(&b"me"[..]), "{visit}");
    assert!(trailers.contains_key("x-host"), "{visit}: {trailers:?}");
    Ok(())
}
