//! What every firewall and every mesh device must do.

use std::{collections::BTreeSet, time::Duration};

use ipnet::IpNet;
use jaco_api::model::Protocol;

use crate::{
    Bridge, Firewall, IngressPort, MeshConfig, MeshDevice, MeshLink, MeshPeer, NetError,
    PrivateKey, PublicKey, Ruleset, Scope,
};

const BOUND: Duration = Duration::from_secs(10);

fn prefix(text: &str) -> IpNet {
    text.parse().expect("the suite writes its prefixes correctly")
}

fn ruleset(scopes: &[(&str, &[&str])]) -> Ruleset {
    let mut rules = Ruleset { pools: [prefix("10.244.0.0/14")].into(), ..Ruleset::default() };
    for (deployment, prefixes) in scopes {
        let scope = Scope {
            deployment: deployment.parse().expect("the suite writes its names correctly"),
            network: jaco_api::model::NetworkName::default_network(),
        };
        rules.scopes.insert(scope, prefixes.iter().map(|p| prefix(p)).collect::<BTreeSet<_>>());
    }
    rules
}

/// A ruleset with everything in it that there is, of both address families.
fn whole() -> Ruleset {
    let mut rules = ruleset(&[
        ("a", &["10.244.0.0/24", "10.244.1.0/24", "fd00:a::/64", "fd00:a:1::/64"]),
        ("b", &["10.244.2.0/26"]),
    ]);
    rules.pools.insert(prefix("fd00:a::/32"));
    let address = |text: &str| text.parse().expect("the suite writes its addresses correctly");
    let interface = |text: &str| text.parse().expect("the suite writes its names correctly");
    let scopes: Vec<Scope> = rules.scopes.keys().cloned().collect();
    let mut bridge = |name, scope: &Scope, blocks: &[(&str, &str)], internal| {
        let blocks = blocks.iter().map(|(block, gateway)| (prefix(block), address(gateway)));
        let (scope, blocks) = (scope.clone(), blocks.collect());
        let bridge = Bridge { scope, blocks, internal, host_access: !internal };
        rules.bridges.insert(interface(name), bridge);
    };
    let dual = [("10.244.0.0/24", "10.244.0.1"), ("fd00:a::/64", "fd00:a::1")];
    bridge("jaco-aaaaaaaaaa", &scopes[0], &dual, true);
    bridge("jaco-bbbbbbbbbb", &scopes[1], &[("10.244.2.0/26", "10.244.2.1")], false);
    rules.mesh = Some(MeshLink {
        interface: interface("jaco0"),
        own: [address("10.243.0.1"), address("fd00:b::1")].into(),
        members: [address("10.243.0.2"), address("fd00:b::2")].into(),
    });
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        rules.ingress.insert(IngressPort { protocol, port: 443 });
    }
    rules.virtual_pools = [prefix("10.248.0.0/16"), prefix("fd00:c::/64")].into();
    let hundred = (2..102).map(|n| address(&format!("10.244.1.{n}"))).collect();
    for (service, replicas) in [
        ("10.248.0.1", [address("10.244.0.2"), address("10.244.1.2")].into()),
        ("10.248.0.2", [].into()),
        ("10.248.0.3", hundred),
        ("fd00:c::1", [address("fd00:a::2")].into()),
    ] {
        rules.virtuals.insert(address(service), replicas);
    }
    rules.homes.insert([address("10.244.0.9"), address("10.244.2.9")].into());
    rules
}

