//! A visitor who chooses how to speak to a node.

use std::{convert::Infallible, fmt, net::Ipv4Addr, sync::Arc};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, combinators::UnsyncBoxBody};
use hyper::{
    Method, Request, Response,
    body::Incoming,
    client::conn::{http1, http2},
    http::request,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use jaco_e2e::Outcome;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

/// A body of whatever kind.
pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A connection, with or without TLS.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Version of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    Http2,
}

/// How a node is visited.
#[derive(Clone)]
pub(super) struct Visit {
    /// The node's address.
    pub(super) node: Ipv4Addr,
    /// What is asked for by name.
    pub(super) domain: &'static str,
    /// Over TLS with this certificate, or plain.
    pub(super) root: Option<Arc<str>>,
    pub(super) version: Version,
}

impl fmt::Display for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = if self.root.is_some() { "with TLS" } else { "plain" };
        write!(f, "{:?} {tls} at {}", self.version, self.node)
    }
}

impl Visit {
    /// A connection that speaks the version: chosen by ALPN, or known in advance.
    pub(super) async fn dial(&self) -> Outcome<Box<dyn Wire>> {
        let port = if self.root.is_some() { 443 } else { 80 };
        let stream = TcpStream::connect((self.node, port)).await?;
        stream.set_nodelay(true)?;
        let Some(root) = &self.root else { return Ok(Box::new(stream)) };
        let protocol: &[u8] = match self.version {
            Version::Http1 => b"http/1.1",
            Version::Http2 => b"h2",
        };
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(root.as_bytes())?)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        let name = ServerName::try_from(self.domain)?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol), "{self}");
        Ok(Box::new(stream))
    }

    /// A connection to send requests over.
    pub(super) async fn connect(&self) -> Outcome<Sender> {
        let io = TokioIo::new(self.dial().await?);
        Ok(match self.version {
            Version::Http1 => {
                let (sender, connection) = http1::handshake(io).await?;
                tokio::spawn(connection);
                Sender::Http1(sender)
            }
            Version::Http2 => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
                tokio::spawn(connection);
                Sender::Http2(sender)
            }
        })
    }

    /// A request for a path.
    pub(super) fn request(&self, method: Method, path: &str) -> request::Builder {
        let scheme = if self.root.is_some() { "https" } else { "http" };
        let builder = Request::builder().method(method);
        match self.version {
            Version::Http1 => builder.uri(path).header("host", self.domain),
            Version::Http2 => builder.uri(format!("{scheme}://{}{path}", self.domain)),
        }
    }

    /// Asks for a path on a connection of its own.
    pub(super) async fn get(&self, path: &str) -> Outcome<Response<Incoming>> {
        let request = self.request(Method::GET, path).body(empty())?;
        Ok(self.connect().await?.send(request).await?)
    }
}

/// No body.
pub(super) fn empty() -> Body {
    Empty::new().boxed_unsync()
}

/// What requests are sent over.
pub(super) enum Sender {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

impl Sender {
    pub(super) async fn send(
        &mut self,
        request: Request<Body>,
    ) -> hyper::Result<Response<Incoming>> {
        match self {
            Self::Http1(sender) => {
                // What was said before has to be over.
                sender.ready().await?;
                sender.send_request(request).await
            }
            Self::Http2(sender) => sender.send_request(request).await,
        }
    }
}
