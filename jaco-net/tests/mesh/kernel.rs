//! What only the kernel's device does: it outlives the process.

use jaco_net::MeshKind;

use crate::{
    can_be_had,
    node::{BOUND, Node},
};

#[test]
fn the_next_process_takes_the_interface_over() {
    if !can_be_had(MeshKind::Kernel) {
        return;
    }
    let (mut one, two) = Node::pair(MeshKind::Kernel);
    assert_eq!(one.reaches(&two, one.address(), BOUND), Some(one.address()));
    let (index, before) = (one.index(), one.status(two.public()));
    one.restart(MeshKind::Kernel);
    assert_eq!(one.read(), Some(one.config.clone()));
    one.apply().unwrap();
    let after = one.status(two.public());
    assert_eq!(one.index(), index);
    assert!(after.sent >= before.sent && before.sent > 0, "{before:?} {after:?}");
    assert!(after.last_handshake >= before.last_handshake, "{before:?} {after:?}");
    assert_eq!(one.reaches(&two, one.address(), BOUND), Some(one.address()));
}

#[test]
fn a_tun_interface_that_another_mode_left_is_replaced() {
    if !can_be_had(MeshKind::Kernel) {
        return;
    }
    let node = Node::new(MeshKind::Kernel, 1);
    node.namespace.ip(&["tuntap", "add", "jaco0", "mode", "tun"]);
    node.apply().unwrap();
    assert_eq!(node.read(), Some(node.config.clone()));
}
