//! Connections that go on with another protocol: WebSocket and whatever else a replica agrees to.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use super::{
    answer::{Answer, Refusal, ResponseBody},
    connection::{Peer, Serving},
    headers,
    preface::Prefixed,
    relay::relay,
    upstream::{InFlight, Tunnel},
};

/// What a client asks for, and what its connection becomes.
pub(super) struct Upgrade {
    pub(super) wanted: HeaderValue,
    pub(super) client: OnUpgrade,
    /// The tunnel is still a connection of its visitor.
    pub(super) peer: Arc<Peer>,
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
    response: Response<Answer>,
    under_way: InFlight,
    upgrade: Upgrade,
) -> Result<Response<ResponseBody>, Refusal> {
    let agreed = response.headers().get(header::UPGRADE).cloned().ok_or(Refusal::Broken)?;
    if !upgrade.names(&agreed) {
        return Err(Refusal::Broken);
    }
    let (parts, answer) = response.into_parts();
    // Upgrades are asked for over HTTP/1.1 alone.
    let Answer::Http1(answer) = answer else { return Err(Refusal::Broken) };
    let (stream, read) = answer.into_parts().ok_or(Refusal::Broken)?;
    let upstream = Prefixed::after(read, stream);
    let idle = serving.shared.limits.tunnel_idle;
    let kill = serving.kill.clone();
    serving.tasks.spawn(async move {
        let Upgrade { client, peer, .. } = upgrade;
        let _held = (Tunnel::of(under_way), peer);
        let tunnel = async {
            let Ok(client) = client.await else { return };
            let moved = relay(TokioIo::new(client), upstream, idle).await;
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
