//! What only the device in this process does.

use jaco_net::{MeshKind, NetError};

use crate::{
    can_be_had,
    node::{BOUND, Node},
};

#[test]
fn a_leftover_interface_is_replaced() {
    if !can_be_had(MeshKind::Userspace) {
        return;
    }
    let node = Node::new(MeshKind::Userspace, 1);
    node.namespace.ip(&["tuntap", "add", "jaco0", "mode", "tun"]);
    let index = node.index();
    node.apply().unwrap();
    assert_ne!(node.index(), index);
    assert_eq!(node.read(), Some(node.config.clone()));
}

#[test]
fn the_interface_goes_with_the_device() {
    if !can_be_had(MeshKind::Userspace) {
        return;
    }
    let mut node = Node::new(MeshKind::Userspace, 1);
    node.apply().unwrap();
    node.restart(MeshKind::Userspace);
    assert_eq!(node.read(), None);
    node.apply().unwrap();
    assert_eq!(node.read(), Some(node.config.clone()));
}

#[test]
fn a_port_that_is_taken_is_an_error_and_the_next_try_is_a_fresh_one() {
    if !can_be_had(MeshKind::Userspace) {
        return;
    }
    let (mut one, two) = Node::pair(MeshKind::Userspace);
    let taken = one.namespace.inside(|| std::net::UdpSocket::bind("[::]:51999").unwrap());
    one.config.listen_port = 51999;
    let refused = one.apply();
    assert!(matches!(refused, Err(NetError::Refused { .. })), "{refused:?}");
    drop(taken);
    one.apply().unwrap();
    assert_eq!(one.reaches(&two, one.address(), BOUND), Some(one.address()));
}

#[test]
fn packets_larger_than_a_page_fit_where_the_path_carries_them() {
    if !can_be_had(MeshKind::Userspace) {
        return;
    }
    let (mut one, mut two) = Node::pair(MeshKind::Userspace);
    for node in [&mut one, &mut two] {
        node.namespace.ip(&["link", "set", "eth0", "mtu", "9000"]);
        node.config.mtu = 8940;
        node.apply().unwrap();
    }
    assert_eq!(one.sends(&two, 10 << 20), (10 << 20, one.address()));
}
