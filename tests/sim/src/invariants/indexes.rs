//! The index of a replica is never given out again in the life of its deployment.

use std::collections::BTreeMap;

use jaco_api::model::{DeploymentName, ServiceName, Slot};
use jaco_engine::testing::replay::Step;

use super::{Broken, Invariant};

#[derive(Default)]
pub(super) struct Indexes {
    highest: BTreeMap<(DeploymentName, ServiceName), u32>,
}

impl Invariant for Indexes {
    fn name(&self) -> &'static str {
        "replica indexes never reused"
    }

    fn entry(&mut self, step: &Step) -> Result<(), Broken> {
        let before = self.highest.clone();
        for replica in step.after.replicas() {
            let id = &replica.id;
            let Slot::Index(index) = id.slot else { continue };
            // A companion has the slot of its lead.
            if replica.beside.is_some() {
                continue;
            }
            if step.before.replica(id).is_some() {
                continue;
            }
            let key = (id.deployment.clone(), id.service.clone());
            if before.get(&key).is_some_and(|highest| index <= *highest) {
                return Err(format!("entry {} gives out {id} again", step.index));
            }
            let highest = self.highest.entry(key).or_insert(0);
            *highest = index.max(*highest);
        }
        // A deployment that is deleted and applied again is another one.
        self.highest.retain(|(deployment, _), _| step.after.deployment(deployment).is_some());
        Ok(())
    }
}
