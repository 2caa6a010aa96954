//! A node and its surroundings, made of network namespaces: three bridges of deployments, one of
//! somebody else, an uplink and a mesh that is a plain cable. Gone when dropped.

use std::{
    fs, io,
    io::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use jaco_net::{Bridge, IngressPort, MeshLink, Ruleset};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Whether real packets can be sent here; says so when not.
pub(crate) fn possible() -> bool {
    let found = |tool: &str| Command::new(tool).arg("-V").stdout(Stdio::null()).status().is_ok();
    let missing = if !rustix::process::geteuid().is_root() {
        "this is not root"
    } else if !found("ip") {
        "there is no `ip`: install iproute2"
    } else if !found("nft") {
        "there is no `nft`: install nftables"
    } else {
        return true;
    };
    skip(&format!("{missing}; no real packet met the firewall"));
    false
}

/// Says that a test does not run; a failure where everything must.
pub(crate) fn skip(why: &str) {
    let required = std::env::var_os("JACO_REQUIRE_RIG").is_some_and(|v| v != "false");
    assert!(!required, "{why}");
    eprintln!("SKIPPED: {why}");
}

/// A place from which packets come and at which they arrive.
pub(crate) struct Place {
    pub(crate) name: &'static str,
    /// The interface of the node behind which it is.
    pub(crate) behind: &'static str,
    pub(crate) addresses: &'static [&'static str],
    /// Addresses that it has no right to, for forging.
    pub(crate) forged: &'static [&'static str],
    /// Where it is too, and with which addresses; its way to everybody else is the first.
    pub(crate) also: Option<(&'static str, &'static [&'static str])>,
}

impl Place {
    /// Its addresses, and behind which interface of the node each is.
    pub(crate) fn homes(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let first = self.addresses.iter().map(|address| (self.behind, *address));
        let also = self.also.into_iter();
        first.chain(also.flat_map(|(behind, all)| all.iter().map(move |a| (behind, *a))))
    }

    /// Behind which interface of the node its packets to that address come out.
    pub(crate) fn way_to(&self, destination: IpAddr) -> &'static str {
        match self.also {
            Some((behind, _)) if near(behind, destination).contains(&destination) => behind,
            _ => self.behind,
        }
    }
}

/// The prefix of an interface of the node, of the family of `like`.
fn near(interface: &str, like: IpAddr) -> ipnet::IpNet {
    let length = if like.is_ipv4() { 24 } else { 64 };
    ipnet::IpNet::new(gate(interface, like), length).unwrap().trunc()
}

/// Addresses of services; whoever is behind the uplink would be glad to be taken for one.
pub(crate) const VIRTUAL: &[(&str, &[&str])] = &[
    ("10.248.0.1", &["10.244.0.3"]),
    ("10.248.0.2", &["10.244.10.2"]),
    ("10.248.0.3", &["10.244.1.2"]),
    ("10.248.0.4", &["10.244.11.2"]),
    ("10.248.0.5", &[]),
    ("10.248.0.6", &["10.244.2.2"]),
    ("10.248.0.7", &["10.244.1.9"]),
    ("10.248.0.8", &["10.244.0.2"]),
    ("fd00:248::1", &["fd00:244::3"]),
    ("fd00:248::2", &["fd00:244:10::2"]),
    ("fd00:248::3", &["fd00:244:1::2"]),
    ("fd00:248::4", &["fd00:244:11::2"]),
    ("fd00:248::5", &[]),
];
/// Addresses that could stand for services and do not.
pub(crate) const UNUSED: &[&str] = &["10.248.0.99", "fd00:248::99"];

