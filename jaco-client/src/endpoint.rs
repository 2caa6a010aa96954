//! One place a cluster can be reached at, and how a connection to it is made.
//!
//! Dialling is done here rather than by tonic, so that every failure keeps its kind: no route, not
//! TLS, the wrong CA.

use std::{fmt, io, path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use hyper_util::rt::TokioIo;
use rustls::{CertificateError, InvalidMessage};
use rustls_pki_types::ServerName;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{Channel, Uri};

use crate::{Error, InvalidEndpoint};

/// How long a connection attempt to one server may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of one stream that may wait for its reader, and of all together: as many streams as a
/// connection carries may wait, and the next one still gets through.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 256 * STREAM_WINDOW;

/// `host:port` of an operator API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerAddr {
    text: String,
    name: ServerName<'static>,
}

impl FromStr for ServerAddr {
    type Err = InvalidEndpoint;
    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        let bad = || InvalidEndpoint { value: text.to_owned() };
        let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
        let port: u16 = port.parse().map_err(|_| bad())?;
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        if port == 0 || (bare == host && host.contains(':')) {
            return Err(bad());
        }
        let name = ServerName::try_from(bare.to_owned()).map_err(|_| bad())?;
        Ok(Self { text: text.to_owned(), name })
    }
}

/// Where to dial.
#[derive(Clone)]
pub(crate) enum Endpoint {
    /// The local daemon.
    Unix(PathBuf),
    /// A node's operator API.
    Tls(ServerAddr, Arc<rustls::ClientConfig>),
    /// An existing connection, usually inside the process.
    Ready(Channel),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => path.display().fmt(f),
            Self::Tls(addr, _) => f.write_str(&addr.text),
            Self::Ready(_) => f.write_str("this process"),
        }
    }
}

impl Endpoint {
    /// A channel over a connection that exists: the first one is made before this returns, later
    /// ones when it breaks.
    pub(crate) async fn dial(&self) -> Result<Channel, Error> {
        match self {
            Self::Ready(channel) => Ok(channel.clone()),
            Self::Unix(path) => {
                let path = path.clone();
                let first = unix(&path).await?;
                let mut first = Some(first);
                let connector = tower::service_fn(move |_: Uri| {
                    let (ready, path) = (first.take(), path.clone());
                    async move {
                        let stream = match ready {
                            Some(stream) => stream,
                            None => unix(&path).await?,
                        };
                        Ok::<_, Error>(TokioIo::new(stream))
                    }
                });
                self.channel(connector).await
            }
            Self::Tls(addr, config) => {
                let (addr, config) = (addr.clone(), Arc::clone(config));
                let first = tls(&addr, &config).await?;
                let mut first = Some(first);
                let connector = tower::service_fn(move |_: Uri| {
                    let (ready, addr, config) = (first.take(), addr.clone(), Arc::clone(&config));
                    async move {
                        let stream = match ready {
                            Some(stream) => stream,
                            None => tls(&addr, &config).await?,
                        };
                        Ok::<_, Error>(TokioIo::new(stream))
                    }
                });
                self.channel(connector).await
            }
        }
    }

    async fn channel<C, S>(&self, connector: C) -> Result<Channel, Error>
    where
        C: tower::Service<Uri, Response = TokioIo<S>, Error = Error> + Send + 'static,
        C::Future: Send,
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
    {
        // The scheme says nothing of the connection: the connector has secured it already.
        tonic::transport::Endpoint::from_static("http://jaco.local")
            .http2_keep_alive_interval(Duration::from_secs(10))
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .connect_with_connector(connector)
            .await
            .map_err(|source| Error::Connect {
                target: self.to_string(),
                source: io::Error::other(source),
            })
    }
}

async fn unix(path: &PathBuf) -> Result<UnixStream, Error> {
    UnixStream::connect(path)
        .await
        .map_err(|source| Error::Connect { target: path.display().to_string(), source })
}

async fn tls(
    addr: &ServerAddr,
    config: &Arc<rustls::ClientConfig>,
) -> Result<TlsStream<TcpStream>, Error> {
    let attempt = async {
        let connect = |source| Error::Connect { target: addr.text.clone(), source };
        let tcp = TcpStream::connect(&addr.text).await.map_err(connect)?;
        tcp.set_nodelay(true).map_err(connect)?;
        TlsConnector::from(Arc::clone(config))
            .connect(addr.name.clone(), tcp)
            .await
            .map_err(|e| handshake_error(&addr.text, e))
    };
    tokio::time::timeout(CONNECT_TIMEOUT, attempt).await.unwrap_or_else(|_| {
        Err(Error::Connect {
            target: addr.text.clone(),
            source: io::Error::new(io::ErrorKind::TimedOut, "no answer within 5 s"),
        })
    })
}

fn handshake_error(target: &str, error: io::Error) -> Error {
    let target = target.to_owned();
    match error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()).cloned() {
        Some(rustls::Error::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
        )) => Error::Plaintext { target },
        Some(
            source @ rustls::Error::InvalidCertificate(
                CertificateError::UnknownIssuer
                | CertificateError::BadSignature
                | CertificateError::Other(_),
            ),
        ) => Error::CaMismatch { target, source },
        Some(source) => Error::Tls { target, source },
        // A plaintext HTTP/2 server hangs up on the first bytes of a TLS handshake.
        None if error.kind() == io::ErrorKind::UnexpectedEof => Error::Plaintext { target },
        None => Error::Connect { target, source: error },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_host_and_port() {
        for good in ["10.0.0.1:7000", "node-1.example:7000", "[fd00::1]:7000", "localhost:1"] {
            assert!(good.parse::<ServerAddr>().is_ok(), "{good}");
        }
        for bad in ["10.0.0.1", "fd00::1:7000", "host:0", "host:70000", ":7000", "https://h:1"] {
            assert!(bad.parse::<ServerAddr>().is_err(), "{bad}");
        }
    }
}
