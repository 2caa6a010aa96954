//! What two hundred deployments on fifty nodes cost.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use ipnet::{IpNet, Ipv4Net};
use jaco_net::{Bridge, Firewall, NftFirewall, Ruleset, Scope};

use crate::lab::{self, Lab};

/// The longest that loading or reading the largest ruleset may take. It takes a fraction of a second of
/// work; whatever is quadratic takes minutes.
const BOUND: Duration = Duration::from_secs(10);

/// The rules of the lab, and as many deployments more, all of them on this node too, each with ten
/// services of three replicas; two neighbours share a container.
fn crowded(deployments: u32, nodes: u32) -> Ruleset {
    let mut rules = lab::rules();
    let block = |n: u32| {
        let first = u32::from(Ipv4Addr::new(10, 245, 0, 0)) + n * 16;
        IpNet::from(Ipv4Net::new(first.into(), 28).unwrap())
    };
    for n in 0..deployments {
        let scope: Scope = format!("d{n}/default").parse().unwrap();
        let blocks = (0..nodes).map(|node| block(n * nodes + node)).collect();
        rules.scopes.insert(scope.clone(), blocks);
        let own = block(n * nodes);
        let blocks = [(own, own.hosts().next().unwrap())].into();
        let bridge = Bridge { scope, blocks, internal: n % 7 == 0, host_access: n % 11 == 0 };
        rules.bridges.insert(format!("jaco-d{n}").parse().unwrap(), bridge);
        for service in 0..10 {
            let address =
                Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 248, 16, 0)) + n * 10 + service);
            let replicas = own.hosts().skip(2).take(3).collect();
            rules.virtuals.insert(address.into(), replicas);
        }
        if n % 2 == 1 {
            let other = block((n - 1) * nodes).hosts().nth(5).unwrap();
            rules.homes.insert([own.hosts().nth(5).unwrap(), other].into());
        }
    }
    rules.check().unwrap();
    rules
}

fn rules_loaded(lab: &Lab) -> usize {
    let listing = lab.run("host", || {
        std::process::Command::new("nft").args(["-a", "list", "table", "inet", "jaco"]).output()
    });
    let listing = String::from_utf8(listing.unwrap().stdout).unwrap();
    // Whatever opens a block is a table, a set or a chain.
    listing.lines().filter(|line| line.contains("# handle") && !line.contains("{ #")).count()
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let since = Instant::now();
    let outcome = work();
    (outcome, since.elapsed())
}

#[test]
fn rules_do_not_grow_with_deployments_and_loading_them_stays_fast() {
    if !lab::possible() {
        return;
    }
    let lab = Lab::new();
    let firewall = NftFirewall::new();
    lab.on_node(async || firewall.apply(&crowded(0, 1)).await).unwrap();
    let few = rules_loaded(&lab);
    let rules = crowded(197, 50);
    let (applied, load) = timed(|| lab.on_node(async || firewall.apply(&rules).await));
    applied.unwrap();
    let (loaded, read) = timed(|| lab.on_node(async || firewall.read().await).unwrap().unwrap());
    assert!(loaded.is(&rules), "everything is read back");
    let many = rules_loaded(&lab);
    eprintln!(
        "{few} rules, {many} with 200 deployments; apply {load:?} with its self-test, read {read:?}"
    );
    assert_eq!(few, many);
    assert!(few > 30, "they were counted");
    assert!(load < BOUND && read < BOUND, "apply {load:?}, read {read:?}");
}

/// The median time in which a datagram goes there and back.
fn round_trip(near: &UdpSocket, far: &UdpSocket, to: SocketAddr) -> Duration {
    let mut times: Vec<Duration> = (0..400_u32)
        .map(|n| {
            let since = Instant::now();
            near.send_to(&n.to_ne_bytes(), to).unwrap();
            let mut buffer = [0; 8];
            let (length, from) = far.recv_from(&mut buffer).unwrap();
            far.send_to(&buffer[..length], from).unwrap();
            near.recv_from(&mut buffer).unwrap();
            since.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

#[test]
fn packets_do_not_wait_longer_where_there_are_many_deployments() {
    if !lab::possible() {
        return;
    }
    let lab = Lab::new();
    let far = lab.udp("peer", "10.244.10.2:7777".parse().unwrap());
    let to = |address: &str| SocketAddr::new(address.parse().unwrap(), 7777);
    let near = || lab.udp("a1", "10.244.0.2:0".parse().unwrap());
    let (direct, service) = ((near(), to("10.244.10.2")), (near(), to("10.248.0.2")));
    let bare = round_trip(&direct.0, &far, direct.1);
    let (few, many) = (crowded(0, 1), crowded(197, 50));
    let firewall = NftFirewall::new();
    // In turns, so that whatever else this machine does meets both.
    let mut times: Vec<[Duration; 4]> = Vec::new();
    for _ in 0..3 {
        let under = |rules| {
            lab.on_node(async || firewall.apply(rules).await).unwrap();
            [&direct, &service].map(|(near, to)| round_trip(near, &far, *to))
        };
        let ([few, few_virtual], [many, many_virtual]) = (under(&few), under(&many));
        times.push([few, many, few_virtual, many_virtual]);
    }
    let best = |of: usize| times.iter().map(|all| all[of]).min().unwrap();
    eprintln!("round trip {bare:?} without rules");
    for (what, few, many) in [("", best(0), best(1)), (" to a service", best(2), best(3))] {
        eprintln!("round trip{what} {few:?} with 3 deployments, {many:?} with 200");
        assert!(many < few * 3 / 2 + Duration::from_micros(5), "{few:?} became {many:?}");
    }
}
