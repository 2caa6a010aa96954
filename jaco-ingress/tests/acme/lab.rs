//! A real CA on this machine, and the node that it asks.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use async_trait::async_trait;
use jaco_api::model::Timestamp;
use jaco_ingress::{
    DnsProvider as _, Domain,
    acme::{
        AcmeClient, Cause, ExternalAccount, Limits, PlacedOrder, Publisher,
        challenge::{CHALLENGE_LIFE, Challenge, Http01Answers},
    },
    testing::FakeDns,
    tls::{self, Resolver},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
};

use crate::{names, pki};

const PEBBLE: &str = "/usr/bin/pebble";
const BOUND: Duration = Duration::from_secs(20);

/// Says that a test does not run; a failure where everything must.
pub(crate) fn skip(why: &str) {
    let required = std::env::var_os("JACO_REQUIRE_RIG").is_some_and(|v| v != "false");
    assert!(!required, "{why}");
    eprintln!("SKIPPED: {why}");
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_system_time(SystemTime::now())
}

pub(crate) fn domain(text: &str) -> Domain {
    text.parse().unwrap()
}

/// How the CA is to be.
#[derive(Default)]
pub(crate) struct Options {
    /// Of a hundred nonces, how many it rejects for no reason.
    pub(crate) rejected_nonces: u8,
    /// Whether accounts are to be bound to one elsewhere.
    pub(crate) external: bool,
    /// Whether it takes its time before it checks a domain.
    pub(crate) slow: bool,
}

pub(crate) const EXTERNAL_KEY: &str =
    "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

pub(crate) fn external(key: &str) -> ExternalAccount {
    ExternalAccount { key_id: "kid-1".to_owned(), hmac_key: key.to_owned().into() }
}

/// A running CA with a node that answers it; both end with this value.
pub(crate) struct Lab {
    pub(crate) directory: String,
    pub(crate) root: String,
    pub(crate) node: Arc<Node>,
    pebble: Child,
    files: tempfile::TempDir,
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.pebble.kill();
        let _ = self.pebble.wait();
        if std::thread::panicking() {
            eprintln!("{}", fs::read_to_string(self.files.path().join("log")).unwrap_or_default());
        }
    }
}

/// A port of this process alone: below those that the system gives to whoever asks for any.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = std::process::id() % 2000 * 10 + NEXT.fetch_add(1, Ordering::Relaxed) % 10;
    u16::try_from(10_000 + n).unwrap()
}

impl Lab {
    /// Starts everything, where `pebble` is installed.
    pub(crate) async fn start(options: Options) -> Option<Self> {
        if !Path::new(PEBBLE).exists() {
            skip("pebble is not installed (apt-get install pebble); no real CA was asked");
            return None;
        }
        let node = Arc::new(Node::default());
        let web = node.serve_http().await;
        let tls = node.serve_tls().await;
        let dns = names::serve(Arc::clone(&node.dns)).await;
        let files = tempfile::tempdir().unwrap();
        let pki = pki::localhost();
        let path = |name: &str| files.path().join(name).display().to_string();
        fs::write(path("cert.pem"), &pki.chain).unwrap();
        fs::write(path("key.pem"), &pki.key).unwrap();
        let (port, management) = (free_port(), free_port());
        let config = format!(
            r#"{{"pebble": {{"listenAddress": "127.0.0.1:{port}", "managementListenAddress": "127.0.0.1:{management}",
                "certificate": "{}", "privateKey": "{}", "httpPort": {}, "tlsPort": {},
                "externalAccountBindingRequired": {}, "externalAccountMACKeys": {{"kid-1": "{EXTERNAL_KEY}"}},
                "domainBlocklist": ["blocked.example"]}}}}"#,
            path("cert.pem"),
            path("key.pem"),
            web.port(),
            tls.port(),
            options.external,
        );
        fs::write(path("config.json"), config).unwrap();
        let log = fs::File::create(path("log")).unwrap();
        let mut command = Command::new(PEBBLE);
        command.args(["-config", &path("config.json"), "-dnsserver", &dns.to_string()]);
        command.env("PEBBLE_WFE_NONCEREJECT", options.rejected_nonces.to_string());
        command.env("PEBBLE_VA_ALWAYS_VALID", "0").env("PEBBLE_AUTHZREUSE", "0");
        if options.slow {
            command.env("PEBBLE_VA_SLEEPTIME", "2");
        } else {
            command.env("PEBBLE_VA_NOSLEEP", "1");
        }
        command.stdout(log.try_clone().unwrap()).stderr(log).stdin(Stdio::null());
        let pebble = command.spawn().unwrap();
        let directory = format!("https://localhost:{port}/dir");
        let lab = Self { directory, root: pki.root, node, pebble, files };
        lab.wait_for(port).await;
        Some(lab)
    }

    async fn wait_for(&self, port: u16) {
        let end = Instant::now() + BOUND;
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(Instant::now() < end, "pebble does not listen");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// How many certificates the CA has made.
    pub(crate) fn certificates(&self) -> usize {
        let log = fs::read_to_string(self.files.path().join("log")).unwrap();
        log.matches("Issued certificate serial").count()
    }

    /// Another client: nothing is shared with those that were before.
    pub(crate) fn client(&self) -> AcmeClient {
        AcmeClient::new(&self.directory, Some(&self.root), limits()).unwrap()
    }

    pub(crate) async fn account(&self) -> zeroize::Zeroizing<String> {
        self.client().register(Some("ops@example.com"), None).await.unwrap()
    }
}

