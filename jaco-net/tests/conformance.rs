//! The fakes pass the suites that real implementations must pass.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use jaco_net::{
    Firewall, NoFirewall, Ruleset,
    testing::{FakeFirewall, FakeMesh, firewall_suite, mesh_suite},
};

#[tokio::test]
async fn the_fake_firewall_conforms() {
    firewall_suite(&FakeFirewall::default()).await;
}

#[tokio::test]
async fn the_fake_mesh_conforms() {
    let mesh = FakeMesh::default();
    mesh_suite(&mesh).await;
    assert_eq!(mesh.changes().len(), 3, "one peer set, one removed, one set");
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
