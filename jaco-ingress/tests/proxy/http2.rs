use bytes::Bytes;
use http::{HeaderMap, Request, Response, Version, header};
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper::{body::Frame, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use jaco_ingress::route::{RouteOptions, UpstreamProtocol};

use crate::support::{Body, Site, echo, eventually, server_http2, text, to, with};

async fn client(site: &Site) -> http2::SendRequest<Body> {
    let io = TokioIo::new(site.connect().await);
    let (sender, connection) =
        http2::handshake(TokioExecutor::new(), io).await.expect("HTTP/2 is spoken");
    tokio::spawn(connection);
    sender
}

fn get(uri: &str) -> Request<Body> {
    Request::get(uri).body(Empty::new().boxed()).expect("a request")
}

async fn body(response: Response<hyper::body::Incoming>) -> String {
    let bytes = response.into_body().collect().await.expect("a whole body").to_bytes();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn http2_with_prior_knowledge_reaches_a_replica_of_http1() {
    let site = Site::of(to(&[echo("one").await])).await;
    let mut client = client(&site).await;
    let mut request = get("http://a.test/x?y");
    for pair in ["a=1", "b=2"] {
        request.headers_mut().append(header::COOKIE, pair.parse().expect("a value"));
    }
    let response = client.send_request(request).await.expect("answered");
    assert_eq!(response.version(), Version::HTTP_2);
    let seen = body(response).await;
    for line in ["GET /x?y\n", "host: a.test\n", "cookie: a=1; b=2\n"] {
        assert!(seen.contains(line), "{line} in {seen}");
    }
    let mut two = get("http://a.test/");
    two.headers_mut().insert(header::HOST, "b.test".parse().expect("a value"));
    let response = client.send_request(two).await.expect("answered");
    assert_eq!(response.status(), 400);
    assert_eq!(body(response).await, "two hosts\n");
}

#[tokio::test]
async fn a_grpc_call_has_its_trailers_and_its_version() {
    let address = server_http2(|request| async move {
        let version = request.version();
        let te = request.headers().get(header::TE).cloned();
        let authority = request.uri().authority().map(ToString::to_string);
        let whole = request.into_body().collect().await.expect("a whole body");
        assert_eq!(whole.trailers().expect("trailers")["x-sent"], "1");
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().expect("a value"));
        let said = format!("{version:?} {te:?} {authority:?} {}", whole.to_bytes().len());
        let frames = [Frame::data(Bytes::from(said)), Frame::trailers(trailers)];
        Response::new(StreamBody::new(tokio_stream::iter(frames.map(Ok))).boxed())
    })
    .await;
    let protocol = UpstreamProtocol::H2c;
    let site = Site::of(with(&[address], RouteOptions { protocol, ..Default::default() })).await;
    let mut client = client(&site).await;
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sent", "1".parse().expect("a value"));
    let frames = [Frame::data(Bytes::from("message")), Frame::trailers(trailers)];
    let sent = StreamBody::new(tokio_stream::iter(frames.map(Ok))).boxed();
    let request = Request::post("http://a.test/pkg.Service/Method")
        .header(header::TE, "trailers")
        .header(header::CONTENT_TYPE, "application/grpc")
        .body(sent)
        .expect("a request");
    let response = client.send_request(request).await.expect("answered");
    let whole = response.into_body().collect().await.expect("a whole body");
    assert_eq!(whole.trailers().expect("trailers")["grpc-status"], "0");
    assert_eq!(&whole.to_bytes()[..], br#"HTTP/2.0 Some("trailers") Some("a.test") 7"#);
}

#[tokio::test]
async fn a_stream_that_breaks_ends_its_request_alone() {
    let address = server_http2(|request| async move {
        if request.uri().path() == "/die" {
            // The task of this stream ends, and with it only this request.
            panic!("as asked");
        }
        text("alive")
    })
    .await;
    let protocol = UpstreamProtocol::H2c;
    let site = Site::of(with(&[address], RouteOptions { protocol, ..Default::default() })).await;
    let mut client = client(&site).await;
    for path in ["/", "/die", "/", "/"] {
        let response =
            client.send_request(get(&format!("http://a.test{path}"))).await.expect("answered");
        let expected = if path == "/die" { 502 } else { 200 };
        assert_eq!(response.status(), expected, "{path}");
    }
}

#[tokio::test]
async fn a_connection_to_a_replica_of_http2_is_shared_and_made_anew_when_it_is_gone() {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    let (hang_up, hung_up) = tokio::sync::watch::channel(0_usize);
    let opened = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&opened);
    let address = crate::support::listen(move |stream| {
        let this = counted.fetch_add(1, Relaxed) + 1;
        let mut hung_up = hung_up.clone();
        async move {
            let service = hyper::service::service_fn(|_| async {
                Ok::<_, std::convert::Infallible>(text("alive"))
            });
            let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                _ = serving => {}
                _ = hung_up.wait_for(|last| *last >= this) => {}
            }
        }
    })
    .await;
    let protocol = UpstreamProtocol::H2c;
    let site = Site::of(with(&[address], RouteOptions { protocol, ..Default::default() })).await;
    let mut client = client(&site).await;
    for round in 1..=5 {
        for _ in 0..3 {
            let response = client.send_request(get("http://a.test/")).await.expect("answered");
            assert_eq!(response.status(), 200, "round {round}");
        }
        assert_eq!(opened.load(Relaxed), round);
        hang_up.send(round).expect("the replica listens");
    }
}

