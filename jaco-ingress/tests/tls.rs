//! What a client of a node is shown, by real handshakes; and which certificates are taken at all.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use jaco_api::model::Timestamp;
use jaco_ingress::{
    Certificate, Domain,
    tls::{ACME_TLS, CertificateProblem, Resolver, check_certificate, server_config},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, ServerConfig, ServerConnection,
    SupportedProtocolVersion, pki_types::ServerName,
};

const DAY: u64 = 24 * 3600 * 1000;
/// In the middle of the life of the certificates that are made here.
static NOW: LazyLock<Timestamp> = LazyLock::new(|| "2026-06-01T00:00:00Z".parse().unwrap());

fn domain(text: &str) -> Domain {
    text.parse().unwrap()
}

struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "a root");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn issue(&self, names: &[&str], days: std::ops::Range<u64>) -> Certificate {
        let names: Vec<String> = names.iter().map(|&n| n.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        let start = NOW.0 - 10 * DAY;
        let time = |day: u64| Timestamp(start + day * DAY).to_system_time().into();
        (params.not_before, params.not_after) = (time(days.start), time(days.end));
        params.distinguished_name.push(DnType::CommonName, "a leaf");
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.0).unwrap();
        Certificate { chain: leaf.pem() + &self.0.pem(), key: key.serialize_pem().into() }
    }
}

/// A client that believes everything, and notes the leaf that it was shown.
fn client(alpn: &[&[u8]], versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    #[derive(Debug)]
    struct Anything;
    impl rustls::client::danger::ServerCertVerifier for Anything {
        fn verify_server_cert(
            &self,
            _: &rustls::pki_types::CertificateDer<'_>,
            _: &[rustls::pki_types::CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: rustls::pki_types::UnixTime,
        ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
            Ok(rustls::client::danger::ServerCertVerified::assertion())
        }
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &rustls::pki_types::CertificateDer<'_>,
            _: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
        }
        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &rustls::pki_types::CertificateDer<'_>,
            _: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
        }
        fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
            provider().signature_verification_algorithms.supported_schemes()
        }
    }
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    config.dangerous().set_certificate_verifier(Arc::new(Anything));
    config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
    config
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

const BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

/// A handshake in memory: the client's end of it, or why there was none.
fn shake(
    server: &Arc<ServerConfig>,
    client: &Arc<ClientConfig>,
    name: &str,
) -> Result<ClientConnection, rustls::Error> {
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::clone(client), name).unwrap();
    let mut wire = Vec::new();
    for _ in 0..8 {
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        server.read_tls(&mut wire.as_slice()).unwrap();
        wire.clear();
        server.process_new_packets()?;
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        client.read_tls(&mut wire.as_slice()).unwrap();
        wire.clear();
        client.process_new_packets()?;
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok(client)
}

fn shown(connection: &ClientConnection) -> Vec<u8> {
    connection.peer_certificates().unwrap()[0].to_vec()
}

#[test]
fn a_name_has_its_own_certificate_before_its_wildcard_and_a_stranger_none() {
    let ca = Ca::new();
    let stored = [
        (domain("shop.example"), ca.issue(&["shop.example"], 0..90)),
        (domain("*.shop.example"), ca.issue(&["*.shop.example"], 0..90)),
        (domain("api.shop.example"), ca.issue(&["api.shop.example"], 0..90)),
    ];
    let resolver = Arc::new(Resolver::default());
    assert!(resolver.serve(stored.iter().map(|(d, c)| (d, c)), [], None).is_empty());
    let server = server_config(Arc::clone(&resolver) as Arc<_>).unwrap();
    for versions in [BOTH, &BOTH[1..]] {
        let client = Arc::new(client(&[b"h2", b"http/1.1"], versions));
        for (name, of) in [
            ("shop.example", "shop.example"),
            ("SHOP.example", "shop.example"),
            ("api.shop.example", "api.shop.example"),
            ("www.shop.example", "*.shop.example"),
        ] {
            let connection = shake(&server, &client, name).unwrap();
            assert_eq!(shown(&connection), resolver.table().leaf(&domain(of)).unwrap(), "{name}");
            assert_eq!(connection.alpn_protocol(), Some(&b"h2"[..]));
        }
        for name in ["other.example", "a.b.shop.example", "example"] {
            shake(&server, &client, name).expect_err(name);
        }
        shake(&server, &client, "192.0.2.1").expect_err("no name is sent for an address");
    }
    let fallback = domain("shop.example");
    assert!(resolver.serve(stored.iter().map(|(d, c)| (d, c)), [], Some(&fallback)).is_empty());
    let client = Arc::new(client(&[], BOTH));
    for name in ["other.example", "192.0.2.1"] {
        let connection = shake(&server, &client, name).unwrap();
        assert_eq!(shown(&connection), resolver.table().leaf(&fallback).unwrap(), "{name}");
    }
}

