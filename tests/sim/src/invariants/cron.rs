//! A tick never runs twice: by the log, and by the containers that engines started.

use std::collections::BTreeMap;

use jaco_api::model::{DeploymentName, Intent, ServiceName, Timestamp};
use jaco_engine::testing::{engine::Act, replay::Step};

use super::{Broken, Invariant};
use crate::{
    scenario::Deployment,
    world::{World, eyes::Sighting},
};

#[derive(Default)]
pub(super) struct Cron {
    /// The newest tick that was decided of each service that there is.
    decided: BTreeMap<(DeploymentName, ServiceName), Timestamp>,
    /// Containers that were started of each replica and tick.
    started: BTreeMap<(String, String), u32>,
}

impl Invariant for Cron {
    fn name(&self) -> &'static str {
        "a tick never runs twice"
    }

    fn entry(&mut self, step: &Step) -> Result<(), Broken> {
        for row in step.after.deployments() {
            let former = step.before.deployment(&row.name);
            for (service, ticks) in &row.ticks {
                let known = former.and_then(|d| d.ticks.get(service));
                let newest = self.decided.entry((row.name.clone(), service.clone())).or_default();
                for run in
                    ticks.runs.iter().filter(|r| known.is_none_or(|k| k.run(r.tick).is_none()))
                {
                    if run.tick <= *newest {
                        let (index, tick) = (step.index, run.tick);
                        return Err(format!("entry {index} decides {service} of {tick} again"));
                    }
                    *newest = run.tick;
                }
            }
        }
        // A deployment that is deleted and applied again is another one.
        self.decided.retain(|(deployment, _), _| step.after.deployment(deployment).is_some());
        let mut replicas: BTreeMap<_, u32> = BTreeMap::new();
        for replica in step.after.replicas().filter(|r| r.intent == Intent::Run) {
            let Some(tick) = replica.tick else { continue };
            let of = (&replica.id.deployment, &replica.id.service, tick);
            *replicas.entry(of).or_default() += 1;
        }
        match replicas.into_iter().find(|(_, count)| *count > 1) {
            Some((of, count)) => Err(format!("entry {} has {count} of {of:?}", step.index)),
            None => Ok(()),
        }
    }

    fn act(&mut self, seen: &Sighting, _: &World) -> Result<(), Broken> {
        let Act::Start(id) = &seen.act else { return Ok(()) };
        let timed = Deployment::Timed.name();
        let of = seen.copies.iter().find(|c| c.container == *id && c.host == seen.host);
        let Some(copy) = of.filter(|c| c.replica.split('.').next() == Some(timed)) else {
            return Ok(());
        };
        let Some(tick) = &copy.tick else { return Ok(()) };
        // What nobody is to start again is started once, whatever happens to it.
        let count = self.started.entry((copy.replica.clone(), tick.clone())).or_default();
        *count += 1;
        match *count {
            1 => Ok(()),
            n => Err(format!("{} starts {} of {tick} for the {n}. time", seen.host, copy.replica)),
        }
    }
}
