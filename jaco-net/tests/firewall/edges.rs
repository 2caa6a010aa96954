//! What rules must not break, and what they must break at once: neighbours, addresses, open connections.

use std::{io::Read, net::SocketAddr, time::Instant};

use crate::{
    flows::*,
    lab::{self, Lab},
};

#[test]
fn neighbours_that_are_not_known_yet_are_found() {
    if !lab::possible() {
        return;
    }
    let lab = applied(&lab::rules());
    for (from, to) in [(A1_V6, FAR_A_V6), (FAR_A_V6, A1_V6), (A1, FAR_A)] {
        assert!(ping(&lab, from, to.1), "{from:?} -> {to:?}");
    }
}

#[test]
fn neighbours_find_each_other_by_their_link_local_addresses() {
    if !lab::possible() {
        return;
    }
    let lab = applied(&lab::rules());
    let shown = |arguments: &[&str]| {
        let output = lab.run("a1", || std::process::Command::new("ip").args(arguments).output());
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    let since = Instant::now();
    let own = loop {
        let own = shown(&["-6", "-o", "address", "show", "dev", "eth0", "scope", "link"]);
        if !own.is_empty() && !own.contains("tentative") {
            break own.split_whitespace().nth(3).unwrap().split('/').next().unwrap().to_owned();
        }
        assert!(since.elapsed() < BOUND, "no link-local address: {own}");
    };
    let gateway = "fd00:244::1";
    lab.feed("a1", "ip", &["-6", "neighbour", "flush", "dev", "eth0"], "");
    let interface = shown(&["-o", "link", "show", "dev", "eth0"]);
    let index = interface.split(':').next().unwrap().trim().parse().unwrap();
    let at = std::net::SocketAddrV6::new(own.parse().unwrap(), 0, 0, index);
    let socket = lab.run("a1", || std::net::UdpSocket::bind(at)).unwrap();
    socket.send_to(b"x", (gateway, 53)).unwrap();
    let since = Instant::now();
    while !shown(&["-6", "neighbour", "show", gateway]).contains("lladdr") {
        assert!(since.elapsed() < BOUND, "{}", shown(&["-6", "neighbour"]));
    }
}

#[test]
fn nothing_leaves_another_way_while_the_mesh_is_down() {
    if !lab::possible() {
        return;
    }
    let lab = Lab::new();
    // Whoever is behind the uplink would be glad to be taken for another node.
    let targets = [FAR_A, FAR_HOST, FAR_A_V6, FAR_HOST_V6];
    for (_, target) in targets {
        let nodad = target.contains(':').then_some("nodad");
        let arguments = ["address", "add", target, "dev", "eth0"].into_iter().chain(nodad);
        lab.feed("world", "ip", &arguments.collect::<Vec<_>>(), "");
    }
    lab.feed("host", "ip", &["link", "set", "jaco0", "down"], "");
    let leaks = || {
        let to_world = targets.map(|(_, target)| {
            let at = SocketAddr::new(address(target), 7777);
            let (from, to) = (if at.is_ipv4() { A1 } else { A1_V6 }, lab.udp("world", at));
            let sender = lab.udp(from.0, SocketAddr::new(address(from.1), 0));
            sender.send_to(b"x", at).unwrap();
            to.recv_from(&mut [0; 8]).is_ok()
        });
        to_world.map(usize::from).iter().sum::<usize>()
    };
    let since = Instant::now();
    while leaks() < targets.len() {
        assert!(since.elapsed() < BOUND, "without rules they leave over the uplink");
    }
    load(&lab, &lab::rules());
    assert_eq!(leaks(), 0);
    assert!(dial(&lab, A1, WORLD, 80).is_some(), "the world is still there");
}

#[test]
fn an_answer_that_comes_in_elsewhere_is_none() {
    if !lab::possible() {
        return;
    }
    let lab = applied(&lab::rules());
    lab.feed("world", "ip", &["address", "add", "10.244.10.2/32", "dev", "eth0"], "");
    lab.feed("world", "ip", &["address", "add", "fd00:244:10::2/128", "dev", "eth0", "nodad"], "");
    for (host, (_, container)) in [("10.243.0.1", FAR_A), ("fd00:243::1", FAR_A_V6)] {
        let node = lab.udp("host", SocketAddr::new(address(host), 0));
        let asked = SocketAddr::new(address(container), 7777);
        let (right, wrong) = (lab.udp("peer", asked), lab.udp("world", asked));
        node.send_to(b"?", asked).unwrap();
        let mut buffer = [0; 8];
        let (_, from) = right.recv_from(&mut buffer).unwrap();
        wrong.send_to(b"forged", from).unwrap();
        right.send_to(b"real", from).unwrap();
        let (length, _) = node.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"real", "the forged one came first");
    }
}

