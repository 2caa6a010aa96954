//! Who serves at the moment, as a router would know it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering},
    thread::{Scope, ScopedJoinHandle},
};

use jaco_e2e::{Fleet, Outcome, Replica};
use jaco_harness::{Target, Targets};

/// Whether requests may be sent to a replica: its container is there and healthy, and nobody has decided
/// that it is to go.
pub(crate) fn serves(replica: &Replica) -> bool {
    let there = matches!(replica.state.as_str(), "running" | "updating");
    there && replica.health == "healthy" && replica.container.is_some()
}

/// Container ids of the replicas that serve, as node `n` knows them.
pub(crate) fn serving(fleet: &Fleet, n: usize) -> Outcome<BTreeSet<String>> {
    let rows = fleet.replicas(n)?.into_iter();
    Ok(rows.filter(serves).filter_map(|replica| replica.container).collect())
}

/// Keeps targets in step with what node `n` knows, until it is told to stop.
pub(crate) fn follow<'scope>(
    scope: &'scope Scope<'scope, '_>,
    fleet: &'scope Fleet,
    n: usize,
    targets: &'scope Targets,
    stop: &'scope AtomicBool,
) -> ScopedJoinHandle<'scope, Outcome> {
    scope.spawn(move || {
        let mut addresses = BTreeMap::new();
        while !stop.load(Ordering::Relaxed) {
            let mut now = Vec::new();
            for replica in fleet.replicas(n)?.iter().filter(|r| serves(r)) {
                now.extend(target(fleet, replica, &mut addresses)?);
            }
            targets.set(now);
        }
        Ok(())
    })
}

/// A replica's page. The address is asked of the engine once: a container keeps it.
fn target(
    fleet: &Fleet,
    replica: &Replica,
    addresses: &mut BTreeMap<String, String>,
) -> Outcome<Option<Target>> {
    let place = fleet.cluster().place(&replica.node).ok_or("a node that is not of this rig")?;
    let id = replica.container.as_deref().unwrap_or_default();
    if !addresses.contains_key(id) {
        let all = fleet.engine(place).containers(Some("jaco.service=app"))?;
        let known = all.into_iter().filter_map(|container| {
            let address = container.addresses.into_values().find(|a| !a.is_empty());
            Some((container.id, address?))
        });
        addresses.extend(known);
    }
    let url = addresses.get(id).map(|address| format!("http://{address}:8080/"));
    let host = fleet.cluster().rig().host(place);
    Ok(url.map(|url| Target::on(host, &replica.id, &url)))
}
