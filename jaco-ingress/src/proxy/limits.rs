//! Bounds against slow, hostile and broken peers, and whom to believe.

use std::{net::IpAddr, time::Duration};

use ipnet::IpNet;

/// What an ingress bears, for all its listeners.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Proxies in front of this node: their forwarding headers and their PROXY protocol are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Most bytes in the head of a request.
    pub head_bytes: u32,
    /// Most headers of a request.
    pub headers: usize,
    /// Most time for a head to come, and for a connection to wait between requests.
    pub head_time: Duration,
    /// Most time for a TLS handshake.
    pub handshake_time: Duration,
    /// Most time between two parts of a body that is being sent to us.
    pub body_time: Duration,
    /// Most time for a client to take some of what is being sent to it.
    pub take_time: Duration,
    /// Most time without a byte in either direction of an upgraded connection.
    pub tunnel_idle: Duration,
    /// Most time for a connect to an upstream.
    pub connect_time: Duration,
    /// Most time until an upstream answers, unless the route says otherwise.
    pub answer_time: Duration,
    /// Most connections of one address (of one /64 with IPv6). A trusted proxy is one visitor and has no such bound.
    pub connections_per_ip: usize,
    /// Most connections and tunnels of one listener.
    pub connections: usize,
    /// Most requests at once on one HTTP/2 connection.
    pub streams: u32,
    /// Most streams that a client has reset and that were not looked at yet; one more ends the connection.
    pub reset_streams: usize,
    /// How long requests that are under way may take when the ingress stops.
    pub drain_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            trusted_proxies: Vec::new(),
            head_bytes: 32 * 1024,
            headers: 100,
            head_time: Duration::from_secs(30),
            handshake_time: Duration::from_secs(10),
            body_time: Duration::from_secs(60),
            take_time: Duration::from_secs(60),
            tunnel_idle: Duration::from_secs(3600),
            connect_time: Duration::from_secs(3),
            answer_time: Duration::from_secs(60),
            connections_per_ip: 1024,
            connections: 50_000,
            streams: 128,
            reset_streams: 20,
            drain_time: Duration::from_secs(30),
        }
    }
}

impl Limits {
    /// Whether the peer is a proxy that is believed.
    #[must_use]
    pub fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted_proxies.iter().any(|block| block.contains(&peer))
    }
}
