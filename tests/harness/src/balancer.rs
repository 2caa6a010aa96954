//! A balancer of layer 4 in front of the hosts: each connection goes to another one that accepts it.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// How long a host may take to accept.
const PATIENCE: Duration = Duration::from_secs(2);

/// Listens until it is dropped. What is under way then goes on.
#[derive(Debug)]
pub(crate) struct Balancer {
    at: SocketAddr,
    stop: Arc<AtomicBool>,
    served: Arc<Vec<AtomicUsize>>,
}

impl Balancer {
    /// Takes connections at `at` and hands each to `port` of the next host that accepts it.
    pub(crate) fn start(at: SocketAddr, hosts: Vec<Ipv4Addr>, port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind(at)?;
        let stop = Arc::<AtomicBool>::default();
        let served: Arc<Vec<AtomicUsize>> =
            Arc::new(hosts.iter().map(|_| AtomicUsize::new(0)).collect());
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&served));
        thread::spawn(move || {
            for (turn, client) in listener.incoming().enumerate() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(client) = client else { continue };
                let (hosts, counted) = (hosts.clone(), Arc::clone(&counted));
                thread::spawn(move || {
                    let next = (0..hosts.len()).map(|n| (turn + n) % hosts.len());
                    let open = |n: usize| {
                        let at = SocketAddr::new(IpAddr::V4(hosts[n]), port);
                        Some((n, TcpStream::connect_timeout(&at, PATIENCE).ok()?))
                    };
                    let Some((n, host)) = next.into_iter().find_map(open) else { return };
                    counted[n].fetch_add(1, Ordering::Relaxed);
                    relay(client, host);
                });
            }
        });
        Ok(Self { at, stop, served })
    }

    /// How many connections each host was given.
    pub(crate) fn served(&self) -> Vec<usize> {
        self.served.iter().map(|n| n.load(Ordering::Relaxed)).collect()
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // The listener is waiting for somebody.
        let _ = TcpStream::connect_timeout(&self.at, PATIENCE);
    }
}

/// Copies both ways until both have ended.
fn relay(client: TcpStream, host: TcpStream) {
    let (Ok(back), Ok(forth)) = (client.try_clone(), host.try_clone()) else { return };
    let up = thread::spawn(move || copy(client, forth));
    copy(host, back);
    let _ = up.join();
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
