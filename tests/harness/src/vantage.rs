//! What a host or a container reaches, asked from inside its network without its help.

use std::{
    collections::BTreeSet,
    fs::File,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{Container, HarnessError, Host, Result};

/// How long a connection may take to be accepted.
const PATIENCE: Duration = Duration::from_millis(1500);

/// A network that packets are sent from.
#[derive(Debug, Clone)]
pub struct Vantage {
    namespace: PathBuf,
}

impl Vantage {
    /// The network of a container that runs.
    #[must_use]
    pub fn of(container: &Container) -> Self {
        Self { namespace: format!("/proc/{}/ns/net", container.pid).into() }
    }

    /// The network of a host.
    #[must_use]
    pub fn of_host(host: &Host) -> Self {
        Self { namespace: host.namespace() }
    }

    /// Does something on a thread that is in this network.
    ///
    /// # Errors
    /// The network is gone, or what is done fails.
    pub fn enter<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        enter(&self.namespace, work)
    }

    /// A socket for datagrams in this network, which returns at once.
    ///
    /// # Errors
    /// The port is taken.
    pub fn udp(&self, port: u16) -> Result<UdpSocket> {
        self.enter(move || {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        })
    }

    /// A port that connections are taken at, whoever looks at them.
    ///
    /// # Errors
    /// The port is taken.
    pub fn listen(&self, port: u16) -> Result<TcpListener> {
        self.enter(move || TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)))
    }

    /// Which of these take a connection from here. All are asked at once.
    ///
    /// # Errors
    /// The network is gone.
    pub fn connects(&self, targets: &[SocketAddr]) -> Result<BTreeSet<SocketAddr>> {
        let asked: Vec<_> = targets
            .iter()
            .copied()
            .map(|target| {
                let (vantage, ask) = (self.clone(), move || {
                    Ok(TcpStream::connect_timeout(&target, PATIENCE).is_ok().then_some(target))
                });
                thread::spawn(move || vantage.enter(ask))
            })
            .collect();
        let answers = asked.into_iter().map(|asked| asked.join().unwrap_or(Ok(None)));
        answers.filter_map(Result::transpose).collect()
    }

    /// Which of these answer a ping from here. All are asked at once.
    ///
    /// # Errors
    /// There is no `busybox` on this machine.
    pub fn pings(&self, targets: &[IpAddr]) -> Result<BTreeSet<IpAddr>> {
        let asked: Vec<_> = targets
            .iter()
            .map(|target| {
                let mut ping = Command::new("nsenter");
                ping.arg(format!("--net={}", self.namespace.display()));
                ping.args(["busybox", "ping", "-c", "1", "-W", "1", &target.to_string()]);
                ping.stdout(Stdio::null()).stderr(Stdio::null()).spawn()
            })
            .collect::<io::Result<_>>()
            .map_err(HarnessError::file("run", "nsenter"))?;
        let answers = targets.iter().zip(asked).filter_map(|(target, mut asked)| {
            asked.wait().is_ok_and(|status| status.success()).then_some(*target)
        });
        Ok(answers.collect())
    }
}

/// Does something on a thread of its own, since that stays in the namespace it has entered.
pub(crate) fn enter<T: Send + 'static>(
    namespace: &Path,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T> {
    let failed = HarnessError::file("enter", namespace);
    let done = File::open(namespace).and_then(|file| {
        let entered = thread::spawn(move || {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
            work()
        });
        entered.join().unwrap_or_else(|_| Err(io::Error::other("the thread inside panicked")))
    });
    done.map_err(failed)
}
