//! A site: an ingress with upstreams behind it.

use std::{convert::Infallible, future::Future, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use jaco_api::model::{ReplicaId, Slot, TlsMode};
use jaco_ingress::{
    Ingress, Limits, Picture, Transport,
    route::{Route, RouteOptions, Upstream},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

pub(crate) type Body = BoxBody<Bytes, Infallible>;

/// The longest that anything here may take.
pub(crate) const BOUND: Duration = Duration::from_secs(10);

pub(crate) fn upstream(address: SocketAddr, slot: u32) -> Upstream {
    Upstream {
        address,
        replica: ReplicaId {
            deployment: "shop".parse().expect("a deployment name"),
            service: "web".parse().expect("a service name"),
            slot: Slot::Index(slot),
        },
        node: "one".parse().expect("a node name"),
        local: false,
        draining: false,
    }
}

pub(crate) fn route(domain: &str, path: &str, addresses: &[SocketAddr]) -> Route {
    let upstreams = (1..).zip(addresses).map(|(slot, address)| upstream(*address, slot));
    Route {
        domain: domain.to_owned(),
        path: path.to_owned(),
        tls: TlsMode::Off,
        has_certificate: false,
        deployment: "shop".parse().expect("a deployment name"),
        service: "web".parse().expect("a service name"),
        upstreams: upstreams.collect(),
        options: RouteOptions::default(),
    }
}

pub(crate) fn picture(routes: impl IntoIterator<Item = Route>) -> Picture {
    Picture { routes: routes.into_iter().collect(), ..Picture::default() }
}

/// One route `a.test/` to these addresses.
pub(crate) fn to(addresses: &[SocketAddr]) -> Picture {
    picture([route("a.test", "/", addresses)])
}

pub(crate) fn with(addresses: &[SocketAddr], options: RouteOptions) -> Picture {
    picture([Route { options, ..route("a.test", "/", addresses) }])
}

pub(crate) struct Site {
    pub(crate) ingress: Ingress,
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<()>,
}

impl Site {
    pub(crate) async fn of(picture: Picture) -> Self {
        Self::start(picture, Limits::default(), Transport::Plain).await
    }

    pub(crate) async fn bounded(picture: Picture, change: impl FnOnce(&mut Limits)) -> Self {
        let mut limits = Limits::default();
        change(&mut limits);
        Self::start(picture, limits, Transport::Plain).await
    }

    pub(crate) async fn start(picture: Picture, limits: Limits, transport: Transport) -> Self {
        let ingress = Ingress::new(limits);
        assert_eq!(ingress.set(picture), []);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let stop = CancellationToken::new();
        let (serving, stopping) = (ingress.clone(), stop.clone());
        let task = tokio::spawn(async move { serving.serve(listener, transport, stopping).await });
        Self { ingress, address, stop, task }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("the ingress listens")
    }

    /// Sends these bytes and reads until the ingress closes the connection.
    pub(crate) async fn raw(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_ref()).await.expect("taken");
        to_end(&mut stream).await
    }

    /// `GET` with these further header lines.
    pub(crate) async fn get(&self, host: &str, path: &str, lines: &str) -> String {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        self.raw(format!("{head}{lines}\r\n")).await
    }
}

pub(crate) async fn to_end(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    // A reset is an end too.
    let _ = tokio::time::timeout(BOUND, stream.read_to_end(&mut all)).await.expect("an end");
    String::from_utf8_lossy(&all).into_owned()
}

/// Reads until the text is there.
pub(crate) async fn until(stream: &mut TcpStream, text: &str) -> String {
    let mut all = String::new();
    let reading = async {
        let mut part = vec![0; 4096];
        while !all.contains(text) {
            let length = stream.read(&mut part).await.expect("readable");
            assert_ne!(length, 0, "closed after {all:?}");
            all.push_str(&String::from_utf8_lossy(&part[..length]));
        }
    };
    if tokio::time::timeout(BOUND, reading).await.is_err() {
        panic!("no {text:?} in {all:?}");
    }
    all
}

/// Waits until it holds.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    if tokio::time::timeout(BOUND, waiting).await.is_err() {
        panic!("never: {what}");
    }
}

pub(crate) fn text(text: impl Into<String>) -> Response<Body> {
    Response::new(Full::new(Bytes::from(text.into())).boxed())
}

/// A server whose answers say what it was asked, and its name.
pub(crate) async fn echo(name: &'static str) -> SocketAddr {
    server(move |request| async move {
        let (parts, body) = request.into_parts();
        let Ok(body) = body.collect().await else { return text("broken body") };
        let trailers = body.trailers().cloned();
        let mut out = format!("by {name}\n{} {}\n", parts.method, parts.uri);
        for (name, value) in parts.headers.iter().chain(trailers.iter().flatten()) {
            out += &format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes()));
        }
        let body = body.to_bytes();
        text(format!("{out}body {} {}\n", body.len(), String::from_utf8_lossy(&body)))
    })
    .await
}

/// A server of HTTP/1.1.
pub(crate) async fn server<F, R>(answer: F) -> SocketAddr
where
    F: Fn(Request<Incoming>) -> R + Send + Sync + 'static,
    R: Future<Output = Response<Body>> + Send + 'static,
{
    let answer = Arc::new(answer);
    listen(move |stream| {
        let answer = Arc::clone(&answer);
        async move {
            let service = service_fn(move |request| {
                let answered = answer(request);
                async move { Ok::<_, Infallible>(answered.await) }
            });
            let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            let _ = serving.with_upgrades().await;
        }
    })
    .await
}

/// A server of HTTP/2 alone.
pub(crate) async fn server_http2<F, R>(answer: F) -> SocketAddr
where
    F: Fn(Request<Incoming>) -> R + Send + Sync + 'static,
    R: Future<Output = Response<Body>> + Send + 'static,
{
    let answer = Arc::new(answer);
    listen(move |stream| {
        let answer = Arc::clone(&answer);
        async move {
            let service = service_fn(move |request| {
                let answered = answer(request);
                async move { Ok::<_, Infallible>(answered.await) }
            });
            let http2 = http2::Builder::new(TokioExecutor::new());
            let _ = http2.serve_connection(TokioIo::new(stream), service).await;
        }
    })
    .await
}

/// Does this with every connection.
pub(crate) async fn listen<F, R>(serve: F) -> SocketAddr
where
    F: Fn(TcpStream) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// An address on which nobody listens.
pub(crate) async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("bound")
}
