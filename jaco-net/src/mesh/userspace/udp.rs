//! The UDP port of the mesh.
//!
//! In: encrypted packets. Out: datagrams, many of one destination in one call where the kernel can cut
//! them itself. The socket outlives changes of the key, so that the port is never free for another.

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    os::fd::AsRawFd as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use gotatun::{
    packet::{Packet, PacketBufPool},
    udp::{
        UdpRecv, UdpSend, UdpTransportFactory, UdpTransportFactoryParams,
        socket::{UdpSocket, UdpSocketFactory},
    },
};
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};
use tokio::io::Interest;

use super::bell::Bell;

/// Buffers of the socket, as far as the system allows.
const BUFFER: usize = 7 << 20;
/// Datagrams that the kernel cuts out of one call.
const SEGMENTS: usize = 64;
/// Bytes in one call: less than the largest datagram, whatever the header.
const BYTES: usize = 65000;

/// The port, once it is bound.
pub(super) struct Port {
    bound: Option<(u16, UdpSocket)>,
    /// Whether the kernel cuts datagrams here.
    segmenting: Arc<AtomicBool>,
    bell: Bell,
}

impl Port {
    /// `bell` is rung when the socket breaks.
    pub(super) fn new(bell: Bell) -> Self {
        Self { bound: None, segmenting: Arc::new(AtomicBool::new(true)), bell }
    }
}

impl UdpTransportFactory for Port {
    type Send = Sender;
    type Recv = Receiver;

    async fn bind(&mut self, params: &UdpTransportFactoryParams) -> io::Result<(Sender, Receiver)> {
        let socket = match &self.bound {
            Some((port, socket)) if *port == params.port => socket.clone(),
            _ => {
                self.bound = None;
                let mut sockets = UdpSocketFactory {
                    recv_buffer_size: Some(BUFFER),
                    send_buffer_size: Some(BUFFER),
                };
                let (socket, _) = sockets.bind(params).await?;
                self.bound = Some((params.port, socket.clone()));
                socket
            }
        };
        let segmenting = Arc::clone(&self.segmenting);
        let sender = Sender { socket: socket.clone(), segmenting };
        Ok((sender, Receiver { socket, bell: self.bell.clone() }))
    }
}

/// Into the port.
pub(super) struct Receiver {
    socket: UdpSocket,
    bell: Bell,
}

impl Receiver {
    fn heard<T>(&self, outcome: io::Result<T>) -> io::Result<T> {
        if outcome.is_err() {
            self.bell.broken();
        }
        outcome
    }
}

impl UdpRecv for Receiver {
    type RecvManyBuf = <UdpSocket as UdpRecv>::RecvManyBuf;

    async fn recv_from(&mut self, pool: &mut PacketBufPool) -> io::Result<(Packet, SocketAddr)> {
        let received = self.socket.recv_from(pool).await;
        self.heard(received)
    }

    async fn recv_many_from(
        &mut self,
        buffer: &mut Self::RecvManyBuf,
        pool: &mut PacketBufPool,
        packets: &mut Vec<(Packet, SocketAddr)>,
    ) -> io::Result<()> {
        let received = self.socket.recv_many_from(buffer, pool, packets).await;
        self.heard(received)
    }
}

/// Out of the port.
#[derive(Clone)]
pub(super) struct Sender {
    socket: UdpSocket,
    segmenting: Arc<AtomicBool>,
}

impl UdpSend for Sender {
    type SendManyBuf = <UdpSocket as UdpSend>::SendManyBuf;

    async fn send_to(&self, packet: Packet, to: SocketAddr) -> io::Result<()> {
        self.socket.send_to(packet, to).await
    }

    fn max_number_of_packets_to_send(&self) -> usize {
        self.socket.max_number_of_packets_to_send()
    }

