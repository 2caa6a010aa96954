//! An ACME server that gives everybody an account and nobody a certificate.

use std::{
    io::{self, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

use crate::{HarnessError, Result, Rig, identity::Identity};

const PORT: u16 = 14002;
/// How long a client may take for anything.
const PATIENCE: Duration = Duration::from_secs(5);

/// What an order is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The client has had enough, and may come back after that time if one is told.
    RateLimit(Option<Duration>),
    /// A page, as somebody else's server would send it.
    Garbage,
}

/// Listens until it is dropped.
#[derive(Debug)]
pub struct Unwilling {
    identity: Identity,
    at: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    refusal: Mutex<Refusal>,
    orders: AtomicUsize,
    stop: AtomicBool,
}

impl Unwilling {
    /// Starts it on the switch of a rig, with its files in `directory`.
    ///
    /// # Errors
    /// A file cannot be written, or the port is taken.
    pub fn start(rig: &Rig, directory: &Path, refusal: Refusal) -> Result<Self> {
        let identity = Identity::make(directory, rig.gateway())?;
        let failed = |doing: &'static str| HarnessError::file(doing, directory);
        let config = Arc::new(tls(&identity).map_err(failed("serve with the certificate in"))?);
        let at = SocketAddr::new(rig.gateway().into(), PORT);
        let listener = TcpListener::bind(at).map_err(failed("listen for"))?;
        let (refusal, orders, stop) = (refusal.into(), AtomicUsize::new(0), false.into());
        let shared = Arc::new(Shared { refusal, orders, stop });
        let served = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                if served.stop.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(client) = client else { continue };
                let (config, shared) = (Arc::clone(&config), Arc::clone(&served));
                // A client that goes away is no matter.
                thread::spawn(move || drop(shared.serve(client, config, at)));
            }
        });
        Ok(Self { identity, at, shared })
    }

    /// What a node needs to know of it, as lines of jacod.yaml.
    #[must_use]
    pub fn config(&self) -> String {
        let root = self.identity.root.display();
        format!("acme_ca: https://{}/dir\nacme_ca_bundle: {root}\n", self.at)
    }

    /// Answers the next orders so.
    pub fn refuse(&self, refusal: Refusal) {
        *self.shared.refusal.lock().unwrap_or_else(PoisonError::into_inner) = refusal;
    }

    /// How many orders were asked for.
    #[must_use]
    pub fn orders(&self) -> usize {
        self.shared.orders.load(Ordering::Relaxed)
    }
}

impl Drop for Unwilling {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // The listener is waiting for somebody.
        let _ = TcpStream::connect_timeout(&self.at, PATIENCE);
    }
}

impl Shared {
    /// One request, one connection.
    fn serve(
        &self,
        client: TcpStream,
        config: Arc<ServerConfig>,
        at: SocketAddr,
    ) -> io::Result<()> {
        client.set_read_timeout(Some(PATIENCE))?;
        let connection = ServerConnection::new(config).map_err(io::Error::other)?;
        let mut stream = BufReader::new(StreamOwned::new(connection, client));
        let request = read(&mut stream)?;
        let (head, body) = self.answer(&request, &format!("https://{at}"));
        let answer = format!(
            "HTTP/1.1 {head}\r\nreplay-nonce: bm9uY2U\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        let stream = stream.get_mut();
        stream.write_all(answer.as_bytes())?;
        stream.conn.send_close_notify();
        stream.flush()
    }

    /// Status and further headers, and the body.
    fn answer(&self, request: &str, own: &str) -> (String, String) {
        let says = |head: &str, body: &str| (head.to_owned(), body.to_owned());
        match request {
            "GET /dir" => says(
                "200 OK",
                &format!(
                    r#"{{"newNonce": "{own}/nonce", "newAccount": "{own}/account", "newOrder": "{own}/order"}}"#
                ),
            ),
            "HEAD /nonce" => says("200 OK", ""),
            "POST /account" => {
                says(&format!("201 Created\r\nlocation: {own}/account/1"), r#"{"status": "valid"}"#)
            }
            "POST /order" => {
                self.orders.fetch_add(1, Ordering::Relaxed);
                match *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) {
                    Refusal::RateLimit(again) => {
                        let again = again.map(|t| format!("\r\nretry-after: {}", t.as_secs()));
                        says(
                            &format!("429 Too Many Requests{}", again.unwrap_or_default()),
                            r#"{"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many orders of yours", "status": 429}"#,
                        )
                    }
                    Refusal::Garbage => says("200 OK", "<html>It works!</html>"),
                }
            }
            _ => says("404 Not Found", ""),
        }
    }
}

/// Reads a request to its end; its method and path.
fn read(stream: &mut impl io::BufRead) -> io::Result<String> {
    let (mut first, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
        if line.is_empty() {
            break;
        }
        let words = || line.split(' ').take(2).collect::<Vec<_>>().join(" ");
        first = first.or_else(|| Some(words()));
    }
    io::copy(&mut stream.take(length), &mut io::sink())?;
    Ok(first.unwrap_or_default())
}

fn tls(identity: &Identity) -> io::Result<ServerConfig> {
    let chain = CertificateDer::from_pem_file(&identity.chain).map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_file(&identity.key).map_err(io::Error::other)?;
    ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(vec![chain], key))
        .map_err(io::Error::other)
}
