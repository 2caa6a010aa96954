//! The fakes pass the suites that real implementations must pass.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use jaco_net::{
    Firewall, MeshConfig, MeshDevice, MeshPeer, NoFirewall, PeerChange, PeerStatus, PrivateKey,
    PublicKey, Ruleset,
    testing::{FakeFirewall, FakeMesh, firewall_suite, mesh_suite},
};

#[tokio::test]
async fn the_fake_firewall_conforms() {
    firewall_suite(&FakeFirewall::default()).await;
}

#[tokio::test]
async fn the_fake_mesh_conforms() {
    let mesh = FakeMesh::default();
    mesh_suite(&mesh, &mesh).await;
}

#[tokio::test]
async fn the_fake_mesh_touches_no_peer_that_stays_and_keeps_where_one_was_heard_from() {
    let mesh = FakeMesh::default();
    let (stays, goes) = (PublicKey([1; 32]), PublicKey([2; 32]));
    let peer = |n| MeshPeer {
        endpoint: None,
        allowed: [format!("10.244.{n}.0/24").parse().unwrap()].into(),
        keepalive: None,
    };
    let mut config =
        MeshConfig { peers: [(stays, peer(1)), (goes, peer(2))].into(), ..MeshConfig::default() };
    let key = PrivateKey::generate();
    mesh.apply(&key, &config).await.unwrap();
    let endpoint = Some("192.0.2.1:51820".parse().unwrap());
    mesh.hear(stays, PeerStatus { endpoint, ..PeerStatus::default() });

    config.peers.remove(&goes);
    mesh.apply(&key, &config).await.unwrap();
    assert_eq!(mesh.changes()[2..], [PeerChange::Remove(goes)]);
    assert_eq!(mesh.peers().await.unwrap()[&stays].endpoint, endpoint);

    let next = PrivateKey::generate();
    mesh.apply(&next, &config).await.unwrap();
    assert_eq!((mesh.own(), mesh.changes().len()), (Some(next.public()), 3));
}

#[tokio::test]
async fn tampering_wakes_the_watchers_and_is_seen() {
    let firewall = FakeFirewall::default();
    firewall.apply(&Ruleset::default()).await.unwrap();
    let mut wakes = firewall.watch();
    firewall.tamper(|loaded| *loaded = None);
    wakes.changed().await.unwrap();
    assert_eq!(firewall.read().await.unwrap(), None);
}

#[tokio::test]
async fn no_firewall_says_that_it_enforces_nothing() {
    let firewall = NoFirewall::new();
    firewall.apply(&Ruleset::default()).await.unwrap();
    assert!(!firewall.enforces());
    assert_eq!(firewall.read().await.unwrap(), None);
}
