//! What the doctors of other nodes ask: a responder on this node's mesh addresses, over UDP and TCP.
//!
//! Input is [`Serving`], a replace-set; output is answers to members. It listens on mesh addresses only, which containers
//! are kept away from by the firewall, and answers the mesh addresses of members only, which the mesh proves. An
//! answer is never longer than its question. It must never answer anybody else, nor ask anybody but who asked.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use rustix::net::sockopt::{set_ip_freebind, set_ipv6_freebind};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream, UdpSocket},
    sync::{Semaphore, watch},
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};

use super::{
    PATIENCE,
    path_mtu::unfragmented,
    probe::{tcp_back, udp_back},
    wire::{FRAME, Frame, Kind},
};

/// How long until an address that cannot be listened on is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// Questions over UDP, and streams, that are answered at a time.
const UNDER_WAY: usize = 64;

/// Where to listen, and whom to answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Serving {
    /// The mesh addresses of this node.
    pub addresses: BTreeSet<IpAddr>,
    /// The port; the same on all nodes.
    pub port: u16,
    /// The mesh addresses of the other members.
    pub members: BTreeSet<IpAddr>,
}

/// Answers the doctors of other nodes. Dropping it closes every socket.
#[derive(Debug)]
pub struct ProbeResponder {
    serving: watch::Sender<Serving>,
    failed: watch::Receiver<BTreeMap<SocketAddr, Arc<io::Error>>>,
    task: JoinHandle<()>,
}

impl ProbeResponder {
    /// Listens nowhere yet. Needs a tokio runtime.
    #[must_use]
    pub fn start() -> Self {
        let serving = watch::Sender::new(Serving::default());
        let (report, failed) = watch::channel(BTreeMap::new());
        let task = tokio::spawn(converge(serving.subscribe(), report));
        Self { serving, failed, task }
    }

    /// Serves exactly this from now on. An address may be listened on before it exists.
    pub fn set(&self, serving: Serving) {
        self.serving.send_if_modified(|old| {
            let changed = *old != serving;
            *old = serving;
            changed
        });
    }

    /// The wanted addresses that cannot be listened on, with the reason; they are tried again.
    #[must_use]
    pub fn failed(&self) -> BTreeMap<SocketAddr, Arc<io::Error>> {
        self.failed.borrow().clone()
    }

    /// Closes every socket and waits until that is done.
    pub async fn stop(mut self) {
        self.serving = watch::Sender::default();
        // The loop ends when nobody can want anything any more.
        let _ = (&mut self.task).await;
    }
}

impl Drop for ProbeResponder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Keeps a listener on every wanted address.
async fn converge(
    mut serving: watch::Receiver<Serving>,
    report: watch::Sender<BTreeMap<SocketAddr, Arc<io::Error>>>,
) {
    let mut listeners = BTreeMap::new();
    let mut running = JoinSet::new();
    loop {
        let wanted: BTreeSet<SocketAddr> = {
            let serving = serving.borrow_and_update();
            serving.addresses.iter().map(|own| SocketAddr::new(*own, serving.port)).collect()
        };
        listeners.retain(|at, listener: &mut tokio::task::AbortHandle| {
            let keep = wanted.contains(at) && !listener.is_finished();
            if !keep {
                listener.abort();
            }
            keep
        });
        let mut failed = BTreeMap::new();
        for at in wanted {
            if listeners.contains_key(&at) {
                continue;
            }
            match Post::open(at, serving.clone()) {
                Ok(post) => {
                    listeners.insert(at, running.spawn(post.serve()));
                }
                Err(error) => {
                    tracing::debug!(%at, %error, "doctors of other nodes are not answered yet");
                    failed.insert(at, Arc::new(error));
                }
            }
        }
        let retry = !failed.is_empty();
        report.send_replace(failed);
        tokio::select! {
            changed = serving.changed() => if changed.is_err() { break },
            Some(_) = running.join_next() => {}
            () = sleep(AGAIN), if retry => {}
        }
    }
    running.shutdown().await;
}

/// The sockets of one address.
struct Post {
    own: SocketAddr,
    udp: Arc<UdpSocket>,
    tcp: TcpListener,
    serving: watch::Receiver<Serving>,
    room: Arc<Semaphore>,
}

impl Post {
    fn open(own: SocketAddr, serving: watch::Receiver<Serving>) -> io::Result<Self> {
        let (udp, tcp) = listen(own)?;
        let room = Arc::new(Semaphore::new(UNDER_WAY));
        Ok(Self { own, udp: Arc::new(udp), tcp, serving, room })
    }

