//! `jacod.yaml`: a closed schema. Every key works or does not exist.
//!
//! Text comes in, a [`Config`] or one error with its place comes out. Whether a port is free or a
//! directory writable is found out by the node when it starts.

// Named, because `tests/fuzz` takes this file in from elsewhere.
#[path = "config/acme.rs"]
pub(crate) mod acme;
#[path = "config/error.rs"]
mod error;
#[path = "config/values.rs"]
mod values;

use std::{
    fs, io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use ipnet::IpNet;
use jaco_api::model::{AddressPools, InvalidAddresses, NodeName};
use serde::{Deserialize, de::IgnoredAny};
use serde_saphyr::{Location, Spanned};

pub(crate) use self::error::{ConfigError, Place};
use self::values::{
    absolute, advertised, engine, filled, forwarder, listener, own_loopback, patience, port,
    proxies, socket_address,
};

/// Where the file is unless `--config` or `JACO_CONFIG` says otherwise.
pub(crate) const DEFAULT_PATH: &str = "/etc/jaco/jacod.yaml";

/// A checked configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    /// Where everything that must survive is kept.
    pub(crate) data_dir: PathBuf,
    /// Name of the node; absent means the host name.
    pub(crate) node_name: Option<NodeName>,
    /// Address of the operator API.
    pub(crate) listen_addr: SocketAddr,
    /// Address of raft.
    pub(crate) cluster_addr: SocketAddr,
    /// Address other hosts are told; absent means that it is found out.
    pub(crate) advertise_addr: Option<IpAddr>,
    /// The local socket.
    pub(crate) unix_socket: PathBuf,
    /// Group that may use the local socket.
    pub(crate) socket_group: String,
    /// Where the container engine is reached.
    pub(crate) engine_socket: String,
    /// Where secrets and configs of containers are kept, in memory.
    pub(crate) files_dir: PathBuf,
    /// UDP port where the tunnels of the mesh end.
    pub(crate) wg_port: u16,
    /// How the tunnels are made.
    pub(crate) mesh: MeshMode,
    /// Who is asked for names that are none of the cluster's; empty means whom the host asks.
    pub(crate) forwarders: Vec<SocketAddr>,
    /// How long each of them has for an answer.
    pub(crate) forwarder_timeout: Duration,
    /// Where programs of this host are answered.
    pub(crate) dns_listen: Vec<SocketAddr>,
    /// Where visitors are served over HTTP; absent means nowhere.
    pub(crate) http_addr: Option<SocketAddr>,
    /// Where visitors are served over HTTPS; absent means nowhere.
    pub(crate) https_addr: Option<SocketAddr>,
    /// How certificates are obtained.
    pub(crate) acme: acme::Acme,
    /// Proxies in front of this node.
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// Whether what others change of the network is restored at once.
    pub(crate) repair: Repair,
    /// Where metrics and health are asked for; absent means nowhere.
    pub(crate) metrics_addr: Option<SocketAddr>,
    /// The address pools of a cluster that this node founds; absent means the usual one.
    pub(crate) address_pools: Option<AddressPools>,
    /// Which log lines are written.
    pub(crate) log_level: LogLevel,
    /// How they are written.
    pub(crate) log_format: LogFormat,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: "/var/lib/jaco".into(),
            node_name: None,
            listen_addr: SocketAddr::from(([0, 0, 0, 0], 7000)),
            cluster_addr: SocketAddr::from(([0, 0, 0, 0], 7001)),
            advertise_addr: None,
            unix_socket: "/var/run/jaco/jaco.sock".into(),
            socket_group: "jaco".to_owned(),
            engine_socket: "unix:///var/run/docker.sock".to_owned(),
            files_dir: "/run/jaco/files".into(),
            wg_port: 51820,
            mesh: MeshMode::Auto,
            forwarders: Vec::new(),
            forwarder_timeout: Duration::from_secs(2),
            dns_listen: Vec::new(),
            http_addr: Some(SocketAddr::from(([0, 0, 0, 0], 80))),
            https_addr: Some(SocketAddr::from(([0, 0, 0, 0], 443))),
            acme: acme::Acme::default(),
            trusted_proxies: Vec::new(),
            repair: Repair::Auto,
            metrics_addr: None,
            address_pools: None,
            log_level: LogLevel::Info,
            log_format: LogFormat::Auto,
        }
    }
}

/// How the tunnels of the mesh are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MeshMode {
    Auto,
    Kernel,
    Userspace,
    Off,
}