    async fn send_many_to(
        &self,
        buffer: &mut Self::SendManyBuf,
        packets: &mut Vec<(Packet, SocketAddr)>,
    ) -> io::Result<()> {
        if !self.segmenting.load(Ordering::Relaxed) {
            return self.socket.send_many_to(buffer, packets).await;
        }
        let mut sent = 0;
        while sent < packets.len() {
            let run = run(&packets[sent..]);
            match self.send_run(&packets[sent..sent + run]).await {
                Ok(()) => sent += run,
                // Not on this path, as over an interface that computes no checksums.
                Err(error) if run > 1 && matches!(error.raw_os_error(), Some(5 | 22)) => {
                    self.segmenting.store(false, Ordering::Relaxed);
                    packets.drain(..sent);
                    return self.socket.send_many_to(buffer, packets).await;
                }
                // This one gets lost, like any datagram may; those behind it are not its matter.
                Err(error) => {
                    tracing::trace!(%error, "datagrams of the mesh lost");
                    sent += run;
                }
            }
        }
        packets.clear();
        Ok(())
    }

    fn local_addr(&self) -> io::Result<Option<SocketAddr>> {
        UdpSend::local_addr(&self.socket)
    }
}

impl Sender {
    /// Datagrams of one destination and one size, the last perhaps smaller.
    async fn send_run(&self, run: &[(Packet, SocketAddr)]) -> io::Result<()> {
        let Some((first, to)) = run.first() else { return Ok(()) };
        let to = SockaddrStorage::from(*to);
        let size = u16::try_from(first.len()).unwrap_or(u16::MAX);
        let mut pieces = [IoSlice::new(&[]); SEGMENTS];
        for ((packet, _), piece) in run.iter().zip(&mut pieces) {
            *piece = IoSlice::new(packet);
        }
        let pieces = &pieces[..run.len()];
        let control = [ControlMessage::UdpGsoSegments(&size)];
        let control = if run.len() > 1 { &control[..] } else { &[] };
        let socket = self.socket.socket();
        let send = || {
            let fd = socket.as_raw_fd();
            Ok(sendmsg(fd, pieces, control, MsgFlags::MSG_DONTWAIT, Some(&to))?)
        };
        socket.async_io(Interest::WRITABLE, send).await.map(drop)
    }
}

/// How many of the first packets the kernel can take at once: one destination, one size, but that the
/// last may be smaller.
fn run(packets: &[(Packet, SocketAddr)]) -> usize {
    let Some((first, to)) = packets.first() else { return 0 };
    let (size, mut bytes) = (first.len(), first.len());
    let mut count = 1;
    for (packet, other) in &packets[1..] {
        bytes += packet.len();
        if count == SEGMENTS || bytes > BYTES || other != to || packet.len() > size {
            break;
        }
        count += 1;
        if packet.len() < size {
            break;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(packets: &[(usize, u16)]) -> Vec<usize> {
        let packet = |(size, port): &(usize, u16)| {
            let to = SocketAddr::from(([192, 0, 2, 1], *port));
            (Packet::copy_from(&vec![0; *size][..]), to)
        };
        let packets: Vec<_> = packets.iter().map(packet).collect();
        let (mut runs, mut rest) = (Vec::new(), &packets[..]);
        while !rest.is_empty() {
            runs.push(run(rest));
            rest = &rest[run(rest)..];
        }
        runs
    }

    #[test]
    fn a_run_is_of_one_destination_and_size() {
        assert_eq!(runs(&[(1452, 1), (1452, 1), (1452, 1)]), [3]);
        assert_eq!(runs(&[(1452, 1), (96, 1), (1452, 1)]), [2, 1], "a small one ends a run");
        assert_eq!(runs(&[(96, 1), (1452, 1)]), [1, 1]);
        assert_eq!(runs(&[(96, 1), (96, 2), (96, 1)]), [1, 1, 1]);
        assert_eq!(runs(&[]), [0; 0]);
    }

    #[test]
    fn a_run_is_no_longer_than_the_kernel_takes() {
        assert_eq!(runs(&[(100, 1); 70]), [64, 6]);
        assert_eq!(runs(&[(8992, 1); 10]), [7, 3]);
    }
}
