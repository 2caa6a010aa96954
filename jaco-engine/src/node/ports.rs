//! The two TLS ports: reserved when the node starts, opened when it has a certificate.

use std::{io::ErrorKind, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpListener, TcpSocket},
    time::{Instant, sleep},
};

use super::{NodeConfig, NodeError};
use crate::retry::Backoff;

/// So long a port that is in use is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Connections that wait in the kernel.
const BACKLOG: u32 = 1_024;

/// A port that is ours but refuses connections yet.
#[derive(Debug)]
pub(crate) struct Reserved {
    key: &'static str,
    address: SocketAddr,
    socket: TcpSocket,
}

impl Reserved {
    /// The operator API's and raft's.
    pub(crate) async fn both(config: &NodeConfig) -> Result<(Self, Self), NodeError> {
        Self::at(config.listen_addr, config.cluster_addr).await
    }

    /// The same two, after they were closed: at the ports that the system chose then.
    pub(crate) async fn again(
        config: &NodeConfig,
        advertised: (SocketAddr, SocketAddr),
    ) -> Result<(Self, Self), NodeError> {
        let at = |configured: SocketAddr, told: SocketAddr| {
            SocketAddr::new(configured.ip(), told.port())
        };
        let api = at(config.listen_addr, advertised.0);
        Self::at(api, at(config.cluster_addr, advertised.1)).await
    }

    /// A program that is just being started has all that is open here for a moment, also when it is
    /// one of a former run that was killed: a port in use is waited for.
    async fn at(api: SocketAddr, raft: SocketAddr) -> Result<(Self, Self), NodeError> {
        let began = Instant::now();
        let mut pauses = Backoff::new(Duration::from_millis(20), Duration::from_millis(200));
        loop {
            let api = Self::new("listen_addr", api);
            match api.and_then(|api| Ok((api, Self::new("cluster_addr", raft)?))) {
                Err(NodeError::Listen { source, .. })
                    if source.kind() == ErrorKind::AddrInUse && began.elapsed() < PATIENCE => {}
                other => return other,
            }
            sleep(pauses.pause()).await;
        }
    }

    fn new(key: &'static str, address: SocketAddr) -> Result<Self, NodeError> {
        let failed = |source| NodeError::Listen { key, address, source };
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }
        .map_err(failed)?;
        // Connections of a former run that linger must not keep the port.
        socket.set_reuseaddr(true).map_err(failed)?;
        socket.bind(address).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { key, address, socket })
    }

    /// The address, with the port the system chose where it was asked to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts connections from now on.
    pub(crate) fn listen(self) -> Result<TcpListener, NodeError> {
        let Self { key, address, socket } = self;
        socket.listen(BACKLOG).map_err(|source| NodeError::Listen { key, address, source })
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn a_reserved_port_refuses_until_it_listens() {
        let config = NodeConfig::new("/nowhere");
        let (api, _raft) = Reserved::both(&config).await.unwrap();
        let address = api.address();
        assert!(TcpStream::connect(address).await.is_err());
        let _listener = api.listen().unwrap();
        TcpStream::connect(address).await.unwrap();
    }

    #[tokio::test]
    async fn a_port_in_use_names_its_key() {
        let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = NodeConfig::new("/nowhere");
        config.cluster_addr = other.local_addr().unwrap();
        let error = Reserved::both(&config).await.unwrap_err();
        assert!(matches!(error, NodeError::Listen { key: "cluster_addr", .. }), "{error}");
    }
}
