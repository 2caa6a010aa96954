use std::time::Duration;

use ipnet::IpNet;
use tokio::io::AsyncWriteExt as _;

use crate::support::{BOUND, Site, echo, eventually, listen, to, to_end, until};

fn local() -> Vec<IpNet> {
    vec!["127.0.0.0/8".parse().expect("a block")]
}

#[tokio::test]
async fn a_head_has_a_size_a_number_of_headers_and_a_time() {
    let site = Site::bounded(to(&[echo("one").await]), |limits| {
        limits.head_bytes = 8192;
        limits.headers = 20;
        limits.head_time = Duration::from_millis(200);
    })
    .await;
    let long = format!("X-Long: {}\r\n", "x".repeat(9000));
    assert!(site.get("a.test", "/", &long).await.starts_with("HTTP/1.1 431"));
    let many: String = (0..30).map(|n| format!("X-{n}: 1\r\n")).collect();
    assert!(site.get("a.test", "/", &many).await.starts_with("HTTP/1.1 431"));
    for slow in ["", "GET / HT", "PRI * HTTP/2.0\r\n", "GET / HTTP/1.1\r\nHost: a.test\r\n"] {
        let mut stream = site.connect().await;
        stream.write_all(slow.as_bytes()).await.expect("taken");
        assert_eq!(to_end(&mut stream).await, "", "{slow:?}");
    }
    // A connection that is idle between requests has the same time.
    let mut stream = site.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await.expect("taken");
    assert!(to_end(&mut stream).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_body_that_stops_coming_is_given_up() {
    let site = Site::bounded(to(&[echo("one").await]), |limits| {
        limits.body_time = Duration::from_millis(100);
    })
    .await;
    let head = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhalf";
    let answer = site.raw(head).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert_eq!(site.ingress.in_flight().values().sum::<usize>(), 0);
}

#[tokio::test]
async fn an_upload_may_take_longer_than_an_answer() {
    let site = Site::bounded(to(&[echo("one").await]), |limits| {
        limits.answer_time = Duration::from_millis(800);
    })
    .await;
    let mut stream = site.connect().await;
    let head = "POST / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nContent-Length: 6\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("taken");
    let mut beat = tokio::time::interval(Duration::from_millis(200));
    for _ in 0..6 {
        beat.tick().await;
        stream.write_all(b"x").await.expect("taken");
    }
    assert!(to_end(&mut stream).await.contains("body 6 xxxxxx"));
}

#[tokio::test]
async fn one_address_has_so_many_connections() {
    let site = Site::bounded(to(&[echo("one").await]), |limits| {
        limits.connections_per_ip = 2;
    })
    .await;
    let ask = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
    let (mut one, mut two) = (site.connect().await, site.connect().await);
    for stream in [&mut one, &mut two] {
        stream.write_all(ask).await.expect("taken");
        until(stream, "body 0").await;
    }
    assert_eq!(site.raw(ask).await, "");
    drop(one);
    let mut answered = false;
    for _ in 0..100 {
        answered = answered || site.get("a.test", "/", "").await.starts_with("HTTP/1.1 200");
    }
    assert!(answered, "a connection that ended makes room");
}

#[tokio::test]
async fn a_tunnel_is_a_connection_of_its_visitor() {
    let address = listen(|mut stream| async move {
        until(&mut stream, "\r\n\r\n").await;
        let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
        stream.write_all(head.as_bytes()).await.expect("taken");
        to_end(&mut stream).await;
    })
    .await;
    let site = Site::bounded(to(&[address]), |limits| limits.connections_per_ip = 1).await;
    let mut stream = site.connect().await;
    let head = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: y, X\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("taken");
    assert!(until(&mut stream, "\r\n\r\n").await.starts_with("HTTP/1.1 101"));
    for _ in 0..20 {
        assert_eq!(site.get("a.test", "/", "").await, "");
    }
    assert_eq!(site.ingress.in_flight().values().sum::<usize>(), 1);
}

#[tokio::test]
async fn a_visitor_that_does_not_read_is_given_up() {
    let address = listen(|mut stream| async move {
        until(&mut stream, "\r\n\r\n").await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n").await;
        let part = vec![b'x'; 1 << 20];
        while stream.write_all(&part).await.is_ok() {}
    })
    .await;
    let site = Site::bounded(to(&[address]), |limits| {
        limits.take_time = Duration::from_millis(100);
    })
    .await;
    let mut stream = site.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await.expect("taken");
    let in_flight = || site.ingress.in_flight().values().sum::<usize>();
    eventually("it is under way", || in_flight() == 1).await;
    eventually("it is given up", || in_flight() == 0).await;
    drop(stream);
}

#[tokio::test]
async fn a_visitor_that_goes_away_frees_the_replica() {
    let (sender, mut gone) = tokio::sync::mpsc::channel(1);
    let address = listen(move |mut stream| {
        let sender = sender.clone();
        async move {
            until(&mut stream, "\r\n\r\n").await;
            // It never answers; the ingress must hang up.
            to_end(&mut stream).await;
            let _ = sender.send(()).await;
        }
    })
    .await;
    let site = Site::of(to(&[address])).await;
    let mut stream = site.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await.expect("taken");
    eventually("it is under way", || site.ingress.in_flight().values().sum::<usize>() == 1).await;
    drop(stream);
    tokio::time::timeout(BOUND, gone.recv()).await.expect("the replica is freed");
    eventually("it is counted", || {
        site.ingress.stats().values().next().expect("a route").answers == [0, 0, 0, 1, 0]
    })
    .await;
}

#[tokio::test]
async fn what_does_not_end_in_time_is_given_up_when_the_ingress_stops() {
    let silent = listen(|mut stream| async move {
        to_end(&mut stream).await;
    })
    .await;
    let site = Site::bounded(to(&[silent]), |limits| {
        limits.drain_time = Duration::from_millis(100);
    })
    .await;
    let idle = site.connect().await;
    let mut stream = site.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await.expect("taken");
    eventually("it is under way", || site.ingress.in_flight().values().sum::<usize>() == 1).await;
    site.stop.cancel();
    tokio::time::timeout(BOUND, site.task).await.expect("it stops").expect("no panic");
    assert_eq!(to_end(&mut stream).await, "");
    drop(idle);
}

#[tokio::test]
async fn a_trusted_proxy_is_believed() {
    let site = Site::bounded(to(&[echo("one").await]), |limits| {
        limits.trusted_proxies = local();
    })
    .await;
    let lines = "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nX-Request-Id: mine\r\n";
    let answer = site.get("a.test", "/", lines).await;
    for line in [
        "x-forwarded-for: 1.2.3.4, 127.0.0.1\n",
        "x-forwarded-proto: https\n",
        "x-request-id: mine\n",
    ] {
        assert!(answer.contains(line), "{line} in {answer}");
    }
}

#[tokio::test]
async fn a_proxy_header_is_taken_from_trusted_peers_alone() {
    let v1 = b"PROXY TCP4 203.0.113.7 10.0.0.1 4000 80\r\n".to_vec();
    let mut v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    v2.extend([203, 0, 113, 7, 10, 0, 0, 1, 0x0f, 0xa0, 0, 80]);
    let request =
        b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n";
    let address = echo("one").await;
    let trusting = Site::bounded(to(&[address]), |limits| limits.trusted_proxies = local()).await;
    let strict = Site::of(to(&[address])).await;
    for header in [v1, v2] {
        let all = [&header[..], request].concat();
        let answer = trusting.raw(&all).await;
        assert!(answer.contains("x-forwarded-for: 203.0.113.7\n"), "{answer}");
        assert!(!answer.contains("6.6.6.6"), "who is behind the proxy is not trusted: {answer}");
        let refused = strict.raw(&all).await;
        assert!(refused.starts_with("HTTP/1.1 400") || refused.is_empty(), "{refused}");
    }
    assert!(trusting.get("a.test", "/", "").await.starts_with("HTTP/1.1 200"), "none is needed");
    assert_eq!(trusting.raw(b"PROXY TCP4 nonsense\r\n\r\n").await, "");
}
