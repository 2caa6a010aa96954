//! Who may be asked.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use tokio::{sync::Mutex, time::Instant};

/// How long a file counts as unchanged.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// More are not asked: a client does not wait for so many.
const MOST: usize = 8;

/// Where questions go that this node does not answer itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forwarders {
    /// To these, in this order.
    Given(Vec<SocketAddr>),
    /// To the `nameserver`s of a file like `/etc/resolv.conf`, as it is at the time.
    ResolvConf(PathBuf),
}

/// The forwarders, re-read while they are used; one that nobody asks reads nothing.
#[derive(Debug)]
pub(super) struct Upstreams {
    forwarders: Forwarders,
    read: Mutex<Read>,
}

#[derive(Debug, Default)]
struct Read {
    at: Option<Instant>,
    servers: Vec<SocketAddr>,
}

impl Upstreams {
    pub(super) fn new(forwarders: Forwarders) -> Self {
        Self { forwarders, read: Mutex::default() }
    }

    /// Whom to ask now, without ourselves.
    pub(super) async fn current(&self, own: &BTreeSet<SocketAddr>) -> Vec<SocketAddr> {
        let all = match &self.forwarders {
            Forwarders::Given(servers) => servers.clone(),
            Forwarders::ResolvConf(path) => {
                let mut read = self.read.lock().await;
                if read.at.is_none_or(|at| at.elapsed() >= LOOK_AGAIN) {
                    // A file that is just being replaced leaves what it said.
                    match tokio::fs::read_to_string(path).await {
                        Ok(text) => read.servers = nameservers(&text),
                        Err(error) => {
                            tracing::debug!(path = %path.display(), %error, "not read again");
                        }
                    }
                    read.at = Some(Instant::now());
                }
                read.servers.clone()
            }
        };
        let mut seen = BTreeSet::new();
        let others = all.into_iter().filter(|server| !own.contains(server) && seen.insert(*server));
        others.take(MOST).collect()
    }
}

/// The servers of a resolver configuration that can be asked from here; everything else in it is for others.
pub(crate) fn nameservers(text: &str) -> Vec<SocketAddr> {
    let lines = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()).flatten()
    });
    let addresses = lines.filter_map(|word| word.parse::<IpAddr>().ok());
    addresses.filter(|address| asks_others(*address)).map(|a| SocketAddr::new(a, 53)).collect()
}

/// Whether a query to it leaves this host's own answers: an engine's resolver is inside a container, and what is no
/// address of a host is nobody.
fn asks_others(address: IpAddr) -> bool {
    address != IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11))
        && !address.is_unspecified()
        && !address.is_multicast()
        && address != IpAddr::V4(Ipv4Addr::BROADCAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(text: &str) -> BTreeSet<SocketAddr> {
        [text.parse().unwrap()].into()
    }

    #[test]
    fn only_servers_that_can_be_asked_are_read() {
        let text = "# a comment\nsearch example.com\nnameserver 192.0.2.1\n\tnameserver\t2001:db8::1 # x\n\
                    nameserver 127.0.0.11\nnameserver 0.0.0.0\nnameserver fe80::1%eth0\nnameserver\n\
                    options ndots:5\n;nameserver 192.0.2.9\nnameserver 127.0.0.53\n";
        let expected = ["192.0.2.1:53", "[2001:db8::1]:53", "127.0.0.53:53"];
        assert_eq!(nameservers(text), expected.map(|s| s.parse().unwrap()));
    }

    #[tokio::test]
    async fn we_do_not_ask_ourselves_and_nobody_twice() {
        let given = ["192.0.2.1:53", "127.9.9.9:53", "192.0.2.1:53", "127.9.9.9:5353"];
        let upstreams = Upstreams::new(Forwarders::Given(given.map(|s| s.parse().unwrap()).into()));
        let expected = ["192.0.2.1:53", "127.9.9.9:5353"].map(|s| s.parse().unwrap());
        assert_eq!(upstreams.current(&own("127.9.9.9:53")).await, expected);
    }

    #[tokio::test]
    async fn a_changed_file_is_read_again_and_a_missing_one_is_not_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resolv.conf");
        let upstreams = Upstreams::new(Forwarders::ResolvConf(path.clone()));
        assert!(upstreams.current(&BTreeSet::new()).await.is_empty());
        let elapsed = || async { upstreams.read.lock().await.at = None };
        for address in ["192.0.2.1", "192.0.2.2"] {
            std::fs::write(&path, format!("nameserver {address}\n")).unwrap();
            elapsed().await;
            let expected = [SocketAddr::new(address.parse().unwrap(), 53)];
            assert_eq!(upstreams.current(&BTreeSet::new()).await, expected);
        }
        std::fs::remove_file(&path).unwrap();
        elapsed().await;
        assert_eq!(upstreams.current(&BTreeSet::new()).await.len(), 1);
    }
}
