use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::TokioIo;
use jaco_api::model::TlsMode;
use jaco_ingress::route::Route;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_stream::wrappers::ReceiverStream;

use crate::support::{
    Site, echo, eventually, listen, nobody, picture, route, server, text, to, to_end, until,
};

#[tokio::test]
async fn a_request_goes_through_and_says_who_asked() {
    let site = Site::of(to(&[echo("one").await])).await;
    let answer = site
        .get("A.test:8080", "/x%20y?b=1", "X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n")
        .await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    for line in [
        "GET /x%20y?b=1\n",
        "host: A.test:8080\n",
        "x-forwarded-for: 127.0.0.1\n",
        "x-forwarded-proto: http\n",
        "x-forwarded-host: A.test:8080\n",
        "forwarded: for=127.0.0.1;host=\"A.test:8080\";proto=http\n",
        "traceparent: 00-",
        "x-request-id: ",
    ] {
        assert!(answer.contains(line), "{line} in {answer}");
    }
    let (_, seen) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(!seen.contains("6.6.6.6") && !seen.contains("connection: "), "{answer}");
}

#[tokio::test]
async fn refusals_are_ours_and_short() {
    let mut empty = route("empty.test", "/", &[]);
    empty.upstreams.clear();
    let down = route("down.test", "/", &[nobody().await]);
    let narrow = route("narrow.test", "/api", &[echo("narrow").await]);
    let site = Site::of(picture([empty, down, narrow])).await;
    for (host, status) in [
        ("nobody.test", "404"),
        ("narrow.test", "404"),
        ("empty.test", "503"),
        ("down.test", "502"),
    ] {
        let answer = site.get(host, "/", "").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{host}: {answer}");
        assert!(answer.contains("server: jaco\r\n"), "{answer}");
        assert_eq!(answer.contains("retry-after: 1"), status == "503", "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!((5..60).contains(&body.len()), "{body}");
    }
    assert!(
        site.raw("CONNECT a.test:80 HTTP/1.1\r\nHost: a.test:80\r\nConnection: close\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 405")
    );
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_a_504() {
    let silent = listen(|mut stream| async move {
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    })
    .await;
    let site = Site::bounded(to(&[silent]), |limits| {
        limits.answer_time = Duration::from_millis(50);
    })
    .await;
    assert!(site.get("a.test", "/", "").await.starts_with("HTTP/1.1 504"));
}

#[tokio::test]
async fn bodies_stream_both_ways_at_once() {
    let address =
        server(|request| async move { Response::new(passing(request.into_body())) }).await;
    let site = Site::of(to(&[address])).await;
    let mut stream = site.connect().await;
    let head =
        b"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n";
    stream.write_all(head).await.expect("taken");
    until(&mut stream, "first").await;
    stream.write_all(b"6\r\nsecond\r\n").await.expect("taken");
    until(&mut stream, "second").await;
    stream.write_all(b"0\r\n\r\n").await.expect("taken");
    until(&mut stream, "0\r\n\r\n").await;
}

/// Gives back what comes, as it comes.
fn passing(mut body: hyper::body::Incoming) -> crate::support::Body {
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        while let Some(Ok(frame)) = body.frame().await {
            if sender.send(Ok(frame)).await.is_err() {
                break;
            }
        }
    });
    StreamBody::new(ReceiverStream::new(receiver)).boxed()
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let address = server(|request| async move {
        let body = request.into_body().collect().await.expect("a whole body");
        let mut trailers = HeaderMap::new();
        let sum = body.trailers().and_then(|t| t.get("x-sum")).cloned().expect("a trailer");
        trailers.insert("x-back", sum);
        let frames = [Frame::data(Bytes::from("data")), Frame::trailers(trailers)];
        let body = StreamBody::new(tokio_stream::iter(frames.map(Ok)));
        let mut response = Response::new(body.boxed());
        response.headers_mut().insert(header::TRAILER, "x-back".parse().expect("a value"));
        response
    })
    .await;
    let site = Site::of(to(&[address])).await;
    let answer = site
        .raw(
            "POST / HTTP/1.1\r\nHost: a.test\r\nTE: trailers\r\nConnection: close, TE\r\n\
             Trailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Sum: 42\r\n\r\n",
        )
        .await;
    assert!(answer.contains("trailer: x-back"), "{answer}");
    assert!(answer.ends_with("0\r\nx-back: 42\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn a_client_that_expects_to_continue_is_told_when_a_replica_asks_for_the_body() {
    let site = Site::of(to(&[echo("one").await])).await;
    let mut stream = site.connect().await;
    let head = "POST / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nContent-Length: 5\r\n\
                Expect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("taken");
    until(&mut stream, "HTTP/1.1 100 Continue\r\n\r\n").await;
    stream.write_all(b"hello").await.expect("taken");
    let answer = to_end(&mut stream).await;
    assert!(answer.contains("body 5 hello") && !answer.contains("expect:"), "{answer}");
}

#[tokio::test]
async fn head_keeps_the_length_and_has_no_body() {
    let address = server(|_| async { text("0123456789") }).await;
    let site = Site::of(to(&[address])).await;
    let answer = site.raw("HEAD / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n").await;
    assert!(answer.contains("content-length: 10\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn a_websocket_is_a_tunnel_both_ways_with_half_close() {
    let address = server(|mut request| async move {
        let upgraded = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut stream = TokioIo::new(upgraded.await.expect("upgraded"));
            let mut all = Vec::new();
            stream.write_all(b"welcome").await.expect("taken");
            stream.read_to_end(&mut all).await.expect("an end");
            stream.write_all(&all).await.expect("taken");
            stream.shutdown().await.expect("closed");
        });
        let mut response = text("");
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, "upgrade".parse().expect("a value"));
        headers.insert(header::UPGRADE, "websocket".parse().expect("a value"));
        headers.insert("sec-websocket-accept", "yes".parse().expect("a value"));
        response
    })
    .await;
    let site = Site::of(to(&[address])).await;
    let mut stream = site.connect().await;
    let head = "GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive, Upgrade\r\n\
                Upgrade: websocket\r\n\r\nearly ";
    stream.write_all(head.as_bytes()).await.expect("taken");
    let answer = until(&mut stream, "welcome").await;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    assert!(answer.contains("sec-websocket-accept: yes"), "{answer}");
    let in_flight = || site.ingress.in_flight().values().sum::<usize>();
    eventually("the tunnel is under way", || in_flight() == 1).await;
    stream.write_all(b"bird").await.expect("taken");
    stream.shutdown().await.expect("half closed");
    assert_eq!(to_end(&mut stream).await, "early bird");
    eventually("the tunnel is over", || in_flight() == 0).await;
    let stats = site.ingress.stats();
    assert_eq!(stats.values().next().expect("a route").answers, [1, 0, 0, 0, 0]);
}

#[tokio::test]
async fn a_switch_that_nobody_asked_for_is_a_broken_answer() {
    let address = listen(|mut stream| async move {
        until(&mut stream, "\r\n\r\n").await;
        let head = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
        let _ = stream.write_all(head).await;
        let _ = stream.read(&mut [0; 16]).await;
    })
    .await;
    let site = Site::of(to(&[address])).await;
    assert!(site.get("a.test", "/", "").await.starts_with("HTTP/1.1 502"));
    let lines = "Upgrade: websocket\r\nConnection: upgrade\r\n";
    assert!(site.get("a.test", "/", lines).await.starts_with("HTTP/1.1 502"));
}

#[tokio::test]
async fn plain_http_leads_to_https_once_there_is_a_certificate() {
    let secured = |has_certificate, address| Route {
        tls: TlsMode::Auto,
        has_certificate,
        ..route("a.test", "/", &[address])
    };
    let address = echo("one").await;
    let mut first = picture([secured(false, address)]);
    first.challenges.insert("token".into(), "token.key".into());
    let site = Site::of(first.clone()).await;
    assert!(site.get("a.test", "/", "").await.starts_with("HTTP/1.1 200"));
    first.routes = vec![secured(true, address)];
    site.ingress.set(first);
    let answer = site.get("a.test:80", "/x?y=1&z=/", "").await;
    assert!(answer.starts_with("HTTP/1.1 308"), "{answer}");
    assert!(answer.contains("location: https://a.test/x?y=1&z=/\r\n"), "{answer}");
    let answer = site.get("a.test", "/.well-known/acme-challenge/token", "").await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\ntoken.key"),
        "{answer}"
    );
    for unknown in ["/.well-known/acme-challenge/other", "/.well-known/acme-challenge/"] {
        let answer = site.get("a.test", unknown, "").await;
        assert!(answer.starts_with("HTTP/1.1 404") && !answer.contains("by one"), "{answer}");
    }
}

#[tokio::test]
async fn connections_to_a_replica_are_kept() {
    let opened = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&opened);
    let address = listen(move |mut stream| {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        async move {
            loop {
                let mut head = vec![0; 4096];
                match stream.read(&mut head).await {
                    Ok(0) | Err(_) => break,
                    Ok(_) => {}
                }
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                stream.write_all(answer).await.expect("taken");
            }
        }
    })
    .await;
    let site = Site::of(to(&[address])).await;
    for _ in 0..20 {
        assert!(site.get("a.test", "/", "").await.ends_with("ok"));
    }
    assert_eq!(opened.load(std::sync::atomic::Ordering::Relaxed), 1);
}