/// Everybody but the node itself.
pub(crate) const PLACES: &[Place] = &[
    Place {
        name: "a1",
        behind: "jaco-a",
        addresses: &["10.244.0.2", "fd00:244::2"],
        forged: &["10.244.1.66", "10.244.99.66", "192.0.2.66", "10.243.0.3", "fd00:244:1::66"],
        also: None,
    },
    Place {
        name: "a2",
        behind: "jaco-a",
        addresses: &["10.244.0.3", "fd00:244::3"],
        forged: &[],
        also: None,
    },
    Place {
        name: "x1",
        behind: "jaco-a",
        addresses: &["10.244.0.9", "fd00:244::9"],
        forged: &["10.244.2.66"],
        also: Some(("jaco-b", &["10.244.1.9", "fd00:244:1::9"])),
    },
    Place {
        name: "b1",
        behind: "jaco-b",
        addresses: &["10.244.1.2", "fd00:244:1::2"],
        forged: &["10.244.0.66"],
        also: None,
    },
    Place {
        name: "c1",
        behind: "jaco-c",
        addresses: &["10.244.2.2", "fd00:244:2::2"],
        forged: &[],
        also: None,
    },
    Place {
        name: "f1",
        behind: "other0",
        addresses: &["172.30.0.2", "fd00:30::2"],
        forged: &[],
        also: None,
    },
    Place {
        name: "world",
        behind: "up0",
        addresses: &["192.0.2.2", "fd00:192::2"],
        forged: &["10.244.0.77", "10.244.99.77", "10.243.0.4", "fd00:244::77"],
        also: None,
    },
    Place {
        name: "peer",
        behind: "jaco0",
        addresses: &[
            "10.243.0.2",
            "10.244.10.2",
            "10.244.11.2",
            "10.244.99.2",
            "fd00:243::2",
            "fd00:244:10::2",
            "fd00:244:11::2",
        ],
        forged: &["10.244.0.88", "10.243.0.88", "198.51.100.88", "fd00:244::88"],
        also: None,
    },
];

/// The interfaces of the node, with its addresses in them.
pub(crate) const GATES: &[(&str, &[&str])] = &[
    ("jaco-a", &["10.244.0.1/24", "fd00:244::1/64"]),
    ("jaco-b", &["10.244.1.1/24", "fd00:244:1::1/64"]),
    ("jaco-c", &["10.244.2.1/24", "fd00:244:2::1/64"]),
    ("other0", &["172.30.0.1/24", "fd00:30::1/64"]),
    ("up0", &["192.0.2.1/24", "fd00:192::1/64"]),
    ("jaco0", &["10.243.0.1/24", "fd00:243::1/64"]),
];

/// The address of the node in that interface, of the family of `like`.
pub(crate) fn gate(interface: &str, like: IpAddr) -> IpAddr {
    let addresses = GATES.iter().find(|(name, _)| *name == interface).unwrap().1;
    let bare = |address: &&str| address.split('/').next().unwrap().parse::<IpAddr>().unwrap();
    addresses.iter().map(bare).find(|a| a.is_ipv4() == like.is_ipv4()).unwrap()
}

/// The namespaces of one test.
pub(crate) struct Lab {
    prefix: String,
    names: Vec<&'static str>,
}

static LABS: AtomicU32 = AtomicU32::new(0);

impl Lab {
    /// Namespaces of these names with nothing in them.
    pub(crate) fn bare(names: impl IntoIterator<Item = &'static str>) -> Self {
        let (pid, n) = (std::process::id(), LABS.fetch_add(1, Ordering::Relaxed));
        let names = names.into_iter().collect();
        let lab = Self { prefix: format!("jfw-{pid}-{n}-"), names };
        for name in &lab.names {
            ip(&["netns", "add", &lab.namespace(name)], "");
            lab.run(name, knobs);
        }
        lab
    }

    pub(crate) fn new() -> Self {
        let lab = Self::bare(PLACES.iter().map(|place| place.name).chain(["host"]));
        let host = lab.namespace("host");
        let mut node = String::from("link set lo up\n");
        for bridge in ["jaco-a", "jaco-b", "jaco-c", "other0"] {
            node += &format!("link add {bridge} type bridge forward_delay 0\n");
        }
        for place in PLACES {
            let (name, behind, namespace) = (place.name, place.behind, lab.namespace(place.name));
            if bridged(behind) {
                node += &cable(&format!("v-{name}"), behind, "eth0", &namespace);
                if let Some((behind, _)) = place.also {
                    node += &cable(&format!("w-{name}"), behind, "eth1", &namespace);
                }
            } else {
                node += &format!("link add {behind} type veth peer name eth0 netns {namespace}\n");
            }
        }
        for (interface, addresses) in GATES {
            node += &format!("link set {interface} up\n");
            for address in *addresses {
                let nodad = nodad(!address.contains(':'));
                node += &format!("address add {address} dev {interface}{nodad}\n");
            }
        }
        ip(&["-n", &host, "-batch", "-"], &node);
        for place in PLACES {
            let namespace = lab.namespace(place.name);
            ip(&["-n", &namespace, "-batch", "-"], &surroundings(place));
        }
        let far = "route add 10.244.8.0/21 dev jaco0 via 10.243.0.2\n\
                   route add 10.244.99.0/24 dev jaco0 via 10.243.0.2\n\
                   route add fd00:244:10::/64 dev jaco0 via fd00:243::2\n\
                   route add fd00:244:11::/64 dev jaco0 via fd00:243::2\n\
                   route add default via 192.0.2.2\nroute add default via fd00:192::2\n";
        ip(&["-n", &host, "-batch", "-"], far);
        lab
    }