/// Whether what others change of the network is restored at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Repair {
    Auto,
    Off,
}

/// `dns`: how names are answered.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Dns {
    forwarders: Vec<Spanned<String>>,
    forwarder_timeout: Option<Spanned<String>>,
    listen: Vec<Spanned<String>>,
}

/// Which log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// The journal under systemd, text on a terminal, JSON otherwise.
    Auto,
    Journald,
    Text,
    Json,
}

/// Reads the file. A missing file at the default place means the defaults; one that was named must
/// exist.
pub(crate) fn load(path: &Path, named: bool) -> Result<Config, ConfigError> {
    match fs::read(path) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => parse(&path.display().to_string(), &text),
            Err(e) => Err(not_text(path, &e)),
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound && !named => Ok(Config::default()),
        Err(source) => Err(ConfigError::Read { path: path.to_owned(), source }),
    }
}

fn not_text(path: &Path, error: &std::string::FromUtf8Error) -> ConfigError {
    let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
    let line = good.iter().filter(|b| **b == b'\n').count() + 1;
    let column = good.iter().rev().take_while(|b| **b != b'\n').count() + 1;
    let place =
        Place { file: path.display().to_string(), line: line as u64, column: column as u64 };
    ConfigError::Parse { place, message: "this is not UTF-8 text".to_owned() }
}

/// Declares the keys of the file: those that have an effect, and those of features to come.
macro_rules! schema {
    (works { $($key:ident: $type:ty,)* } later { $($later:ident,)* }) => {
        /// Every key of the file, as written.
        #[derive(Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        struct File {
            $($key: Option<$type>,)*
            $($later: Option<Spanned<IgnoredAny>>,)*
        }

        /// The keys that have an effect.
        const KEYS: &[&str] = &[$(stringify!($key),)*];

        impl File {
            /// The first key of a feature that does not exist yet.
            fn not_built(&self) -> Option<(&'static str, Location)> {
                let given = [$((stringify!($later), self.$later.as_ref()),)*];
                given
                    .into_iter()
                    .filter_map(|(key, value)| Some((key, value?.referenced)))
                    .min_by_key(|(_, at)| (at.line(), at.column()))
            }
        }
    };
}

schema! {
    works {
        data_dir: Spanned<String>,
        node_name: Spanned<String>,
        listen_addr: Spanned<String>,
        cluster_addr: Spanned<String>,
        advertise_addr: Spanned<String>,
        unix_socket: Spanned<String>,
        socket_group: Spanned<String>,
        engine_socket: Spanned<String>,
        files_dir: Spanned<String>,
        wg_port: Spanned<u16>,
        mesh: MeshMode,
        dns: Dns,
        http_addr: Spanned<String>,
        https_addr: Spanned<String>,
        acme_enabled: bool,
        acme_ca: Spanned<String>,
        acme_email: Spanned<String>,
        acme_staging_ca: Spanned<String>,
        acme_skip_staging: bool,
        acme_ca_bundle: Spanned<String>,
        acme_challenge: Spanned<acme::Challenge>,
        acme_eab: acme::EabText,
        acme_dns: Spanned<acme::DnsText>,
        trusted_proxies: Vec<Spanned<String>>,
        repair: Repair,
        ipam_pool: Spanned<String>,
        metrics_addr: Spanned<String>,
        log_level: LogLevel,
        log_format: LogFormat,
    }
    later {
        dashboard_addr,
        node_status_interval,
        otlp_endpoint,
    }
}

