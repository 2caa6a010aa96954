use std::{sync::Arc, time::Duration};

use jaco_api::model::{ClusterId, NodeId, NodeName, Timestamp};
use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

use super::*;

fn now() -> Timestamp {
    Timestamp::from_system_time(std::time::SystemTime::now())
}
fn cluster(n: u128) -> ClusterId {
    ClusterId(uuid::Uuid::from_u128(n))
}
fn name(s: &str) -> NodeName {
    NodeName::new(s).unwrap()
}
fn identity(id: u128, node: &str) -> PeerIdentity {
    PeerIdentity { cluster: cluster(id), node: name(node), member: NodeId(1) }
}
fn credentials(ca: &Authority, id: u128, node: &str) -> Credentials {
    Credentials::new(&ca.issue(&identity(id, node), &[], now()).unwrap()).unwrap()
}

/// One byte each way over TLS in memory; the error of whoever refuses first.
async fn talk(server: Arc<ServerConfig>, client: Arc<ClientConfig>) -> std::io::Result<()> {
    let (a, b) = duplex(65_536);
    let serve = tokio::spawn(async move {
        let mut tls = tokio_rustls::TlsAcceptor::from(server).accept(a).await?;
        let mut byte = [0];
        tls.read_exact(&mut byte).await?;
        tls.write_all(&byte).await
    });
    let connect = async move {
        let name = ServerName::try_from("10.9.8.7").unwrap();
        let mut tls = tokio_rustls::TlsConnector::from(client).connect(name, b).await?;
        tls.write_all(&[7]).await?;
        let mut byte = [0];
        tls.read_exact(&mut byte).await.map(drop)
    };
    let connected = connect.await;
    serve.await.unwrap().and(connected)
}

#[test]
fn certificates_name_the_node_and_live_ninety_days() {
    let ca = Authority::create(cluster(1), now()).unwrap();
    let shown = credentials(&ca, 1, "node-a");
    assert_eq!(shown.identity().to_string(), format!("jaco://{}/node/node-a", cluster(1)));
    let life = shown.validity().not_after.since(now());
    assert!(life > Duration::from_secs(89 * 86_400) && life <= NODE_CERTIFICATE_LIFE);
    assert!(!shown.renew_due(now().after(Duration::from_secs(59 * 86_400))));
    assert!(shown.renew_due(now().after(Duration::from_secs(61 * 86_400))));
    assert!(fingerprint(ca.ca_pem()).unwrap().starts_with("sha256:"));
}

#[test]
fn the_signer_ignores_the_names_a_request_asks_for() {
    let ca = Authority::create(cluster(1), now()).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut wish = rcgen::CertificateParams::new(vec!["admin".into()]).unwrap();
    wish.subject_alt_names.push(rcgen::SanType::URI(
        format!("jaco://{}/node/leader", cluster(1)).try_into().unwrap(),
    ));
    let csr = wish.serialize_request(&key).unwrap().pem().unwrap();
    let me = identity(1, "joiner");
    let pem = ca.sign_csr(&csr, &me, &[], now()).unwrap();
    let der = certificate("it", &pem).unwrap();
    assert_eq!(peer_identity(&der).unwrap(), me);
    assert!(!pem_text(&der).contains("admin"));
}

fn pem_text(der: &[u8]) -> String {
    String::from_utf8_lossy(der).into_owned()
}

#[test]
fn an_authority_survives_as_certificate_and_key() {
    let ca = Authority::create(cluster(1), now()).unwrap();
    let again = Authority::load(ca.ca_pem(), &ca.pkcs8()).unwrap();
    let shown = credentials(&again, 1, "node-b");
    assert_eq!(shown.identity().node, name("node-b"));
    assert!(!format!("{ca:?} {shown:?}").contains("PRIVATE"));
}

#[test]
fn a_nodes_files_come_back_and_the_key_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let files = NodeFiles::at(dir.path().join("node"));
    let ca = Authority::create(cluster(1), now()).unwrap();
    let identity = ca.issue(&identity(1, "a"), &[], now()).unwrap();
    assert!(files.load(&name("a")).unwrap().is_none());
    files.save(ca.ca_pem(), &name("a"), &identity).unwrap();
    let (ca_pem, loaded) = files.load(&name("a")).unwrap().unwrap();
    assert_eq!((ca_pem.as_str(), &loaded.key_pem), (ca.ca_pem(), &identity.key_pem));
    let mode = |f: &str| {
        std::fs::metadata(dir.path().join("node").join(f)).unwrap().permissions().mode() & 0o777
    };
    assert_eq!((mode("a.key"), mode("a.crt"), mode("ca.crt")), (0o600, 0o644, 0o644));
}

