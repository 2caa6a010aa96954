//! One question to one upstream.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use hickory_proto::op::ResponseCode;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
};

use super::{
    Key, Said,
    said::{Reading, read},
};
use crate::dns::query::UDP_MOST;

/// A datagram that is lost is sent again.
const AGAIN: Duration = Duration::from_millis(800);

/// Why an upstream gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("there is nobody to ask")]
    NoUpstream,
    #[error("too many questions are on their way")]
    Overloaded,
    #[error("{upstream} said nothing")]
    Silent { upstream: SocketAddr },
    #[error("{upstream} cannot be reached")]
    Unreachable {
        upstream: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("{upstream} gave something that is no answer")]
    Garbled { upstream: SocketAddr },
    #[error("{upstream} would not answer: {code}")]
    Refused {
        upstream: SocketAddr,
        code: ResponseCode,
        /// What it said about it.
        explanation: Option<Vec<u8>>,
    },
}

impl Failure {
    /// The one of two that tells more: what somebody said goes before what nobody said.
    pub(super) fn or(self, other: Self) -> Self {
        if matches!(other, Self::Refused { .. }) { other } else { self }
    }
}

/// Asks, over TCP when it does not fit into a datagram, and without EDNS one who does not know it.
pub(super) async fn exchange(upstream: SocketAddr, key: &Key) -> Result<Said, Failure> {
    let with_edns = key.edns;
    match attempt(upstream, key, with_edns).await {
        Err(Failure::Refused { code: ResponseCode::FormErr | ResponseCode::NotImp, .. })
            if with_edns =>
        {
            attempt(upstream, key, false).await
        }
        done => done,
    }
}

async fn attempt(upstream: SocketAddr, key: &Key, edns: bool) -> Result<Said, Failure> {
    let unreachable = |source| Failure::Unreachable { upstream, source };
    let id = rand::random();
    let packet = write(key, id, edns);
    let said = match over_udp(upstream, &packet, key, id).await.map_err(unreachable)? {
        Reading::Truncated => {
            let id = rand::random();
            let packet = write(key, id, edns);
            let bytes = over_tcp(upstream, &packet).await.map_err(unreachable)?;
            read(bytes, key, id)
        }
        said => said,
    };
    match said {
        Reading::Said(said) => Ok(said),
        Reading::Refused { code, explanation } => {
            Err(Failure::Refused { upstream, code, explanation })
        }
        Reading::Foreign | Reading::Garbled | Reading::Truncated => {
            Err(Failure::Garbled { upstream })
        }
    }
}

/// A query with this id.
fn write(key: &Key, id: u16, edns: bool) -> Vec<u8> {
    let mut packet = Vec::with_capacity(key.question.len() + 32);
    packet.extend(id.to_be_bytes());
    packet.push(u8::from(key.recursion_desired));
    packet.push(u8::from(key.authentic_data) << 5 | u8::from(key.checking_disabled) << 4);
    for count in [1_u16, 0, 0, u16::from(edns)] {
        packet.extend(count.to_be_bytes());
    }
    packet.extend(&key.question);
    if edns {
        packet.extend([0, 0, 41]);
        packet.extend(UDP_MOST.to_be_bytes());
        packet.extend([0, 0, u8::from(key.dnssec_ok) << 7, 0, 0, 0]);
    }
    packet
}

/// A socket of its own for each question: the kernel chooses its port at random, and lets nobody but the upstream in.
async fn over_udp(upstream: SocketAddr, packet: &[u8], key: &Key, id: u16) -> io::Result<Reading> {
    let any: IpAddr = match upstream {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(upstream).await?;
    socket.send(packet).await?;
    let mut again = tokio::time::interval(AGAIN);
    again.tick().await;
    let mut buffer = vec![0; 4096];
    loop {
        tokio::select! {
            length = socket.recv(&mut buffer) => {
                let length = length?;
                match read(buffer[..length].to_vec(), key, id) {
                    // A guess of somebody, or an answer to a question that is over.
                    Reading::Foreign => {}
                    reading => return Ok(reading),
                }
            }
            _ = again.tick() => {
                socket.send(packet).await?;
            }
        }
    }
}

async fn over_tcp(upstream: SocketAddr, packet: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(upstream).await?;
    let length = u16::try_from(packet.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let framed = [&length.to_be_bytes()[..], packet].concat();
    stream.write_all(&framed).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; length.into()];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}
