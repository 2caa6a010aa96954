//! What is reported of one replica. Pure.
//!
//! Inputs: what is assigned, what containers there are, what the worker remembers. Output: an
//! observation of the assigned generation, equal whenever nothing changed.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use jaco_api::model::{
    AssignedReplica, ContainerSpec, Health, Intent, NetworkName, NetworkSpec, Observation, Reason,
    ReplicaState,
};

use super::{
    beside::Ground,
    images::Image,
    memory::{End, Memory, health_of},
};
use crate::{
    container::{Container, ContainerStatus, ImageRef},
    health::Verdict,
};

/// The observation of a replica; none when it was to go and is gone.
pub(crate) fn observation(
    replica: &AssignedReplica,
    current: Option<&Container>,
    others: &[&Container],
    ground: Ground<'_>,
    memory: &Memory,
    at: Duration,
) -> Option<Observation> {
    let started = current.filter(|c| c.status != ContainerStatus::Created);
    let blank = Observation {
        generation: replica.generation,
        container: started.map(|c| c.id.clone()),
        started_at: started.and_then(|c| c.started_at),
        health: started.map_or(Health::None, health_of),
        exit_code: memory.last_exit.0,
        oom_killed: memory.last_exit.1,
        restarts: memory.restarts,
        addresses: current.map(|c| addresses(replica, c)).unwrap_or_default(),
        ..Observation::default()
    };
    if replica.intent == Intent::Remove {
        let left = current.or(others.first().copied())?;
        let container = Some(left.id.clone());
        let reason = memory.hooks.complaint().cloned();
        return Some(Observation { state: ReplicaState::Stopping, container, reason, ..blank });
    }
    let (state, reason) = state(replica, current, others, ground, memory, at);
    let image = replica.spec.as_deref().and_then(|spec| awaited(spec, memory));
    let pull_failures = if started.is_some() { 0 } else { image.map_or(0, |i| i.failures) };
    Some(Observation { state, reason, pull_failures, ..blank })
}

/// Its address in each network of its own, while it runs.
fn addresses(replica: &AssignedReplica, current: &Container) -> BTreeMap<NetworkName, IpAddr> {
    if !current.status.is_alive() {
        return BTreeMap::new();
    }
    let attachments = replica.spec.iter().flat_map(|spec| &spec.networks);
    let networks = attachments.map(|a| &a.network);
    networks
        .filter_map(|network| {
            let engine_name = NetworkSpec::engine_name(&replica.id.deployment, network);
            Some((network.clone(), *current.addresses.get(&engine_name)?))
        })
        .collect()
}

/// Where it is and why.
fn state(
    replica: &AssignedReplica,
    current: Option<&Container>,
    others: &[&Container],
    ground: Ground<'_>,
    memory: &Memory,
    at: Duration,
) -> (ReplicaState, Option<Reason>) {
    match &memory.end {
        Some(End::Completed) => return (ReplicaState::Completed, None),
        Some(End::Failed(why)) => return (ReplicaState::Failed, Some(why.clone())),
        None => {}
    }
    let failure = memory.failure.clone();
    match current {
        Some(c) if c.status.is_alive() && !ground.holds(c) => {
            (ReplicaState::Degraded, Some(ground.reason()))
        }
        Some(c) if c.status == ContainerStatus::Paused => (ReplicaState::Degraded, Some(frozen())),
        Some(c) if c.status.is_alive() => match memory.verdict(replica, c, at) {
            Verdict::Healthy => (ReplicaState::Running, None),
            Verdict::Starting(_) => (ReplicaState::Starting, None),
            Verdict::Unhealthy => (ReplicaState::Degraded, failure),
        },
        _ if !replica.waiting_on.is_empty() => (ReplicaState::Pending, Some(waiting(replica))),
        Some(c) if c.status != ContainerStatus::Created => (ReplicaState::Degraded, failure),
        _ if failure.is_some() => (ReplicaState::Degraded, failure),
        Some(_) => (ReplicaState::Pending, None),
        None => absent(replica, others, memory),
    }
}

/// There is no container of this generation yet.
fn absent(
    replica: &AssignedReplica,
    others: &[&Container],
    memory: &Memory,
) -> (ReplicaState, Option<Reason>) {
    match replica.spec.as_deref().and_then(|spec| awaited(spec, memory)) {
        Some(image) if image.reason.is_some() => (ReplicaState::Pulling, image.reason.clone()),
        Some(image) if image.is_fetching() => (ReplicaState::Pulling, None),
        _ if !others.is_empty() => (ReplicaState::Updating, memory.hooks.complaint().cloned()),
        _ => (ReplicaState::Pending, None),
    }
}

/// It takes connections and answers nobody. Whoever froze it may let it go on, so it is no failure.
fn frozen() -> Reason {
    Reason { code: None, message: "its container is paused in the engine".to_owned() }
}

fn waiting(replica: &AssignedReplica) -> Reason {
    Reason { code: None, message: format!("waiting for {}", replica.waiting_on.join(", ")) }
}

/// What is known of the image that is waited for: the first that is not there, else its own.
fn awaited<'m>(spec: &ContainerSpec, memory: &'m Memory) -> Option<&'m Image> {
    let mut all = ImageRef::all(spec).map(|image| memory.images.get(&image));
    let own = all.clone().next().flatten();
    all.find(|image| image.is_none_or(|i| !i.is_present())).unwrap_or(own)
}

/// The result of fetching the images of the next generation, once there is one.
pub(crate) fn prepared(replica: &AssignedReplica, memory: &Memory) -> Option<Result<(), Reason>> {
    let image = awaited(replica.prepare.as_deref()?, memory)?;
    match &image.reason {
        _ if image.is_present() => Some(Ok(())),
        Some(why) if Image::is_given_up(image) => Some(Err(why.clone())),
        _ => None,
    }
}