/// Checks an enforcing firewall. Leaves a ruleset without scopes loaded.
///
/// # Panics
/// At the first rule that does not hold.
pub async fn firewall(firewall: &dyn Firewall) {
    assert!(firewall.enforces(), "the suite is for firewalls that enforce");
    let first = ruleset(&[("a", &["10.244.0.0/24", "10.244.1.0/24"]), ("b", &["10.244.2.0/24"])]);
    let mut wakes = firewall.watch();
    firewall.apply(&first).await.expect("a well-formed ruleset is loaded");
    assert_eq!(read(firewall).await, Some(first.clone()), "what is read equals what was applied");
    tokio::time::timeout(BOUND, wakes.changed())
        .await
        .expect("a load wakes the watchers")
        .expect("the watch lives as long as the firewall");

    firewall.apply(&first).await.expect("applying twice is applying once");
    assert_eq!(read(firewall).await, Some(first.clone()), "nothing was appended");

    let second = ruleset(&[("b", &["10.244.1.0/24"])]);
    firewall.apply(&second).await.expect("a ruleset is replaced");
    assert_eq!(read(firewall).await, Some(second.clone()), "nothing of the old ruleset is left");

    let whole = whole();
    firewall.apply(&whole).await.expect("a ruleset with everything in it is loaded");
    assert_eq!(read(firewall).await, Some(whole.clone()), "everything is read back");
    let mut less = whole.clone();
    less.virtuals.values_mut().for_each(|replicas| {
        replicas.pop_first();
    });
    less.homes.clear();
    firewall.apply(&less).await.expect("replicas go");
    assert_eq!(read(firewall).await, Some(less), "and nothing else");
    let mut torn = whole;
    torn.homes.clear();
    for bridge in torn.bridges.values_mut() {
        bridge.scope = torn.scopes.keys().next().expect("it has scopes").clone();
    }
    let refused = firewall.apply(&torn).await;
    assert!(matches!(refused, Err(NetError::Contradictory { .. })), "{refused:?}");

    firewall.apply(&second).await.expect("a ruleset is replaced by a smaller one");
    let overlapping = ruleset(&[("a", &["10.244.0.0/16"]), ("b", &["10.244.3.0/24"])]);
    let refused = firewall.apply(&overlapping).await;
    assert!(matches!(refused, Err(NetError::OverlappingScopes { .. })), "{refused:?}");
    let outside = ruleset(&[("a", &["198.51.100.0/24"])]);
    let refused = firewall.apply(&outside).await;
    assert!(matches!(refused, Err(NetError::OutsidePools { .. })), "{refused:?}");
    assert_eq!(read(firewall).await, Some(second), "a refused ruleset changes nothing");

    let empty = ruleset(&[]);
    firewall.apply(&empty).await.expect("an empty ruleset is loaded");
    assert_eq!(read(firewall).await, Some(empty), "an empty ruleset is not no ruleset");
}

async fn read(firewall: &dyn Firewall) -> Option<Ruleset> {
    let loaded = firewall.read().await.expect("the ruleset can be read back")?;
    assert_eq!(loaded.differences, [""; 0], "nothing is missing, changed or too much");
    Some(loaded.ruleset)
}

/// Somebody with root who breaks what a mesh device made, behind its back.
pub trait MeshTampering {
    /// Deletes the interface.
    fn delete_interface(&self);
    /// Takes all addresses off the interface, and with them whatever the kernel takes then.
    fn flush_addresses(&self);
}

/// Checks a mesh device that has no interface yet. Leaves none behind.
///
/// # Panics
/// At the first rule that does not hold.
pub async fn mesh(device: &dyn MeshDevice, tampering: &dyn MeshTampering) {
    let key = PrivateKey::new([0x42; 32]);
    let mut config = MeshConfig {
        addresses: [prefix("10.243.0.1/32")].into(),
        listen_port: 51820,
        mtu: 1420,
        peers: [(PublicKey([1; 32]), peer(Some("192.0.2.1:51820"), "10.244.0.0/24"))].into(),
    };
    assert_eq!(held(device).await, None, "nothing is made before it is asked for");
    device.apply(&key, &config).await.expect("a mesh is built");
    assert_eq!(held(device).await, Some(config.clone()), "as applied");
    assert_eq!(listed(device).await, [PublicKey([1; 32])], "every peer has a status");

    mesh_changes(device, &key, &mut config).await;
    mesh_repair(device, &key, &config, tampering).await;

    device.remove().await.expect("it is removed");
    assert_eq!(held(device).await, None, "nothing is left");
    assert_eq!(listed(device).await, [], "no interface has no peers");
    device.remove().await.expect("removing twice is removing once");
}