    /// Until a socket breaks.
    async fn serve(self) {
        let error = tokio::select! {
            error = self.datagrams() => error,
            error = self.streams() => error,
        };
        tracing::warn!(at = %self.own, %error, "a socket for doctors of other nodes broke");
    }

    fn member(&self, source: SocketAddr) -> bool {
        self.serving.borrow().members.contains(&source.ip())
    }

    /// Where whoever asks from `source` answers itself.
    fn responder_of(&self, source: SocketAddr) -> SocketAddr {
        SocketAddr::new(source.ip(), self.own.port())
    }

    async fn datagrams(&self) -> io::Error {
        let mut packet = vec![0; usize::from(u16::MAX)];
        let mut asking = JoinSet::new();
        loop {
            let (length, source) = match self.udp.recv_from(&mut packet).await {
                Ok(received) => received,
                // What became of an answer we sent, not of the socket.
                Err(error) if about_a_peer(&error) => continue,
                Err(error) => return error,
            };
            let Some(frame) = Frame::read(&packet[..length]).filter(|_| self.member(source)) else {
                continue;
            };
            let heard = u16::try_from(length).unwrap_or(u16::MAX);
            let answer = Frame { kind: Kind::Pong, answered: false, heard, ..frame };
            match frame.kind {
                // An answer that cannot be sent is one that was lost.
                Kind::Ping => drop(self.udp.send_to(&answer.bytes(), source).await),
                Kind::Echo => drop(self.udp.send_to(&answer.padded(length), source).await),
                Kind::Ask => {
                    let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() else { continue };
                    let (udp, own, to) =
                        (Arc::clone(&self.udp), self.own.ip(), self.responder_of(source));
                    asking.spawn(async move {
                        let answered = udp_back(own, to).await;
                        let told = Frame { kind: Kind::Told, answered, ..answer };
                        let _lost = udp.send_to(&told.bytes(), source).await;
                        drop(permit);
                    });
                    while asking.try_join_next().is_some() {}
                }
                Kind::Pong | Kind::Told => {}
            }
        }
    }

    async fn streams(&self) -> io::Error {
        let mut open = JoinSet::new();
        loop {
            let (stream, source) = match self.tcp.accept().await {
                Ok(accepted) => accepted,
                Err(error) if about_a_peer(&error) => continue,
                Err(error) => return error,
            };
            while open.try_join_next().is_some() {}
            if !self.member(source) || open.len() >= UNDER_WAY {
                continue;
            }
            let answering = answer(stream, self.own.ip(), self.responder_of(source));
            open.spawn(timeout(PATIENCE, answering));
        }
    }
}

/// One question of a stream.
async fn answer(mut stream: TcpStream, own: IpAddr, to: SocketAddr) -> io::Result<()> {
    let mut question = [0; FRAME];
    stream.read_exact(&mut question).await?;
    let Some(frame) = Frame::read(&question) else { return Ok(()) };
    let (kind, answered) = match frame.kind {
        Kind::Ping => (Kind::Pong, false),
        Kind::Ask => (Kind::Told, tcp_back(own, to).await),
        Kind::Echo | Kind::Pong | Kind::Told => return Ok(()),
    };
    stream.write_all(&Frame { kind, answered, ..frame }.bytes()).await?;
    stream.shutdown().await
}

fn listen(own: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    let udp = datagram_socket(own)?;
    unfragmented(&udp, own.ip())?;
    let tcp = if own.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    freebind(&tcp, own)?;
    tcp.set_reuseaddr(true)?;
    tcp.bind(own)?;
    Ok((udp, tcp.listen(16)?))
}

fn datagram_socket(own: SocketAddr) -> io::Result<UdpSocket> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, socket_with};
    let family = if own.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::DGRAM, flags, Some(ipproto::UDP))?;
    freebind(&socket, own)?;
    bind(&socket, &own)?;
    UdpSocket::from_std(socket.into())
}

/// Lets it be bound before the address is there, and stay when it goes.
fn freebind(socket: impl std::os::fd::AsFd, own: SocketAddr) -> io::Result<()> {
    match own {
        SocketAddr::V4(_) => set_ip_freebind(socket, true)?,
        SocketAddr::V6(_) => set_ipv6_freebind(socket, true)?,
    }
    Ok(())
}

fn about_a_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, WouldBlock,
    };
    let kinds = [ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, WouldBlock];
    kinds.contains(&error.kind())
}
