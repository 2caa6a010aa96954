//! What is compared. Each passes requests on over kept connections and says who asked: address, scheme, id.

use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
};

use jaco_harness::{Process, Result};

use super::{DOMAIN, ROUTES, Stage, UPSTREAM, answers, here, stop, write};

pub(super) const PLAIN: u16 = 8080;
pub(super) const TLS: u16 = 8443;
pub(super) const LAYER4: u16 = 8081;

/// A proxy that runs.
#[derive(Debug)]
pub struct Gateway {
    name: &'static str,
    pub(super) address: IpAddr,
    pub(super) routes: usize,
    pub(super) directory: PathBuf,
    pub(super) process: Process,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        stop(&mut self.process);
    }
}

impl Gateway {
    /// JACO's, which is this program, `proxy-node`.
    ///
    /// # Errors
    /// It does not start, or does not answer.
    pub fn jaco(program: &Path, stage: &Stage) -> Result<Self> {
        Self::jaco_with("JACO", 1, program, stage, ROUTES)
    }

    /// The same with ten thousand routes.
    ///
    /// # Errors
    /// It does not start, or does not answer.
    pub fn jaco_of_many(program: &Path, stage: &Stage) -> Result<Self> {
        Self::jaco_with("JACO, 10,000 routes", 2, program, stage, 10_000)
    }

    fn jaco_with(
        name: &'static str,
        number: u8,
        program: &Path,
        stage: &Stage,
        routes: usize,
    ) -> Result<Self> {
        let address = address(number);
        let mut command = here(program);
        for port in [PLAIN, TLS, LAYER4] {
            command.arg(format!("{address}:{port}"));
        }
        command.args([UPSTREAM, DOMAIN, &routes.to_string()]).arg(stage.directory.join("both.pem"));
        Self::start(name, address, routes, &mut command, stage)
    }

    /// HAProxy.
    ///
    /// # Errors
    /// It does not start, or does not answer.
    pub fn haproxy(stage: &Stage) -> Result<Self> {
        let (address, directory) = (address(3), &stage.directory);
        let mut hosts = String::new();
        for number in 0..ROUTES {
            let _ = writeln!(hosts, "site-{number}.{DOMAIN} web");
        }
        let map = directory.join("haproxy.map");
        write(&map, &hosts)?;
        let config = directory.join("haproxy.cfg");
        let both = directory.join("both.pem");
        let (map, both) = (map.display(), both.display());
        write(
            &config,
            &format!(
                "global
  nbthread 1
  maxconn 9000
defaults
  timeout connect 3s
  timeout client 60s
  timeout server 60s
frontend http
  mode http
  bind {address}:{PLAIN}
  bind {address}:{TLS} ssl crt {both} alpn h2,http/1.1
  option forwardfor
  unique-id-format %[uuid()]
  unique-id-header X-Request-Id
  http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}
  http-request set-header X-Forwarded-Proto http unless {{ ssl_fc }}
  use_backend %[req.hdr(host),field(1,:),lower,map({map})]
backend web
  mode http
  http-reuse always
  server web {UPSTREAM}
listen layer4
  mode tcp
  bind {address}:{LAYER4}
  server web {UPSTREAM}
"
            ),
        )?;
        let mut command = here("haproxy");
        command.arg("-db").arg("-f").arg(&config);
        Self::start("HAProxy", address, ROUTES, &mut command, stage)
    }

    /// nginx.
    ///
    /// # Errors
    /// It does not start, or does not answer.
    pub fn nginx(stage: &Stage) -> Result<Self> {
        let (address, directory) = (address(4), &stage.directory);
        let mut servers = String::new();
        for number in 0..ROUTES {
            let _ = writeln!(
                servers,
                "server {{
    listen {address}:{PLAIN};
    listen {address}:{TLS} ssl http2;
    server_name site-{number}.{DOMAIN};
    location / {{ proxy_pass http://web; }}
  }}"
            );
        }
        let config = directory.join("nginx.conf");
        let (chain, key) = (directory.join("chain.pem"), directory.join("key.pem"));
        let (chain, key) = (chain.display(), key.display());
        let text = format!(
            "{}
http {{
  access_log off;
  keepalive_requests 1000000000;
  ssl_certificate {chain};
  ssl_certificate_key {key};
  upstream web {{ server {UPSTREAM}; keepalive 128; keepalive_requests 1000000000; }}
  proxy_http_version 1.1;
  proxy_set_header Connection \"\";
  proxy_set_header Host $http_host;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header X-Request-Id $request_id;
  {servers}
}}
",
            head("nginx.pid", "nginx.error")
        );
        write(&config, &text)?;
        let mut command = here("nginx");
        command.arg("-p").arg(directory).arg("-c").arg(&config);
        Self::start("nginx", address, ROUTES, &mut command, stage)
    }

    /// Caddy.
    ///
    /// # Errors
    /// It does not start, or does not answer.
    pub fn caddy(stage: &Stage) -> Result<Self> {
        let (address, directory) = (address(5), &stage.directory);
        let (chain, key) = (directory.join("chain.pem"), directory.join("key.pem"));
        let (chain, key) = (chain.display(), key.display());
        let mut text = "{\n  admin off\n  auto_https off\n}\n".to_owned();
        for number in 0..ROUTES {
            let host = format!("site-{number}.{DOMAIN}");
            let proxy = format!("bind {address}\n  reverse_proxy {UPSTREAM}");
            let _ = writeln!(text, "http://{host}:{PLAIN} {{\n  {proxy}\n}}");
            let _ = writeln!(text, "https://{host}:{TLS} {{\n  tls {chain} {key}\n  {proxy}\n}}");
        }
        let config = directory.join("Caddyfile");
        write(&config, &text)?;
        let mut command = here("caddy");
        command.args(["run", "--adapter", "caddyfile", "--config"]).arg(&config);
        command.env("GOMAXPROCS", "1").env("HOME", directory).env("XDG_DATA_HOME", directory);
        command.env("XDG_CONFIG_HOME", directory);
        Self::start("Caddy", address, ROUTES, &mut command, stage)
    }

    fn start(
        name: &'static str,
        address: IpAddr,
        routes: usize,
        command: &mut Command,
        stage: &Stage,
    ) -> Result<Self> {
        let directory = stage.directory.clone();
        let process = Process::start(command, &directory.join(format!("{address}.log")))?;
        let gateway = Self { name, address, routes, directory, process };
        for (scheme, port) in [("http", PLAIN), ("https", TLS)] {
            answers(scheme, SocketAddr::new(address, port), name)?;
        }
        Ok(gateway)
    }

    /// Whether it has a layer 4 port.
    #[must_use]
    pub fn carries_bytes(&self) -> bool {
        matches!(self.name, "JACO" | "HAProxy")
    }

    /// What the table calls it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }
}

fn address(number: u8) -> IpAddr {
    Ipv4Addr::new(127, 81, 0, number).into()
}

/// The configuration of the upstream: nginx with files.
pub(super) fn upstream(root: &Path) -> String {
    format!(
        "{}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  open_file_cache max=10;
  server {{ listen {UPSTREAM}; root {}; }}
}}
",
        head("upstream.pid", "upstream.error"),
        root.display()
    )
}

/// One worker, in the foreground.
fn head(pid: &str, log: &str) -> String {
    format!(
        "daemon off;
user root;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {pid};
error_log {log};
events {{ worker_connections 20000; }}"
    )
}
