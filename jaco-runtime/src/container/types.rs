//! Plain values that cross the seam.

use std::{collections::BTreeMap, fmt, net::IpAddr, pin::Pin, sync::Arc};

use futures::Stream;
use ipnet::IpNet;
use jaco_api::model::{AssignedFile, ContainerSpec, Health, MountSource, Timestamp};

use super::{Labels, RuntimeError};

/// What an engine is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineVersion {
    /// Product, for example `Docker`.
    pub name: String,
    /// Version of the product.
    pub version: String,
    /// API version in use.
    pub api: String,
    /// Platform of its images, for example `linux/amd64`.
    pub platform: String,
    /// Processors it can use.
    pub cpus: u32,
    /// Memory it can use, in bytes.
    pub memory_bytes: u64,
}

/// An image and the platform it is wanted for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageRef {
    /// Reference, as in the compose file.
    pub name: String,
    /// Platform, for example `linux/arm64`; absent means the engine's own.
    pub platform: Option<String>,
}

impl ImageRef {
    /// The image a container is created from.
    #[must_use]
    pub fn of(spec: &ContainerSpec) -> Self {
        Self { name: spec.image.clone(), platform: spec.platform.clone() }
    }

    /// Every image a container needs: the one it is created from, then those it mounts.
    pub fn all(spec: &ContainerSpec) -> impl Iterator<Item = Self> + Clone {
        let mounted = spec.mounts.iter().filter_map(|mount| match &mount.source {
            MountSource::Image { name, .. } => {
                Some(Self { name: name.clone(), platform: spec.platform.clone() })
            }
            _ => None,
        });
        std::iter::once(Self::of(spec)).chain(mounted)
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// How far a pull is, in the engine's words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PullProgress {
    /// The layer, when it is about one.
    pub layer: Option<String>,
    /// What happens to it.
    pub status: String,
    /// Bytes done.
    pub current: Option<u64>,
    /// Bytes in all.
    pub total: Option<u64>,
}

/// A network of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Id in the engine.
    pub id: String,
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: Labels,
}

/// A network to be made: always a bridge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkRequest {
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: Labels,
    /// True when it has no route out.
    pub internal: bool,
    /// Options of the bridge driver.
    pub driver_opts: BTreeMap<String, String>,
    /// Its addresses and that of its bridge; absent where the engine chooses both.
    pub addresses: Option<(IpNet, IpAddr)>,
}

impl NetworkRequest {
    /// The option of the bridge driver that names the bridge on the host.
    pub const BRIDGE_NAME: &str = "com.docker.network.bridge.name";
    /// The option of the bridge driver by which what leaves the bridge has the host's address.
    pub const MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";
    /// The option of the bridge driver by which packets for containers that are routed here are not dropped by
    /// the engine's own rules, whichever program it makes them with. Known from API 1.48 on (engine 28);
    /// older engines drop none.
    pub const GATEWAY_MODE: &str = "com.docker.network.bridge.gateway_mode_ipv4";
    /// The option of the bridge driver that says how large a packet may be.
    pub const MTU: &str = "com.docker.network.driver.mtu";
}

/// A volume of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: Labels,
}

/// A volume to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VolumeRequest {
    /// Name.
    pub name: String,
    /// Driver; empty means `local`.
    pub driver: String,
    /// Options of the driver.
    pub driver_opts: BTreeMap<String, String>,
    /// Labels.
    pub labels: Labels,
}

/// A network a container joins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkJoin {
    /// Engine name of the network.
    pub network: String,
    /// Names the container answers to on it.
    pub aliases: Vec<String>,
    /// The network with the highest provides the default gateway.
    pub gateway: i64,
    /// Name of the interface in the container; absent means the engine's.
    pub interface: Option<String>,
    /// Options of the driver for this container.
    pub driver_opts: BTreeMap<String, String>,
}

