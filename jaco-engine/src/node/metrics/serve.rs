//! The listener: `/metrics`, `/healthz` and `/readyz`, plain HTTP.
//!
//! In: requests of whoever reaches the address. Out: what the [`Observer`] says. It knows no other path and takes
//! nothing in.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Observer;
use crate::node::NodeError;

/// How long answers may take to end when the node stops.
const FAREWELL: Duration = Duration::from_secs(1);

/// What Prometheus is told the text is.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// An address that is listened on; nobody is answered yet.
pub(in crate::node) struct Listener {
    listener: TcpListener,
    /// With the port the system chose where it was asked to.
    pub(in crate::node) address: SocketAddr,
}

impl Listener {
    /// Listens.
    ///
    /// # Errors
    /// [`NodeError::Listen`] that names `metrics_addr`.
    pub(in crate::node) async fn bind(address: SocketAddr) -> Result<Self, NodeError> {
        let failed = |source| NodeError::Listen { key: "metrics_addr", address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }
}

/// Answers until then.
pub(in crate::node) async fn serve(
    listener: Listener,
    observer: Arc<Observer>,
    until: CancellationToken,
) {
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .with_state(observer);
    tracing::info!(address = %listener.address, "metrics and health are served");
    let serving = axum::serve(listener.listener, routes);
    let serving = serving.with_graceful_shutdown(until.clone().cancelled_owned());
    // Somebody who asks and reads nothing does not keep the node from stopping.
    let farewell = async {
        until.cancelled().await;
        tokio::time::sleep(FAREWELL).await;
    };
    tokio::select! {
        served = serving => if let Err(error) = served {
            tracing::error!(%error, "the metrics are not served any more");
        },
        () = farewell => tracing::debug!("connections that do not end are left behind"),
    }
}

async fn metrics(State(observer): State<Arc<Observer>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, OPEN_METRICS)], observer.text().await)
}

async fn ready(State(observer): State<Arc<Observer>>) -> (StatusCode, String) {
    match observer.check_ready() {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}
