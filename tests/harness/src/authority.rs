//! A certificate authority beside the hosts: Pebble, the name server that it asks, and a balancer in front of the hosts, so
//! that each of its looks meets another one.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::{
    HarnessError, Host, Patience, Process, Result, Rig, Signal, balancer::Balancer, https_get,
    until,
};

const PEBBLE: &str = "/usr/bin/pebble";
const NAMED: &str = "/usr/sbin/named";
const PORT: u16 = 14000;
const MANAGEMENT: u16 = 15000;
const DNS: u16 = 5353;
const HTTP: u16 = 5002;
const HTTPS: u16 = 5001;
const TSIG: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// How the authority is to be.
#[derive(Debug, Clone)]
pub struct AuthorityOptions {
    /// How many seconds a certificate is valid.
    pub life: u32,
    /// Most seconds that it waits before it looks at a domain.
    pub sleep: u32,
    /// Of a hundred requests, how many it refuses because of their nonce.
    pub rejected_nonces: u32,
}

impl Default for AuthorityOptions {
    fn default() -> Self {
        Self { life: 90 * 24 * 3600, sleep: 1, rejected_nonces: 15 }
    }
}

/// An ACME server whose names all lead to the hosts. Dropping it ends its programs.
#[derive(Debug)]
pub struct Authority {
    directory: PathBuf,
    at: Ipv4Addr,
    pebble: Process,
    /// Held only to be dropped.
    _named: Process,
    http: Balancer,
    https: Balancer,
}

impl Authority {
    /// Whether its programs are installed.
    #[must_use]
    pub fn is_installed() -> bool {
        [PEBBLE, NAMED].iter().all(|program| Path::new(program).exists())
    }

    /// Starts it on the switch of a rig. Every name below `example` is one of the hosts'.
    ///
    /// # Errors
    /// A file cannot be written, a port is taken, or a program does not start.
    pub fn start(rig: &Rig, directory: &Path, options: &AuthorityOptions) -> Result<Self> {
        fs::create_dir_all(directory).map_err(HarnessError::file("create", directory))?;
        let at = rig.gateway();
        let hosts: Vec<_> = rig.hosts().iter().map(Host::address).collect();
        let balancer = |listen, port| {
            Balancer::start(SocketAddr::new(at.into(), listen), hosts.clone(), port)
                .map_err(HarnessError::file("listen for", directory))
        };
        let (http, https) = (balancer(HTTP, 80)?, balancer(HTTPS, 443)?);
        let named = names(directory, at)?;
        let pebble = authority(directory, at, options)?;
        let mut authority =
            Self { directory: directory.to_owned(), at, pebble, _named: named, http, https };
        for port in [DNS, PORT] {
            authority.wait_for(port)?;
        }
        Ok(authority)
    }

    fn wait_for(&mut self, port: u16) -> Result<()> {
        let at = SocketAddr::new(self.at.into(), port);
        until(Patience::NORMAL, "the authority to listen", || {
            TcpStream::connect_timeout(&at, Duration::from_secs(1)).map_err(|e| e.to_string())
        })
        .map(|_| ())
    }

    /// What a node needs to know of it, as lines of jacod.yaml.
    #[must_use]
    pub fn config(&self) -> String {
        format!(
            "acme_ca: https://{}:{PORT}/dir\nacme_ca_bundle: {}\nacme_email: ops@example.com\n",
            self.at,
            self.directory.join("root.pem").display()
        )
    }

    /// How a node publishes records at the name server, as a line of jacod.yaml.
    #[must_use]
    pub fn dns_config(&self) -> String {
        format!(
            "acme_dns: {{server: '{}:{DNS}', zones: [example], key: {{name: update-key, file: {}}}}}\n",
            self.at,
            self.directory.join("tsig").display()
        )
    }

    /// The root that its certificates lead to, as PEM: another one each time that it starts.
    ///
    /// # Errors
    /// It does not answer.
    pub fn root(&self) -> Result<String> {
        let own = self.directory.join("root.pem");
        let own = fs::read_to_string(&own).map_err(HarnessError::file("read", &own))?;
        let asked = https_get((self.at, MANAGEMENT), &self.at.to_string(), "/roots/0", Some(&own));
        Ok(asked.map_err(HarnessError::file("ask for the root in", &self.directory))?.body)
    }

