//! What both devices must do with real packets.

use std::{
    net::{IpAddr, UdpSocket},
    time::{Duration, Instant},
};

use jaco_net::{
    MeshKind, MeshPeer, NetError, PrivateKey, PublicKey, mesh::PeerStatus, testing::mesh_suite,
};

use crate::node::{BOUND, Node, until};

/// Runs each of these for both devices.
macro_rules! both {
    ($($name:ident),* $(,)?) => {
        mod kernel {
            $(#[test] fn $name() {
                if crate::can_be_had(jaco_net::MeshKind::Kernel) {
                    super::$name(jaco_net::MeshKind::Kernel);
                }
            })*
        }
        mod userspace {
            $(#[test] fn $name() {
                if crate::can_be_had(jaco_net::MeshKind::Userspace) {
                    super::$name(jaco_net::MeshKind::Userspace);
                }
            })*
        }
    };
}

both!(
    conforms,
    carries_datagrams_and_streams_with_their_source,
    drops_a_source_that_is_not_the_peers,
    keeps_sessions_of_peers_that_stay,
    learns_where_a_peer_is_and_keeps_it,
    rotates_its_key_without_losing_the_interface,
    is_connected_at_once_after_a_rotation_whoever_is_first,
    is_repaired_after_its_interface_was_deleted,
    is_repaired_after_its_interface_was_set_down,
    holds_a_thousand_peers_and_changes_one,
    leaves_routes_of_others_alone,
    refuses_an_interface_of_another_kind,
);

fn reaches(from: &Node, to: &Node) {
    let arrived = from.reaches(to, from.address(), BOUND);
    assert_eq!(arrived, Some(from.address()), "{:?} {:?}", from.read(), to.read());
}

fn conforms(kind: MeshKind) {
    let node = Node::new(kind, 1);
    let tampering = node.namespace.shell();
    node.run(async move |device| mesh_suite(&*device, &tampering).await);
}

fn carries_datagrams_and_streams_with_their_source(kind: MeshKind) {
    let (one, two) = Node::pair(kind);
    reaches(&one, &two);
    reaches(&two, &one);
    assert_eq!(one.sends(&two, 10 << 20), (10 << 20, one.address()));
    assert_eq!(two.sends(&one, 10 << 20), (10 << 20, two.address()));
    let status = one.status(two.public());
    assert!(status.connected(), "{status:?}");
    assert!(status.sent > 10 << 20 && status.received > 10 << 20, "{status:?}");
}

fn drops_a_source_that_is_not_the_peers(kind: MeshKind) {
    let (one, mut two) = Node::pair(kind);
    reaches(&one, &two);
    one.namespace.ip(&["addr", "add", "10.66.0.1/32", "dev", "lo"]);
    let strange: IpAddr = "10.66.0.1".parse().unwrap();
    assert_eq!(one.reaches(&two, strange, Duration::from_secs(1)), None);
    reaches(&one, &two);

    // The same packet, once it is allowed: nothing else was in its way.
    let peer = two.config.peers.get_mut(&one.public()).unwrap();
    peer.allowed.insert("10.66.0.0/24".parse().unwrap());
    two.apply().unwrap();
    assert_eq!(one.reaches(&two, strange, BOUND), Some(strange));
}

fn keeps_sessions_of_peers_that_stay(kind: MeshKind) {
    let (mut one, two) = Node::pair(kind);
    reaches(&one, &two);
    let before = one.status(two.public());
    let third = PrivateKey::generate().public();
    let mut peer = one.config.peers[&two.public()].clone();
    peer.allowed = ["10.244.7.0/24".parse().unwrap()].into();
    one.config.peers.insert(third, peer);
    one.apply().unwrap();
    one.config.peers.remove(&third);
    one.apply().unwrap();
    let after = one.status(two.public());
    assert!(after.sent >= before.sent && before.sent > 0, "{before:?} {after:?}");
    assert!(after.last_handshake >= before.last_handshake, "{before:?} {after:?}");
    reaches(&one, &two);
}

fn learns_where_a_peer_is_and_keeps_it(kind: MeshKind) {
    let (one, two) = Node::pair(kind);
    reaches(&one, &two);
    let learned = |address: &str| {
        let wanted = Some(format!("{address}:51820").parse().unwrap());
        until("the endpoint is learned", || match two.status(one.public()) {
            PeerStatus { endpoint, .. } if endpoint == wanted => Ok(()),
            status => Err(format!("{status:?}")),
        });
    };
    learned("10.99.0.1");
    let kept = |address: &str| {
        two.apply().unwrap();
        let endpoint = two.status(one.public()).endpoint.map(|endpoint| endpoint.to_string());
        assert_eq!(endpoint, Some(format!("{address}:51820")), "what was learned is not reset");
    };
    kept("10.99.0.1");
    reaches(&two, &one);

    // It moves, as from one network to another.
    one.namespace.ip(&["addr", "del", "10.99.0.1/24", "dev", "eth0"]);
    one.namespace.ip(&["addr", "add", "10.99.0.3/24", "dev", "eth0"]);
    reaches(&one, &two);
    learned("10.99.0.3");
    kept("10.99.0.3");
    reaches(&two, &one);
}

fn rotates_its_key_without_losing_the_interface(kind: MeshKind) {
    let (mut one, mut two) = Node::pair(kind);
    reaches(&one, &two);
    let (index, before) = (one.index(), one.public());
    one.key = PrivateKey::generate();
    one.apply().unwrap();
    assert_eq!(one.index(), index, "the same interface");
    assert_eq!(one.read(), Some(one.config.clone()));

    two.config.peers.remove(&before);
    two.know(&one, None);
    two.apply().unwrap();
    reaches(&one, &two);
    reaches(&two, &one);
    assert_eq!(one.index(), index);
}

