//! The real mesh devices, in network namespaces. Needs root, and for each device what it needs: a
//! device that cannot be had here is skipped loudly, or fails when `JACO_TEST_MESH` names it.
#![cfg(all(feature = "kernel", feature = "userspace"))]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod kernel;
mod namespace;
mod node;
mod path;
mod shared;
mod userspace;

use jaco_net::{
    MeshKind,
    mesh::{MeshMode, Missing, Reason, choose, open, probe},
};

#[test]
fn the_kernel_is_chosen_where_it_has_wireguard() {
    if !can_be_had(MeshKind::Userspace) {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (device, choice) = runtime.block_on(open(MeshMode::Auto, "jaco0")).unwrap();
    assert_eq!(device.map(|device| device.kind()), choice.kind);
    if can_be_had(MeshKind::Kernel) {
        assert_eq!((choice.kind, choice.reason), (Some(MeshKind::Kernel), Reason::KernelOffersIt));
    } else {
        assert_eq!(choice.kind, Some(MeshKind::Userspace));
        let told = matches!(choice.reason, Reason::NotTheKernel(Missing::WireGuard(_)));
        assert!(told, "{}", choice.reason);
    }
    let (none, _) = runtime.block_on(open(MeshMode::Off, "jaco0")).unwrap();
    assert!(none.is_none());
}

/// Whether this device can be tested here.
fn can_be_had(kind: MeshKind) -> bool {
    let mode = if kind == MeshKind::Kernel { MeshMode::Kernel } else { MeshMode::Userspace };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let chosen = choose(mode, &runtime.block_on(probe()));
    let wanted = std::env::var("JACO_TEST_MESH").unwrap_or_default();
    match chosen {
        Ok(_) => true,
        Err(none) if wanted.split(',').any(|name| name == mode.to_string()) => panic!("{none}"),
        Err(none) => {
            eprintln!("SKIPPED: {none}; nothing was tested with the {mode} device");
            false
        }
    }
}
