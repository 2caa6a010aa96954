//! Who may open a connection to whom.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use jaco_net::{Firewall, NftFirewall, Ruleset};
use rustix::net::{AddressFamily, SocketType, ipproto};

use crate::lab::{self, Lab};

/// What is not there after this long does not come: an answer takes a fraction of a millisecond.
pub(crate) const REFUSED: Duration = Duration::from_millis(400);
/// What must happen, happens within this.
pub(crate) const BOUND: Duration = Duration::from_secs(5);

pub(crate) fn applied(rules: &Ruleset) -> Lab {
    let lab = Lab::new();
    load(&lab, rules);
    lab
}

pub(crate) fn load(lab: &Lab, rules: &Ruleset) {
    lab.on_node(async || NftFirewall::new().apply(rules).await).unwrap();
}

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Opens a connection from that address to that one; both ends of it.
pub(crate) fn dial(
    lab: &Lab,
    from: (&str, &str),
    to: (&str, &str),
    port: u16,
) -> Option<(TcpStream, TcpStream)> {
    dial_at(lab, from, to.1, to, port)
}

/// Opens a connection from that address to whoever is behind the target; both ends of it.
pub(crate) fn dial_at(
    lab: &Lab,
    (from, source): (&str, &str),
    target: &str,
    (to, destination): (&str, &str),
    port: u16,
) -> Option<(TcpStream, TcpStream)> {
    let listener = SocketAddr::new(address(destination), port);
    let listener = lab.run(to, || TcpListener::bind(listener)).unwrap();
    let stream = connect(lab, (from, source), SocketAddr::new(address(target), port)).ok()?;
    let (accepted, _) = listener.accept().unwrap();
    accepted.set_read_timeout(Some(REFUSED)).unwrap();
    Some((stream, accepted))
}

/// Opens a connection from that address; why there is none.
pub(crate) fn connect(
    lab: &Lab,
    (from, source): (&str, &str),
    target: SocketAddr,
) -> io::Result<TcpStream> {
    let stream = lab.run(from, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let socket = match target {
                SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4(),
                SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6(),
            };
            let socket = socket.unwrap();
            socket.bind(SocketAddr::new(address(source), 0)).unwrap();
            let dialed = tokio::time::timeout(REFUSED, socket.connect(target)).await;
            dialed.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?.into_std()
        })
    })?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(REFUSED))?;
    Ok(stream)
}

/// Whether what is written at one end arrives at the other.
pub(crate) fn flows(from: &mut TcpStream, to: &mut TcpStream) -> bool {
    from.write_all(b"x").unwrap();
    to.read_exact(&mut [0]).is_ok()
}

/// Whether an echo request is answered.
pub(crate) fn ping(lab: &Lab, (from, source): (&str, &str), destination: &str) -> bool {
    lab.run(from, || {
        let (v6, to) = (source.contains(':'), SocketAddr::new(address(destination), 0));
        let (family, protocol, request) = if v6 {
            (AddressFamily::INET6, ipproto::ICMPV6, 128)
        } else {
            (AddressFamily::INET, ipproto::ICMP, 8)
        };
        let socket = rustix::net::socket(family, SocketType::DGRAM, Some(protocol)).unwrap();
        rustix::net::bind(&socket, &SocketAddr::new(address(source), 0)).unwrap();
        let timeout = rustix::net::sockopt::Timeout::Recv;
        rustix::net::sockopt::set_socket_timeout(&socket, timeout, Some(REFUSED)).unwrap();
        let echo = [request, 0, 0, 0, 0, 0, 0, 1];
        // Refused at once when it is this host that may not send it.
        let mut answer = [0; 64];
        // The first may meet a neighbour that is not known yet.
        (0..3).any(|_| {
            let sent = rustix::net::sendto(&socket, &echo, rustix::net::SendFlags::empty(), &to);
            let flags = rustix::net::RecvFlags::empty();
            sent.is_ok() && rustix::net::recv(&socket, &mut answer, flags).is_ok()
        })
    })
}

