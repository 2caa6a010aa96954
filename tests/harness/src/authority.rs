//! A certificate authority beside the hosts: Pebble, the name server that it asks, and a balancer in front of the hosts, so
//! that each of its looks meets another one.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    HarnessError, Host, Process, Result, Rig,
    balancer::Balancer,
    identity::Identity,
    pebble::{PEBBLE, Pebble, Surroundings, listening},
};

const NAMED: &str = "/usr/sbin/named";
/// Those of the server, and those of the one for dry runs.
const PORTS: [u16; 2] = [14000, 15000];
const DRY_PORTS: [u16; 2] = [14001, 15001];
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
    options: AuthorityOptions,
    identity: Identity,
    pebble: Pebble,
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
        listening(SocketAddr::new(at.into(), DNS))?;
        let identity = Identity::make(directory, at)?;
        let pebble = pebble(&directory.join("pebble"), at, PORTS, &identity, options)?;
        let (directory, options) = (directory.to_owned(), options.clone());
        Ok(Self { directory, at, options, identity, pebble, _named: named, http, https })
    }

    /// Starts another server of the same kind, which looks at the same names and is trusted by the same root.
    ///
    /// # Errors
    /// A file cannot be written, a port is taken, or the program does not start.
    pub fn dry_runs(&self) -> Result<Pebble> {
        let home = self.directory.join("dry-runs");
        pebble(&home, self.at, DRY_PORTS, &self.identity, &self.options)
    }

    /// Its server.
    pub fn server(&mut self) -> &mut Pebble {
        &mut self.pebble
    }

    /// What a node needs to know of it, as lines of jacod.yaml.
    #[must_use]
    pub fn config(&self) -> String {
        format!(
            "acme_ca: {}\nacme_ca_bundle: {}\nacme_email: ops@example.com\n",
            self.pebble.url(),
            self.identity.root.display()
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
        self.pebble.issuer()
    }

    /// How many certificates it has made.
    #[must_use]
    pub fn certificates(&self) -> usize {
        self.pebble.certificates()
    }

    /// How many orders were placed there.
    #[must_use]
    pub fn orders(&self) -> usize {
        self.pebble.orders()
    }

    /// How many connections each host was given by the balancer, on both ports.
    #[must_use]
    pub fn looked(&self) -> Vec<usize> {
        let (http, https) = (self.http.served(), self.https.served());
        http.iter().zip(https).map(|(a, b)| a + b).collect()
    }

    /// Stops answering without closing anything, or goes on.
    pub fn hang(&mut self, hangs: bool) {
        self.pebble.hang(hangs);
    }

    /// The last lines of its log.
    #[must_use]
    pub fn report(&self) -> String {
        self.pebble.report()
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

fn pebble(
    home: &Path,
    at: Ipv4Addr,
    ports: [u16; 2],
    identity: &Identity,
    options: &AuthorityOptions,
) -> Result<Pebble> {
    let names = SocketAddr::new(at.into(), DNS);
    let around = Surroundings { home, at, ports, names, looks: [HTTP, HTTPS] };
    Pebble::start(&around, identity, options)
}
