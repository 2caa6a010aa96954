//! Whether packets get to another node and back, asked from either end.
//!
//! This node asks the other's responder; the other tries the same in the opposite direction before it answers, and says
//! whether that worked. So a way that is open in one direction only is told from one that is closed.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use jaco_api::model::{Check, Finding};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, UdpSocket},
    time::timeout,
};

use super::{
    WantedMesh, WantedPeer, own_address,
    wire::{FRAME, Frame, Kind},
};

/// How long an answer is waited for, with what the other tries meanwhile; after how long a datagram is sent again.
const ANSWER: Duration = Duration::from_millis(1800);
const AGAIN: Duration = Duration::from_millis(300);
/// What the other may take for its own try. Enough for both ends to agree on keys first.
const BACK: Duration = Duration::from_millis(1000);

/// What came of a question.
#[derive(Debug)]
pub(super) enum Heard {
    /// An answer. Whether the other end got one to its own question.
    Answer { back: bool },
    /// The own address is not there.
    NoAddress,
    /// Nothing in time.
    Nothing,
    /// The socket says why not.
    Error(io::Error),
}

/// Asks one peer, over UDP and TCP.
pub(super) async fn look(mesh: &WantedMesh, peer: &WantedPeer) -> Finding {
    let Some(own) = own_address(mesh, peer.address) else {
        let why = format!("this node has no mesh address of the family of {}", peer.address);
        return Finding::skipped(Check::Probe, &peer.name, why);
    };
    let to = SocketAddr::new(peer.address, mesh.probe_port);
    let (udp, tcp) = tokio::join!(
        heard(ANSWER, by_udp(own, to, Kind::Ask)),
        heard(ANSWER, by_tcp(own, to, Kind::Ask)),
    );
    judge(mesh, peer, &udp, &tcp)
}

/// Whether `to` answers a ping, for whoever asked from there.
pub(super) async fn udp_back(own: IpAddr, to: SocketAddr) -> bool {
    matches!(heard(BACK, by_udp(own, to, Kind::Ping)).await, Heard::Answer { .. })
}

/// The same over TCP.
pub(super) async fn tcp_back(own: IpAddr, to: SocketAddr) -> bool {
    matches!(heard(BACK, by_tcp(own, to, Kind::Ping)).await, Heard::Answer { .. })
}

async fn heard(patience: Duration, asked: impl Future<Output = io::Result<Frame>>) -> Heard {
    match timeout(patience, asked).await {
        Ok(Ok(frame)) => Heard::Answer { back: frame.answered },
        Ok(Err(error)) if error.kind() == io::ErrorKind::AddrNotAvailable => Heard::NoAddress,
        Ok(Err(error)) => Heard::Error(error),
        Err(_) => Heard::Nothing,
    }
}

async fn by_udp(own: IpAddr, to: SocketAddr, kind: Kind) -> io::Result<Frame> {
    let socket = UdpSocket::bind(SocketAddr::new(own, 0)).await?;
    socket.connect(to).await?;
    let question = Frame::new(kind, rand::random());
    let mut answer = [0; FRAME];
    loop {
        socket.send(&question.bytes()).await?;
        let Ok(received) = timeout(AGAIN, socket.recv(&mut answer)).await else { continue };
        let frame = Frame::read(&answer[..received?]);
        if let Some(frame) = frame.filter(|frame| frame.number == question.number) {
            return Ok(frame);
        }
    }
}

async fn by_tcp(own: IpAddr, to: SocketAddr, kind: Kind) -> io::Result<Frame> {
    let socket = match own {
        IpAddr::V4(_) => TcpSocket::new_v4()?,
        IpAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.bind(SocketAddr::new(own, 0))?;
    let mut stream = socket.connect(to).await?;
    let question = Frame::new(kind, rand::random());
    stream.write_all(&question.bytes()).await?;
    let mut answer = [0; FRAME];
    stream.read_exact(&mut answer).await?;
    Frame::read(&answer)
        .filter(|frame| frame.number == question.number)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "another program answers there"))
}