pub(crate) type End = (&'static str, &'static str);

pub(crate) const A1: End = ("a1", "10.244.0.2");
pub(crate) const A1_V6: End = ("a1", "fd00:244::2");
pub(crate) const A2: End = ("a2", "10.244.0.3");
/// As it is known in `a`; it is in `b` too.
pub(crate) const X1: End = ("x1", "10.244.0.9");
pub(crate) const B1: End = ("b1", "10.244.1.2");
pub(crate) const B1_V6: End = ("b1", "fd00:244:1::2");
pub(crate) const C1: End = ("c1", "10.244.2.2");
pub(crate) const FAR_A: End = ("peer", "10.244.10.2");
pub(crate) const FAR_A_V6: End = ("peer", "fd00:244:10::2");
pub(crate) const FAR_B: End = ("peer", "10.244.11.2");
pub(crate) const FAR_HOST: End = ("peer", "10.243.0.2");
pub(crate) const FAR_HOST_V6: End = ("peer", "fd00:243::2");
pub(crate) const STRANGER: End = ("peer", "10.243.0.88");
pub(crate) const NOBODY: End = ("peer", "10.244.99.2");
pub(crate) const WORLD: End = ("world", "192.0.2.2");
pub(crate) const WORLD_V6: End = ("world", "fd00:192::2");
pub(crate) const OTHER: End = ("f1", "172.30.0.2");
pub(crate) const NODE_IN_A: End = ("host", "10.244.0.1");
pub(crate) const NODE_IN_A_V6: End = ("host", "fd00:244::1");
pub(crate) const NODE_IN_B: End = ("host", "10.244.1.1");
pub(crate) const NODE_IN_C: End = ("host", "10.244.2.1");
pub(crate) const NODE_IN_MESH: End = ("host", "10.243.0.1");
pub(crate) const NODE_IN_MESH_V6: End = ("host", "fd00:243::1");
pub(crate) const NODE: End = ("host", "192.0.2.1");

/// Who may open a connection to whom, at which port.
const PAIRS: &[(End, End, u16, bool)] = &[
    // Within a scope, and only there.
    (A1, A2, 80, true),
    (A1, B1, 80, false),
    (A1_V6, B1_V6, 80, false),
    (A1, FAR_A, 80, true),
    (A1_V6, FAR_A_V6, 80, true),
    (A1, FAR_B, 80, false),
    (FAR_A, A1, 80, true),
    (FAR_A_V6, A1_V6, 80, true),
    (FAR_A, B1, 80, false),
    (FAR_B, B1, 80, true),
    (B1, A1, 80, false),
    (B1, C1, 80, false),
    (C1, A1, 80, false),
    (NOBODY, A1, 80, false),
    (A1, NOBODY, 80, false),
    // The world is reached and does not reach in.
    (A1, WORLD, 80, true),
    (A1_V6, WORLD_V6, 80, true),
    (C1, WORLD, 80, false),
    (WORLD, A1, 80, false),
    (WORLD_V6, A1_V6, 80, false),
    (OTHER, A1, 80, false),
    (A1, OTHER, 80, true),
    // Hosts of the cluster reach containers and are not reached.
    (FAR_HOST, A1, 80, true),
    (FAR_HOST_V6, A1_V6, 80, true),
    (FAR_HOST, C1, 80, true),
    (A1_V6, FAR_HOST_V6, 22, false),
    (A1, STRANGER, 80, false),
    (A1, FAR_HOST, 22, false),
    (A1, FAR_HOST, 7001, false),
    (NODE_IN_A, NODE_IN_A, 53, true),
    (NODE_IN_A, A1, 80, true),
    (NODE_IN_C, C1, 80, true),
    (NODE_IN_MESH, FAR_A, 80, true),
    (NODE_IN_MESH, NOBODY, 80, false),
    // What containers may reach on their host.
    (A1, NODE_IN_A, 53, true),
    (A1_V6, NODE_IN_A_V6, 53, true),
    (A1_V6, NODE_IN_A_V6, 22, false),
    (NODE_IN_A_V6, A1_V6, 80, true),
    (NODE_IN_MESH_V6, FAR_A_V6, 80, true),
    (A1, NODE_IN_B, 53, false),
    (C1, NODE_IN_C, 53, true),
    (A1, NODE, 53, false),
    (A1, NODE_IN_MESH, 53, false),
    (A1, NODE_IN_A, 443, true),
    (A1, NODE, 443, true),
    (A1, NODE_IN_A, 22, false),
    (A1, NODE_IN_A, 7000, false),
    (A1, NODE_IN_A, 7001, false),
    (A1, NODE, 22, false),
    (A1, NODE, 7000, false),
    (A1, NODE, 7001, false),
    (A1, NODE_IN_MESH, 22, false),
    (A1, NODE_IN_MESH, 7000, false),
    (A1, NODE_IN_MESH, 7001, false),
    (FAR_A, NODE_IN_MESH, 7001, false),
    (FAR_A, NODE_IN_A, 53, false),
    // What is not ours is not touched.
    (OTHER, NODE, 22, true),
    (OTHER, WORLD, 80, true),
    (WORLD, NODE, 22, true),
    (FAR_HOST, NODE_IN_MESH, 7001, true),
];

