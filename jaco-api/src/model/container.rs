//! Everything a container is created from. Its digest decides whether a replica is current.
//!
//! Values here may be secret (environment, arguments): the engine keeps this document sealed.
//! Fields that hold their default are left out of the serialised form, so that adding a field does
//! not change the digest of existing documents.

use std::{collections::BTreeMap, net::IpAddr};

use serde::{Deserialize, Serialize};

use super::{
    BlockIo, CgroupMode, Device, DeviceRequest, Digest, FileMount, Hook, HostNamespace, IpcMode,
    Mount, NetworkName, Sharing, Span,
};

/// When the image is fetched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PullPolicy {
    /// Before every start.
    Always,
    /// When the engine does not have it.
    #[default]
    Missing,
    /// Never: a missing image is an error.
    Never,
    /// When the engine does not have it, or fetched it longer ago than this.
    Refresh(Span),
}

/// A network a container is attached to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Key in the compose file.
    pub network: NetworkName,
    /// Further names of the service on this network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Order of attachment; the highest provides the default gateway.
    #[serde(default, skip_serializing_if = "is_default")]
    pub priority: i32,
    /// The highest provides the default gateway, whatever the order.
    #[serde(default, skip_serializing_if = "is_default")]
    pub gw_priority: i32,
    /// Name of the interface in the container; absent means the engine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface_name: Option<String>,
    /// Options of the network driver.
    #[serde(default, skip_serializing_if = "is_default")]
    pub driver_opts: BTreeMap<String, String>,
}

impl Attachment {
    /// To this network, with nothing else said.
    #[must_use]
    pub fn to(network: NetworkName) -> Self {
        Self {
            network,
            aliases: Vec::new(),
            priority: 0,
            gw_priority: 0,
            interface_name: None,
            driver_opts: BTreeMap::new(),
        }
    }
}

/// The command that tells whether a container is healthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Healthcheck {
    /// The image's own check is switched off.
    Disabled,
    /// A command.
    Check {
        /// As Docker takes it: `["CMD", …]` or `["CMD-SHELL", "…"]`; empty inherits the image's.
        test: Vec<String>,
        /// Pause between checks.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        interval: Option<Span>,
        /// Most time one check may take.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout: Option<Span>,
        /// Failures do not count for so long.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        start_period: Option<Span>,
        /// Pause between checks in that time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        start_interval: Option<Span>,
        /// Consecutive failures that make it unhealthy.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retries: Option<u32>,
    },
}

/// A resource limit of the processes (`setrlimit(2)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// Soft limit; -1 is unlimited.
    pub soft: i64,
    /// Hard limit; -1 is unlimited.
    pub hard: i64,
}

/// Limits and weights of a container. Zero means unset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Limit of processor time in thousandths of a core.
    #[serde(skip_serializing_if = "is_default")]
    pub cpu_millis: u64,
    /// Limit of memory in bytes.
    #[serde(skip_serializing_if = "is_default")]
    pub memory_bytes: u64,
    /// Soft limit of memory in bytes.
    #[serde(skip_serializing_if = "is_default")]
    pub memory_reservation_bytes: u64,
    /// Limit of memory and swap together in bytes; -1 is unlimited.
    #[serde(skip_serializing_if = "is_default")]
    pub memory_swap_bytes: i64,
    /// Limit of processes.
    #[serde(skip_serializing_if = "is_default")]
    pub pids: i64,
    /// Relative weight of processor time.
    #[serde(skip_serializing_if = "is_default")]
    pub cpu_shares: i64,
    /// Processors it may run on, for example `0-2`.
    #[serde(skip_serializing_if = "is_default")]
    pub cpuset: String,
    /// Length of the scheduler's period in microseconds.
    #[serde(skip_serializing_if = "is_default")]
    pub cpu_period_us: i64,
    /// Processor time in each period in microseconds; -1 is unlimited.
    #[serde(skip_serializing_if = "is_default")]
    pub cpu_quota_us: i64,
    /// Length of the real-time scheduler's period in microseconds.
    #[serde(skip_serializing_if = "is_default")]
    pub cpu_rt_period_us: i64,
    /// Real-time processor time in each of its periods in microseconds.
    #[serde(skip_serializing_if = "is_default")]
    pub cpu_rt_runtime_us: i64,
    /// How readily its memory is swapped out, from 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_swappiness: Option<u8>,
    /// True when it waits for memory at its limit instead of being killed.
    #[serde(skip_serializing_if = "is_default")]
    pub oom_kill_disable: bool,
    /// Weights and limits of disks.
    #[serde(skip_serializing_if = "is_default")]
    pub block_io: BlockIo,
}

/// How the engine keeps a container's output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logging {
    /// Log driver of the engine.
    pub driver: String,
    /// Options of the driver.
    #[serde(default, skip_serializing_if = "is_default")]
    pub options: BTreeMap<String, String>,
}

