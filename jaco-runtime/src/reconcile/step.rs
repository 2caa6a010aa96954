//! The next step for one replica. Pure.
//!
//! Inputs: what is wanted, what containers there are, what the worker remembers, the time. Output:
//! one step. The worker takes it and looks again, so a step never assumes that an earlier one
//! worked.

use std::time::Duration;

use jaco_api::model::{AssignedReplica, ContainerSpec, Intent};

use super::{
    beside::Ground,
    images::{Image, Next},
    memory::Memory,
};
use crate::{
    container::{Container, ContainerStatus, ImageRef, label},
    health::Verdict,
};

/// What a worker is to bring about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted<'a> {
    /// Nothing may be done: the assignment has not caught up.
    Unknown,
    /// No container of this replica, whose last document is this if it is known.
    Gone(Option<&'a AssignedReplica>),
    /// No container of this replica, at once.
    Killed,
    /// A running container of this generation.
    Running(&'a AssignedReplica, &'a ContainerSpec),
}

/// One step of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing to do until something happens, or until then.
    Hold(Option<Duration>),
    /// Ask whether the engine has an image.
    LookForImage(ImageRef),
    /// Begin to fetch an image.
    Fetch(ImageRef),
    /// Make the container, its networks and volumes.
    Create,
    /// Start this container.
    Start(String),
    /// Run the hooks of this container's start.
    PostStart(String),
    /// Run the hooks of this container's stop.
    PreStop(String),
    /// Wait for the hooks of this container's stop.
    AwaitPreStop(String),
    /// Stop this container.
    Stop(String),
    /// Stop this container, which has so much left of its time.
    StopWithin(String, Duration),
    /// Remove this container.
    Remove(String),
}

/// What a replica is to come to; `last` is what was known of one that is not assigned any more.
pub(crate) fn wanted<'a>(
    replica: Option<&'a AssignedReplica>,
    last: Option<&'a AssignedReplica>,
    caught_up: bool,
) -> Wanted<'a> {
    match replica {
        Some(r) if r.fenced => Wanted::Killed,
        _ if !caught_up => Wanted::Unknown,
        Some(r) if r.intent == Intent::Run => match &r.spec {
            Some(spec) => Wanted::Running(r, spec),
            None => Wanted::Unknown,
        },
        assigned => Wanted::Gone(assigned.or(last)),
    }
}

/// Splits the containers of a replica into the one to keep and the others.
///
/// Of several of the present generation, one that runs is kept, else the one with the right name,
/// else the newest.
pub(crate) fn split<'a>(
    generation: u64,
    name: &str,
    containers: &'a [Container],
) -> (Option<&'a Container>, Vec<&'a Container>) {
    let is_current = |c: &Container| {
        c.labels.get(label::GENERATION).and_then(|g| g.parse().ok()) == Some(generation)
            && c.status != ContainerStatus::Removing
    };
    let rank = |c: &Container| (c.status.is_alive(), c.name == name, c.created_at, c.id.clone());
    let kept = containers.iter().filter(|c| is_current(c)).max_by_key(|c| rank(c));
    let others = containers.iter().filter(|c| kept.is_none_or(|k| !std::ptr::eq(k, *c))).collect();
    (kept, others)
}

/// The next step.
pub(crate) fn next(
    wanted: Wanted<'_>,
    current: Option<&Container>,
    others: &[&Container],
    ground: Ground<'_>,
    memory: &Memory,
    at: Duration,
) -> Step {
    if let Some(until) = memory.pause_until.filter(|until| at < *until)
        && !matches!(wanted, Wanted::Killed)
    {
        return Step::Hold(Some(until));
    }
    match wanted {
        Wanted::Unknown => Step::Hold(None),
        Wanted::Gone(known) => {
            let first = current.into_iter().chain(others.iter().copied()).next();
            first.map_or(Step::Hold(None), |c| dispose(known, c, memory, at))
        }
        Wanted::Killed => {
            let mut all = current.into_iter().chain(others.iter().copied());
            let first = all.find(|c| c.status != ContainerStatus::Removing);
            first.map_or(Step::Hold(None), |c| Step::Remove(c.id.clone()))
        }
        Wanted::Running(replica, spec) => {
            let step = match current {
                Some(current) => keep(replica, current, others, ground, memory, at),
                None => make(replica, spec, others, ground, memory, at),
            };
            match (&step, &replica.prepare) {
                (Step::Hold(until), Some(next)) => prepare(replica, next, memory, at, *until),
                _ => step,
            }
        }
    }
}

/// One step towards a container's end.
fn dispose(
    replica: Option<&AssignedReplica>,
    c: &Container,
    memory: &Memory,
    at: Duration,
) -> Step {
    match c.status {
        ContainerStatus::Removing => Step::Hold(None),
        status if status.is_alive() => memory.hooks.part(replica, c, at),
        _ => Step::Remove(c.id.clone()),
    }
}

