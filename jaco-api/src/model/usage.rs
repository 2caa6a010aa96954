//! What nodes and replicas use at the moment. Never kept: it is measured when somebody asks.

use serde::{Deserialize, Serialize};

/// What a node uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeUsage {
    /// Share of all its processors over the interval of the measurement, in thousandths.
    pub cpu_permille: u32,
    /// Memory in use; what can be had back at once does not count.
    pub memory_used_bytes: u64,
    /// Memory there is.
    pub memory_total_bytes: u64,
    /// How long work had to wait, where the kernel tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pressure: Option<Pressure>,
}

impl NodeUsage {
    /// Share of its memory that is in use, in thousandths.
    #[must_use]
    pub fn memory_permille(&self) -> u32 {
        let used = u128::from(self.memory_used_bytes) * 1000;
        let share = used / u128::from(self.memory_total_bytes.max(1));
        u32::try_from(share).unwrap_or(1000).min(1000)
    }
}

/// Shares of the last ten seconds in which work waited, by what it waited for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pressure {
    /// For a processor.
    pub cpu: Stall,
    /// For memory.
    pub memory: Stall,
    /// For disks.
    pub io: Stall,
}

/// A share of time in thousandths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stall {
    /// Something waited.
    pub some_permille: u32,
    /// Everything waited.
    pub full_permille: u32,
}

/// What a replica uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaUsage {
    /// Processor time over the interval of the measurement: 1000 is one processor.
    pub cpu_millis: u64,
    /// Memory in use, page cache left out.
    pub memory_bytes: u64,
    /// Bytes received in a second, over the interval.
    pub received_per_second: u64,
    /// Bytes sent in a second, over the interval.
    pub sent_per_second: u64,
    /// Bytes received since it was started.
    pub received_bytes: u64,
    /// Bytes sent since it was started.
    pub sent_bytes: u64,
}