/// Everything a container is created from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerSpec {
    /// Image reference.
    pub image: String,
    /// When the image is fetched.
    #[serde(skip_serializing_if = "is_default")]
    pub pull_policy: PullPolicy,
    /// Platform of the image, for example `linux/arm64`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Replaces the image's command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// Replaces the image's entry point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Environment; no value means the variable is unset.
    #[serde(skip_serializing_if = "is_default")]
    pub environment: BTreeMap<String, Option<String>>,
    /// User, and group after a colon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Further groups.
    #[serde(skip_serializing_if = "is_default")]
    pub group_add: Vec<String>,
    /// Working directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// Host name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Domain name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domainname: Option<String>,
    /// The user's labels; the `jaco.*` ones are added by the runtime and win.
    #[serde(skip_serializing_if = "is_default")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(skip_serializing_if = "is_default")]
    pub annotations: BTreeMap<String, String>,
    /// Mounts, in order.
    #[serde(skip_serializing_if = "is_default")]
    pub mounts: Vec<Mount>,
    /// Secrets and configs, by target.
    #[serde(skip_serializing_if = "is_default")]
    pub files: Vec<FileMount>,
    /// Networks; empty with `network_mode` set, and with the network of another container.
    #[serde(skip_serializing_if = "is_default")]
    pub networks: Vec<Attachment>,
    /// `none`, or absent for the networks above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_mode: Option<String>,
    /// Ports the container listens on, as `80/tcp`.
    #[serde(skip_serializing_if = "is_default")]
    pub expose: Vec<String>,
    /// Further lines of `/etc/hosts`.
    #[serde(skip_serializing_if = "is_default")]
    pub extra_hosts: BTreeMap<String, Vec<String>>,
    /// Name servers.
    #[serde(skip_serializing_if = "is_default")]
    pub dns: Vec<IpAddr>,
    /// Search domains.
    #[serde(skip_serializing_if = "is_default")]
    pub dns_search: Vec<String>,
    /// Options of the resolver.
    #[serde(skip_serializing_if = "is_default")]
    pub dns_opt: Vec<String>,
    /// Health check; absent inherits the image's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// Signal that asks it to stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// Time between that signal and `SIGKILL`; absent means 10 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_grace_period: Option<Span>,
    /// Commands that are run in it after each start, in order.
    #[serde(skip_serializing_if = "is_default")]
    pub post_start: Vec<Hook>,
    /// Commands that are run in it before it is asked to stop, in order.
    #[serde(skip_serializing_if = "is_default")]
    pub pre_stop: Vec<Hook>,
    /// Limits and weights.
    #[serde(skip_serializing_if = "is_default")]
    pub resources: Resources,
    /// Added capabilities.
    #[serde(skip_serializing_if = "is_default")]
    pub cap_add: Vec<String>,
    /// Dropped capabilities.
    #[serde(skip_serializing_if = "is_default")]
    pub cap_drop: Vec<String>,
    /// Kernel parameters of its namespaces.
    #[serde(skip_serializing_if = "is_default")]
    pub sysctls: BTreeMap<String, String>,
    /// Resource limits of its processes.
    #[serde(skip_serializing_if = "is_default")]
    pub ulimits: BTreeMap<String, Ulimit>,
    /// Size of `/dev/shm` in bytes; 0 means the engine's.
    #[serde(skip_serializing_if = "is_default")]
    pub shm_size_bytes: u64,
    /// True when the root file system cannot be written to.
    #[serde(skip_serializing_if = "is_default")]
    pub read_only: bool,
    /// True when an init process reaps zombies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<bool>,
    /// True when it has a terminal.
    #[serde(skip_serializing_if = "is_default")]
    pub tty: bool,
    /// True when standard input stays open.
    #[serde(skip_serializing_if = "is_default")]
    pub stdin_open: bool,
    /// True when it has all the rights of the host.
    #[serde(skip_serializing_if = "is_default")]
    pub privileged: bool,
    /// Security options of the engine.
    #[serde(skip_serializing_if = "is_default")]
    pub security_opt: Vec<String>,
    /// Devices of the host.
    #[serde(skip_serializing_if = "is_default")]
    pub devices: Vec<Device>,
    /// Rules of the devices it may use beyond those.
    #[serde(skip_serializing_if = "is_default")]
    pub device_cgroup_rules: Vec<String>,
    /// Devices that a driver of the engine chooses.
    #[serde(skip_serializing_if = "is_default")]
    pub device_requests: Vec<DeviceRequest>,
    /// Its processes see those of the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<HostNamespace>,
    /// Its shared memory and message queues; absent means the engine's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipc: Option<IpcMode>,
    /// Its host name is the host's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uts: Option<HostNamespace>,
    /// Its users are those of the host, even when the engine maps them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userns: Option<HostNamespace>,
    /// The control groups it sees; absent means the engine's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<CgroupMode>,
    /// The control group it is put under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup_parent: Option<String>,
    /// The program that runs it; absent means the engine's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
    /// Options of the engine's storage driver.
    #[serde(skip_serializing_if = "is_default")]
    pub storage_opt: BTreeMap<String, String>,
    /// Adjustment of the out-of-memory score.
    #[serde(skip_serializing_if = "is_default")]
    pub oom_score_adj: i32,
    /// Logging of the engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logging: Option<Logging>,
    /// What it shares with the container that it lives beside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beside: Option<Sharing>,
    /// Digests of the networks and volumes it references, so that their change is a change of it.
    #[serde(skip_serializing_if = "is_default")]
    pub references: BTreeMap<String, Digest>,
}

impl ContainerSpec {
    /// The canonical bytes: JSON with keys in declaration or sorted order and defaults left out.
    #[must_use]
    pub fn to_canonical(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a container spec has only string keys and finite numbers")
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// The JSON error when the bytes are no container spec.
    pub fn from_canonical(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// The digest that decides whether a replica is current.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.to_canonical())
    }

    /// Time between the stop signal and `SIGKILL`.
    #[must_use]
    pub fn grace(&self) -> Span {
        self.stop_grace_period.unwrap_or(Span::secs(10))
    }
}

pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