#[test]
fn the_world_sees_the_host_and_the_cluster_sees_the_container() {
    if !lab::possible() {
        return;
    }
    let lab = applied(&lab::rules());
    let seen = |from, to| dial(&lab, from, to, 80).unwrap().1.peer_addr().unwrap().ip().to_string();
    assert_eq!(seen(A1, WORLD), "192.0.2.1");
    assert_eq!(seen(A1, FAR_A), "10.244.0.2");
    assert_eq!(seen(FAR_A, A1), "10.244.10.2");
    assert_eq!(seen(FAR_HOST, A1), "10.243.0.2");
    assert_eq!(seen(NODE_IN_A, NODE), "10.244.0.1", "the host that talks to itself");
}

#[test]
fn what_is_for_everybody_on_a_bridge_arrives_as_it_was_sent() {
    if !lab::possible() {
        return;
    }
    let lab = applied(&lab::rules());
    let group: std::net::Ipv4Addr = "239.1.2.3".parse().unwrap();
    let receiver = lab.udp("a2", SocketAddr::new(group.into(), 7777));
    let interface: std::net::Ipv4Addr = A2.1.parse().unwrap();
    lab.run("a2", || receiver.join_multicast_v4(&group, &interface)).unwrap();
    let sender = lab.udp("a1", SocketAddr::new(address(A1.1), 0));
    sender.send_to(b"x", (group, 7777)).unwrap();
    let (_, from) = receiver.recv_from(&mut [0; 8]).unwrap();
    assert_eq!(from.ip(), address(A1.1));
}

#[test]
fn what_is_no_longer_allowed_ends_in_the_middle_of_a_connection() {
    if !lab::possible() {
        return;
    }
    let rules = lab::rules();
    let lab = applied(&rules);
    let (mut near, mut far) = dial(&lab, A1, FAR_A, 80).unwrap();
    let (mut out, mut world) = dial(&lab, A1, WORLD, 80).unwrap();
    let (mut probe, mut probed) = dial(&lab, FAR_HOST, A1, 80).unwrap();
    let (mut asked, mut asking) = dial(&lab, NODE_IN_MESH, FAR_A, 81).unwrap();
    let (mut asked_v6, mut asking_v6) = dial(&lab, NODE_IN_MESH_V6, FAR_A_V6, 81).unwrap();
    let (mut control, mut controlled) = dial(&lab, B1, FAR_B, 80).unwrap();

    let mut revoked = rules.clone();
    let a: jaco_net::Scope = "a/default".parse().unwrap();
    let far_away = |p: &ipnet::IpNet| [FAR_A, FAR_A_V6].iter().any(|f| p.contains(&address(f.1)));
    revoked.scopes.get_mut(&a).unwrap().retain(|prefix| !far_away(prefix));
    let mut moved = revoked.clone();
    let moving = rules.scopes[&a].iter().filter(|p| far_away(p));
    moved.scopes.get_mut(&"b/default".parse().unwrap()).unwrap().extend(moving);
    load(&lab, &moved);
    assert!(!flows(&mut near, &mut far), "from here to a block that is now of another scope");
    assert!(!flows(&mut far, &mut near), "and back");

    load(&lab, &revoked);
    assert!(!flows(&mut near, &mut far), "from here to a node that is no longer of the scope");
    assert!(!flows(&mut far, &mut near), "and back");
    assert!(!flows(&mut asking, &mut asked), "nor to a host that had asked");
    assert!(!flows(&mut asking_v6, &mut asked_v6), "nor to a host that had asked");
    assert!(flows(&mut out, &mut world) && flows(&mut world, &mut out), "to the world as before");

    let mut inside = rules.clone();
    let bridge = inside.bridges.get_mut(&"jaco-a".parse().unwrap()).unwrap();
    bridge.internal = true;
    load(&lab, &inside);
    assert!(!flows(&mut out, &mut world) && !flows(&mut world, &mut out), "no way out any more");
    assert!(flows(&mut probe, &mut probed), "hosts of the cluster still reach it");

    let mut gone = rules.clone();
    gone.scopes.remove(&a);
    gone.bridges.remove(&"jaco-a".parse().unwrap());
    gone.homes.clear();
    load(&lab, &gone);
    assert!(!flows(&mut probed, &mut probe), "nobody answers for a deployment that is gone");
    assert!(flows(&mut control, &mut controlled), "the neighbour noticed nothing");

    // The connections were cut by the rules and by nothing else: what was written arrives.
    load(&lab, &rules);
    for stream in [&mut far, &mut near, &mut world, &mut out, &mut probe, &mut asked] {
        let since = Instant::now();
        while stream.read_exact(&mut [0]).is_err() {
            assert!(since.elapsed() < BOUND, "{stream:?} never came back");
        }
    }
}

#[test]
fn who_is_no_member_is_not_reached_over_the_mesh() {
    if !lab::possible() {
        return;
    }
    let lab = Lab::new();
    let heard = |target: End| {
        let at = SocketAddr::new(address(target.1), 7777);
        let receiver = lab.udp(target.0, at);
        lab.udp(A1.0, SocketAddr::new(address(A1.1), 0)).send_to(b"x", at).unwrap();
        receiver.recv_from(&mut [0; 8]).is_ok()
    };
    assert!(heard(STRANGER), "without rules it is");
    load(&lab, &lab::rules());
    assert!(!heard(STRANGER));
    assert!(heard(FAR_A), "the mesh is up");
}
