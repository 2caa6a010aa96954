//! What a container finds mounted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::container::is_default;

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum MountSource {
    /// A volume of the engine, by its engine name.
    Volume {
        /// Name in the engine.
        name: String,
        /// True when the engine must already have it.
        #[serde(default, skip_serializing_if = "is_default")]
        external: bool,
        /// Volume driver; empty means `local`.
        #[serde(default, skip_serializing_if = "is_default")]
        driver: String,
        /// Options of the driver.
        #[serde(default, skip_serializing_if = "is_default")]
        driver_opts: BTreeMap<String, String>,
        /// True when the image's content must not be copied into an empty volume.
        #[serde(default, skip_serializing_if = "is_default")]
        nocopy: bool,
        /// The directory of the volume that is mounted, relative to its top; absent means all of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subpath: Option<String>,
        /// Labels it is made with.
        #[serde(default, skip_serializing_if = "is_default")]
        labels: BTreeMap<String, String>,
    },
    /// A path of the host.
    Bind {
        /// Absolute path on the host.
        path: String,
        /// True when a missing path is created as a directory.
        #[serde(default, skip_serializing_if = "is_default")]
        create: bool,
        /// Mount propagation.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        propagation: Option<String>,
        /// Which label of SELinux its files get.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        selinux: Option<Relabel>,
        /// What happens to file systems that are mounted below it; absent means the engine's way.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        recursive: Option<Recursion>,
    },
    /// Memory.
    Tmpfs {
        /// Limit in bytes; 0 means the engine's.
        #[serde(default, skip_serializing_if = "is_default")]
        size_bytes: u64,
        /// File mode; 0 means the engine's.
        #[serde(default, skip_serializing_if = "is_default")]
        mode: u32,
        /// Further options of the mount, for example `uid=1000`.
        #[serde(default, skip_serializing_if = "is_default")]
        options: Vec<String>,
    },
    /// The content of an image; nothing can be written to it.
    Image {
        /// Image reference.
        name: String,
        /// The directory of the image that is mounted; absent means all of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subpath: Option<String>,
    },
}

/// Who may use the files of a bind mount on a host with SELinux.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relabel {
    /// Every container.
    Shared,
    /// This container alone.
    Private,
}

/// What happens to file systems that are mounted below the path of a bind mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recursion {
    /// They are not there.
    Disabled,
    /// They can be written to, even when the mount itself cannot.
    Writable,
    /// They cannot be written to, or the container is not made.
    Readonly,
}

/// One mount of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// What is mounted.
    pub source: MountSource,
    /// Absolute path in the container.
    pub target: String,
    /// True when the container cannot write to it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub read_only: bool,
}