#[test]
fn what_is_served_is_what_is_stored_and_what_cannot_be_parsed_leaves_the_old() {
    let ca = Ca::new();
    let name = domain("shop.example");
    let (first, second) = (ca.issue(&["shop.example"], 0..90), ca.issue(&["shop.example"], 0..90));
    let resolver = Resolver::default();
    assert!(resolver.serve([(&name, &first)], [], None).is_empty());
    let leaf = resolver.table().leaf(&name).unwrap().to_vec();
    assert!(resolver.serve([(&name, &second)], [], None).is_empty());
    let renewed = resolver.table().leaf(&name).unwrap().to_vec();
    assert_ne!(renewed, leaf);

    let garbage = Certificate { chain: "garbage".to_owned(), key: second.key.clone() };
    let crossed = Certificate { chain: first.chain.clone(), key: second.key.clone() };
    for broken in [&garbage, &crossed] {
        let unserved = resolver.serve([(&name, broken)], [], None);
        assert_eq!(unserved.len(), 1);
        assert!(unserved[0].domain == name && unserved[0].old_is_served, "{unserved:?}");
        assert_eq!(resolver.table().leaf(&name).unwrap(), renewed, "the old one is served on");
    }
    let other = domain("other.example");
    let unserved = resolver.serve([(&other, &garbage)], [], None);
    assert!(!unserved[0].old_is_served, "{unserved:?}");
    assert_eq!(resolver.table().leaf(&name), None, "what is not stored is not served");
}

#[test]
fn a_ca_that_checks_is_shown_the_challenge_and_nobody_else_is() {
    let ca = Ca::new();
    let name = domain("shop.example");
    let certificate = ca.issue(&["shop.example"], 0..90);
    let resolver = Arc::new(Resolver::default());
    let digest = [7; 32];
    assert!(resolver.serve([(&name, &certificate)], [(&name, &digest)], None).is_empty());
    let server = server_config(Arc::clone(&resolver) as Arc<_>).unwrap();

    let checking = Arc::new(client(&[ACME_TLS], BOTH));
    let connection = shake(&server, &checking, "shop.example").unwrap();
    assert_eq!(connection.alpn_protocol(), Some(ACME_TLS));
    let leaf = shown(&connection);
    let identifier = [vec![4, 32], digest.to_vec()].concat();
    assert!(leaf.windows(34).any(|w| w == identifier), "it carries the digest");
    assert_eq!(shown(&shake(&server, &checking, "shop.example").unwrap()), leaf, "made once");

    let usual = Arc::new(client(&[b"h2", ACME_TLS], BOTH));
    let connection = shake(&server, &usual, "shop.example").unwrap();
    assert_eq!(connection.alpn_protocol(), Some(&b"h2"[..]));
    assert_eq!(shown(&connection), resolver.table().leaf(&name).unwrap());

    assert!(resolver.serve([(&name, &certificate)], [], None).is_empty());
    shake(&server, &checking, "shop.example").expect_err("without challenge nothing is shown");
}

#[test]
fn sessions_are_resumed_in_both_versions() {
    let ca = Ca::new();
    let name = domain("shop.example");
    let certificate = ca.issue(&["shop.example"], 0..90);
    let resolver = Arc::new(Resolver::default());
    assert!(resolver.serve([(&name, &certificate)], [], None).is_empty());
    let server = server_config(resolver as Arc<_>).unwrap();
    for version in BOTH {
        let client = Arc::new(client(&[b"http/1.1"], &[version]));
        let first = shake(&server, &client, "shop.example").unwrap();
        assert_ne!(first.handshake_kind(), Some(HandshakeKind::Resumed));
        let second = shake(&server, &client, "shop.example").unwrap();
        assert_eq!(second.handshake_kind(), Some(HandshakeKind::Resumed), "{version:?}");
    }
}

