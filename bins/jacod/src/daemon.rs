//! The life of the daemon: start the node, obey signals, stop the node.

use std::{io, path::PathBuf};

use jaco_engine::node::{Mesh, Naming, Node, NodeConfig, NodeError, Readiness, StopTimeout};
use jaco_net::{
    Bridges, EngineChains, NftFirewall,
    dns::Forwarders,
    mesh::{self, MeshMode},
};
use jaco_runtime::DockerRuntime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    config::{self, Config},
    detect::{self, NoAddress},
    ingress::{self, IngressError},
    logging::{Logging, LoggingError},
    systemd,
};

/// Whom the host asks for names.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Why the daemon ended otherwise than asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DaemonError {
    #[error(transparent)]
    Logging(#[from] LoggingError),
    #[error("the asynchronous runtime cannot be started")]
    Runtime(#[source] io::Error),
    #[error("signals cannot be received")]
    Signals(#[source] io::Error),
    #[error("the addresses of this host cannot be listed; set `advertise_addr`")]
    Addresses(#[source] io::Error),
    #[error(transparent)]
    NoAddress(#[from] NoAddress),
    #[error("the container engine cannot be used (`engine_socket` in jacod.yaml)")]
    Engine(#[source] jaco_runtime::RuntimeError),
    #[error("this node can have no mesh (`mesh` in jacod.yaml)")]
    Mesh(#[source] jaco_net::NetError),
    #[error(transparent)]
    Ingress(#[from] IngressError),
    #[error(transparent)]
    Start(#[from] NodeError),
    #[error(transparent)]
    Stop(#[from] StopTimeout),
    #[error("the node has stopped by itself")]
    Ended,
}

/// Runs until a signal or until the node cannot go on.
pub(crate) fn run(config: Config, path: PathBuf, named: bool) -> Result<(), DaemonError> {
    let logging = Logging::begin(config.log_level, config.log_format)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(DaemonError::Runtime)?;
    runtime.block_on(serve(config, logging, path, named))
}

async fn serve(
    config: Config,
    logging: Logging,
    path: PathBuf,
    named: bool,
) -> Result<(), DaemonError> {
    let mut signals = Signals::new().map_err(DaemonError::Signals)?;
    // The engine may be away now: the node says so and goes on when it is back.
    let engine = DockerRuntime::lazy(&config.engine_socket).map_err(DaemonError::Engine)?;
    let engine = engine.files_at(&config.files_dir);
    let naming = naming(&config);
    let ingress = ingress::options(&config);
    let (acme, cache) = (ingress::acme(&config)?, ingress::cache(&config)?);
    let (mesh, repair) = (mesh(&config).await?, config.repair);
    let mut builder = Node::builder(node_config(config)?)
        .runtime(engine)
        .firewall(NftFirewall::new())
        .engine_chains(EngineChains::new())
        .bridges(Bridges::new())
        .names(naming);
    if let Some(ingress) = ingress {
        builder = builder.ingress(ingress).acme(acme).certs(cache);
    }
    if let Some(mesh) = mesh {
        builder = builder.mesh(mesh);
    }
    if repair == config::Repair::Off {
        tracing::warn!(
            "`repair: off`: what others change of the network stays until `jaco doctor` repairs it"
        );
        builder = builder.unrepaired();
    }
    let mut node = builder.start().await?;
    let mut readiness = node.readiness();
    loop {
        tell(&readiness.borrow_and_update());
        tokio::select! {
            Ok(()) = readiness.changed() => {}
            reason = signals.next() => match reason {
                Wish::Stop(name) => {
                    tracing::info!(signal = name, "stopping");
                    break;
                }
                Wish::Reload => reload(&logging, &path, named),
            },
            () = node.stopped() => return Err(DaemonError::Ended),
        }
    }
    systemd::stopping();
    Ok(node.shutdown().await?)
}

/// Tells the service manager how far the node is. One that waits is not ready, but may have been before.
fn tell(readiness: &Readiness) {
    match readiness {
        Readiness::Alone => systemd::ready("belongs to no cluster"),
        Readiness::Waiting(what) => systemd::status(what),
        Readiness::Ready => systemd::ready("serving"),
    }
}

/// How names are answered.
fn naming(config: &Config) -> Naming {
    let forwarders = match config.forwarders.as_slice() {
        [] => Forwarders::ResolvConf(RESOLV_CONF.into()),
        given => Forwarders::Given(given.to_vec()),
    };
    Naming {
        forwarders,
        patience: config.forwarder_timeout,
        host: config.dns_listen.iter().copied().collect(),
    }
}

/// This node's end of the mesh, if it is to have one.
async fn mesh(config: &Config) -> Result<Option<Mesh>, DaemonError> {
    let mode = match config.mesh {
        config::MeshMode::Auto => MeshMode::Auto,
        config::MeshMode::Kernel => MeshMode::Kernel,
        config::MeshMode::Userspace => MeshMode::Userspace,
        config::MeshMode::Off => MeshMode::Off,
    };
    let (device, choice) = mesh::open(mode, mesh::INTERFACE).await.map_err(DaemonError::Mesh)?;
    tracing::info!(device = ?choice.kind, reason = %choice.reason, "mesh");
    Ok(device.map(|device| Mesh {
        reason: Some(choice.reason.to_string()),
        port: config.wg_port,
        ..Mesh::shared(device)
    }))
}

/// Takes up what can be changed while the daemon runs: the log level.
fn reload(logging: &Logging, path: &std::path::Path, named: bool) {
    systemd::reloading();
    match config::load(path, named) {
        Ok(config) => {
            logging.set_level(config.log_level);
            tracing::info!(log_level = config.log_level.as_str(), "configuration read again");
        }
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(%error, cause, "the configuration was not taken up");
        }
    }
    systemd::ready("serving");
}

fn node_config(config: Config) -> Result<NodeConfig, DaemonError> {
    let advertise = match config.advertise_addr {
        Some(ip) => ip,
        None if config.listen_addr.ip().is_unspecified() => {
            detect::choose(&detect::host_addresses().map_err(DaemonError::Addresses)?)?
        }
        None => config.listen_addr.ip(),
    };
    let mut node = NodeConfig::new(config.data_dir);
    node.name = config.node_name;
    node.listen_addr = config.listen_addr;
    node.cluster_addr = config.cluster_addr;
    node.advertise = Some(advertise);
    node.unix_socket = Some(config.unix_socket);
    node.socket_group = Some(config.socket_group);
    node.metrics_addr = config.metrics_addr;
    node.address_pools = config.address_pools;
    Ok(node)
}

/// What a signal asks for.
enum Wish {
    Stop(&'static str),
    Reload,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Wish::Stop("SIGINT"),
            _ = self.hang_up.recv() => Wish::Reload,
        }
    }
}