/// A container to be made.
#[derive(Clone, PartialEq, Eq)]
pub struct ContainerRequest {
    /// Name.
    pub name: String,
    /// All labels, ours and the user's.
    pub labels: Labels,
    /// What it is made from. Its `labels` and `networks` are already in the other fields.
    pub spec: Arc<ContainerSpec>,
    /// Networks; the first one provides the default gateway.
    pub networks: Vec<NetworkJoin>,
    /// Secrets and configs, which it finds as files that were never on a disk.
    pub files: Vec<AssignedFile>,
    /// Id of the container that it lives beside and shares with what `spec.beside` says.
    pub lead: Option<String>,
}

/// Shows no values of the environment: they may be secret.
impl fmt::Debug for ContainerRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContainerRequest")
            .field("name", &self.name)
            .field("image", &self.spec.image)
            .field("networks", &self.networks)
            .finish_non_exhaustive()
    }
}

/// Where a container is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerStatus {
    /// Made, never started.
    Created,
    /// Runs.
    Running,
    /// Frozen by somebody.
    Paused,
    /// Being started again by the engine.
    Restarting,
    /// Being removed.
    Removing,
    /// Ended.
    Exited,
    /// Could not be removed entirely.
    Dead,
}

impl ContainerStatus {
    /// Whether it has processes.
    #[must_use]
    pub const fn is_alive(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Restarting)
    }
}

/// A container in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerSummary {
    /// Id in the engine.
    pub id: String,
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: Labels,
    /// Where it is in its life.
    pub status: ContainerStatus,
}

/// A container in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Id in the engine.
    pub id: String,
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: Labels,
    /// Where it is in its life.
    pub status: ContainerStatus,
    /// What its health check says; [`Health::None`] without one.
    pub health: Health,
    /// Output of the last check.
    pub health_output: Option<String>,
    /// Exit code of the last end.
    pub exit_code: Option<i64>,
    /// True when the kernel killed it for lack of memory.
    pub oom_killed: bool,
    /// Why the engine could not start it.
    pub error: Option<String>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// When it was last started.
    pub started_at: Option<Timestamp>,
    /// When it last ended.
    pub finished_at: Option<Timestamp>,
    /// Its addresses by engine name of the network.
    pub addresses: BTreeMap<String, IpAddr>,
}

/// Which part of a container's output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// Go on with what it writes from now on, until it ends.
    pub follow: bool,
    /// Nothing older.
    pub since: Option<Timestamp>,
    /// Only so many of the last lines that there are.
    pub tail: Option<u32>,
}

/// A line a container wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When, by the engine's clock.
    pub at: Timestamp,
    /// To standard error rather than standard output.
    pub stderr: bool,
    /// The text without its line end; bytes that are no UTF-8 are replaced.
    pub text: String,
}

/// Lines of output, oldest first.
pub type LogStream = Pin<Box<dyn Stream<Item = Result<LogLine, RuntimeError>> + Send>>;

/// What happened to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventAction {
    /// It was made.
    Created,
    /// It was started.
    Started,
    /// It ended.
    Died,
    /// It hit its memory limit.
    OutOfMemory,
    /// Its health check has a new verdict.
    Health(Health),
    /// It was removed.
    Removed,
    /// Something else.
    Other,
}

/// Something that happened to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineEvent {
    /// Id of the container.
    pub container: String,
    /// Its labels.
    pub labels: Labels,
    /// What happened.
    pub action: EventAction,
}

/// Events, oldest first.
pub type EventStream = Pin<Box<dyn Stream<Item = Result<EngineEvent, RuntimeError>> + Send>>;

/// What a container uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Processor time since its start, in nanoseconds.
    pub cpu_ns: u64,
    /// Memory in bytes, page cache left out where the engine tells.
    pub memory_bytes: u64,
    /// Bytes received on all networks.
    pub received_bytes: u64,
    /// Bytes sent on all networks.
    pub sent_bytes: u64,
}
