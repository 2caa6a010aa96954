//! What replicas answer, byte by byte.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use http::Response;
use http_body_util::{BodyExt as _, Full};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::mpsc,
};

use crate::support::{Site, eventually, listen, server, to, to_end, until};

/// A replica that says this to whatever it is asked, and hangs up.
async fn saying(answer: &'static str) -> SocketAddr {
    listen(move |mut stream| async move {
        until(&mut stream, "\r\n\r\n").await;
        let _ = stream.write_all(answer.as_bytes()).await;
    })
    .await
}

#[tokio::test]
async fn the_end_of_an_answer_is_found_in_each_way() {
    for (answer, status, body) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "200 OK", "hello"),
        ("HTTP/1.1 200 OK\r\n\r\nhello", "200 OK", "hello"),
        ("HTTP/1.0 200 OK\r\n\r\nhello", "200 OK", "hello"),
        ("HTTP/1.1 204 No Content\r\n\r\n", "204 No Content", ""),
        ("HTTP/1.1 404 Not Here\r\nContent-Length: 0\r\n\r\n", "404 Not Here", ""),
        (
            "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            "200 OK",
            "ok",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=1\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
            "200 OK",
            "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
        ),
    ] {
        let site = Site::of(to(&[saying(answer).await])).await;
        let seen = site.get("a.test", "/", "").await;
        assert!(seen.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{answer:?}: {seen:?}");
        let (_, seen) = seen.split_once("\r\n\r\n").expect("a head");
        let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        assert!(seen == body || seen == chunked, "{answer:?}: {seen:?}");
    }
}

#[tokio::test]
async fn what_is_no_answer_is_a_502() {
    for answer in [
        "",
        "HTTP/1.1 200",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nbody",
        "HTTP/1.1 200 OK\r\nX: a\r\n folded\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        let site = Site::of(to(&[saying(answer).await])).await;
        let seen = site.get("a.test", "/", "").await;
        assert!(seen.starts_with("HTTP/1.1 502 "), "{answer:?}: {seen:?}");
    }
}

#[tokio::test]
async fn half_an_answer_is_not_taken_for_a_whole_one() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nx\r\n\r\n",
    ] {
        let site = Site::of(to(&[saying(answer).await])).await;
        let seen = site.get("a.test", "/", "").await;
        // Nothing at all, if the mishap is seen before the head has left.
        let told = seen.is_empty()
            || seen.contains("content-length: 10\r\n")
            || seen.contains("transfer-encoding: chunked\r\n");
        assert!(told && !seen.ends_with("0\r\n\r\n"), "{answer:?}: {seen:?}");
    }
}

#[tokio::test]
async fn an_answer_may_come_before_the_request_was_sent_whole() {
    let address = listen(|mut stream| async move {
        until(&mut stream, "\r\n\r\n").await;
        let answer = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno\n";
        let _ = stream.write_all(answer).await;
        // It goes on listening: what is left must not hold the answer up.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let site = Site::of(to(&[address])).await;
    let mut stream = site.connect().await;
    let head = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000000\r\n\r\nsome";
    stream.write_all(head.as_bytes()).await.expect("taken");
    let seen = until(&mut stream, "no\n").await;
    assert!(seen.starts_with("HTTP/1.1 413 "), "{seen}");
    drop(stream);
    eventually("nothing is under way", || {
        site.ingress.in_flight().values().all(|count| *count == 0)
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_was_closed_long_ago_is_not_used_for_what_cannot_be_sent_again() {
    let (closed, mut seen) = mpsc::unbounded_channel();
    let opened = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&opened);
    let address = listen(move |mut stream| {
        counted.fetch_add(1, Relaxed);
        let closed = closed.clone();
        async move {
            until(&mut stream, "\r\n\r\n").await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            drop(stream);
            let _ = closed.send(());
        }
    })
    .await;
    let site = Site::of(to(&[address])).await;
    let post = "POST / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    for n in 1..=20 {
        assert!(site.raw(post).await.ends_with("ok"), "{n}");
        seen.recv().await.expect("it was closed");
        assert_eq!(opened.load(Relaxed), n);
    }
}

#[tokio::test]
async fn what_comes_behind_an_answer_is_not_the_next_one() {
    let site = Site::of(to(&[saying(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
    )
    .await]))
    .await;
    let mut stream = site.connect().await;
    for _ in 0..3 {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await.expect("taken");
        until(&mut stream, "\r\n\r\nok").await;
    }
    stream.shutdown().await.expect("half closed");
    assert_eq!(to_end(&mut stream).await, "");
}

#[tokio::test]
async fn a_large_body_comes_through_both_ways_in_parts_of_any_size() {
    let address = server(|request| async move {
        let body = request.into_body().collect().await.expect("a whole body");
        Response::new(Full::new(body.to_bytes()).boxed())
    })
    .await;
    let site = Site::of(to(&[address])).await;
    let body: Vec<u8> = (0..750_000_u32).flat_map(u32::to_le_bytes).collect();
    for size in [1_000_000, 70_001, 4097] {
        for chunked in [false, true] {
            let framing = match chunked {
                true => "Transfer-Encoding: chunked".to_owned(),
                false => format!("Content-Length: {}", body.len()),
            };
            let mut sent = format!(
                "POST / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n{framing}\r\n\r\n"
            )
            .into_bytes();
            for part in body.chunks(size) {
                if chunked {
                    sent.extend(format!("{:x}\r\n", part.len()).into_bytes());
                }
                sent.extend_from_slice(part);
                if chunked {
                    sent.extend_from_slice(b"\r\n");
                }
            }
            if chunked {
                sent.extend_from_slice(b"0\r\n\r\n");
            }
            let mut stream = site.connect().await;
            stream.write_all(&sent).await.expect("taken");
            let mut seen = Vec::new();
            stream.read_to_end(&mut seen).await.expect("an end");
            let seen = &seen[seen.len().saturating_sub(body.len())..];
            assert!(seen == body, "{} of {} bytes, {framing}", seen.len(), body.len());
        }
    }
}
