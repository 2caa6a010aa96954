//! The MTU of real paths.

use std::net::IpAddr;

use jaco_net::mesh::{mtu::mesh_mtu, path_mtu};

use crate::namespace::Namespace;

fn path(from: &Namespace, to: &str) -> Option<u32> {
    let to: IpAddr = to.parse().unwrap();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let path = from.inside(|| runtime().block_on(path_mtu(to, "jaco0"))).unwrap();
    path.map(|path| path.mtu)
}

#[test]
fn it_is_that_of_the_interface_or_of_the_route() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: not root; no path was looked at");
        return;
    }
    let (one, two) = (Namespace::new(), Namespace::new());
    one.join("10.99.0.1/24", &two, "10.99.0.2/24");
    one.ip(&["addr", "add", "fd99::1/64", "dev", "eth0", "nodad"]);
    for mtu in [1500, 9000, 1450] {
        one.ip(&["link", "set", "eth0", "mtu", &mtu.to_string()]);
        assert_eq!(path(&one, "10.99.0.2"), Some(mtu));
        assert_eq!(path(&one, "fd99::2"), Some(mtu));
        assert_eq!(path(&one, "::ffff:10.99.0.2"), Some(mtu));
    }
    one.ip(&["route", "add", "192.0.2.0/24", "via", "10.99.0.2", "mtu", "1400"]);
    assert_eq!(path(&one, "192.0.2.9"), Some(1400));
    assert_eq!(path(&one, "198.51.100.1"), None, "there is no way");

    one.ip(&["link", "add", "jaco0", "type", "bridge"]);
    one.ip(&["link", "set", "jaco0", "up"]);
    one.ip(&["route", "add", "203.0.113.0/24", "dev", "jaco0"]);
    assert_eq!(path(&one, "203.0.113.1"), None, "a way through the mesh is none");
    assert_eq!(mesh_mtu([]), 1420);
}
