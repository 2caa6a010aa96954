//! Requests that two readers could read differently: each is refused, or there is nothing left to smuggle.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use crate::support::{Site, server, text, to};

/// A site, and how many requests its replica has seen.
async fn counted() -> (Site, Arc<AtomicUsize>) {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let address = server(move |request| {
        count.fetch_add(1, Relaxed);
        let lengths = request.headers().get_all("content-length").iter().count();
        let chunked = request.headers().contains_key("transfer-encoding");
        async move {
            let whole = http_body_util::BodyExt::collect(request.into_body()).await.is_ok();
            text(format!("lengths {lengths} chunked {chunked} whole {whole}"))
        }
    })
    .await;
    (Site::of(to(&[address])).await, seen)
}

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n";

#[tokio::test]
async fn what_cannot_be_framed_is_refused_and_nothing_behind_it_is_read() {
    let (site, seen) = counted().await;
    for bad in [
        // Lengths that differ, or are none.
        "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
        "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4, 5\r\n\r\nabcde",
        "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: +4\r\n\r\nabcd",
        "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0x4\r\n\r\nabcd",
        "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 99999999999999999999\r\n\r\n",
        // Codings that do not end with chunked.
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        // Folded lines, spaces where none may be, bare ends, control characters.
        "GET / HTTP/1.1\r\nHost: a.test\r\nX-A: b\r\n c\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: a.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.test\r\nContent-Length : 4\r\n\r\nabcd",
        "GET / HTTP/1.1\r\nHost: a.test\r\nX-A: b\rc\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.test\r\nX-A: b\0c\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: a.test\r\n\r\n",
        "GET /\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: a.test\r\n\r\n",
        // Hosts that differ, or are none.
        "GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.test/x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a@a.test\r\n\r\n",
    ] {
        let answer = site.raw(format!("{bad}{SMUGGLED}")).await;
        let refused = answer.starts_with("HTTP/1.1 400") || answer.is_empty();
        assert!(refused, "{bad:?} got {answer:?}");
        assert_eq!(answer.matches("HTTP/1.1").count(), answer.len().min(1), "{answer}");
        assert_eq!(seen.load(Relaxed), 0, "{bad:?} was seen");
    }
}

#[tokio::test]
async fn a_length_beside_chunks_is_taken_away_and_nothing_behind_it_is_read() {
    let (site, seen) = counted().await;
    for (n, lines) in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
    ]
    .into_iter()
    .enumerate()
    {
        let head = format!("POST / HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n\r\n0\r\n\r\n");
        let answer = site.raw(format!("{head}{SMUGGLED}")).await;
        assert!(answer.contains("lengths 0 chunked true whole true"), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
        assert_eq!(seen.load(Relaxed), n + 1);
    }
}

#[tokio::test]
async fn broken_chunks_end_the_request_and_the_connection() {
    let (site, _) = counted().await;
    for chunks in [
        "xyz\r\nabc\r\n0\r\n\r\n",
        "-1\r\n\r\n0\r\n\r\n",
        "0x1\r\na\r\n0\r\n\r\n",
        "1 \r\n\na\r\n0\r\n\r\n",
        "1\na\r\n0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "fffffffffffffffff\r\na\r\n0\r\n\r\n",
        "1;a\nb\r\nx\r\n0\r\n\r\n",
    ] {
        let head = "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n";
        let answer = site.raw(format!("{head}{chunks}{SMUGGLED}")).await;
        assert!(!answer.contains("whole true"), "{chunks:?} got {answer}");
        assert!(answer.matches("HTTP/1.1").count() <= 1, "{chunks:?} got {answer}");
    }
}

#[tokio::test]
async fn an_absolute_target_goes_before_the_host_header() {
    let site = Site::of(to(&[crate::support::echo("one").await])).await;
    let answer = site
        .raw("GET http://a.test/x HTTP/1.1\r\nHost: other.test\r\nConnection: close\r\n\r\n")
        .await;
    assert!(answer.contains("GET /x\n") && answer.contains("host: a.test\n"), "{answer}");
    assert!(!answer.contains("other.test"), "{answer}");
}