/// Readers never see a table that is half of one state and half of another.
#[test]
fn handshakes_go_on_while_certificates_are_swapped() {
    let ca = Ca::new();
    let name = domain("shop.example");
    let both = [ca.issue(&["shop.example"], 0..90), ca.issue(&["shop.example"], 0..90)];
    let resolver = Arc::new(Resolver::default());
    resolver.serve([(&name, &both[0])], [], None);
    let server = server_config(Arc::clone(&resolver) as Arc<_>).unwrap();
    let end = std::time::Instant::now() + Duration::from_millis(500);
    let swapping = std::thread::spawn(move || {
        for round in 0_usize.. {
            resolver.serve([(&name, &both[round % 2])], [], None);
            if std::time::Instant::now() > end {
                return round;
            }
        }
        0
    });
    let client = Arc::new(client(&[], BOTH));
    while !swapping.is_finished() {
        shake(&server, &client, "shop.example").unwrap();
    }
    assert!(swapping.join().unwrap() > 10);
}

fn problem(chain: &str, key: &str, name: &str, now: Timestamp) -> CertificateProblem {
    let problem = check_certificate(chain, key, &domain(name), now).unwrap_err();
    assert!(!problem.hint().is_empty());
    problem
}

#[test]
fn a_certificate_of_one_s_own_is_checked_and_each_fault_has_its_name() {
    let ca = Ca::new();
    let good = ca.issue(&["shop.example", "*.shop.example"], 0..90);
    let check = |name: &str| check_certificate(&good.chain, &good.key, &domain(name), *NOW);
    for name in ["shop.example", "www.shop.example", "*.shop.example"] {
        let checked = check(name).unwrap();
        assert_eq!(checked.names, ["shop.example", "*.shop.example"]);
        assert!(checked.issuer.contains("a root"), "{checked:?}");
        assert_eq!(checked.validity.not_before, Timestamp(NOW.0 - 10 * DAY));
    }
    for name in ["a.b.shop.example", "example", "*.example", "shop.example.org"] {
        assert!(matches!(check(name), Err(CertificateProblem::WrongName { .. })), "{name}");
    }

    let (chain, key) = (good.chain.as_str(), good.key.as_str());
    let other = ca.issue(&["shop.example"], 0..90);
    assert_eq!(problem(chain, &other.key, "shop.example", *NOW), CertificateProblem::WrongKey);
    let late = problem(chain, key, "shop.example", Timestamp(NOW.0 + 81 * DAY));
    assert!(matches!(late, CertificateProblem::Expired { .. }), "{late}");
    let early = problem(chain, key, "shop.example", Timestamp(NOW.0 - 11 * DAY));
    assert_eq!(early, CertificateProblem::NotYetValid { at: Timestamp(NOW.0 - 10 * DAY) });

    let cut = chain.find("-----END CERTIFICATE-----\n").unwrap() + 26;
    let (leaf, root) = chain.split_at(cut);
    let reversed = problem(&format!("{root}{leaf}"), key, "shop.example", *NOW);
    assert!(matches!(reversed, CertificateProblem::LeafIsCa { .. }), "{reversed}");
    let stranger = ca.issue(&["other.example"], 0..90).chain;
    let stranger = stranger.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap();
    let mixed = problem(&format!("{leaf}{stranger}{root}"), key, "shop.example", *NOW);
    assert!(matches!(&mixed, CertificateProblem::OutOfOrder { position: 1, .. }), "{mixed}");

    for text in ["", "hello", key] {
        assert_eq!(problem(text, key, "shop.example", *NOW), CertificateProblem::NoCertificate);
    }
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let unreadable = problem(garbage, key, "shop.example", *NOW);
    assert!(
        matches!(unreadable, CertificateProblem::Unreadable { position: 1, .. }),
        "{unreadable}"
    );
    let second = problem(&format!("{leaf}{garbage}"), key, "shop.example", *NOW);
    assert!(matches!(second, CertificateProblem::Unreadable { position: 2, .. }), "{second}");
    for text in ["", "hello", chain] {
        let bad = problem(chain, text, "shop.example", *NOW);
        assert!(matches!(bad, CertificateProblem::BadKey { .. }), "{bad}");
    }
}
