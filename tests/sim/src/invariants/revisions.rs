//! Revision numbers of a deployment strictly rise, never repeat, and stand for one content.

use std::{collections::BTreeMap, sync::Arc};

use jaco_api::model::{DeploymentName, Revision};
use jaco_engine::testing::replay::Step;

use super::{Broken, Invariant};

#[derive(Default)]
pub(super) struct Revisions {
    /// Every revision of the deployments that there are, also those that are no longer kept.
    known: BTreeMap<DeploymentName, BTreeMap<u64, Arc<Revision>>>,
}

impl Invariant for Revisions {
    fn name(&self) -> &'static str {
        "revisions strictly rise and never repeat"
    }

    fn entry(&mut self, step: &Step) -> Result<(), Broken> {
        for deployment in step.after.deployments() {
            let name = &deployment.name;
            let known = self.known.entry(name.clone()).or_default();
            for revision in step.after.revisions(name) {
                match known.get(&revision.number) {
                    Some(same) if Arc::ptr_eq(same, revision) => {}
                    Some(other) if !same_content(other, revision) => {
                        return Err(format!("revision {} of {name} changed", revision.number));
                    }
                    Some(_) => drop(known.insert(revision.number, Arc::clone(revision))),
                    None if known.last_key_value().is_some_and(|(n, _)| *n >= revision.number) => {
                        return Err(format!("revision {} of {name} came late", revision.number));
                    }
                    None => drop(known.insert(revision.number, Arc::clone(revision))),
                }
            }
            let last = known.last_key_value().map_or(0, |(number, _)| *number);
            if (deployment.revision, deployment.last_revision) != (last, last) {
                let (now, given) = (deployment.revision, deployment.last_revision);
                return Err(format!("{name} is at {now}, given out {given}, known {last}"));
            }
        }
        self.known.retain(|name, _| step.after.deployment(name).is_some());
        Ok(())
    }
}

/// Whether a revision still stands for what it stood for. A restart only raises epochs.
fn same_content(was: &Revision, is: &Revision) -> bool {
    let mut then = was.clone();
    for (name, service) in &mut then.services {
        if let Some(now) = is.services.get(name).filter(|now| now.epoch >= service.epoch) {
            service.epoch = now.epoch;
        }
    }
    then == *is
}