fn judge(mesh: &WantedMesh, peer: &WantedPeer, udp: &Heard, tcp: &Heard) -> Finding {
    let (name, interface) = (&peer.name, &mesh.interface);
    let to = SocketAddr::new(peer.address, mesh.probe_port);
    let failed = |cause: String, fix: String| Finding::failed(Check::Probe, name, cause, fix);
    let refused = |heard: &Heard| matches!(heard, Heard::Error(e) if e.kind() == io::ErrorKind::ConnectionRefused);
    let there = |heard: &Heard| matches!(heard, Heard::Answer { .. });
    let tables = format!(
        "look at the firewalls of both hosts besides the table inet jaco (`nft list ruleset`): what comes in and goes \
         out over {interface} between mesh addresses must pass"
    );
    match (udp, tcp) {
        (Heard::Answer { back: true }, Heard::Answer { back: true }) => {
            Finding::ok(Check::Probe, name)
        }
        (Heard::NoAddress, _) | (_, Heard::NoAddress) => {
            let why = format!("the mesh address is not on {interface}: see mesh");
            Finding::skipped(Check::Probe, name, why)
        }
        (udp, tcp) if there(udp) && there(tcp) => failed(
            format!("{name} is reached and answers, but gets no answer to what it asks this node"),
            tables,
        ),
        (udp, tcp) if there(udp) != there(tcp) => {
            let (works, fails) = if there(udp) { ("UDP", "TCP") } else { ("TCP", "UDP") };
            failed(format!("{name} answers over {works} and not over {fails} ({to})"), tables)
        }
        (udp, tcp) if refused(udp) || refused(tcp) => {
            let fix = format!(
                "look whether jacod runs on {name}, and whether it is of this version (`jaco node list`)"
            );
            failed(format!("{name} is reached, but nobody listens at {to} there"), fix)
        }
        (Heard::Error(error), _) => {
            let fix =
                "see route and mesh: the kernel does not send what is for this node".to_owned();
            failed(format!("nothing can be sent to {to}: {error}"), fix)
        }
        _ => {
            let fix = format!(
                "see mesh for {name} first; then look whether jacod runs there (`jaco doctor {name}`), and that UDP {} is \
                 open in both directions between the hosts",
                mesh.config.listen_port
            );
            failed(format!("nothing comes back from {to}"), fix)
        }
    }
}

#[cfg(test)]
mod tests {
    use jaco_api::model::FindingOutcome;

    use super::*;
    use crate::MeshConfig;

    fn judged(udp: &Heard, tcp: &Heard) -> String {
        let mesh = WantedMesh {
            interface: "jaco0".parse().unwrap(),
            config: MeshConfig { listen_port: 51820, ..MeshConfig::default() },
            peers: Default::default(),
            probe_port: 51821,
        };
        let peer =
            WantedPeer { name: "node-b".parse().unwrap(), address: "10.243.0.2".parse().unwrap() };
        match judge(&mesh, &peer, udp, tcp).outcome {
            FindingOutcome::Failed { cause, fix } => {
                assert!(!fix.is_empty());
                cause
            }
            FindingOutcome::Skipped { why } => format!("skipped: {why}"),
            _ => String::new(),
        }
    }

    #[test]
    fn each_way_in_which_it_fails_is_told() {
        let (there, one_way) = (Heard::Answer { back: true }, Heard::Answer { back: false });
        let refused = || Heard::Error(io::ErrorKind::ConnectionRefused.into());
        let unroutable = || Heard::Error(io::ErrorKind::NetworkUnreachable.into());
        assert_eq!(judged(&there, &there), "");
        for (udp, tcp) in [(&one_way, &there), (&there, &one_way), (&one_way, &one_way)] {
            assert!(judged(udp, tcp).contains("gets no answer to what it asks"), "{udp:?} {tcp:?}");
        }
        assert!(judged(&there, &Heard::Nothing).contains("over UDP and not over TCP"));
        assert!(judged(&refused(), &one_way).contains("over TCP and not over UDP"));
        assert_eq!(
            judged(&Heard::Nothing, &Heard::Nothing),
            "nothing comes back from 10.243.0.2:51821"
        );
        assert!(judged(&refused(), &refused()).contains("nobody listens at 10.243.0.2:51821"));
        assert!(judged(&unroutable(), &unroutable()).starts_with("nothing can be sent"));
        assert!(
            judged(&Heard::NoAddress, &Heard::NoAddress).starts_with("skipped: the mesh address")
        );
    }
}