/// Reads the text of the file called `file`.
pub(crate) fn parse(file: &str, text: &str) -> Result<Config, ConfigError> {
    let read: Option<File> = serde_saphyr::from_str(text).map_err(|e| unreadable(file, &e))?;
    let read = read.unwrap_or_default();
    let at = |at: Location| Place::of(file, Some(at));
    if let Some((key, location)) = read.not_built() {
        return Err(ConfigError::NotBuilt { place: at(location), key });
    }
    let value = |key, from: &Spanned<String>, problem: String| ConfigError::Value {
        place: at(from.referenced),
        key,
        problem,
    };
    let defaults = Config::default();
    let dns = read.dns.unwrap_or_default();
    let config = Config {
        data_dir: absolute("data_dir", read.data_dir, defaults.data_dir, value)?,
        node_name: (read.node_name.as_ref())
            .map(|v| NodeName::new(&v.value).map_err(|e| value("node_name", v, e.problem)))
            .transpose()?,
        listen_addr: socket_address("listen_addr", &read.listen_addr, value)?
            .unwrap_or(defaults.listen_addr),
        cluster_addr: socket_address("cluster_addr", &read.cluster_addr, value)?
            .unwrap_or(defaults.cluster_addr),
        advertise_addr: (read.advertise_addr.as_ref())
            .map(|v| advertised(&v.value).map_err(|p| value("advertise_addr", v, p)))
            .transpose()?,
        unix_socket: absolute("unix_socket", read.unix_socket, defaults.unix_socket, value)?,
        socket_group: filled("socket_group", read.socket_group, defaults.socket_group, value)?,
        engine_socket: engine(read.engine_socket, defaults.engine_socket, value)?,
        files_dir: absolute("files_dir", read.files_dir, defaults.files_dir, value)?,
        wg_port: port(read.wg_port.as_ref(), defaults.wg_port, at)?,
        mesh: read.mesh.unwrap_or(defaults.mesh),
        forwarders: (dns.forwarders.iter())
            .map(|v| forwarder(&v.value).map_err(|p| value("dns.forwarders", v, p)))
            .collect::<Result<_, _>>()?,
        forwarder_timeout: (dns.forwarder_timeout.as_ref())
            .map(|v| patience(&v.value).map_err(|p| value("dns.forwarder_timeout", v, p)))
            .transpose()?
            .unwrap_or(defaults.forwarder_timeout),
        dns_listen: (dns.listen.iter())
            .map(|v| own_loopback(&v.value).map_err(|p| value("dns.listen", v, p)))
            .collect::<Result<_, _>>()?,
        http_addr: listener("http_addr", &read.http_addr, defaults.http_addr, value)?,
        https_addr: listener("https_addr", &read.https_addr, defaults.https_addr, value)?,
        acme: acme::read(
            acme::Text {
                enabled: read.acme_enabled,
                ca: read.acme_ca,
                email: read.acme_email,
                staging_ca: read.acme_staging_ca,
                skip_staging: read.acme_skip_staging,
                ca_bundle: read.acme_ca_bundle,
                challenge: read.acme_challenge,
                eab: read.acme_eab,
                dns: read.acme_dns,
            },
            value,
            |key, location, problem| {
                let problem = problem.to_owned();
                ConfigError::Value { place: at(location), key, problem }
            },
        )?,
        trusted_proxies: (read.trusted_proxies.iter().flatten())
            .map(|v| proxies(&v.value).map_err(|p| value("trusted_proxies", v, p)))
            .collect::<Result<_, _>>()?,
        repair: read.repair.unwrap_or(defaults.repair),
        address_pools: (read.ipam_pool.as_ref())
            .map(|v| {
                v.value.parse().map_err(|e: InvalidAddresses| value("ipam_pool", v, e.to_string()))
            })
            .transpose()?,
        metrics_addr: socket_address("metrics_addr", &read.metrics_addr, value)?,
        log_level: read.log_level.unwrap_or(defaults.log_level),
        log_format: read.log_format.unwrap_or(defaults.log_format),
    };
    if config.listen_addr.port() == config.cluster_addr.port() && config.listen_addr.port() != 0 {
        let (key, written) = match (read.cluster_addr, read.listen_addr) {
            (Some(written), _) => ("cluster_addr", Some(written.referenced)),
            (None, written) => ("listen_addr", written.map(|w| w.referenced)),
        };
        let problem = "needs another port: listen_addr and cluster_addr must differ".to_owned();
        return Err(ConfigError::Value { place: Place::of(file, written), key, problem });
    }
    Ok(config)
}

impl Place {
    fn of(file: &str, at: Option<Location>) -> Self {
        let (line, column) = at.map_or((1, 1), |at| (at.line(), at.column()));
        Self { file: file.to_owned(), line, column }
    }
}

fn unreadable(file: &str, error: &serde_saphyr::Error) -> ConfigError {
    use serde_saphyr::Error;
    let message = match error.without_snippet() {
        Error::SerdeUnknownField { field, .. } => {
            format!("there is no key `{field}`; the keys are {}", KEYS.join(", "))
        }
        Error::DuplicateMappingKey { key: Some(key), .. } => format!("`{key}` is set twice"),
        Error::Unexpected { expected, .. } => format!("expected {expected}"),
        other => other.to_string(),
    };
    ConfigError::Parse { place: Place::of(file, error.location()), message }
}

#[cfg(test)]
#[path = "config/tests.rs"]
mod tests;
