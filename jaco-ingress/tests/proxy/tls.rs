use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use jaco_ingress::{Limits, Transport};
use rustls::{ClientConfig, RootCertStore, ServerConfig, crypto::aws_lc_rs::default_provider};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::{Site, echo, to};

async fn connect(site: &Site, roots: &RootCertStore, alpn: &[u8]) -> TlsStream<TcpStream> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots.clone())
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let name = "a.test".try_into().expect("a name");
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, site.connect().await).await.expect("a handshake")
}

#[tokio::test]
async fn both_versions_are_spoken_over_tls_and_a_challenge_is_only_shaken_hands_with() {
    let made = rcgen::generate_simple_self_signed(vec!["a.test".into()]).expect("a certificate");
    let key = rustls_pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a pair");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec(), b"acme-tls/1".to_vec()];
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("a root");
    let transport = Transport::Tls(Arc::new(config));
    let site = Site::start(to(&[echo("one").await]), Limits::default(), transport).await;

    let stream = TokioIo::new(connect(&site, &roots, b"h2").await);
    let (mut client, connection) =
        http2::handshake(TokioExecutor::new(), stream).await.expect("HTTP/2 is spoken");
    tokio::spawn(connection);
    let request = Request::get("https://a.test/").body(Empty::<Bytes>::new()).expect("a request");
    let response = client.send_request(request).await.expect("answered");
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("x-forwarded-proto: https\n"));

    let stream = TokioIo::new(connect(&site, &roots, b"http/1.1").await);
    let (mut client, connection) = http1::handshake(stream).await.expect("HTTP/1.1 is spoken");
    tokio::spawn(connection);
    let request = Request::get("/").header("host", "a.test").body(Empty::<Bytes>::new());
    let response = client.send_request(request.expect("a request")).await.expect("answered");
    assert_eq!(response.status(), 200);

    let mut stream = connect(&site, &roots, b"acme-tls/1").await;
    let mut byte = [0; 1];
    let read = tokio::io::AsyncReadExt::read(&mut stream, &mut byte).await;
    assert!(matches!(read, Ok(0) | Err(_)), "nothing is said after the handshake");
}