/// The container of the present generation exists.
fn keep(
    replica: &AssignedReplica,
    current: &Container,
    others: &[&Container],
    ground: Ground<'_>,
    memory: &Memory,
    at: Duration,
) -> Step {
    if let Some(other) = others.iter().find(|c| c.status != ContainerStatus::Removing) {
        return dispose(Some(replica), other, memory, at);
    }
    let id = || current.id.clone();
    if memory.end.is_none()
        && let Some(step) = rejoin(replica, current, ground, memory, at)
    {
        return step;
    }
    if current.status.is_alive() {
        return match memory.verdict(replica, current, at) {
            // Its failure is counted: it is stopped now and started when its pause is over.
            Verdict::Unhealthy if memory.is_counted(current) => {
                memory.hooks.part(Some(replica), current, at)
            }
            Verdict::Starting(_) if memory.is_start_due(replica, current) => Step::PostStart(id()),
            Verdict::Starting(Some(left)) => Step::Hold(Some(at + left)),
            _ => Step::Hold(None),
        };
    }
    if memory.end.is_some() || !replica.waiting_on.is_empty() {
        return Step::Hold(None);
    }
    if current.status == ContainerStatus::Created && !memory.made.contains(&current.id) {
        // Whoever made it did not get to start it: it may lack a network.
        return Step::Remove(id());
    }
    match memory.retry_at.filter(|retry| at < *retry) {
        Some(retry) => Step::Hold(Some(retry)),
        None => Step::Start(id()),
    }
}

/// What is to be done to share again what the container of its lead has; nothing when it does. One that
/// was made beside another container is made anew, one that was started before is started again.
fn rejoin(
    replica: &AssignedReplica,
    current: &Container,
    ground: Ground<'_>,
    memory: &Memory,
    at: Duration,
) -> Option<Step> {
    if ground.is_missing() {
        return Some(Step::Hold(None));
    }
    if !ground.is_of(current) {
        return Some(dispose(Some(replica), current, memory, at));
    }
    let stale = current.status.is_alive() && !ground.holds(current);
    stale.then(|| memory.hooks.part(Some(replica), current, at))
}

/// There is no container of the present generation.
fn make(
    replica: &AssignedReplica,
    spec: &ContainerSpec,
    others: &[&Container],
    ground: Ground<'_>,
    memory: &Memory,
    at: Duration,
) -> Step {
    // What is left of an earlier generation shares nothing with anybody: it goes before its time.
    let cut_off = ground.is_missing() && !others.is_empty();
    if memory.end.is_some() || (!replica.waiting_on.is_empty() && !cut_off) {
        return Step::Hold(None);
    }
    if let Some(retry) = memory.retry_at.filter(|retry| at < *retry) {
        return Step::Hold(Some(retry));
    }
    // Images come first, so that a wrong one never takes down what runs.
    for image in ImageRef::all(spec) {
        let known = memory.images.get(&image).cloned().unwrap_or_default();
        match known.next(spec.pull_policy, at) {
            Next::Look => return Step::LookForImage(image),
            Next::Fetch => return Step::Fetch(image),
            Next::Busy => return Step::Hold(None),
            Next::Wait(until) => return Step::Hold(Some(until)),
            Next::Use => {}
        }
    }
    match others.first() {
        Some(other) => dispose(Some(replica), other, memory, at),
        None if ground.is_missing() => Step::Hold(None),
        None => Step::Create,
    }
}

/// Nothing else is to be done: the images of the next generation are fetched.
fn prepare(
    replica: &AssignedReplica,
    next: &ContainerSpec,
    memory: &Memory,
    at: Duration,
    until: Option<Duration>,
) -> Step {
    let own_is_fetched = replica.spec.iter().flat_map(|spec| ImageRef::all(spec)).any(|own| {
        ImageRef::all(next).all(|image| image != own)
            && memory.images.get(&own).is_some_and(Image::is_fetching)
    });
    if own_is_fetched || replica.prepared.is_some() {
        return Step::Hold(until);
    }
    let earlier = |then: Duration| Some(until.map_or(then, |until| until.min(then)));
    for image in ImageRef::all(next) {
        let known = memory.images.get(&image).cloned().unwrap_or_default();
        match known.next(next.pull_policy, at) {
            _ if known.is_given_up() => return Step::Hold(until),
            Next::Look => return Step::LookForImage(image),
            Next::Fetch => return Step::Fetch(image),
            Next::Wait(then) => return Step::Hold(earlier(then)),
            Next::Busy => return Step::Hold(until),
            Next::Use => {}
        }
    }
    Step::Hold(until)
}

#[cfg(test)]
mod tests;
