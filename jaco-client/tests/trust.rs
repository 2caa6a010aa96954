//! Who is believed: nodes of the pinned cluster and nobody else.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{net::SocketAddr, sync::Arc};

use jaco_client::{Client, Error, ErrorCode, Trust, testing::FakeCluster};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustls_pki_types::PrivateKeyDer;
use sha2::Digest as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn fingerprint(&self) -> String {
        format!("sha256:{}", hex::encode(sha2::Sha256::digest(self.0.der())))
    }

    fn server(&self, uri: &str) -> Arc<rustls::ServerConfig> {
        self.server_showing(uri, self)
    }

    /// A node of this CA that shows another CA's certificate in its chain.
    fn server_showing(&self, uri: &str, shown: &Self) -> Arc<rustls::ServerConfig> {
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        let leaf = params.signed_by(&key, &self.0).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![leaf.der().clone(), shown.0.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Arc::new(config)
    }
}

const NODE: &str = "jaco://0f0e0d0c-0b0a-4009-8807-060504030201/node/node-a";

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

async fn serve(fake: &FakeCluster, config: Arc<rustls::ServerConfig>) -> SocketAddr {
    let (listener, addr) = listen().await;
    fake.serve_tls(listener, config);
    addr
}

async fn dial(addr: SocketAddr, trust: Trust) -> Result<Client, Error> {
    let builder = Client::builder().server(addr.to_string()).token("ab".repeat(32));
    builder.trust(trust).connect().await
}

#[tokio::test]
async fn the_pinned_ca_is_believed_by_certificate_and_by_fingerprint() {
    let (fake, ca) = (FakeCluster::default(), Ca::new("cluster"));
    let addr = serve(&fake, ca.server(NODE)).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.crt");
    std::fs::write(&file, ca.0.pem()).unwrap();
    let ways = [
        Trust::CaPem(ca.0.pem()),
        Trust::CaFile(file),
        Trust::Fingerprint(ca.fingerprint()),
        Trust::Unverified,
    ];
    for trust in ways {
        dial(addr, trust).await.unwrap().cluster_status().await.unwrap();
    }
    let bearer = Some(format!("Bearer {}", "ab".repeat(32)));
    assert!(fake.read(|t| t.authorizations.iter().all(|a| *a == bearer)));
}

#[tokio::test]
async fn another_ca_is_refused_before_the_token_is_sent() {
    let (fake, ca, other) = (FakeCluster::default(), Ca::new("cluster"), Ca::new("cluster"));
    let addr = serve(&fake, ca.server(NODE)).await;
    for (trust, why) in [
        (Trust::CaPem(other.0.pem()), "its certificate was not issued by the pinned CA"),
        (Trust::Fingerprint(other.fingerprint()), "holds no CA with the pinned fingerprint"),
    ] {
        let error = dial(addr, trust).await.unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::CaMismatch), "{error:?}");
        assert!(error.to_string().ends_with(why), "{error}");
    }
    assert!(fake.calls().is_empty());
}

#[tokio::test]
async fn showing_the_pinned_ca_without_being_signed_by_it_is_no_proof() {
    let (fake, ca, other) = (FakeCluster::default(), Ca::new("cluster"), Ca::new("other"));
    let addr = serve(&fake, other.server_showing(NODE, &ca)).await;
    let error = dial(addr, Trust::Fingerprint(ca.fingerprint())).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::CaMismatch), "{error:?}");
}

#[tokio::test]
async fn a_certificate_of_the_ca_that_names_no_node_is_refused() {
    let (fake, ca) = (FakeCluster::default(), Ca::new("cluster"));
    let addr = serve(&fake, ca.server("https://example.com/")).await;
    let error = dial(addr, Trust::CaPem(ca.0.pem())).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::CaMismatch), "{error:?}");
}

#[tokio::test]
async fn a_plaintext_server_is_called_that() {
    for greeting in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], &[0, 0, 0, 4, 0, 0, 0, 0, 0], b""] {
        let (listener, addr) = listen().await;
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(greeting).await.unwrap();
            // The hello is read, so that closing is not a reset.
            let _ = stream.read(&mut [0; 8192]).await;
        });
        let error = dial(addr, Trust::Unverified).await.unwrap_err();
        assert!(matches!(error, Error::Plaintext { .. }), "{greeting:?}: {error:?}");
    }
}

#[tokio::test]
async fn the_next_server_is_tried_when_one_is_unreachable() {
    let (fake, ca) = (FakeCluster::default(), Ca::new("cluster"));
    let addr = serve(&fake, ca.server(NODE)).await;
    let (closed, nobody) = listen().await;
    drop(closed);
    let builder = |servers: Vec<String>| {
        let builder = Client::builder().servers(servers).token("ab".repeat(32));
        builder.trust(Trust::Fingerprint(ca.fingerprint()))
    };
    let client = builder(vec![nobody.to_string(), addr.to_string()]).connect().await.unwrap();
    client.cluster_status().await.unwrap();
    let error = builder(vec![nobody.to_string(); 2]).connect().await.unwrap_err();
    assert!(matches!(error, Error::NoServer { count: 2, .. }), "{error:?}");
}

#[tokio::test]
async fn a_remote_server_needs_a_token_and_something_to_trust() {
    let no_token = Client::builder().server("127.0.0.1:1").trust(Trust::Unverified).connect().await;
    assert!(matches!(no_token.unwrap_err(), Error::TokenMissing));
    let no_trust = Client::builder().server("127.0.0.1:1").token("ab".repeat(32)).connect().await;
    assert!(matches!(no_trust.unwrap_err(), Error::TrustMissing));
    let short = Client::builder().server("127.0.0.1:1").token("ab").connect().await;
    assert!(matches!(short.unwrap_err(), Error::TokenMalformed));
}
