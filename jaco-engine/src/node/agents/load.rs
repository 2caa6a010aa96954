//! Measures what this node and its replicas use, for the next sign of life.
//!
//! The node is measured from the kernel's counters. Its containers are measured only while it is
//! busy: nothing is moved from a node that is not, and an engine that idles is left alone.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::StreamExt as _;
use jaco_api::{
    model::{NodeUsage, ReplicaId},
    pb,
};
use jaco_runtime::{
    ContainerRuntime,
    container::Stats,
    pressure::{NodeSampler, replica_usage},
};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior},
};

use crate::rpc::Membership;

/// Between two measurements.
const PACE: Duration = Duration::from_secs(10);
/// From here on a node is busy, in thousandths.
const BUSY: u32 = 500;
/// Containers that are measured at a time.
const MEASURED: usize = 8;

/// Counters of containers and when they were read.
type Counted = BTreeMap<ReplicaId, (Instant, Stats)>;

/// Measures until the node stops.
pub(crate) async fn keep_measured(
    membership: Arc<Membership>,
    runtime: Arc<dyn ContainerRuntime>,
    load: watch::Sender<pb::NodeLoad>,
) {
    let mut sampler = match NodeSampler::new() {
        Ok(sampler) => sampler,
        Err(error) => return tracing::warn!(%error, "this node does not tell its load"),
    };
    let mut pulse = tokio::time::interval(PACE);
    pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = Counted::new();
    loop {
        pulse.tick().await;
        let usage = match sampler.sample() {
            Ok(usage) => usage,
            Err(error) => {
                tracing::debug!(%error, "the load of this node was not measured");
                continue;
            }
        };
        let busy = usage.cpu_permille.max(usage.memory_permille()) >= BUSY;
        let now = if busy { count(&membership, &*runtime).await } else { Counted::new() };
        let capacity =
            membership.state.newest().node(membership.id).map_or(0, |n| n.facts.cpu_millis);
        load.send_replace(node_load(&usage, capacity, &before, &now));
        before = now;
    }
}

/// Reads the counters of every replica that runs here.
async fn count(membership: &Membership, runtime: &dyn ContainerRuntime) -> Counted {
    let state = membership.state.newest();
    let running = state.replicas_on(membership.id).filter_map(|replica| {
        let container = replica.observed.container.clone().filter(|_| replica.is_running())?;
        Some((replica.id.clone(), container))
    });
    let running: Vec<_> = running.collect();
    let count = |(replica, container): (ReplicaId, String)| async move {
        let stats = runtime.stats(&container).await.ok()?;
        Some((replica, (Instant::now(), stats)))
    };
    let counted = futures::stream::iter(running.into_iter().map(count)).buffer_unordered(MEASURED);
    counted.filter_map(std::future::ready).collect().await
}

/// What is told: shares of this node, and of those replicas that were measured twice.
fn node_load(usage: &NodeUsage, cpu_millis: u64, before: &Counted, now: &Counted) -> pb::NodeLoad {
    let replicas = now.iter().filter_map(|(replica, (at, stats))| {
        let (then, earlier) = before.get(replica)?;
        let used = replica_usage(earlier, stats, at.duration_since(*then));
        Some(pb::ReplicaLoad {
            replica: replica.to_string(),
            cpu: permille(used.cpu_millis, cpu_millis),
            memory: permille(used.memory_bytes, usage.memory_total_bytes),
        })
    });
    let stalled = usage.pressure.map(|p| {
        [p.cpu, p.memory, p.io].into_iter().map(|stall| stall.some_permille).max().unwrap_or(0)
    });
    pb::NodeLoad {
        served: None,
        cpu: usage.cpu_permille,
        memory: usage.memory_permille(),
        stalled,
        replicas: replicas.collect(),
        networks: None,
    }
}

fn permille(used: u64, of: u64) -> u32 {
    let share = u128::from(used) * 1000 / u128::from(of.max(1));
    u32::try_from(share).unwrap_or(1000).min(1000)
}

#[cfg(test)]
mod tests {
    use jaco_api::model::{Pressure, Stall};

    use super::*;

    #[test]
    fn replicas_that_were_measured_twice_are_told_as_shares_of_the_node() {
        let start = Instant::now();
        let later = start + Duration::from_secs(10);
        let id = |text: &str| text.parse::<ReplicaId>().unwrap();
        let at = |cpu_ns, memory_bytes| Stats { cpu_ns, memory_bytes, ..Stats::default() };
        let before = Counted::from([(id("shop.web.1"), (start, at(0, 0)))]);
        let now = Counted::from([
            (id("shop.web.1"), (later, at(10_000_000_000, 1 << 20))),
            (id("shop.web.2"), (later, at(1, 1))),
        ]);
        let waited = Stall { some_permille: 70, full_permille: 10 };
        let usage = NodeUsage {
            cpu_permille: 600,
            memory_used_bytes: 1 << 30,
            memory_total_bytes: 4 << 30,
            pressure: Some(Pressure { io: waited, ..Pressure::default() }),
        };
        let load = node_load(&usage, 4000, &before, &now);
        assert_eq!((load.cpu, load.memory, load.stalled), (600, 250, Some(70)));
        let told: Vec<_> = load.replicas.iter().map(|r| (r.replica.as_str(), r.cpu)).collect();
        assert_eq!(told, [("shop.web.1", 250)], "one processor of four");
    }
}
