//! Bridges of the kernel, in network namespaces. Needs root.
#![cfg(feature = "kernel")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "../mesh/namespace.rs"]
mod namespace;

use std::{fs, time::Duration};

use jaco_net::{BridgeChange, BridgeLink, Bridges, InterfaceName, NetError};
use namespace::Namespace;
use tokio::runtime::{Builder, Runtime};

const BRIDGE: &str = "jaco-0123456789";
const GATEWAY: &str = "10.244.7.1/24";
/// What something may take that happens at once.
const BOUND: Duration = Duration::from_secs(20);

/// A host with a bridge as the engine makes it, and two containers behind it.
struct Host {
    namespace: Namespace,
    containers: [Namespace; 2],
    runtime: Option<Runtime>,
    bridges: Bridges,
}

impl Host {
    fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: only root makes network namespaces");
            return None;
        }
        let namespace = Namespace::new();
        // Its workers are started inside, and so are in the namespace.
        let runtime = namespace
            .inside(|| Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap());
        let containers = [Namespace::new(), Namespace::new()];
        let bridges = Bridges::new();
        let host = Self { namespace, containers, runtime: Some(runtime), bridges };
        host.ip(&["link", "add", BRIDGE, "address", "02:42:00:00:00:07", "type", "bridge"]);
        host.ip(&["addr", "add", GATEWAY, "dev", BRIDGE]);
        host.ip(&["link", "set", BRIDGE, "up"]);
        for (n, container) in host.containers.iter().enumerate() {
            let port = format!("veth{n}");
            container.join(&format!("10.244.7.{}/24", n + 2), &host.namespace, "192.0.2.9/32");
            host.ip(&["link", "set", "eth0", "down"]);
            host.ip(&["link", "set", "eth0", "name", &port]);
            host.ip(&["addr", "flush", "dev", &port]);
            host.ip(&["link", "set", &port, "master", BRIDGE, "up"]);
        }
        Some(host)
    }

    fn ip(&self, arguments: &[&str]) -> String {
        self.namespace.ip(arguments)
    }

    fn run<T: Send>(&self, work: impl Future<Output = T> + Send) -> T {
        let runtime = self.runtime.as_ref().unwrap();
        self.namespace.inside(|| runtime.block_on(work))
    }

    fn mend(&self) -> Vec<BridgeChange> {
        plain(self.run(async { self.bridges.mend(&[wanted(BRIDGE)]).await }))
    }

    fn settle(&self) -> Vec<BridgeChange> {
        plain(self.run(async { self.bridges.settle(&[wanted(BRIDGE)]).await }))
    }

    fn setting(&self, interface: &str, key: &str) -> String {
        let path = format!("/proc/sys/net/ipv4/conf/{interface}/{key}");
        self.namespace.inside(|| fs::read_to_string(path)).unwrap().trim().to_owned()
    }

    /// Whether each container reaches the other and its gateway.
    fn talk(&self) -> bool {
        let reaches = |from: usize, to: &str| {
            let ping = ["ping", "-c", "1", "-W", "2", to];
            let ping = self.containers[from]
                .inside(|| std::process::Command::new("busybox").args(ping).output().unwrap());
            ping.status.success()
        };
        reaches(0, "10.244.7.3") && reaches(1, "10.244.7.2") && reaches(0, "10.244.7.1")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Not waited for: a runtime may be dropped anywhere.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn wanted(name: &str) -> BridgeLink {
    BridgeLink { name: name.parse().unwrap(), addresses: [GATEWAY.parse().unwrap()].into() }
}

fn plain(changes: Result<Vec<(InterfaceName, BridgeChange)>, NetError>) -> Vec<BridgeChange> {
    changes.unwrap().into_iter().map(|(_, change)| change).collect()
}

#[test]
fn what_the_engine_leaves_is_set_once() {
    let Some(host) = Host::new() else { return };
    let port = |n: usize| host.ip(&["-d", "link", "show", &format!("veth{n}")]);
    assert!(port(0).contains("hairpin off"));
    let expected = [
        BridgeChange::Filter,
        BridgeChange::Hairpin("veth0".to_owned()),
        BridgeChange::Hairpin("veth1".to_owned()),
    ];
    let mut changes = host.settle();
    changes.sort();
    assert_eq!(changes, expected);
    assert_eq!(host.setting(BRIDGE, "rp_filter"), "2");
    assert!(port(0).contains("hairpin on") && port(1).contains("hairpin on"));
    assert!(host.settle().is_empty(), "nothing differs");

    host.ip(&["link", "set", "veth1", "type", "bridge_slave", "hairpin", "off"]);
    assert_eq!(host.settle(), [BridgeChange::Hairpin("veth1".to_owned())]);
    let absent = host.run(async { host.bridges.settle(&[wanted("jaco-absent")]).await });
    assert!(plain(absent).is_empty());
    assert!(host.talk());
}

#[test]
fn a_deleted_bridge_comes_back_with_its_containers_and_nobody_elses() {
    let Some(host) = Host::new() else { return };
    assert!(host.talk());
    assert!(host.mend().is_empty(), "nothing is damaged");
    let foreign = Namespace::new();
    foreign.join("10.99.0.2/24", &host.namespace, "10.99.0.1/24");
    host.ip(&["link", "del", BRIDGE]);
    assert!(!host.talk());

    let gateway = GATEWAY.parse().unwrap();
    let mut changes = host.mend();
    assert_eq!(changes.first(), Some(&BridgeChange::Missing));
    assert_eq!(changes.last(), Some(&BridgeChange::Down), "it comes up when it is whole");
    changes.sort();
    let expected = [
        BridgeChange::Missing,
        BridgeChange::Address(gateway),
        BridgeChange::Port("veth0".to_owned()),
        BridgeChange::Port("veth1".to_owned()),
        BridgeChange::Down,
    ];
    assert_eq!(changes, expected);
    assert!(host.talk(), "at once: they were told of the gateway's new hardware address");
    assert!(!host.ip(&["link", "show", "eth0"]).contains("master"), "another container's");
    assert!(host.mend().is_empty());
}

#[test]
fn addresses_ports_and_state_are_put_back_one_by_one() {
    let Some(host) = Host::new() else { return };
    host.ip(&["addr", "flush", "dev", BRIDGE]);
    assert_eq!(host.mend(), [BridgeChange::Address(GATEWAY.parse().unwrap())]);
    host.ip(&["link", "set", BRIDGE, "down"]);
    assert_eq!(host.mend(), [BridgeChange::Down]);
    host.ip(&["link", "set", "veth1", "nomaster"]);
    assert_eq!(host.mend(), [BridgeChange::Port("veth1".to_owned())]);
    assert!(host.talk());

    host.ip(&["link", "add", "jaco-other", "type", "veth", "peer", "name", "end"]);
    let damage = host.run(async { host.bridges.damage(&[wanted("jaco-other")]).await });
    assert!(plain(damage).is_empty(), "no bridge of ours");
}

#[test]
fn only_a_bridge_without_ports_is_removed() {
    let Some(host) = Host::new() else { return };
    let remove = |name: &str| host.run(host.bridges.remove(&name.parse().unwrap())).unwrap();
    remove(BRIDGE);
    assert!(host.talk(), "it has ports");
    host.ip(&["link", "del", "veth0"]);
    host.ip(&["link", "del", "veth1"]);
    remove(BRIDGE);
    assert!(!host.ip(&["link", "show"]).contains(BRIDGE));
    remove(BRIDGE);
}

#[test]
fn a_bridge_that_was_made_here_goes_when_nobody_wants_or_uses_it() {
    let Some(host) = Host::new() else { return };
    let sweep = |wanted: &[BridgeLink]| {
        host.run(async { host.bridges.sweep(wanted).await }).unwrap();
        host.ip(&["link", "show"]).contains(&format!(" {BRIDGE}: "))
    };
    assert!(sweep(&[]), "the engine's");
    host.ip(&["link", "del", BRIDGE]);
    host.mend();
    assert!(sweep(&[]), "it is used");
    host.ip(&["link", "del", "veth0"]);
    host.ip(&["link", "del", "veth1"]);
    assert!(sweep(&[wanted(BRIDGE)]));
    assert!(!sweep(&[]));
}

#[test]
fn damage_and_new_ports_wake_the_watcher() {
    let Some(host) = Host::new() else { return };
    let mut watch = host.run(async { host.bridges.watch() });
    let mut wakes = |what: &[&str]| {
        // What was before is not what is asked about.
        host.run(async { while tokio::time::timeout(SETTLED, watch.changed()).await.is_ok() {} });
        host.ip(what);
        let woken = host.run(async { tokio::time::timeout(BOUND, watch.changed()).await });
        assert!(woken.is_ok(), "{what:?}");
    };
    wakes(&["link", "set", "veth1", "nomaster"]);
    wakes(&["link", "set", "veth1", "master", BRIDGE]);
    wakes(&["addr", "flush", "dev", BRIDGE]);
    wakes(&["link", "set", BRIDGE, "down"]);
    wakes(&["link", "del", BRIDGE]);
}

/// Nothing is announced any more when nothing was for so long.
const SETTLED: Duration = Duration::from_millis(300);