    /// The full name of one of the namespaces.
    pub(crate) fn namespace(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Runs `work` on a thread in that namespace. Sockets that it opens stay there.
    pub(crate) fn run<T: Send>(&self, name: &str, work: impl FnOnce() -> T + Send) -> T {
        within(&self.namespace(name), work)
    }

    /// Runs asynchronous `work` on the node.
    pub(crate) fn on_node<T: Send>(&self, work: impl AsyncFnOnce() -> T + Send) -> T {
        self.on("host", work)
    }

    /// Runs asynchronous `work` in that namespace.
    pub(crate) fn on<T: Send>(&self, name: &str, work: impl AsyncFnOnce() -> T + Send) -> T {
        self.run(name, || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            runtime.enable_all().build().unwrap().block_on(work())
        })
    }

    /// Says something to `nft` on the node.
    pub(crate) fn nft(&self, script: &str) {
        self.feed("host", "nft", &["-f", "-"], script);
    }

    /// Runs a program there and says something to it.
    pub(crate) fn feed(&self, name: &str, program: &str, arguments: &[&str], input: &str) {
        self.run(name, || feed(Command::new(program).args(arguments), input));
    }

    /// Says something to `ip` there.
    pub(crate) fn ip(&self, name: &str, script: &str) {
        ip(&["-n", &self.namespace(name), "-batch", "-"], script);
    }

    /// Sets a setting of the kernel there.
    pub(crate) fn set(&self, name: &str, key: &str, value: &str) {
        self.run(name, || set(key, value)).unwrap_or_else(|e| panic!("{key}: {e}"));
    }

    /// A UDP socket there.
    pub(crate) fn udp(&self, name: &str, address: SocketAddr) -> UdpSocket {
        let socket = self.run(name, || UdpSocket::bind(address));
        let socket = socket.unwrap_or_else(|e| panic!("{name}: {address}: {e}"));
        socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        socket
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for name in &self.names {
            let namespace = self.namespace(name);
            let _ = Command::new("ip").args(["netns", "delete", &namespace]).status();
        }
    }
}

/// What is for the container that sent it comes back out of the port where it came in.
pub(crate) fn cable(name: &str, bridge: &str, inside: &str, namespace: &str) -> String {
    format!(
        "link add {name} type veth peer name {inside} netns {namespace}\n\
         link set {name} master {bridge} up\nlink set {name} type bridge_slave hairpin on\n"
    )
}

fn bridged(interface: &str) -> bool {
    interface != "up0" && interface != "jaco0"
}

/// Addresses of IPv6 are usable at once.
pub(crate) fn nodad(ipv4: bool) -> &'static str {
    if ipv4 { "" } else { " nodad" }
}

/// The addresses and routes of a place.
fn surroundings(place: &Place) -> String {
    let mut out = String::from("link set lo up\nlink set eth0 up\n");
    let stolen = VIRTUAL.iter().map(|(address, _)| address).chain(UNUSED);
    let stolen = stolen.filter(|_| place.name == "world");
    for address in place.addresses.iter().chain(place.forged).chain(stolen) {
        // The first of each family is the one on the cable; the others are its own alone.
        let own: IpAddr = address.parse().unwrap();
        let near = near(place.behind, own);
        let on_cable = near.contains(&own) && place.addresses.contains(address);
        let length = if on_cable { near.prefix_len() } else { near.max_prefix_len() };
        out += &format!("address add {address}/{length} dev eth0{}\n", nodad(own.is_ipv4()));
    }
    if let Some((behind, addresses)) = place.also {
        out += "link set eth1 up\n";
        for address in addresses {
            let own: IpAddr = address.parse().unwrap();
            let length = near(behind, own).prefix_len();
            out += &format!("address add {address}/{length} dev eth1{}\n", nodad(own.is_ipv4()));
        }
    }
    for like in [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)] {
        out += &format!("route add default via {}\n", gate(place.behind, like));
    }
    out
}

