//! Bodies of some size: every byte arrives, and none stays in the daemon.

use http_body_util::{BodyExt as _, StreamBody};
use hyper::{Method, StatusCode, body::Frame};
use jaco_e2e::{Outcome, Tally, pattern};

use super::client::Visit;

/// Sends that many bytes; the peer must have counted the same.
pub(super) async fn up(visit: &Visit, bytes: u64) -> Outcome {
    let pieces = tokio_stream::iter(pattern(bytes).map(|piece| Ok(Frame::data(piece))));
    let body = StreamBody::new(pieces).boxed_unsync();
    let request = visit.request(Method::POST, "/upload").body(body)?;
    let answer = visit.connect().await?.send(request).await?;
    assert_eq!(answer.status(), StatusCode::OK, "{visit}");
    let answer = answer.collect().await?.to_bytes();
    let expected = format!(" {}", Tally::of_pattern(bytes));
    assert!(answer.ends_with(expected.as_bytes()), "{visit}: {answer:?}, expected{expected}");
    Ok(())
}

/// Fetches that many bytes; they must be the pattern.
pub(super) async fn down(visit: &Visit, bytes: u64) -> Outcome {
    let answer = visit.get(&format!("/download?bytes={bytes}")).await?;
    assert_eq!(answer.status(), StatusCode::OK, "{visit}");
    let (mut body, mut tally) = (answer.into_body(), Tally::default());
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            tally.add(&data);
        }
    }
    assert_eq!(tally.to_string(), Tally::of_pattern(bytes).to_string(), "{visit}");
    Ok(())
}

/// Both.
pub(super) async fn both(visit: &Visit, bytes: u64) -> Outcome {
    up(visit, bytes).await?;
    down(visit, bytes).await
}
