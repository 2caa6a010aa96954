//! The web server: HTTP/1.1 and HTTP/2 without TLS on one port, and gRPC.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::{any, get, post},
    serve::ListenerExt as _,
};
use tokio::net::TcpListener;
use tonic::service::Routes;

use crate::{bodies, sockets, state::Peer, talk};

/// Serves until the peer stops and every request has ended.
pub(crate) async fn serve(listener: TcpListener, peer: Arc<Peer>) -> io::Result<()> {
    let stopping = peer.stopping.clone().cancelled_owned();
    // What is streamed in small pieces comes when it was sent.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, routes(peer)).with_graceful_shutdown(stopping).await
}

fn routes(peer: Arc<Peer>) -> Router {
    let pages = Router::new()
        .route("/", get(name).post(length))
        .route("/healthy", get(healthy))
        .route("/sick", post(sick))
        .route("/well", post(well))
        .route("/slow", any(slow))
        .route("/page", get(page))
        .route("/refuse", any(refuse))
        // Any method: a WebSocket over HTTP/2 is a CONNECT.
        .route("/ws", any(sockets::upgrade))
        .route("/upload", any(bodies::upload))
        .route("/download", get(bodies::download))
        .route("/events", get(bodies::events))
        .route("/trailers", any(bodies::trailers))
        .with_state(peer.clone());
    Routes::new(talk::service(peer)).into_axum_router().merge(pages)
}

async fn name(State(peer): State<Arc<Peer>>) -> String {
    peer.host.clone()
}

async fn length(State(peer): State<Arc<Peer>>, body: Bytes) -> String {
    format!("{} {}", peer.host, body.len())
}

async fn healthy(State(peer): State<Arc<Peer>>) -> StatusCode {
    let sick = peer.sick.load(Ordering::Relaxed);
    if sick { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
}

async fn sick(State(peer): State<Arc<Peer>>) -> String {
    peer.sick.store(true, Ordering::Relaxed);
    peer.host.clone()
}

async fn well(State(peer): State<Arc<Peer>>) -> String {
    peer.sick.store(false, Ordering::Relaxed);
    peer.host.clone()
}

async fn slow(State(peer): State<Arc<Peer>>, uri: Uri) -> String {
    tokio::time::sleep(Duration::from_millis(number(&uri, "ms"))).await;
    peer.host.clone()
}

async fn page(headers: HeaderMap) -> Response {
    const TAG: &str = "\"first\"";
    let tag = [(header::ETAG, TAG)];
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known == TAG) {
        return (StatusCode::NOT_MODIFIED, tag).into_response();
    }
    (tag, "a page that does not change").into_response()
}

/// Nobody reads the body: the server asks for none and closes the connection.
async fn refuse() -> StatusCode {
    StatusCode::PAYLOAD_TOO_LARGE
}

/// A number of the query, 0 when it is not there.
pub(crate) fn number(uri: &Uri, key: &str) -> u64 {
    let mut pairs = uri.query().unwrap_or_default().split('&').filter_map(|p| p.split_once('='));
    pairs.find(|(name, _)| *name == key).and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
}