#[test]
fn connections_are_opened_by_those_who_may_and_by_nobody_else() {
    if !lab::possible() {
        return;
    }
    let lab = Lab::new();
    let outcome = |&(from, to, port, _): &(End, End, u16, bool)| {
        (from, to, port, dial(&lab, from, to, port).is_some())
    };
    let open: Vec<_> = PAIRS.iter().map(outcome).collect();
    assert!(open.iter().all(|pair| pair.3), "without rules everything is reached: {open:#?}");
    load(&lab, &lab::rules());
    let policed: Vec<_> = PAIRS.iter().map(outcome).collect();
    assert_eq!(policed, PAIRS);
}

/// Who is answered by whom.
const ECHOES: &[(End, End, bool)] = &[
    (A1, A2, true),
    (A1, FAR_A, true),
    (A1_V6, FAR_A_V6, true),
    (FAR_A, A1, true),
    (A1, B1, false),
    (A1_V6, B1_V6, false),
    (A1, FAR_B, false),
    (A1, WORLD, true),
    (C1, WORLD, false),
    (WORLD, A1, false),
    (FAR_HOST, A1, true),
    (A1, FAR_HOST, false),
    (NODE_IN_A, A1, true),
    (A1, NODE_IN_A, false),
    (A1, NODE, false),
    (OTHER, NODE, true),
];

#[test]
fn echo_requests_fare_as_connections_do() {
    if !lab::possible() {
        return;
    }
    let lab = Lab::new();
    let outcome = |&(from, to, _): &(End, End, bool)| (from, to, ping(&lab, from, to.1));
    let open: Vec<_> = ECHOES.iter().map(outcome).collect();
    assert!(open.iter().all(|pair| pair.2), "without rules everybody is answered: {open:#?}");
    load(&lab, &lab::rules());
    let policed: Vec<_> = ECHOES.iter().map(outcome).collect();
    assert_eq!(policed, ECHOES);
}

#[test]
fn a_deployment_with_host_access_reaches_its_host_and_no_other_deployment() {
    if !lab::possible() {
        return;
    }
    let mut rules = lab::rules();
    rules.bridges.get_mut(&"jaco-a".parse().unwrap()).unwrap().host_access = true;
    let lab = applied(&rules);
    for (from, to, reached) in [
        (A1, NODE_IN_A, true),
        (A1, NODE, true),
        (B1, NODE_IN_B, false),
        (A1, B1, false),
        (A1, NODE_IN_B, false),
    ] {
        assert_eq!(dial(&lab, from, to, 22).is_some(), reached, "{from:?} -> {to:?}");
    }
}