/// Each side greets when it has changed: the later one finds the other one ready. Whoever is not is asked again by
/// WireGuard after five seconds only.
fn is_connected_at_once_after_a_rotation_whoever_is_first(kind: MeshKind) {
    let (mut one, mut two) = Node::pair(kind);
    two.know(&one, Some("10.99.0.1:51820"));
    two.apply().unwrap();
    reaches(&one, &two);
    for one_is_first in [true, false] {
        let before = one.public();
        one.key = PrivateKey::generate();
        two.config.peers.remove(&before);
        two.know(&one, Some("10.99.0.1:51820"));
        let turn = |node: &Node, other: &Node| {
            node.apply().unwrap();
            let socket = node.namespace.inside(|| UdpSocket::bind((node.address(), 0)).unwrap());
            socket.send_to(&[], (other.address(), 9)).unwrap();
        };
        match one_is_first {
            true => turn(&one, &two),
            false => turn(&two, &one),
        }
        let began = Instant::now();
        match one_is_first {
            true => turn(&two, &one),
            false => turn(&one, &two),
        }
        until("a tunnel with the new key", || match two.status(one.public()) {
            status if status.connected() => Ok(()),
            status => Err(format!("{status:?}")),
        });
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        reaches(&one, &two);
        reaches(&two, &one);
    }
}

fn is_repaired_after_its_interface_was_deleted(kind: MeshKind) {
    let (one, two) = Node::pair(kind);
    reaches(&one, &two);
    one.namespace.ip(&["link", "del", "jaco0"]);
    one.apply().unwrap();
    reaches(&one, &two);
    reaches(&two, &one);
}

fn is_repaired_after_its_interface_was_set_down(kind: MeshKind) {
    let (one, two) = Node::pair(kind);
    reaches(&one, &two);
    one.namespace.ip(&["link", "set", "jaco0", "down"]);
    one.apply().unwrap();
    reaches(&one, &two);
    reaches(&two, &one);
}

fn holds_a_thousand_peers_and_changes_one(kind: MeshKind) {
    let (mut one, two) = Node::pair(kind);
    let neighbour = one.config.peers[&two.public()].clone();
    for n in 0..1000u16 {
        let [high, low] = n.to_be_bytes();
        let mut key = [7; 32];
        (key[0], key[1]) = (high, low);
        let block = |range: u8| format!("10.{}.{low}.0/24", range + high).parse().unwrap();
        let allowed = [block(100), block(110)].into();
        let peer = MeshPeer { endpoint: None, allowed, ..neighbour.clone() };
        one.config.peers.insert(PublicKey(key), peer);
    }
    one.apply().unwrap();
    reaches(&one, &two);
    assert!(one.read() == Some(one.config.clone()), "all of them are held");
    let before = one.status(two.public());

    let last = one.config.peers.keys().copied().find(|key| *key != two.public()).unwrap();
    one.config.peers.get_mut(&last).unwrap().allowed = ["10.120.0.0/16".parse().unwrap()].into();
    one.apply().unwrap();
    assert!(one.read() == Some(one.config.clone()), "one is another");
    let after = one.status(two.public());
    assert!(after.sent >= before.sent && before.sent > 0, "{before:?} {after:?}");
}

fn leaves_routes_of_others_alone(kind: MeshKind) {
    let (mut one, two) = Node::pair(kind);
    one.namespace.ip(&["route", "add", "10.77.0.0/24", "dev", "jaco0"]);
    one.namespace.ip(&["route", "add", "10.244.9.0/24", "via", "10.99.0.2"]);
    let peer = one.config.peers.get_mut(&two.public()).unwrap();
    peer.allowed.insert("10.244.8.0/24".parse().unwrap());
    peer.allowed.insert("10.244.9.0/24".parse().unwrap());
    let taken = one.apply();
    assert!(
        matches!(taken, Err(NetError::RouteTaken { prefix }) if prefix.to_string() == "10.244.9.0/24"),
        "{taken:?}"
    );
    let routes = one.namespace.ip(&["route", "show"]);
    assert!(routes.contains("10.244.9.0/24 via 10.99.0.2"), "{routes}");
    assert!(routes.contains("10.77.0.0/24 dev jaco0"), "{routes}");
    assert!(routes.contains("10.244.8.0/24 dev jaco0"), "one refusal is not all: {routes}");

    one.config.peers.get_mut(&two.public()).unwrap().allowed = two.config.addresses.clone();
    one.apply().unwrap();
    let routes = one.namespace.ip(&["route", "show"]);
    assert!(!routes.contains("10.244.8.0/24"), "{routes}");
    assert!(routes.contains("10.77.0.0/24 dev jaco0"), "{routes}");
    assert!(routes.contains("10.244.9.0/24 via 10.99.0.2"), "{routes}");
}

fn refuses_an_interface_of_another_kind(kind: MeshKind) {
    let node = Node::new(kind, 1);
    node.namespace.ip(&["link", "add", "jaco0", "type", "bridge"]);
    let index = node.index();
    let refused = node.apply();
    assert!(matches!(refused, Err(NetError::ForeignInterface { .. })), "{refused:?}");
    let refused = node.run(async |device| device.remove().await);
    assert!(matches!(refused, Err(NetError::ForeignInterface { .. })), "{refused:?}");
    assert_eq!(node.index(), index);
    assert_eq!(node.read(), None);
}