/// Settings of the kernel without which it would drop on its own what the firewall should.
fn knobs() {
    for (key, value) in [
        ("ipv4/ip_forward", "1"),
        ("ipv4/conf/all/rp_filter", "0"),
        ("ipv4/conf/default/rp_filter", "0"),
        ("ipv4/ping_group_range", "0 2147483647"),
        ("ipv6/conf/all/forwarding", "1"),
        ("ipv6/conf/default/accept_dad", "0"),
    ] {
        set(key, value).unwrap_or_else(|e| panic!("{key}: {e}"));
    }
    // What is bridged meets the firewall too, where the kernel can do that.
    for key in ["bridge/bridge-nf-call-iptables", "bridge/bridge-nf-call-ip6tables"] {
        let _ = set(key, "1");
    }
}

fn set(key: &str, value: &str) -> io::Result<()> {
    fs::write(format!("/proc/thread-self/root/proc/sys/net/{key}"), value)
}

fn within<T: Send>(namespace: &str, work: impl FnOnce() -> T + Send) -> T {
    let enter = || {
        let namespace = fs::File::open(format!("/run/netns/{namespace}"))?;
        move_into_link_name_space(
            std::os::fd::AsFd::as_fd(&namespace),
            Some(LinkNameSpaceType::Network),
        )?;
        io::Result::Ok(())
    };
    std::thread::scope(|scope| {
        let there = scope.spawn(|| {
            enter().unwrap_or_else(|e| panic!("{namespace}: {e}"));
            work()
        });
        there.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn ip(arguments: &[&str], input: &str) {
    feed(Command::new("ip").args(arguments), input);
}

fn feed(command: &mut Command, input: &str) {
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}\n{input}");
}

/// The ruleset of the node as it should be: `a` on this node and the other, `b` likewise, and `c`
/// without a way out.
pub(crate) fn rules() -> Ruleset {
    let pools = ["10.244.0.0/14", "fd00:244::/32"].map(|p| p.parse().unwrap()).into();
    let mut rules = Ruleset { pools, ..Ruleset::default() };
    for (scope, prefixes) in [
        (
            "a/default",
            ["10.244.0.0/24", "10.244.10.0/24", "fd00:244::/64", "fd00:244:10::/64"].as_slice(),
        ),
        ("b/default", &["10.244.1.0/24", "10.244.11.0/24", "fd00:244:1::/64", "fd00:244:11::/64"]),
        ("c/inside", &["10.244.2.0/24", "fd00:244:2::/64"]),
    ] {
        let prefixes = prefixes.iter().map(|p| p.parse().unwrap()).collect();
        rules.scopes.insert(scope.parse().unwrap(), prefixes);
    }
    for (n, (interface, scope)) in
        [("jaco-a", "a/default"), ("jaco-b", "b/default"), ("jaco-c", "c/inside")]
            .iter()
            .enumerate()
    {
        let blocks = [format!("10.244.{n}.0/24"), format!("fd00:244:{n}::/64")];
        let gateway = |block: &ipnet::IpNet| gate(interface, block.addr());
        let blocks = blocks.iter().map(|b| b.parse().unwrap()).map(|b| (b, gateway(&b))).collect();
        let internal = *interface == "jaco-c";
        let scope = scope.parse().unwrap();
        let bridge = Bridge { scope, blocks, internal, host_access: false };
        rules.bridges.insert(interface.parse().unwrap(), bridge);
    }
    let addresses = |all: &[&str]| all.iter().map(|a| a.parse().unwrap()).collect();
    rules.mesh = Some(MeshLink {
        interface: "jaco0".parse().unwrap(),
        own: addresses(&["10.243.0.1", "fd00:243::1"]),
        members: addresses(&["10.243.0.2", "10.243.0.3", "10.243.0.4", "fd00:243::2"]),
    });
    for protocol in [jaco_api::model::Protocol::Tcp, jaco_api::model::Protocol::Udp] {
        rules.ingress.insert(IngressPort { protocol, port: 443 });
    }
    rules.virtual_pools = ["10.248.0.0/16", "fd00:248::/32"].map(|p| p.parse().unwrap()).into();
    for (address, replicas) in VIRTUAL {
        rules.virtuals.insert(address.parse().unwrap(), addresses(replicas));
    }
    for v4 in [true, false] {
        let of_family = |a: &IpAddr| a.is_ipv4() == v4;
        for place in PLACES.iter().filter(|place| place.also.is_some()) {
            let home = place.homes().map(|(_, address)| address.parse().unwrap());
            rules.homes.insert(home.filter(of_family).collect());
        }
    }
    rules.check().unwrap();
    rules
}
