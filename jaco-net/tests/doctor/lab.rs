//! Two hosts of a test: a namespace each, joined by a cable, with a bridge, the rules, a mesh in this process and
//! both responders. Gone when dropped.

use std::{
    collections::BTreeSet,
    fs::File,
    io::Write as _,
    net::{IpAddr, UdpSocket},
    os::fd::AsFd as _,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use jaco_api::model::{Check, Finding, FindingOutcome};
use jaco_net::{
    Bridge, Firewall, MeshConfig, MeshDevice, MeshLink, MeshPeer, NftFirewall, PrivateKey, Ruleset,
    Scope, UserspaceMesh,
    dns::{self, Forwarders, Names, Resolver, Responders, Zone},
    doctor::{Handles, ProbeResponder, Serving, Wanted, WantedMesh, WantedPeer, examine},
};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::runtime::{Builder, Runtime};

const MESH_PORT: u16 = 51820;
pub(crate) const PROBE_PORT: u16 = 51999;

/// Whether real packets can be sent here; says so when not.
pub(crate) fn possible() -> bool {
    let found = |tool: &str| Command::new(tool).arg("-V").stdout(Stdio::null()).status().is_ok();
    let missing = if !rustix::process::geteuid().is_root() {
        "this is not root"
    } else if !found("ip") || !found("nft") {
        "iproute2 and nftables are not both installed"
    } else if File::open("/dev/net/tun").is_err() {
        "there is no /dev/net/tun"
    } else {
        return true;
    };
    let required = std::env::var_os("JACO_REQUIRE_RIG").is_some_and(|v| v != "false");
    assert!(!required, "{missing}");
    eprintln!("SKIPPED: {missing}; no doctor looked at anything");
    false
}

pub(crate) fn scope() -> Scope {
    "shop/default".parse().unwrap()
}

fn key(n: u8) -> PrivateKey {
    PrivateKey::new([n; 32])
}

fn block(n: u8) -> (ipnet::IpNet, IpAddr) {
    (format!("10.244.{n}.0/24").parse().unwrap(), IpAddr::from([10, 244, n, 1]))
}

fn mesh_address(n: u8) -> IpAddr {
    IpAddr::from([10, 243, 0, n])
}

/// `node-a` and `node-b`.
pub(crate) struct Lab {
    pub(crate) a: Host,
    pub(crate) b: Host,
}

impl Lab {
    /// Both, with nothing broken yet; `before` runs once they are joined and before anything is applied.
    pub(crate) fn new(before: impl FnOnce(&Host, &Host)) -> Self {
        let (a, b) = (Host::new(1), Host::new(2));
        let pair = ["type", "veth", "peer", "name", "eth0", "netns", &b.namespace.0];
        a.ip(&[&["link", "add", "eth0"][..], &pair].concat());
        for (host, address) in [(&a, "10.99.0.1/24"), (&b, "10.99.0.2/24")] {
            host.ip(&["address", "add", address, "dev", "eth0"]);
            host.ip(&["link", "set", "eth0", "up"]);
        }
        before(&a, &b);
        let mut lab = Self { a, b };
        lab.b.serve();
        lab.a.serve();
        lab
    }
}

/// One host.
pub(crate) struct Host {
    n: u8,
    namespace: Namespace,
    runtime: Option<Runtime>,
    pub(crate) wanted: Wanted,
    handles: Handles,
    names: Option<Responders>,
    probes: Option<ProbeResponder>,
}

impl Host {
    fn new(n: u8) -> Self {
        let mut host = Self {
            n,
            namespace: Namespace::new(),
            runtime: None,
            wanted: wanted(n),
            handles: Handles::default(),
            names: None,
            probes: None,
        };
        host.forwards(true);
        host.ip(&["link", "add", "jaco-a", "type", "bridge"]);
        host.ip(&["address", "add", &format!("{}/24", block(n).1), "dev", "jaco-a"]);
        host.ip(&["link", "set", "jaco-a", "up"]);
        // Its workers are started inside, and so are in the namespace.
        host.runtime = Some(host.namespace.inside(|| {
            Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
        }));
        host
    }

    /// Applies everything that is wanted, and answers.
    fn serve(&mut self) {
        let (wanted, n) = (self.wanted.clone(), self.n);
        let (handles, names, probes) = self.block_on(async move {
            let firewall: Arc<dyn Firewall> = Arc::new(NftFirewall::new());
            firewall.apply(wanted.rules.as_ref().unwrap()).await.unwrap();
            let device: Arc<dyn MeshDevice> = Arc::new(UserspaceMesh::named("jaco0"));
            device.apply(&key(n), &wanted.mesh.unwrap().config).await.unwrap();
            let mut known = Names::of(format!("node-{n}").parse().unwrap());
            let (block, gateway) = block(n);
            known.bridges.insert(gateway, dns::Bridge { block, scope: scope() });
            let names =
                Responders::start(Resolver::new(Zone::new(&known), Forwarders::Given(Vec::new())));
            let at = (gateway, 53).into();
            names.set([at].into());
            tokio::time::timeout(Duration::from_secs(10), names.bound(at)).await.unwrap();
            let probes = ProbeResponder::start();
            probes.set(Serving {
                addresses: [mesh_address(n)].into(),
                port: PROBE_PORT,
                members: [mesh_address(3 - n)].into(),
            });
            (Handles { firewall: Some(firewall), mesh: Some(device) }, names, probes)
        });
        (self.handles, self.names, self.probes) = (handles, Some(names), Some(probes));
    }

    /// What this host finds of itself.
    pub(crate) fn examine(&self) -> Findings {
        let (wanted, handles) = (self.wanted.clone(), self.handles.clone());
        let started = std::time::Instant::now();
        let findings = self.block_on(async move { examine(&wanted, &handles).await });
        let took = started.elapsed();
        assert!(took < Duration::from_secs(6), "a look is bounded, and took {took:?}");
        Findings(findings)
    }

    /// Applies what is wanted again, as a repair does.
    pub(crate) fn repair(&self) {
        let (wanted, handles, n) = (self.wanted.clone(), self.handles.clone(), self.n);
        self.block_on(async move {
            handles.firewall.unwrap().apply(&wanted.rules.unwrap()).await.unwrap();
            handles.mesh.unwrap().apply(&key(n), &wanted.mesh.unwrap().config).await.unwrap();
        });
    }

    pub(crate) fn stop_names(&mut self) {
        let names = self.names.take().unwrap();
        self.block_on(names.stop());
    }

    pub(crate) fn stop_probes(&mut self) {
        let probes = self.probes.take().unwrap();
        self.block_on(probes.stop());
    }

    /// A container on the bridge asks the responder of this host, which would answer it; whether it gets an answer.
    pub(crate) fn container_is_answered(&self) -> bool {
        let (_, gateway) = block(self.n);
        let address = IpAddr::from([10, 244, self.n, 2]);
        let container = Namespace::new();
        let peer = ["type", "veth", "peer", "name", "eth0", "netns", &container.0];
        self.ip(&[&["link", "add", "v-c"][..], &peer].concat());
        self.ip(&["link", "set", "v-c", "master", "jaco-a", "up"]);
        container.ip(&["address", "add", &format!("{address}/24"), "dev", "eth0"]);
        container.ip(&["link", "set", "eth0", "up"]);
        container.ip(&["route", "add", "default", "via", &gateway.to_string()]);
        self.know([address].into());
        let ping = [&b"jaco\x01\x01"[..], &[0; 12]].concat();
        let to = (mesh_address(self.n), PROBE_PORT);
        let answered = container.inside(|| {
            let socket = UdpSocket::bind((address, 0)).unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            (0..10).any(|_| socket.send_to(&ping, to).is_ok() && socket.recv(&mut [0; 64]).is_ok())
        });
        self.ip(&["link", "del", "v-c"]);
        answered
    }

    /// From now on the responder answers these alone.
    pub(crate) fn know(&self, members: BTreeSet<IpAddr>) {
        let addresses = [mesh_address(self.n)].into();
        let serving = Serving { addresses, port: PROBE_PORT, members };
        self.probes.as_ref().unwrap().set(serving);
    }

    /// Ends everything that the process of this host does.
    pub(crate) fn end(&mut self) {
        (self.names, self.probes, self.handles) = (None, None, Handles::default());
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
    }

    pub(crate) fn ip(&self, arguments: &[&str]) -> String {
        self.namespace.ip(arguments)
    }

    /// As a container engine sets it.
    pub(crate) fn forwards(&self, on: bool) {
        let value = if on { "1" } else { "0" };
        self.namespace.inside(|| std::fs::write("/proc/sys/net/ipv4/ip_forward", value)).unwrap();
    }

    pub(crate) fn nft(&self, script: &str) {
        run("ip", &["netns", "exec", &self.namespace.0, "nft", "-f", "-"], script);
    }

    fn block_on<T: Send>(&self, work: impl Future<Output = T> + Send) -> T {
        let handle = self.runtime.as_ref().unwrap().handle().clone();
        self.namespace.inside(|| handle.block_on(work))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.end();
    }
}

/// A network namespace that goes with its owner.
struct Namespace(String);

impl Namespace {
    /// A new one, with its loopback up.
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let namespace = Self(format!("jdoc-{}-{count}", std::process::id()));
        run("ip", &["netns", "add", &namespace.0], "");
        namespace.ip(&["link", "set", "lo", "up"]);
        namespace
    }

    fn ip(&self, arguments: &[&str]) -> String {
        run("ip", &[&["-n", &self.0], arguments].concat(), "")
    }

    /// Runs on a thread in the namespace.
    fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let file = File::open(format!("/run/netns/{}", self.0)).unwrap();
                move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
                work()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

/// What host `n` of two wants.
fn wanted(n: u8) -> Wanted {
    let other = 3 - n;
    let bridge =
        Bridge { scope: scope(), blocks: [block(n)].into(), internal: false, host_access: false };
    let bridges = [("jaco-a".parse().unwrap(), bridge)];
    let rules = Ruleset {
        pools: ["10.244.0.0/14".parse().unwrap()].into(),
        scopes: [(scope(), [block(1).0, block(2).0].into())].into(),
        bridges: bridges.clone().into(),
        mesh: Some(MeshLink {
            interface: "jaco0".parse().unwrap(),
            own: [mesh_address(n)].into(),
            members: [mesh_address(other)].into(),
        }),
        ..Ruleset::default()
    };
    let peer = MeshPeer {
        endpoint: Some(format!("10.99.0.{other}:{MESH_PORT}").parse().unwrap()),
        allowed: [mesh_address(other).into(), block(other).0].into(),
        keepalive: Some(Duration::from_secs(25)),
    };
    let name = if other == 1 { "node-a" } else { "node-b" };
    let named = WantedPeer { name: name.parse().unwrap(), address: mesh_address(other) };
    let mesh = WantedMesh {
        interface: "jaco0".parse().unwrap(),
        config: MeshConfig {
            addresses: [mesh_address(n).into()].into(),
            listen_port: MESH_PORT,
            mtu: 1420,
            peers: [(key(other).public(), peer)].into(),
        },
        peers: [(key(other).public(), named)].into(),
        probe_port: PROBE_PORT,
    };
    Wanted { bridges: bridges.into(), names: true, rules: Some(rules), mesh: Some(mesh) }
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Findings(pub(crate) Vec<Finding>);

impl Findings {
    fn with(&self, wanted: impl Fn(&FindingOutcome) -> bool) -> BTreeSet<(Check, &str)> {
        let found = self.0.iter().filter(|finding| wanted(&finding.outcome));
        found.map(|finding| (finding.check, finding.subject.as_str())).collect()
    }

    pub(crate) fn failed(&self) -> BTreeSet<(Check, &str)> {
        self.with(|outcome| matches!(outcome, FindingOutcome::Failed { .. }))
    }

    pub(crate) fn skipped(&self) -> BTreeSet<(Check, &str)> {
        self.with(|outcome| matches!(outcome, FindingOutcome::Skipped { .. }))
    }

    /// Exactly these failed, and these were skipped; every failure says what to do.
    pub(crate) fn are(&self, failed: &[(Check, &str)], skipped: &[(Check, &str)]) {
        assert_eq!(self.failed(), failed.iter().copied().collect(), "{self:#?}");
        assert_eq!(self.skipped(), skipped.iter().copied().collect(), "{self:#?}");
        for finding in &self.0 {
            if let FindingOutcome::Failed { cause, fix } = &finding.outcome {
                assert!(!cause.is_empty() && !fix.is_empty(), "{finding:?}");
            }
        }
    }

    /// Why it failed.
    pub(crate) fn cause(&self, check: Check, subject: &str) -> &str {
        let found = self.0.iter().find(|f| f.check == check && f.subject == subject);
        match found.map(|finding| &finding.outcome) {
            Some(FindingOutcome::Failed { cause, .. }) => cause,
            other => panic!("{check} of {subject} has not failed: {other:?}"),
        }
    }
}

fn run(program: &str, arguments: &[&str], input: &str) -> String {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it is installed");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {}: {said}", arguments.join(" "));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
