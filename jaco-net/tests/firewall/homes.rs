//! Containers in several networks, on two nodes that both have both networks.

use std::net::IpAddr;

use jaco_net::{Bridge, Firewall, MeshLink, NftFirewall, Ruleset};

use crate::{
    flows::*,
    lab::{self, Lab, cable, nodad},
};

/// A container: its name, its node, and its number in the networks `a` and `b`, if it is there.
const CONTAINERS: &[(&str, usize, Option<u8>, Option<u8>)] = &[
    ("x", 1, Some(9), Some(8)),
    ("y", 1, Some(2), None),
    ("n", 1, None, Some(3)),
    ("p", 2, None, Some(2)),
    ("q", 2, Some(2), None),
    ("z", 2, Some(7), Some(6)),
];
const NODES: [&str; 2] = ["h1", "h2"];
const BRIDGES: [&str; 2] = ["jaco-a", "jaco-b"];

/// Network `a` is 10.244.x.0/24 and fd00:244:x::/64 with the number of the node, `b` ten more.
fn block(node: usize, network: usize, v4: bool) -> ipnet::IpNet {
    let n = node + 10 * network;
    let text = if v4 { format!("10.244.{n}.0/24") } else { format!("fd00:244:{n}::/64") };
    text.parse().unwrap()
}

fn host_in(block: ipnet::IpNet, n: u8) -> IpAddr {
    match block.addr() {
        IpAddr::V4(net) => std::net::Ipv4Addr::from(u32::from(net) + u32::from(n)).into(),
        IpAddr::V6(net) => std::net::Ipv6Addr::from(u128::from(net) + u128::from(n)).into(),
    }
}

/// The address of a container in a network.
fn of(name: &str, network: usize, v4: bool) -> IpAddr {
    let (_, node, a, b) = CONTAINERS.iter().find(|(other, ..)| *other == name).unwrap();
    host_in(block(*node, network, v4), [a, b][network].unwrap())
}

/// Two nodes, joined by a cable that is their mesh. Their bridges take what comes in elsewhere than
/// it would go out, and nothing else of the nodes does.
fn pair() -> Lab {
    let lab = Lab::bare(NODES.into_iter().chain(CONTAINERS.iter().map(|(name, ..)| *name)));
    let far = lab.namespace("h2");
    lab.ip("h1", &format!("link add jaco0 type veth peer name jaco0 netns {far}\n"));
    for (n, node) in [(1, "h1"), (2, "h2")] {
        let mut script = format!(
            "link set lo up\nlink set jaco0 up\naddress add 10.243.0.{n}/24 dev jaco0\n\
             address add fd00:243::{n}/64 dev jaco0 nodad\n"
        );
        for (network, bridge) in BRIDGES.iter().enumerate() {
            script +=
                &format!("link add {bridge} type bridge forward_delay 0\nlink set {bridge} up\n");
            for v4 in [true, false] {
                let (own, other) = (block(n, network, v4), block(3 - n, network, v4));
                let (gateway, length) = (host_in(own, 1), own.prefix_len());
                script += &format!("address add {gateway}/{length} dev {bridge}{}\n", nodad(v4));
                let via = if v4 { "10.243.0." } else { "fd00:243::" };
                script += &format!("route add {other} dev jaco0 via {via}{}\n", 3 - n);
            }
        }
        lab.ip(node, &script);
        lab.set(node, "ipv4/conf/all/rp_filter", "1");
        lab.set(node, "ipv4/conf/jaco0/rp_filter", "1");
        for bridge in BRIDGES {
            lab.set(node, &format!("ipv4/conf/{bridge}/rp_filter"), "2");
        }
    }
    for (name, node, a, b) in CONTAINERS {
        plug(&lab, name, *node, [*a, *b]);
    }
    lab
}

/// The first network of a container is its way to everybody else.
fn plug(lab: &Lab, name: &str, node: usize, numbers: [Option<u8>; 2]) {
    let (mut outside, mut inside) = (String::new(), String::from("link set lo up\n"));
    let mut default = true;
    for (network, number) in numbers.iter().enumerate() {
        let Some(number) = number else { continue };
        let eth = format!("eth{network}");
        let port = format!("v-{name}-{network}");
        outside += &cable(&port, BRIDGES[network], &eth, &lab.namespace(name));
        inside += &format!("link set {eth} up\n");
        for v4 in [true, false] {
            let block = block(node, network, v4);
            let (own, length) = (host_in(block, *number), block.prefix_len());
            inside += &format!("address add {own}/{length} dev {eth}{}\n", nodad(v4));
            if default {
                inside += &format!("route add default via {}\n", host_in(block, 1));
            }
        }
        default = false;
    }
    lab.ip(NODES[node - 1], &outside);
    lab.ip(name, &inside);
}

const SERVICES: &[(&str, &str)] = &[("10.248.0.1", "p"), ("10.248.0.2", "n"), ("10.248.0.3", "x")];

