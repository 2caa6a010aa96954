//! What a container shares with its host: devices, disks and namespaces.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::container::is_default;

/// A device of the host in a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Device {
    /// Absolute path on the host.
    pub source: String,
    /// Absolute path in the container.
    pub target: String,
    /// What may be done with it: some of `r`, `w`, `m`.
    pub permissions: String,
}

/// Devices that a driver of the engine chooses, GPUs above all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceRequest {
    /// The driver; empty means whichever has the capabilities.
    #[serde(skip_serializing_if = "is_default")]
    pub driver: String,
    /// How many; -1 is all, 0 means those of `device_ids`.
    #[serde(skip_serializing_if = "is_default")]
    pub count: i64,
    /// These and no others.
    #[serde(skip_serializing_if = "is_default")]
    pub device_ids: Vec<String>,
    /// What they must be able to do, all of it.
    #[serde(skip_serializing_if = "is_default")]
    pub capabilities: Vec<String>,
    /// Options of the driver.
    #[serde(skip_serializing_if = "is_default")]
    pub options: BTreeMap<String, String>,
}

impl DeviceRequest {
    /// The driver whose devices have names such as `vendor.com/class=name`: the Container Device
    /// Interface.
    pub const CDI: &'static str = "cdi";
}

/// Weights and limits of the disks of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlockIo {
    /// Relative weight from 10 to 1000; 0 means the engine's.
    #[serde(skip_serializing_if = "is_default")]
    pub weight: u16,
    /// Weight by path of the disk.
    #[serde(skip_serializing_if = "is_default")]
    pub weight_device: BTreeMap<String, u16>,
    /// Most bytes read in a second, by path of the disk.
    #[serde(skip_serializing_if = "is_default")]
    pub read_bps: BTreeMap<String, u64>,
    /// Most bytes written in a second.
    #[serde(skip_serializing_if = "is_default")]
    pub write_bps: BTreeMap<String, u64>,
    /// Most reads in a second.
    #[serde(skip_serializing_if = "is_default")]
    pub read_iops: BTreeMap<String, u64>,
    /// Most writes in a second.
    #[serde(skip_serializing_if = "is_default")]
    pub write_iops: BTreeMap<String, u64>,
}

/// A namespace that is the host's instead of the container's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostNamespace {
    /// The host's.
    Host,
}

/// Whose shared memory and message queues a container has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IpcMode {
    /// The host's.
    Host,
    /// Its own, which others may join.
    Shareable,
    /// Its own.
    Private,
    /// Its own, without `/dev/shm`.
    None,
}

/// Which control groups a container sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CgroupMode {
    /// All of the host's.
    Host,
    /// Its own.
    Private,
}
