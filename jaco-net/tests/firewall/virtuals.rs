//! Who answers for a virtual address, whom he sees, and what happens when nobody does.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, SocketAddr, TcpListener, UdpSocket},
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use jaco_net::{Firewall, NftFirewall, Ruleset};

use crate::{
    flows::*,
    lab::{self, Lab},
};

const SERVICE: &str = "10.248.0.50";
const SERVICE_V6: &str = "fd00:248::50";
const PORT: u16 = 7777;

/// The rules of the lab, and a virtual address for these replicas.
fn serving(service: &str, replicas: &[&str]) -> Ruleset {
    let mut rules = lab::rules();
    let replicas = replicas.iter().map(|replica| address(replica)).collect();
    rules.virtuals.insert(address(service), replicas);
    rules
}

/// How far these counts are from equal ones, as a test of goodness of fit puts it.
fn chi_square(counts: &[u32]) -> f64 {
    let expected = f64::from(counts.iter().sum::<u32>()) / counts.len() as f64;
    counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum()
}

#[test]
fn every_replica_gets_its_share_of_connections() {
    if !lab::possible() {
        return;
    }
    const CONNECTIONS: u16 = 4000;
    let lab = Lab::new();
    let replicas: Vec<String> = (0..100).map(|n| format!("10.244.0.{}", 100 + n)).collect();
    let all = replicas.iter().map(|r| format!("address add {r}/24 dev eth0\n"));
    lab.ip("a2", &all.collect::<String>());
    let sockets: Vec<UdpSocket> = replicas
        .iter()
        .map(|replica| {
            let socket = lab.udp("a2", SocketAddr::new(address(replica), PORT));
            socket.set_nonblocking(true).unwrap();
            socket
        })
        .collect();
    let to = SocketAddr::new(address(SERVICE), PORT);
    let firewall = NftFirewall::new();
    // One in a million of fair draws is farther from equal than this.
    for (replicas_used, limit) in
        [(1, 0.1), (2, 24.0), (3, 27.7), (5, 33.5), (7, 38.3), (100, 190.0)]
    {
        let used: Vec<&str> = replicas[..replicas_used].iter().map(String::as_str).collect();
        let rules = serving(SERVICE, &used);
        // No connection of the round before is taken up again.
        let none = serving(SERVICE, &[]);
        lab.on_node(async || {
            firewall.apply(&none).await.unwrap();
            firewall.apply(&rules).await.unwrap();
        });
        let mut counts = vec![0; replicas_used];
        for port in 10_000..10_000 + CONNECTIONS {
            let from = client(&lab, port);
            from.send_to(b"x", to).unwrap();
            if port % 16 == 0 || port == 10_000 + CONNECTIONS - 1 {
                for (count, socket) in counts.iter_mut().zip(&sockets) {
                    while socket.recv_from(&mut [0; 8]).is_ok() {
                        *count += 1;
                    }
                }
            }
        }
        let off = chi_square(&counts);
        eprintln!("{replicas_used} replicas: {:?}…, {off:.1}", &counts[..replicas_used.min(7)]);
        assert_eq!(counts.iter().sum::<u32>(), u32::from(CONNECTIONS), "all of them arrived");
        assert!(off < limit, "{replicas_used} replicas: {off} with {counts:?}");
    }
}

/// A socket of the client with that port: a connection of its own.
fn client(lab: &Lab, port: u16) -> UdpSocket {
    lab.udp(A1.0, SocketAddr::new(address(A1.1), port))
}

