//! One ACME server that makes certificates.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{
    AuthorityOptions, HarnessError, Patience, Process, Result, Signal, https_get,
    identity::Identity, until,
};

/// The program.
pub(crate) const PEBBLE: &str = "/usr/bin/pebble";

/// What a server finds around itself.
#[derive(Debug)]
pub(crate) struct Surroundings<'a> {
    /// Where its files are.
    pub(crate) home: &'a Path,
    /// Its address.
    pub(crate) at: Ipv4Addr,
    /// Where it listens, for clients and for those who run it.
    pub(crate) ports: [u16; 2],
    /// The name server that it asks.
    pub(crate) names: SocketAddr,
    /// Where it looks for HTTP and HTTPS.
    pub(crate) looks: [u16; 2],
}

/// An ACME server. Dropping it ends its program.
#[derive(Debug)]
pub struct Pebble {
    process: Process,
    /// PEM file with the root of the server's own certificate.
    root: PathBuf,
    at: Ipv4Addr,
    ports: [u16; 2],
}

impl Pebble {
    pub(crate) fn start(
        around: &Surroundings<'_>,
        identity: &Identity,
        options: &AuthorityOptions,
    ) -> Result<Self> {
        let Surroundings { home, at, ports, names, looks } = around;
        fs::create_dir_all(home).map_err(HarnessError::file("create", home))?;
        let [listen, manage] = ports.map(|port| format!("{at}:{port}"));
        let config = serde_json::json!({"pebble": {
            "listenAddress": listen,
            "managementListenAddress": manage,
            "certificate": identity.chain, "privateKey": identity.key,
            "httpPort": looks[0], "tlsPort": looks[1],
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
            "domainBlocklist": ["blocked.example"],
            "certificateValidityPeriod": options.life,
        }});
        let file = home.join("config.json");
        fs::write(&file, config.to_string()).map_err(HarnessError::file("write", &file))?;
        let mut command = Command::new(PEBBLE);
        command.arg("-config").arg(&file).args(["-dnsserver", &names.to_string()]);
        command.env("PEBBLE_WFE_NONCEREJECT", options.rejected_nonces.to_string());
        command.env("PEBBLE_VA_ALWAYS_VALID", "0").env("PEBBLE_AUTHZREUSE", "0");
        command.env("PEBBLE_VA_SLEEPTIME", options.sleep.to_string());
        let process = Process::start(&mut command, &home.join("log"))?;
        let pebble = Self { process, root: identity.root.clone(), at: *at, ports: *ports };
        listening(SocketAddr::new(pebble.at.into(), ports[0]))?;
        Ok(pebble)
    }

    /// The URL of its directory.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}:{}/dir", self.at, self.ports[0])
    }

    /// The root that its certificates lead to, as PEM: another one each time that it starts.
    pub(crate) fn issuer(&self) -> Result<String> {
        let own = fs::read_to_string(&self.root).map_err(HarnessError::file("read", &self.root))?;
        let at = (self.at, self.ports[1]);
        let asked = https_get(at, &self.at.to_string(), "/roots/0", Some(&own));
        Ok(asked.map_err(HarnessError::file("ask for what leads to", &self.root))?.body)
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

    /// How often somebody has posted to a path that begins so.
    #[must_use]
    pub fn posts(&self, path: &str) -> usize {
        self.said(&format!("POST {path}"))
    }

    fn said(&self, what: &str) -> usize {
        fs::read_to_string(self.process.log()).unwrap_or_default().matches(what).count()
    }

    /// Stops answering without closing anything, or goes on.
    pub fn hang(&mut self, hangs: bool) {
        self.process.signal(if hangs { Signal::STOP } else { Signal::CONT });
    }

    pub(crate) fn report(&self) -> String {
        self.process.tail(40)
    }
}

/// Waits until somebody listens there.
pub(crate) fn listening(at: SocketAddr) -> Result<()> {
    until(Patience::NORMAL, "the authority to listen", || {
        TcpStream::connect_timeout(&at, Duration::from_secs(1)).map_err(|e| e.to_string())
    })
    .map(drop)
}
