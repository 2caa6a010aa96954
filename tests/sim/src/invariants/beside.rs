//! A companion is where its lead is, and in the end beside the container that its lead has.

use jaco_api::model::Intent;
use jaco_engine::{state::State, testing::replay::Step};
use jaco_runtime::container::label;

use super::{Broken, Invariant};
use crate::world::World;

pub(super) struct Beside;

impl Invariant for Beside {
    fn name(&self) -> &'static str {
        "companions are beside their leads"
    }

    fn entry(&mut self, step: &Step) -> Result<(), Broken> {
        match alone(&step.after, false) {
            Some(what) => Err(format!("entry {}: {what}", step.index)),
            None => Ok(()),
        }
    }

    fn end(&mut self, world: &World) -> Result<(), Broken> {
        if let Some(what) = alone(&world.replay.newest(), true) {
            return Err(what);
        }
        for host in world.cluster.hosts() {
            let there = host.engine().containers();
            for own in there.iter().filter(|c| c.status.is_alive()) {
                let Some(lead) = own.labels.get(label::LEAD) else { continue };
                let shares = there.iter().any(|c| {
                    c.id == *lead && c.status.is_alive() && c.started_at <= own.started_at
                });
                if !shares {
                    return Err(format!("{} on {} is beside nothing", own.name, host.name()));
                }
            }
        }
        Ok(())
    }
}

/// A companion of the revision in force that is to run and is beside nothing or, where `present`, beside
/// what was. A revision that is restored may find one beside a container of the time between: it is made
/// anew by the next step.
fn alone(state: &State, present: bool) -> Option<String> {
    state.replicas().filter(|r| r.intent == Intent::Run).find_map(|replica| {
        let beside = replica.beside.as_ref()?;
        let planned = state.service(&replica.id.deployment, &replica.id.service)?;
        let lead = planned.schedule.beside.as_ref().filter(|l| **l == beside.replica.service)?;
        let generation = |n: u64| present.then_some(n);
        let found = state.lead_of(replica).map(|l| (l.id.slot.clone(), generation(l.generation)));
        let wanted = Some((replica.id.slot.clone(), generation(beside.generation)));
        (found != wanted).then(|| format!("{} is beside {lead} {found:?}", replica.id))
    })
}