#[test]
fn a_service_is_reached_by_those_who_share_its_scope_and_seen_as_said() {
    if !lab::possible() {
        return;
    }
    let lab = applied(&lab::rules());
    let bridged = |on: &str| {
        for key in ["bridge/bridge-nf-call-iptables", "bridge/bridge-nf-call-ip6tables"] {
            lab.set("host", key, on);
        }
    };
    // Containers do not route; they listen to whoever says that there is a shorter way.
    for container in ["a1", "a2", "b1"] {
        lab.set(container, "ipv4/ip_forward", "0");
        lab.set(container, "ipv6/conf/all/forwarding", "0");
    }
    for on in ["1", "0"] {
        bridged(on);
        for (from, service, to, seen) in [
            // Behind the same bridge, the client itself included.
            (A1, "10.248.0.1", A2, Some("10.244.0.1")),
            (A1, "10.248.0.8", A1, Some("10.244.0.1")),
            (A1_V6, "fd00:248::1", ("a2", "fd00:244::3"), Some("fd00:244::1")),
            // On another node.
            (A1, "10.248.0.2", FAR_A, Some("10.244.0.2")),
            (A1_V6, "fd00:248::2", FAR_A_V6, Some("fd00:244::2")),
            (B1, "10.248.0.4", FAR_B, Some("10.244.1.2")),
            // This host, as the mesh and as the bridge know it.
            (NODE, "10.248.0.1", A2, Some("10.244.0.1")),
            (NODE, "10.248.0.2", FAR_A, Some("10.243.0.1")),
            (("host", "fd00:192::1"), "fd00:248::2", FAR_A_V6, Some("fd00:243::1")),
            // Services of others lead nowhere.
            (A1, "10.248.0.3", B1, None),
            (A1_V6, "fd00:248::3", B1_V6, None),
            (A1, "10.248.0.4", FAR_B, None),
            (B1, "10.248.0.2", FAR_A, None),
            (C1, "10.248.0.1", A2, None),
            // They are nobody's business but the cluster's.
            (OTHER, "10.248.0.1", A2, None),
            (FAR_HOST, "10.248.0.1", A2, None),
        ] {
            let dialed = dial_at(&lab, from, service, to, 80);
            let what = format!("{from:?} -> {service}, bridged packets filtered: {on}");
            let (client, server) = match (dialed, seen) {
                (Some(ends), Some(_)) => ends,
                (None, None) => continue,
                (dialed, _) => panic!("{what}: {dialed:?}"),
            };
            let peer = server.peer_addr().unwrap().ip();
            assert_eq!(Some(peer), seen.map(address), "{what}");
            assert_eq!(client.peer_addr().unwrap().ip(), address(service), "{what}");
            // Everything that follows goes the same way.
            let (mut client, mut server) = (client, server);
            for _ in 0..20 {
                assert!(
                    flows(&mut client, &mut server) && flows(&mut server, &mut client),
                    "{what}"
                );
            }
            assert!(ping(&lab, from, service), "{what}");
        }
    }
}

#[test]
fn what_nobody_answers_for_is_refused_at_once() {
    if !lab::possible() {
        return;
    }
    let lab = applied(&lab::rules());
    let (empty, unknown) = ("10.248.0.5", "10.248.0.99");
    for (from, service) in [
        (A1, empty),
        (A1, unknown),
        (C1, empty),
        (A1_V6, "fd00:248::5"),
        (A1_V6, "fd00:248::99"),
        (NODE, empty),
        (("host", "fd00:192::1"), "fd00:248::5"),
    ] {
        let target = SocketAddr::new(address(service), PORT);
        let error = connect(&lab, from, target).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "{from:?} -> {service}");
        let socket = lab.udp(from.0, SocketAddr::new(address(from.1), 0));
        socket.connect(target).unwrap();
        let error = socket.send(b"x").and_then(|_| socket.recv(&mut [0; 8])).unwrap_err();
        // A process of this host is refused within the call that sends.
        let refused = match from.0 {
            "host" => io::ErrorKind::PermissionDenied,
            _ => io::ErrorKind::ConnectionRefused,
        };
        assert_eq!(error.kind(), refused, "{from:?} -> {service}");
        assert!(!ping(&lab, from, service), "{from:?} -> {service}");
    }
    // Others are not told anything.
    let error = connect(&lab, OTHER, SocketAddr::new(address(empty), PORT)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}

/// Sends until it arrives at one of these; which one.
fn arrives(from: &UdpSocket, to: SocketAddr, at: &[&UdpSocket]) -> usize {
    let since = Instant::now();
    loop {
        let _ = from.send_to(b"x", to);
        for (n, socket) in at.iter().enumerate() {
            socket.set_nonblocking(true).unwrap();
            if socket.recv_from(&mut [0; 8]).is_ok() {
                return n;
            }
        }
        assert!(since.elapsed() < BOUND, "it arrives nowhere");
    }
}

#[test]
fn what_goes_to_a_replica_that_is_gone_goes_elsewhere() {
    if !lab::possible() {
        return;
    }
    for (service, near, far, from) in
        [(SERVICE, A2, FAR_A, A1), (SERVICE_V6, ("a2", "fd00:244::3"), FAR_A_V6, A1_V6)]
    {
        let lab = Lab::new();
        let firewall = NftFirewall::new();
        let load = |rules: Ruleset| lab.on_node(async || firewall.apply(&rules).await).unwrap();
        load(serving(service, &[near.1]));
        let to = SocketAddr::new(address(service), PORT);
        let bind = |end: End| lab.udp(end.0, SocketAddr::new(address(end.1), PORT));
        let (here, there) = (bind(near), bind(far));
        let sender = lab.udp(from.0, SocketAddr::new(address(from.1), 0));
        assert_eq!(arrives(&sender, to, &[&here, &there]), 0);
        let (mut open, mut opened) = dial_at(&lab, from, service, near, 80).unwrap();

        load(serving(service, &[far.1]));
        // What was sent before the change is on the way no more.
        while here.recv_from(&mut [0; 8]).is_ok() {}
        assert_eq!(arrives(&sender, to, &[&here, &there]), 1, "the kernel forgot the old one");
        assert!(here.recv_from(&mut [0; 8]).is_err());
        assert!(flows(&mut open, &mut opened) && flows(&mut opened, &mut open), "TCP stays");

        // Refused at once when nobody is left, and taken up again when somebody is back, whoever loads.
        load(serving(service, &[]));
        sender.connect(to).unwrap();
        let error = sender.send(b"x").and_then(|_| sender.recv(&mut [0; 8])).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let restarted = NftFirewall::new();
        let back = serving(service, &[near.1]);
        lab.on_node(async || restarted.apply(&back).await).unwrap();
        while there.recv_from(&mut [0; 8]).is_ok() {}
        assert_eq!(arrives(&sender, to, &[&here, &there]), 0);
    }
}

