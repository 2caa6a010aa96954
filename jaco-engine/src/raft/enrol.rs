//! Asking to be admitted, over TLS that proves the cluster's CA before the secret is sent.

use std::{io, time::Duration};

use hyper_util::rt::TokioIo;
use jaco_api::{
    error::{ApiError, ErrorCode},
    pb::{self, join_client::JoinClient},
};
use rustls::CertificateError;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{Channel, Endpoint};

use crate::pki::{self, CaPin};

/// How long the connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the answer may take: the admission is committed by the cluster.
const ANSWER: Duration = Duration::from_secs(20);

/// Sends the request to a member that has proved to belong to the pinned CA.
pub(super) async fn enrol(
    address: &str,
    pin: &CaPin,
    request: pb::EnrolRequest,
) -> Result<pb::EnrolReply, ApiError> {
    let unreachable = |cause: &dyn std::fmt::Display| {
        ApiError::new(ErrorCode::PeerUnreachable, format!("{address} cannot be reached"))
            .with("cause", cause)
    };
    let tls = tokio::time::timeout(CONNECT, connect(address, pin))
        .await
        .map_err(|_| unreachable(&"no answer within 5 s"))?
        .map_err(|error| refusal(address, &error).unwrap_or_else(|| unreachable(&error)))?;
    let channel = over(tls).await.map_err(|error| unreachable(&error))?;
    let mut member = JoinClient::new(channel);
    let answer = member.enrol(request);
    let answer =
        tokio::time::timeout(ANSWER, answer).await.map_err(|_| unreachable(&"no answer"))?;
    Ok(answer.map_err(ApiError::from)?.into_inner())
}

async fn connect(address: &str, pin: &CaPin) -> io::Result<TlsStream<TcpStream>> {
    let config = pki::pinned_config(pin).map_err(io::Error::other)?;
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    let name = ServerName::from(tcp.peer_addr()?.ip());
    TlsConnector::from(config).connect(name, tcp).await
}

/// Whoever answers is not of the cluster that the token is for.
fn refusal(address: &str, error: &io::Error) -> Option<ApiError> {
    let cause = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    let certificate = match cause {
        rustls::Error::InvalidCertificate(certificate) => certificate,
        _ => return None,
    };
    let why = match certificate {
        CertificateError::NotValidForName => "its certificate names no JACO node",
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet: compare the clocks"
        }
        _ => "it does not belong to the CA of this join token",
    };
    let message = format!("{address} was not trusted, and was not told the token: {why}");
    Some(ApiError::new(ErrorCode::CaMismatch, message).with("cause", cause))
}

/// A channel over this one connection.
async fn over(tls: TlsStream<TcpStream>) -> Result<Channel, tonic::transport::Error> {
    let mut only = Some(tls);
    Endpoint::from_static("http://jaco.local")
        .connect_with_connector(tower::service_fn(move |_: http::Uri| {
            let tls = only.take().ok_or_else(|| io::Error::other("the connection is used up"));
            async move { tls.map(TokioIo::new) }
        }))
        .await
}
