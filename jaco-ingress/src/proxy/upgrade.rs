//! Connections that go on with another protocol: WebSocket and whatever else a replica agrees to.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use hyper::{body::Incoming, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;

use super::{
    answer::{Exchange, Refusal, ResponseBody},
    connection::Serving,
    headers,
    relay::relay,
    upstream::Tunnel,
    visitors::Visit,
};

/// What a client asks for, and what its connection becomes.
pub(super) struct Upgrade {
    pub(super) wanted: HeaderValue,
    pub(super) client: OnUpgrade,
    /// The tunnel is still a connection of its visitor.
    pub(super) visit: Arc<Visit>,
}

impl Upgrade {
    /// Whether the client has named this protocol.
    fn names(&self, agreed: &HeaderValue) -> bool {
        let wanted = self.wanted.to_str().unwrap_or("").split(',').map(str::trim);
        agreed.to_str().is_ok_and(|agreed| {
            wanted.into_iter().any(|one| one.eq_ignore_ascii_case(agreed.trim()))
        })
    }
}

/// Hands the replica's agreement on and joins the two connections. The replica must agree to what was asked.
pub(super) fn switch(
    serving: &Arc<Serving>,
    mut response: Response<Incoming>,
    exchange: impl FnOnce(Incoming) -> Exchange,
    upgrade: Upgrade,
) -> Result<Response<ResponseBody>, Refusal> {
    let agreed = response.headers().get(header::UPGRADE).cloned().ok_or(Refusal::Broken)?;
    if !upgrade.names(&agreed) {
        return Err(Refusal::Broken);
    }
    let upstream = hyper::upgrade::on(&mut response);
    let (parts, incoming) = response.into_parts();
    // The exchange is under way as long as the tunnel is. Its connection will never take another request.
    let (under_way, connection) = exchange(incoming).into_parts();
    let idle = serving.shared.limits.tunnel_idle;
    let kill = serving.kill.clone();
    serving.tasks.spawn(async move {
        let Upgrade { client, visit, .. } = upgrade;
        let _held = (Tunnel::of(under_way), connection, visit);
        let tunnel = async {
            let (Ok(client), Ok(upstream)) = tokio::join!(client, upstream) else { return };
            let moved = relay(TokioIo::new(client), TokioIo::new(upstream), idle).await;
            if let Err(error) = moved {
                tracing::trace!(%error, "a tunnel ended");
            }
        };
        tokio::select! {
            () = tunnel => {}
            () = kill.cancelled() => {}
        }
    });
    let mut response = Response::from_parts(parts, ResponseBody::own(Bytes::new()));
    headers::strip_hop_by_hop(response.headers_mut());
    let map = response.headers_mut();
    map.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    map.insert(header::UPGRADE, agreed);
    Ok(response)
}