/// What a node holds.
fn rules(node: usize) -> Ruleset {
    let pools = ["10.244.0.0/16", "fd00:244::/32"].map(|p| p.parse().unwrap()).into();
    let mut rules = Ruleset { pools, ..Ruleset::default() };
    for (network, name) in ["shop/front", "shop/back"].iter().enumerate() {
        let scope: jaco_net::Scope = name.parse().unwrap();
        let blocks = |node| [true, false].map(|v4| block(node, network, v4));
        let all = [blocks(1), blocks(2)].concat().into_iter().collect();
        rules.scopes.insert(scope.clone(), all);
        let blocks = blocks(node).into_iter().map(|block| (block, host_in(block, 1))).collect();
        let bridge = Bridge { scope, blocks, internal: network == 1, host_access: false };
        rules.bridges.insert(BRIDGES[network].parse().unwrap(), bridge);
    }
    let mesh = |n: usize| [address(&format!("10.243.0.{n}")), address(&format!("fd00:243::{n}"))];
    rules.mesh = Some(MeshLink {
        interface: "jaco0".parse().unwrap(),
        own: mesh(node).into(),
        members: mesh(3 - node).into(),
    });
    rules.virtual_pools = ["10.248.0.0/16".parse().unwrap()].into();
    for (service, replica) in SERVICES {
        rules.virtuals.insert(address(service), [of(replica, 1, true)].into());
    }
    for (name, at, a, b) in CONTAINERS {
        if *at == node && a.is_some() && b.is_some() {
            let home = |v4| [of(name, 0, v4), of(name, 1, v4)].into();
            rules.homes.extend([home(true), home(false)]);
        }
    }
    rules
}

fn policed() -> Lab {
    let lab = pair();
    for (n, node) in [(1, "h1"), (2, "h2")] {
        lab.on(node, async || NftFirewall::new().apply(&rules(n)).await).unwrap();
    }
    lab
}

/// What the kernel chooses when a container does not.
const ANY: &str = "";

/// Whether a connection comes about from there to there, and the source that is seen then.
fn seen(lab: &Lab, from: (&str, &str), target: &str, to: (&str, IpAddr)) -> Option<IpAddr> {
    let unspecified = if to.1.is_ipv4() { "0.0.0.0" } else { "::" };
    let source = if from.1.is_empty() { unspecified } else { from.1 };
    let destination = to.1.to_string();
    let ends = dial_at(lab, (from.0, source), target, (to.0, &destination), 80);
    ends.map(|(mut client, mut server)| {
        let both = flows(&mut client, &mut server) && flows(&mut server, &mut client);
        assert!(both, "{from:?} -> {target}");
        server.peer_addr().unwrap().ip()
    })
}

#[test]
fn a_container_in_two_networks_is_reached_and_seen_in_both() {
    if !lab::possible() {
        return;
    }
    let lab = policed();
    for v4 in [true, false] {
        let of = |name, network| of(name, network, v4);
        for (from, (to, network), wanted) in [
            // It opens: on its own bridges directly, to other nodes through one of them.
            ("x", ("y", 0), Some(of("x", 0))),
            ("x", ("n", 1), Some(of("x", 1))),
            ("x", ("q", 0), Some(of("x", 0))),
            ("x", ("p", 1), Some(of("x", 1))),
            // It answers.
            ("y", ("x", 0), Some(of("y", 0))),
            ("n", ("x", 1), Some(of("n", 1))),
            ("q", ("x", 0), Some(of("q", 0))),
            ("p", ("x", 1), Some(of("p", 1))),
            // Both ends are in both networks.
            ("x", ("z", 0), Some(of("x", 0))),
            ("x", ("z", 1), Some(of("x", 1))),
            ("z", ("x", 1), Some(of("z", 1))),
            // Nobody gets further through it, nor in a network that is not his.
            ("y", ("p", 1), None),
            ("y", ("n", 1), None),
            ("y", ("x", 1), None),
            ("n", ("x", 0), None),
            ("p", ("x", 0), None),
            ("q", ("x", 1), None),
            ("q", ("p", 1), None),
        ] {
            let target = of(to, network);
            let got = seen(&lab, (from, ANY), &target.to_string(), (to, target));
            assert_eq!(got, wanted, "{from} -> {to} in {network}, IPv4: {v4}");
        }
        let own = of("x", 1).to_string();
        let target = of("p", 1);
        assert_eq!(seen(&lab, ("x", &own), &target.to_string(), ("p", target)), Some(of("x", 1)));
        assert!(ping(&lab, ("x", &of("x", 0).to_string()), &of("p", 1).to_string()));
        assert!(ping(&lab, ("p", &of("p", 1).to_string()), &of("x", 1).to_string()));
    }
}

#[test]
fn a_container_in_two_networks_reaches_the_services_of_both() {
    if !lab::possible() {
        return;
    }
    let lab = policed();
    let gateway = host_in(block(1, 1, true), 1);
    for (from, service, to, wanted) in [
        ("x", "10.248.0.1", "p", Some(of("x", 1, true))),
        // Behind its own bridges the host stands between.
        ("x", "10.248.0.2", "n", Some(gateway)),
        ("x", "10.248.0.3", "x", Some(gateway)),
        ("n", "10.248.0.3", "x", Some(gateway)),
        ("p", "10.248.0.3", "x", Some(of("p", 1, true))),
        ("z", "10.248.0.2", "n", Some(of("z", 1, true))),
        ("y", "10.248.0.3", "x", None),
        ("q", "10.248.0.2", "n", None),
    ] {
        let got = seen(&lab, (from, ANY), service, (to, of(to, 1, true)));
        assert_eq!(got, wanted, "{from} -> {service}");
    }
}

#[test]
fn bridges_must_take_what_would_go_out_elsewhere() {
    if !lab::possible() {
        return;
    }
    let lab = policed();
    let target = of("x", 1, true);
    let reached = || seen(&lab, ("p", ANY), &target.to_string(), ("x", target)).is_some();
    assert!(reached());
    lab.set("h1", "ipv4/conf/jaco-a/rp_filter", "1");
    assert!(!reached(), "the answer comes in where its source is not");
}