async fn mesh_changes(device: &dyn MeshDevice, key: &PrivateKey, config: &mut MeshConfig) {
    config.peers.insert(PublicKey([2; 32]), peer(None, "10.244.1.0/24"));
    config.peers.remove(&PublicKey([1; 32]));
    device.apply(key, config).await.expect("peers come and go");
    assert_eq!(held(device).await, Some(config.clone()), "replaced");

    let mut torn = config.clone();
    torn.peers.insert(PublicKey([3; 32]), peer(None, "10.244.1.128/25"));
    let refused = device.apply(key, &torn).await;
    assert!(matches!(refused, Err(NetError::OverlappingPeers { .. })), "{refused:?}");
    assert_eq!(held(device).await, Some(config.clone()), "unchanged");

    // A block moves from one peer to another, and an endpoint becomes known.
    config.peers.insert(PublicKey([3; 32]), peer(Some("192.0.2.3:51820"), "10.244.1.0/24"));
    config.peers.insert(PublicKey([2; 32]), peer(Some("192.0.2.2:51820"), "10.244.2.0/24"));
    device.apply(key, config).await.expect("a block moves");
    assert_eq!(held(device).await, Some(config.clone()), "it belongs to one peer");

    let mut unknown = config.clone();
    unknown.peers.insert(PublicKey([2; 32]), peer(None, "10.244.2.0/24"));
    device.apply(key, &unknown).await.expect("an endpoint may be unknown");
    assert_eq!(held(device).await, Some(config.clone()), "the endpoint in use is not reset");
    device.apply(key, config).await.expect("it is known again");

    config.listen_port = 51821;
    config.mtu = 1380;
    config.addresses = [prefix("10.243.0.2/32"), prefix("fd6a::2/128")].into();
    config.peers.insert(PublicKey([4; 32]), peer(Some("[2001:db8::4]:51820"), "fd6a:4::/64"));
    device.apply(key, config).await.expect("port, MTU and addresses change");
    assert_eq!(held(device).await, Some(config.clone()), "both families");

    device.apply(&PrivateKey::new([0x43; 32]), config).await.expect("the key is rotated");
    assert_eq!(held(device).await, Some(config.clone()), "nothing else changes with the key");
    device.apply(key, config).await.expect("and back");
}

async fn mesh_repair(
    device: &dyn MeshDevice,
    key: &PrivateKey,
    config: &MeshConfig,
    tampering: &dyn MeshTampering,
) {
    let mut wakes = device.watch();
    // From here on it is listened to: only now a change cannot be missed.
    settled(&mut wakes).await;
    tampering.flush_addresses();
    woken(&mut wakes, "the loss of the addresses wakes the watchers").await;
    let held_now = held(device).await.expect("the interface is still there");
    assert_eq!(held_now.addresses, BTreeSet::new(), "what is read is what there is");
    device.apply(key, config).await.expect("it is repaired");
    assert_eq!(held(device).await, Some(config.clone()), "with its addresses");

    settled(&mut wakes).await;
    tampering.delete_interface();
    woken(&mut wakes, "the loss of the interface wakes the watchers").await;
    assert_eq!(held(device).await, None, "what is gone is not read");
    device.apply(key, config).await.expect("it is made anew");
    assert_eq!(held(device).await, Some(config.clone()), "with all it had");
}

fn peer(endpoint: Option<&str>, allowed: &str) -> MeshPeer {
    MeshPeer {
        endpoint: endpoint.map(|e| e.parse().expect("the suite writes its addresses correctly")),
        allowed: [prefix(allowed)].into(),
        keepalive: Some(Duration::from_secs(25)),
    }
}

async fn held(device: &dyn MeshDevice) -> Option<MeshConfig> {
    device.read().await.expect("the interface can be read back")
}

async fn listed(device: &dyn MeshDevice) -> Vec<PublicKey> {
    device.peers().await.expect("the peers can be listed").into_keys().collect()
}

async fn woken(wakes: &mut tokio::sync::watch::Receiver<u64>, what: &str) {
    let woken = tokio::time::timeout(BOUND, wakes.changed()).await;
    woken.expect(what).expect("the watch lives as long as the device");
}

/// Waits until what we did ourselves is announced.
async fn settled(wakes: &mut tokio::sync::watch::Receiver<u64>) {
    let quiet = Duration::from_millis(200);
    while let Ok(woken) = tokio::time::timeout(quiet, wakes.changed()).await {
        woken.expect("the watch lives as long as the device");
    }
}
