//! Services whose containers live beside those of another service.
//!
//! A *companion* shares namespaces or mounts with one *lead*: beside each replica of the lead there is
//! one of the companion, on the same node and with the same slot.

use serde::{Deserialize, Serialize};

use super::{ReplicaId, ServiceName, container::is_default};

/// What a container shares with the container that it lives beside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sharing {
    /// The service whose container it is.
    pub lead: ServiceName,
    /// Addresses, ports and the names it finds.
    #[serde(default, skip_serializing_if = "is_default")]
    pub network: bool,
    /// Shared memory and message queues.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ipc: bool,
    /// Processes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pid: bool,
    /// Everything the other mounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volumes: Option<Borrowed>,
}

impl Sharing {
    /// Nothing yet, with this service.
    #[must_use]
    pub fn with(lead: ServiceName) -> Self {
        Self { lead, network: false, ipc: false, pid: false, volumes: None }
    }
}

/// How a container uses what another one mounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Borrowed {
    /// As the other one does.
    AsMounted,
    /// Without writing to it.
    ReadOnly,
}

/// The container that one of a companion is made beside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beside {
    /// The replica of the lead.
    pub replica: ReplicaId,
    /// Its generation: in another one's container there is nothing left to share.
    pub generation: u64,
}