#[test]
fn an_attempt_to_connect_finds_the_replica_that_is_left() {
    if !lab::possible() {
        return;
    }
    let lab = Lab::new();
    let firewall = NftFirewall::new();
    let load = |rules: Ruleset| lab.on_node(async || firewall.apply(&rules).await).unwrap();
    // On the other node, where nobody says that it is not there.
    load(serving(SERVICE, &["10.244.10.77"]));
    lab.ip("peer", "route add blackhole 10.244.10.77\n");
    let listener =
        lab.run(A2.0, || TcpListener::bind(SocketAddr::new(address(A2.1), PORT))).unwrap();
    let target = SocketAddr::new(address(SERVICE), PORT);
    std::thread::scope(|scope| {
        let attempt =
            scope.spawn(|| lab.run(A1.0, || std::net::TcpStream::connect_timeout(&target, BOUND)));
        let tracked = |wanted: &str| {
            let listing =
                lab.run("host", || std::fs::read_to_string("/proc/thread-self/net/nf_conntrack"));
            listing.unwrap_or_default().contains(wanted)
        };
        let since = Instant::now();
        while !tracked("10.244.10.77") && since.elapsed() < REFUSED {
            std::thread::yield_now();
        }
        load(serving(SERVICE, &[A2.1]));
        attempt.join().unwrap().unwrap();
    });
    listener.accept().unwrap();
}

#[test]
fn a_number_without_a_replica_leads_to_the_first() {
    if !lab::possible() {
        return;
    }
    let lab = applied(&serving(SERVICE, &[A2.1, FAR_A.1, "10.244.10.77", "10.244.10.78"]));
    // As for the moment in which the number of replicas is read before it changes, and they after.
    let gone = (1..4).zip([FAR_A.1, "10.244.10.77", "10.244.10.78"]);
    let gone: Vec<_> = gone.map(|(n, replica)| format!("{SERVICE} . {n} : {replica}")).collect();
    lab.nft(&format!("delete element inet jaco replicas4 {{ {} }}", gone.join(", ")));
    let first = lab.udp(A2.0, SocketAddr::new(address(A2.1), PORT));
    for port in 10_000..10_040 {
        client(&lab, port).send_to(b"x", (SERVICE, PORT)).unwrap();
        first.recv_from(&mut [0; 8]).unwrap();
    }
}

#[test]
fn no_connection_is_lost_while_replicas_come_and_go() {
    if !lab::possible() {
        return;
    }
    let lab = Lab::new();
    let firewall = NftFirewall::new();
    let (few, many) = (serving(SERVICE, &[A2.1]), serving(SERVICE, &[A2.1, FAR_A.1, "10.244.0.2"]));
    lab.on_node(async || firewall.apply(&few).await).unwrap();
    let sockets: Vec<UdpSocket> = [A1, A2, FAR_A]
        .iter()
        .map(|end| {
            let socket = lab.udp(end.0, SocketAddr::new(address(end.1), PORT));
            socket.set_nonblocking(true).unwrap();
            socket
        })
        .collect();
    let (stop, to) = (AtomicBool::new(false), SocketAddr::new(address(SERVICE), PORT));
    let (sent, arrived) = std::thread::scope(|scope| {
        let flood = scope.spawn(|| {
            let (mut sent, mut arrived) = (0_u32, BTreeSet::new());
            let mut drain = || {
                let mut id = [0; 4];
                for socket in &sockets {
                    while socket.recv_from(&mut id).is_ok() {
                        arrived.insert(u32::from_ne_bytes(id));
                    }
                }
                arrived.len()
            };
            lab.run(A1.0, || {
                while !stop.load(Ordering::Relaxed) {
                    let port = 10_000 + u16::try_from(sent % 50_000).unwrap();
                    let source: IpAddr = address(A1.1);
                    let client = UdpSocket::bind(SocketAddr::new(source, port)).unwrap();
                    client.send_to(&sent.to_ne_bytes(), to).unwrap();
                    sent += 1;
                    drain();
                }
            });
            (sent, drain())
        });
        lab.on_node(async || {
            for n in 0..12 {
                firewall.apply(if n % 2 == 0 { &many } else { &few }).await.unwrap();
            }
        });
        stop.store(true, Ordering::SeqCst);
        flood.join().unwrap()
    });
    eprintln!("{sent} connections, {arrived} arrived");
    assert!(sent > 1000, "there were some");
    assert_eq!(usize::try_from(sent).unwrap(), arrived);
}