#[tokio::test]
async fn streams_are_independent_and_end_before_the_connection_does() {
    let (sender, held) = tokio::sync::watch::channel(false);
    let address = crate::support::server(move |request| {
        let mut held = held.clone();
        async move {
            if request.uri().path() == "/slow" {
                held.wait_for(|free| *free).await.expect("freed");
            }
            text("done")
        }
    })
    .await;
    let site = Site::of(to(&[address])).await;
    let mut slow = client(&site).await;
    let mut fast = slow.clone();
    let waiting = tokio::spawn(async move {
        body(slow.send_request(get("http://a.test/slow")).await.expect("answered")).await
    });
    assert_eq!(
        body(fast.send_request(get("http://a.test/")).await.expect("answered")).await,
        "done"
    );
    eventually("one is under way", || site.ingress.in_flight().values().sum::<usize>() == 1).await;
    site.stop.cancel();
    sender.send(true).expect("somebody waits");
    assert_eq!(waiting.await.expect("not panicked"), "done");
    site.task.await.expect("the ingress stops");
}

#[tokio::test]
async fn a_flood_of_resets_ends_the_connection() {
    let (_held, holding) = tokio::sync::watch::channel(false);
    let address = crate::support::server(move |_| {
        let mut holding = holding.clone();
        async move {
            let _ = holding.wait_for(|free| *free).await;
            text("late")
        }
    })
    .await;
    let site = Site::of(to(&[address])).await;
    let mut client = client(&site).await;
    // A request that is dropped is reset. Rapid ones pile up before the server looks at them.
    let mut sent = 0;
    while !client.is_closed() && sent < 5000 {
        let requests: Vec<_> =
            (0..100).map(|_| client.send_request(post("http://a.test/"))).collect();
        tokio::task::yield_now().await;
        drop(requests);
        tokio::task::yield_now().await;
        sent += 100;
    }
    assert!(client.is_closed(), "{sent} requests and resets were borne");
    let mut other = self::client(&site).await;
    let missing = other.send_request(get("http://b.test/")).await.expect("answered");
    assert_eq!(missing.status(), 404, "others are served");
}

fn post(uri: &str) -> Request<Body> {
    Request::post(uri).body(Full::new(Bytes::from("x")).boxed()).expect("a request")
}