    /// How many certificates it has made.
    #[must_use]
    pub fn certificates(&self) -> usize {
        self.said("Issued certificate serial")
    }

    /// How many orders were placed there.
    #[must_use]
    pub fn orders(&self) -> usize {
        self.said("Added order")
    }

    fn said(&self, what: &str) -> usize {
        fs::read_to_string(self.pebble.log()).unwrap_or_default().matches(what).count()
    }

    /// How many connections each host was given by the balancer, on both ports.
    #[must_use]
    pub fn looked(&self) -> Vec<usize> {
        let (http, https) = (self.http.served(), self.https.served());
        http.iter().zip(https).map(|(a, b)| a + b).collect()
    }

    /// Stops answering without closing anything, or goes on.
    pub fn hang(&mut self, hangs: bool) {
        self.pebble.signal(if hangs { Signal::STOP } else { Signal::CONT });
    }

    /// The last lines of its log.
    #[must_use]
    pub fn report(&self) -> String {
        self.pebble.tail(40)
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(HarnessError::file("write", path))
}

/// The name server of `example`, which takes updates.
fn names(directory: &Path, at: Ipv4Addr) -> Result<Process> {
    let home = directory.join("names");
    fs::create_dir_all(&home).map_err(HarnessError::file("create", &home))?;
    let place = home.display();
    let config = format!(
        r#"options {{ directory "{place}"; listen-on port {DNS} {{ {at}; }}; listen-on-v6 {{ none; }};
    recursion no; dnssec-validation no; pid-file "{place}/pid"; session-keyfile "{place}/session.key";
    lock-file none; }};
controls {{ }};
key "update-key" {{ algorithm hmac-sha256; secret "{TSIG}"; }};
zone "example" {{ type primary; file "zone"; allow-update {{ key "update-key"; }}; }};
"#
    );
    write(&home.join("named.conf"), &config)?;
    let zone = format!(
        "$TTL 1\n@ SOA ns.example. ops.example. 1 60 60 600 1\n@ NS ns.example.\nns A {at}\n* A {at}\n*.deep A {at}\n"
    );
    write(&home.join("zone"), &zone)?;
    write(&directory.join("tsig"), TSIG)?;
    let mut command = Command::new(NAMED);
    command.args(["-g", "-n", "1", "-c"]).arg(home.join("named.conf"));
    Process::start(&mut command, &home.join("log"))
}

/// The server itself, with a certificate of its own CA.
fn authority(directory: &Path, at: Ipv4Addr, options: &AuthorityOptions) -> Result<Process> {
    let own = own_certificate(at).map_err(HarnessError::Certificate)?;
    let path = |name: &str| directory.join(name);
    write(&path("root.pem"), &own.root)?;
    write(&path("cert.pem"), &own.chain)?;
    write(&path("key.pem"), &own.key)?;
    let (cert, key) = (path("cert.pem"), path("key.pem"));
    let config = serde_json::json!({"pebble": {
        "listenAddress": format!("{at}:{PORT}"),
        "managementListenAddress": format!("{at}:{MANAGEMENT}"),
        "certificate": cert, "privateKey": key,
        "httpPort": HTTP, "tlsPort": HTTPS,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": false,
        "domainBlocklist": ["blocked.example"],
        "certificateValidityPeriod": options.life,
    }});
    write(&path("config.json"), &config.to_string())?;
    let mut command = Command::new(PEBBLE);
    command.arg("-config").arg(path("config.json")).args(["-dnsserver", &format!("{at}:{DNS}")]);
    command.env("PEBBLE_WFE_NONCEREJECT", options.rejected_nonces.to_string());
    command.env("PEBBLE_VA_ALWAYS_VALID", "0").env("PEBBLE_AUTHZREUSE", "0");
    command.env("PEBBLE_VA_SLEEPTIME", options.sleep.to_string());
    Process::start(&mut command, &path("pebble.log"))
}

struct Own {
    root: String,
    chain: String,
    key: String,
}

fn own_certificate(at: Ipv4Addr) -> Result<Own, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let leaf = CertificateParams::new([at.to_string()])?.signed_by(&key, &issuer)?;
    Ok(Own { root: issuer.pem(), chain: leaf.pem(), key: key.serialize_pem() })
}