pub(crate) fn limits() -> Limits {
    Limits { answer: Duration::from_secs(10), work: Duration::from_secs(20) }
}

/// What is replicated of challenges and orders, and the listeners that answer from it.
pub(crate) struct Node {
    pub(crate) dns: Arc<FakeDns>,
    pub(crate) resolver: Arc<Resolver>,
    pub(crate) orders: Mutex<Vec<PlacedOrder>>,
    pub(crate) published: Mutex<Vec<Challenge>>,
    /// Says that it is done and does nothing.
    pub(crate) lies: std::sync::atomic::AtomicBool,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            dns: Arc::new(FakeDns::new("example")),
            resolver: Arc::default(),
            orders: Mutex::default(),
            published: Mutex::default(),
            lies: false.into(),
        }
    }
}

impl Node {
    pub(crate) fn last_order(&self) -> Option<PlacedOrder> {
        self.orders.lock().unwrap().last().cloned()
    }

    fn answer(&self, path: &str) -> Option<String> {
        let published = self.published.lock().unwrap();
        let until = now().after(CHALLENGE_LIFE);
        let answers = Http01Answers::new(published.iter().map(|c| (c, until)));
        answers.answer(path, now()).map(str::to_owned)
    }

    fn swap_tls(&self) {
        let published = self.published.lock().unwrap();
        let answers = published.iter().filter_map(|c| match c {
            Challenge::TlsAlpn01 { domain, digest } => Some((domain, digest)),
            _ => None,
        });
        assert!(self.resolver.serve([], answers, None).is_empty());
    }

    async fn serve_http(self: &Arc<Self>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let node = Arc::clone(self);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let node = Arc::clone(&node);
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    let mut line = String::new();
                    stream.read_line(&mut line).await.unwrap();
                    let path = line.split(' ').nth(1).unwrap_or_default();
                    let (status, body) = match node.answer(path) {
                        Some(body) => ("200 OK", body),
                        None => ("404 Not Found", String::new()),
                    };
                    let answer = format!(
                        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                        body.len()
                    );
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        at
    }

    async fn serve_tls(self: &Arc<Self>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let config = tls::server_config(Arc::clone(&self.resolver) as Arc<_>).unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = tokio_rustls::TlsAcceptor::from(Arc::clone(&config));
                tokio::spawn(async move { acceptor.accept(stream).await.map(drop) });
            }
        });
        at
    }
}

#[async_trait]
impl Publisher for Node {
    async fn keep(&self, order: &PlacedOrder) -> Result<(), Cause> {
        self.orders.lock().unwrap().push(order.clone());
        Ok(())
    }

    async fn publish(&self, challenge: &Challenge) -> Result<(), Cause> {
        if self.lies.load(Ordering::Relaxed) {
            return Ok(());
        }
        if let Challenge::Dns01(record) = challenge {
            self.dns.publish(record).await?;
        }
        self.published.lock().unwrap().push(challenge.clone());
        self.swap_tls();
        Ok(())
    }

    async fn withdraw(&self, challenge: &Challenge) {
        if let Challenge::Dns01(record) = challenge {
            self.dns.withdraw(record).await.unwrap();
        }
        self.published.lock().unwrap().retain(|c| c != challenge);
        self.swap_tls();
    }
}
