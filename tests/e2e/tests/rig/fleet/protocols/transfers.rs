//! Bodies of some size: every byte arrives, and none stays in the daemon.

use std::fs;

use http_body_util::{BodyExt as _, StreamBody};
use hyper::{Method, StatusCode, body::Frame};
use jaco_e2e::{Fleet, Outcome, Tally, pattern};

use super::client::Visit;

/// How much the memory of a daemon may grow, whatever passes through it: a few connections with their buffers.
const MOST_GROWTH_KIB: u64 = 32 * 1024;

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

/// A line of the daemon's status, in KiB.
fn status(pid: i32, key: &str) -> Outcome<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or_else(|| format!("no {key}"))?.parse()?)
}

/// Runs what moves bytes; meanwhile the daemon of node `n` must stay as small as it is.
pub(super) fn memory_stays(
    fleet: &mut Fleet,
    n: usize,
    moves: impl FnOnce() -> Outcome<String>,
) -> Outcome {
    let process = fleet.cluster_mut().node_mut(n).process();
    let pid = process.ok_or("the daemon does not run")?.pid();
    // From here on the kernel's high-water mark is that of what follows.
    fs::write(format!("/proc/{pid}/clear_refs"), "5")?;
    let before = status(pid, "VmRSS")?;
    let moved = moves()?;
    let most = status(pid, "VmHWM")?;
    let growth = most.saturating_sub(before);
    fleet.measured(&moved, format!("the daemon had {before} KiB and at most {growth} KiB more"));
    assert!(growth < MOST_GROWTH_KIB, "{growth} KiB more than {before}");
    Ok(())
}
