//! A node of a test: a namespace, and a mesh device in it.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use jaco_net::{
    KernelMesh, MeshConfig, MeshDevice, MeshKind, MeshPeer, NetError, PeerStatus, PrivateKey,
    PublicKey, UserspaceMesh, testing::MeshTampering,
};
use tokio::runtime::{Builder, Runtime};

use crate::namespace::{Namespace, Shell};

pub(crate) const PORT: u16 = 51820;
/// What something may take that happens at once.
pub(crate) const BOUND: Duration = Duration::from_secs(20);

pub(crate) struct Node {
    pub(crate) namespace: Namespace,
    pub(crate) key: PrivateKey,
    pub(crate) config: MeshConfig,
    device: Arc<dyn MeshDevice>,
    runtime: Option<Runtime>,
}

pub(crate) fn device(kind: MeshKind) -> Arc<dyn MeshDevice> {
    match kind {
        MeshKind::Kernel => Arc::new(KernelMesh::named("jaco0")),
        _ => Arc::new(UserspaceMesh::named("jaco0")),
    }
}

impl Node {
    /// With this number in its mesh address.
    pub(crate) fn new(kind: MeshKind, n: u8) -> Self {
        let namespace = Namespace::new();
        // Its workers are started inside, and so are in the namespace.
        let runtime = namespace
            .inside(|| Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());
        let config = MeshConfig {
            addresses: [format!("10.243.0.{n}/32").parse().unwrap()].into(),
            listen_port: PORT,
            mtu: 1420,
            peers: BTreeMap::new(),
        };
        let key = PrivateKey::new([n; 32]);
        Self { namespace, key, config, device: device(kind), runtime: Some(runtime) }
    }

    /// Two of them, joined by a cable and by a mesh in which only the first knows where the other is.
    pub(crate) fn pair(kind: MeshKind) -> (Self, Self) {
        let (mut one, mut two) = (Self::new(kind, 1), Self::new(kind, 2));
        one.namespace.join("10.99.0.1/24", &two.namespace, "10.99.0.2/24");
        one.know(&two, Some("10.99.0.2:51820"));
        two.know(&one, None);
        // The one that is called first, so that it answers at once.
        two.apply().unwrap();
        one.apply().unwrap();
        (one, two)
    }

    /// Adds the other as a peer, or replaces what is known of it.
    pub(crate) fn know(&mut self, other: &Self, endpoint: Option<&str>) {
        let peer = MeshPeer {
            endpoint: endpoint.map(|e| e.parse().unwrap()),
            allowed: other.config.addresses.clone(),
            keepalive: Some(Duration::from_secs(25)),
        };
        self.config.peers.insert(other.public(), peer);
    }

    pub(crate) fn public(&self) -> PublicKey {
        self.key.public()
    }

    pub(crate) fn address(&self) -> IpAddr {
        self.config.addresses.first().unwrap().addr()
    }

    /// Runs in the namespace.
    pub(crate) fn run<T: Send>(
        &self,
        work: impl AsyncFnOnce(Arc<dyn MeshDevice>) -> T + Send,
    ) -> T {
        let device = Arc::clone(&self.device);
        let (send, receive) = mpsc::channel();
        let handle = self.runtime.as_ref().unwrap().handle().clone();
        self.namespace.inside(move || {
            // The device needs the workers; what drives it may be any thread of the namespace.
            let _ = send.send(handle.block_on(work(device)));
        });
        receive.recv().unwrap()
    }

    pub(crate) fn apply(&self) -> Result<(), NetError> {
        let (key, config) = (PrivateKey::new(*self.key.expose()), self.config.clone());
        self.run(async move |device| device.apply(&key, &config).await)
    }

    pub(crate) fn read(&self) -> Option<MeshConfig> {
        self.run(async |device| device.read().await.unwrap())
    }

    pub(crate) fn status(&self, of: PublicKey) -> PeerStatus {
        self.run(async move |device| device.peers().await.unwrap().remove(&of).unwrap())
    }

    /// What the next start of the daemon would have: nothing but what the kernel holds.
    pub(crate) fn restart(&mut self, kind: MeshKind) {
        self.device = device(kind);
    }

    /// The number of the mesh interface.
    pub(crate) fn index(&self) -> String {
        let shown = self.namespace.ip(&["-o", "link", "show", "jaco0"]);
        shown.split(':').next().unwrap().to_owned()
    }

    /// The source from which datagrams of this node arrive at the other; `None` if none does.
    pub(crate) fn reaches(&self, other: &Self, from: IpAddr, patience: Duration) -> Option<IpAddr> {
        let (to, from) = (SocketAddr::new(other.address(), 7), SocketAddr::new(from, 0));
        let sink = other.namespace.inside(|| UdpSocket::bind(to).unwrap());
        let source = self.namespace.inside(|| UdpSocket::bind(from).unwrap());
        sink.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let started = Instant::now();
        while started.elapsed() < patience {
            // Without a route, or with a full queue: the next one may get there.
            let _ = source.send_to(b"hello", to);
            if let Ok((_, from)) = sink.recv_from(&mut [0; 16]) {
                return Some(from.ip());
            }
        }
        None
    }

    /// Sends that many bytes to the other by TCP; what arrived, and from where.
    pub(crate) fn sends(&self, other: &Self, bytes: usize) -> (usize, IpAddr) {
        let to = SocketAddr::new(other.address(), 8);
        let listener = other.namespace.inside(|| TcpListener::bind(to).unwrap());
        thread::scope(|scope| {
            scope.spawn(|| {
                self.namespace.enter();
                let mut stream = TcpStream::connect_timeout(&to, BOUND).unwrap();
                stream.set_write_timeout(Some(BOUND)).unwrap();
                stream.write_all(&pattern(bytes)).unwrap();
            });
            let (mut stream, from) = listener.accept().unwrap();
            stream.set_read_timeout(Some(BOUND)).unwrap();
            let mut received = Vec::new();
            stream.read_to_end(&mut received).unwrap();
            assert!(received == pattern(bytes)[..received.len()], "bytes arrive as they were sent");
            (received.len(), from.ip())
        })
    }
}

fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| (n % 251) as u8).collect()
}

impl MeshTampering for Shell {
    fn delete_interface(&self) {
        self.ip(&["link", "del", "jaco0"]);
    }

    fn flush_addresses(&self) {
        self.ip(&["addr", "flush", "dev", "jaco0"]);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
    }
}

/// Waits for something that must come true.
#[allow(clippy::disallowed_methods, reason = "the pause of a bounded wait")]
pub(crate) fn until(what: &str, mut met: impl FnMut() -> Result<(), String>) {
    let started = Instant::now();
    let mut last = String::new();
    while started.elapsed() < BOUND {
        match met() {
            Ok(()) => return,
            Err(status) => last = status,
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("{what} did not come true: {last}");
}
