use std::{io::Read as _, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jaco_ingress::route::{Credential, HeaderEdits, RateLimit, Redirect, RouteOptions, Sticky};

use crate::support::{Site, echo, listen, picture, route, server, text, to_end, with};

async fn site(options: RouteOptions) -> Site {
    Site::of(with(&[echo("one").await], options)).await
}

#[tokio::test]
async fn a_prefix_is_stripped_and_told() {
    let options = RouteOptions { strip_path: true, ..Default::default() };
    let api = route("a.test", "/api", &[echo("one").await]);
    let site = Site::of(picture([jaco_ingress::route::Route { options, ..api }])).await;
    for (asked, seen) in
        [("/api/x?y=1", "GET /x?y=1\n"), ("/api", "GET /\n"), ("/%61pi//x", "GET /x\n")]
    {
        let answer = site.get("a.test", asked, "X-Forwarded-Prefix: /spoofed\r\n").await;
        assert!(answer.contains(seen), "{asked}: {answer}");
        assert!(answer.contains("x-forwarded-prefix: /api\n"), "{answer}");
        assert!(!answer.contains("spoofed"), "{answer}");
    }
}

#[tokio::test]
async fn a_redirect_asks_no_replica() {
    let to = |permanent, keep_path| RouteOptions {
        redirect: Some(Redirect { to: "https://b.test".into(), permanent, keep_path }),
        ..Default::default()
    };
    let answer = site(to(true, true)).await.get("a.test", "/x?y", "").await;
    assert!(answer.starts_with("HTTP/1.1 308"), "{answer}");
    assert!(answer.contains("location: https://b.test/x?y\r\n"), "{answer}");
    let answer = site(to(false, false)).await.get("a.test", "/x?y", "").await;
    assert!(answer.starts_with("HTTP/1.1 307"), "{answer}");
    assert!(answer.contains("location: https://b.test\r\n"), "{answer}");
}

#[tokio::test]
async fn headers_are_edited_on_both_ways() {
    let edits = |name: &'static str| HeaderEdits {
        set: vec![(name.parse().expect("a name"), "set".parse().expect("a value"))],
        remove: vec!["x-gone".parse().expect("a name"), "content-type".parse().expect("a name")],
    };
    let options = RouteOptions {
        request_headers: edits("x-asked"),
        response_headers: edits("x-answered"),
        ..Default::default()
    };
    let answer = site(options).await.get("a.test", "/", "X-Gone: 1\r\nX-Asked: spoofed\r\n").await;
    assert!(
        answer.contains("x-asked: set\n") && answer.contains("x-answered: set\r\n"),
        "{answer}"
    );
    assert!(!answer.contains("x-gone") && !answer.contains("spoofed"), "{answer}");
}

#[tokio::test]
async fn a_body_has_a_largest_size_told_or_not() {
    let site = site(RouteOptions { max_body: Some(5), ..Default::default() }).await;
    let head = "POST / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n";
    for (lines, status) in [
        ("Content-Length: 5\r\n\r\n12345", "200"),
        ("Content-Length: 6\r\n\r\n123456", "413"),
        ("Content-Length: 6\r\nExpect: 100-continue\r\n\r\n", "413"),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n", "200"),
        ("Transfer-Encoding: chunked\r\n\r\n3\r\n123\r\n3\r\n456\r\n0\r\n\r\n", "413"),
    ] {
        let answer = site.raw(format!("{head}{lines}")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{lines:?}: {answer}");
    }
}

#[tokio::test]
async fn a_route_has_a_time_of_its_own() {
    let silent = listen(|mut stream| async move {
        to_end(&mut stream).await;
    })
    .await;
    let timeout = Some(Duration::from_millis(50));
    let site = Site::of(with(&[silent], RouteOptions { timeout, ..Default::default() })).await;
    assert!(site.get("a.test", "/", "").await.starts_with("HTTP/1.1 504"));
}

#[tokio::test]
async fn who_may_not_come_is_told_so() {
    let allow = vec!["10.0.0.0/8".parse().expect("a block")];
    let answer =
        site(RouteOptions { allow, ..Default::default() }).await.get("a.test", "/", "").await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    let user = Credential { user: "ann".into(), password: "secret".to_owned().into() };
    let site = site(RouteOptions { basic_auth: Some(vec![user]), ..Default::default() }).await;
    let answer = site.get("a.test", "/", "").await;
    assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("www-authenticate: Basic"));
    let given = format!("Authorization: Basic {}\r\n", STANDARD.encode("ann:secret"));
    let answer = site.get("a.test", "/", &given).await;
    assert!(answer.starts_with("HTTP/1.1 200") && !answer.contains("authorization"), "{answer}");
}

#[tokio::test]
async fn a_rate_outlives_a_new_picture() {
    let rate_limit = Some(RateLimit { requests: 1, per: Duration::from_secs(1), burst: 2 });
    let picture = with(&[echo("one").await], RouteOptions { rate_limit, ..Default::default() });
    let site = Site::of(picture.clone()).await;
    let mut refused = 0;
    for _ in 0..4 {
        site.ingress.set(picture.clone());
        let answer = site.get("a.test", "/", "").await;
        if answer.starts_with("HTTP/1.1 429") {
            assert!(answer.contains("retry-after: 1"), "{answer}");
            refused += 1;
        }
    }
    assert!(refused >= 1, "all four were let through");
}

