//! What an apply would mean for replicas, in words.

use std::collections::BTreeSet;

use jaco_api::model::{
    Change, DeploymentName, Difference, Intent, Mode, Placement, PlannedService, ServiceName,
    ServiceSchedule, UpdateOrder,
};

use super::Admitted;
use crate::state::State;

/// Adds to each difference of a service what it means for its replicas; a service whose container
/// changes through a network or volume it uses gets a line of its own.
pub fn describe(state: &State, admitted: &Admitted, differences: &mut Vec<Difference>) {
    let deployment = &admitted.document.deployment;
    let before = state.revision_in_force(deployment);
    // What runs at times has no replicas that wait to be replaced: its difference says it all.
    let services = admitted.command().services.iter().filter(|(_, (s, _))| s.cron.is_none());
    let removed: BTreeSet<_> = before
        .into_iter()
        .flat_map(|r| r.services.keys())
        .filter(|name| !admitted.command().services.contains_key(*name))
        .collect();
    let planned = services.map(|(name, (schedule, digest))| {
        let old = before.and_then(|r| r.services.get(name));
        let replaced = old.is_some_and(|o| o.container != *digest);
        // There are as many companions as there are of what they live beside.
        let lead = schedule.beside.as_ref().and_then(|l| admitted.command().services.get(l));
        let count = wanted(state, lead.map_or(schedule, |(lead, _)| lead));
        (name, effect(state, (deployment, name), old, (schedule, count), replaced))
    });
    let gone = removed.into_iter().map(|name| {
        let count = running(state, deployment, name);
        (name, (count > 0).then(|| format!("{} removed", replicas(count))))
    });
    for (name, effect) in planned.chain(gone) {
        let Some(effect) = effect else { continue };
        let subject = format!("service {name}");
        match differences.iter_mut().find(|d| d.subject == subject) {
            Some(difference) => difference.effect = Some(effect),
            None => differences.push(Difference {
                change: Change::Changed,
                subject,
                fields: Default::default(),
                effect: Some(effect),
            }),
        }
    }
}

fn effect(
    state: &State,
    (deployment, name): (&DeploymentName, &ServiceName),
    old: Option<&PlannedService>,
    (new, wanted): (&ServiceSchedule, u32),
    replaced: bool,
) -> Option<String> {
    let present = running(state, deployment, name);
    let mut parts = Vec::new();
    if replaced && present.min(wanted) > 0 {
        let order = match new.update.order {
            UpdateOrder::StartFirst => "start-first",
            UpdateOrder::StopFirst => "stop-first",
        };
        parts.push(format!("{} replaced, {order}", replicas(present.min(wanted))));
    }
    if wanted > present {
        let verb = if new.mode == Mode::Job { "run to completion" } else { "created" };
        parts.push(format!("{} {verb}", replicas(wanted - present)));
    }
    if present > wanted {
        parts.push(format!("{} removed", replicas(present - wanted)));
    }
    let schedule_only = old.is_some_and(|o| o.schedule != *new) && parts.is_empty();
    if schedule_only {
        parts.push("no replica restarts".to_owned());
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn running(state: &State, deployment: &DeploymentName, service: &ServiceName) -> u32 {
    let all = state.replicas_of_service(deployment, service);
    u32::try_from(all.filter(|r| r.intent == Intent::Run && r.tick.is_none()).count())
        .unwrap_or(u32::MAX)
}

fn wanted(state: &State, schedule: &ServiceSchedule) -> u32 {
    match schedule.placement {
        Some(Placement::Global) => u32::try_from(state.nodes().count()).unwrap_or(u32::MAX),
        _ => schedule.replicas,
    }
}

fn replicas(count: u32) -> String {
    match count {
        1 => "1 replica".to_owned(),
        n => format!("{n} replicas"),
    }
}
