//! What nodes and replicas use.

use crate::{model, pb};

impl From<model::Stall> for pb::Stall {
    fn from(s: model::Stall) -> Self {
        Self { some_permille: s.some_permille, full_permille: s.full_permille }
    }
}
impl From<pb::Stall> for model::Stall {
    fn from(s: pb::Stall) -> Self {
        Self { some_permille: s.some_permille, full_permille: s.full_permille }
    }
}

impl From<model::NodeUsage> for pb::NodeUsage {
    fn from(u: model::NodeUsage) -> Self {
        Self {
            cpu_permille: u.cpu_permille,
            memory_used_bytes: u.memory_used_bytes,
            memory_total_bytes: u.memory_total_bytes,
            pressure: u.pressure.map(|p| pb::Pressure {
                cpu: Some(p.cpu.into()),
                memory: Some(p.memory.into()),
                io: Some(p.io.into()),
            }),
        }
    }
}
impl From<pb::NodeUsage> for model::NodeUsage {
    fn from(u: pb::NodeUsage) -> Self {
        let stall = |s: Option<pb::Stall>| s.map(Into::into).unwrap_or_default();
        Self {
            cpu_permille: u.cpu_permille,
            memory_used_bytes: u.memory_used_bytes,
            memory_total_bytes: u.memory_total_bytes,
            pressure: u.pressure.map(|p| model::Pressure {
                cpu: stall(p.cpu),
                memory: stall(p.memory),
                io: stall(p.io),
            }),
        }
    }
}

impl From<model::ReplicaUsage> for pb::ReplicaUsage {
    fn from(u: model::ReplicaUsage) -> Self {
        Self {
            cpu_millis: u.cpu_millis,
            memory_bytes: u.memory_bytes,
            received_per_second: u.received_per_second,
            sent_per_second: u.sent_per_second,
            received_bytes: u.received_bytes,
            sent_bytes: u.sent_bytes,
        }
    }
}
impl From<pb::ReplicaUsage> for model::ReplicaUsage {
    fn from(u: pb::ReplicaUsage) -> Self {
        Self {
            cpu_millis: u.cpu_millis,
            memory_bytes: u.memory_bytes,
            received_per_second: u.received_per_second,
            sent_per_second: u.sent_per_second,
            received_bytes: u.received_bytes,
            sent_bytes: u.sent_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_round_trips() {
        let stall = |n| model::Stall { some_permille: n, full_permille: n + 1 };
        let node = model::NodeUsage {
            cpu_permille: 1,
            memory_used_bytes: 2,
            memory_total_bytes: 3,
            pressure: Some(model::Pressure { cpu: stall(4), memory: stall(6), io: stall(8) }),
        };
        assert_eq!(model::NodeUsage::from(pb::NodeUsage::from(node)), node);
        let replica = model::ReplicaUsage {
            cpu_millis: 1,
            memory_bytes: 2,
            received_per_second: 3,
            sent_per_second: 4,
            received_bytes: 5,
            sent_bytes: 6,
        };
        assert_eq!(model::ReplicaUsage::from(pb::ReplicaUsage::from(replica)), replica);
    }
}