#[tokio::test]
async fn members_talk_and_strangers_do_not() {
    let ca = Authority::create(cluster(1), now()).unwrap();
    let (a, b) = (credentials(&ca, 1, "a"), credentials(&ca, 1, "b"));
    let raft = server_config(ca.ca_pem(), &a, ClientAuth::Required).unwrap();
    let to = |node: &str| identity(1, node);
    let good = client_config(ca.ca_pem(), &b, to("a")).unwrap();
    talk(raft.clone(), good).await.unwrap();

    // Another member answers at this address than the one that was meant.
    let wrong = client_config(ca.ca_pem(), &b, to("c")).unwrap();
    assert!(talk(raft.clone(), wrong).await.is_err());

    // Another cluster's CA, with the same cluster id and node name in the certificate.
    let other = Authority::create(cluster(1), now()).unwrap();
    let stranger = client_config(ca.ca_pem(), &credentials(&other, 1, "b"), to("a")).unwrap();
    assert!(talk(raft.clone(), stranger).await.is_err());
    let fooled = client_config(other.ca_pem(), &b, to("a")).unwrap();
    assert!(talk(raft, fooled).await.is_err());
}

#[tokio::test]
async fn only_the_api_port_takes_callers_without_a_certificate() {
    let ca = Authority::create(cluster(1), now()).unwrap();
    let a = credentials(&ca, 1, "a");
    let nameless = || nameless_config(ca.ca_pem(), "a");
    let api = server_config(ca.ca_pem(), &a, ClientAuth::Optional).unwrap();
    talk(api, nameless()).await.unwrap();
    let raft = server_config(ca.ca_pem(), &a, ClientAuth::Required).unwrap();
    assert!(talk(raft, nameless()).await.is_err());
}

#[tokio::test]
async fn a_replaced_certificate_is_shown_to_the_next_caller() {
    let ca = Authority::create(cluster(1), now()).unwrap();
    let (a, b) = (credentials(&ca, 1, "old"), credentials(&ca, 1, "b"));
    let server = server_config(ca.ca_pem(), &a, ClientAuth::Required).unwrap();
    a.replace(&ca.issue(&identity(1, "new"), &[], now()).unwrap()).unwrap();
    let to_new = identity(1, "new");
    talk(server, client_config(ca.ca_pem(), &b, to_new).unwrap()).await.unwrap();
}

#[test]
fn tokens_are_64_digits_and_known_by_their_hash() {
    let (text, digest) = new_token();
    assert_eq!(text.len(), 64);
    assert!(same_digest(&token_digest(&text), &digest));
    assert!(!same_digest(&new_token().1, &digest));
}

#[tokio::test]
async fn the_certificate_of_a_removed_node_is_not_that_of_its_successor() {
    let ca = Authority::create(cluster(1), now()).unwrap();
    let former = credentials(&ca, 1, "a");
    let server = server_config(ca.ca_pem(), &former, ClientAuth::Required).unwrap();
    let successor = PeerIdentity { member: NodeId(2), ..identity(1, "a") };
    let caller = credentials(&ca, 1, "b");
    let calls = client_config(ca.ca_pem(), &caller, successor).unwrap();
    assert!(talk(server, calls).await.is_err());
}

#[tokio::test]
async fn a_joiner_speaks_only_to_who_shows_the_ca_of_its_token() {
    let ca = Authority::create(cluster(1), now()).unwrap();
    let server = server_config(ca.ca_pem(), &chained(&ca), ClientAuth::Optional).unwrap();
    let pin = CaPin::of(ca.ca_pem()).unwrap();
    talk(server.clone(), pinned_config(&pin).unwrap()).await.unwrap();
    let other = Authority::create(cluster(1), now()).unwrap();
    let wrong = CaPin::of(other.ca_pem()).unwrap();
    assert!(talk(server, pinned_config(&wrong).unwrap()).await.is_err());
}

/// Credentials that show the CA's certificate too.
fn chained(ca: &Authority) -> Credentials {
    let shown = ca.issue(&identity(1, "a"), &[], now()).unwrap();
    let cert_pem = format!("{}\n{}", shown.cert_pem, ca.ca_pem());
    Credentials::new(&NodeIdentity { cert_pem, ..shown }).unwrap()
}

#[test]
fn a_join_token_is_a_secret_and_the_start_of_a_fingerprint() {
    let ca = Authority::create(cluster(1), now()).unwrap();
    let (secret, _) = new_token();
    let pin = CaPin::of(ca.ca_pem()).unwrap();
    let text = JoinSecret::compose(&secret, &pin);
    assert_eq!(text.len(), 64 + 1 + 32);
    let read: JoinSecret = text.parse().unwrap();
    assert_eq!((read.secret.as_str(), read.pin), (secret.as_str(), pin));
    for bad in ["", "ab.cd", &text[1..], &text[..96], &text.replace('.', ":")] {
        assert!(bad.parse::<JoinSecret>().is_err(), "{bad}");
    }
}