#[tokio::test]
async fn a_visitor_stays_with_one_replica() {
    let addresses = [echo("one").await, echo("two").await, echo("three").await];
    let picture =
        with(&addresses, RouteOptions { sticky: Some(Sticky::Cookie), ..Default::default() });
    let site = Site::of(picture.clone()).await;
    let by =
        |answer: &str| answer.lines().find(|l| l.starts_with("by ")).expect("answered").to_owned();
    let first = site.get("a.test", "/", "").await;
    let cookie = first.lines().find_map(|l| l.strip_prefix("set-cookie: ")).expect("a cookie");
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{cookie}");
    let (pair, _) = cookie.split_once(';').expect("a pair");
    // Another node calls the replica the same.
    let other = Site::of(picture.clone()).await;
    for site in [&site, &other] {
        for _ in 0..10 {
            let again = site.get("a.test", "/", &format!("Cookie: x=1; {pair}\r\n")).await;
            assert_eq!(by(&again), by(&first));
            assert!(!again.contains("set-cookie"), "{again}");
        }
    }
    let mut gone = picture;
    let index = ["by one", "by two", "by three"].iter().position(|n| *n == by(&first));
    gone.routes[0].upstreams[index.expect("one of them")].draining = true;
    site.ingress.set(gone);
    let moved = site.get("a.test", "/", &format!("Cookie: {pair}\r\n")).await;
    assert_ne!(by(&moved), by(&first));
    assert!(moved.contains("set-cookie: "), "{moved}");
}

#[tokio::test]
async fn an_address_stays_with_one_replica() {
    let addresses = [echo("one").await, echo("two").await, echo("three").await];
    let options = RouteOptions { sticky: Some(Sticky::Address), ..Default::default() };
    let picture = with(&addresses, options);
    let trusting = |limits: &mut jaco_ingress::Limits| {
        limits.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a block")];
    };
    let by =
        |answer: &str| answer.lines().find(|l| l.starts_with("by ")).expect("answered").to_owned();
    let asks = async |site: &Site, visitor: u8| {
        let header = format!("X-Forwarded-For: 192.0.2.{visitor}\r\n");
        let answer = site.get("a.test", "/", &header).await;
        assert!(!answer.contains("set-cookie"), "{answer}");
        by(&answer)
    };
    let (site, other) = (
        Site::bounded(picture.clone(), trusting).await,
        Site::bounded(picture.clone(), trusting).await,
    );
    let mut first = Vec::new();
    for visitor in 0..32 {
        first.push(asks(&site, visitor).await);
        for again in [&site, &other] {
            assert_eq!(asks(again, visitor).await, first[usize::from(visitor)], "{visitor}");
        }
    }
    for name in ["by one", "by two", "by three"] {
        assert!(first.iter().any(|by| by == name), "{name} serves nobody: {first:?}");
    }
    let mut gone = picture;
    gone.routes[0].upstreams[0].draining = true;
    site.ingress.set(gone);
    for (visitor, before) in (0..).zip(&first) {
        let now = asks(&site, visitor).await;
        assert_ne!(now, "by one");
        assert!(before == "by one" || now == *before, "visitor {visitor} moved without need");
    }
}

#[tokio::test]
async fn an_empty_list_of_passwords_lets_nobody_in() {
    let site = site(RouteOptions { basic_auth: Some(Vec::new()), ..Default::default() }).await;
    for pair in ["ann:", ":", "ann:secret"] {
        let given = format!("Authorization: Basic {}\r\n", STANDARD.encode(pair));
        assert!(site.get("a.test", "/", &given).await.starts_with("HTTP/1.1 401"), "{pair}");
    }
}

#[tokio::test]
async fn answers_are_compressed_for_those_who_take_it() {
    let long = "all work and no play ".repeat(200);
    let said = long.clone();
    let address = server(move |request| {
        let mut response = text(said.clone());
        let kind = request.uri().path().trim_start_matches('/').replace('-', "/");
        response.headers_mut().insert("content-type", kind.parse().expect("a value"));
        response.headers_mut().insert("etag", "\"1\"".parse().expect("a value"));
        async move { response }
    })
    .await;
    let site =
        Site::of(with(&[address], RouteOptions { compress: true, ..Default::default() })).await;
    let plain = site.get("a.test", "/text-plain", "").await;
    assert!(plain.ends_with(&long) && plain.contains("vary: accept-encoding"));
    let image = site.get("a.test", "/image-png", "Accept-Encoding: gzip\r\n").await;
    assert!(image.ends_with(&long) && !image.contains("content-encoding"));

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = site.connect().await;
    let head =
        "GET /text-plain HTTP/1.0\r\nHost: a.test\r\nAccept-Encoding: br, gzip;q=0.5\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("taken");
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.expect("an end");
    let at = all.windows(4).position(|w| w == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&all[..at]).into_owned();
    assert!(head.contains("content-encoding: gzip") && head.contains("etag: W/\"1\""), "{head}");
    assert!(!head.contains("content-length"), "{head}");
    let mut unpacked = String::new();
    flate2::read::GzDecoder::new(&all[at + 4..]).read_to_string(&mut unpacked).expect("gzip");
    assert_eq!(unpacked, long);
}
