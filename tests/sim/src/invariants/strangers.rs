//! Nobody acts on containers of another cluster, or of nobody.

use jaco_runtime::container::{ContainerStatus, label};

use super::{Broken, Invariant};
use crate::world::{BEGINNING, FOREIGN_CLUSTER, World};

pub(super) struct Strangers;

impl Invariant for Strangers {
    fn name(&self) -> &'static str {
        "nobody acts on another cluster's containers"
    }

    fn look(&mut self, world: &World) -> Result<(), Broken> {
        for host in world.cluster.hosts() {
            let all = host.engine().containers();
            let foreign = all.iter().filter(|c| {
                c.labels.get(label::CLUSTER).is_none_or(|cluster| cluster == FOREIGN_CLUSTER)
            });
            // An engine that stops takes all its containers with it; nobody starts these again.
            let intact = foreign.filter(|c| {
                c.started_at.is_some_and(|at| at.since(BEGINNING).as_secs() < 300)
                    && matches!(c.status, ContainerStatus::Running | ContainerStatus::Exited)
            });
            if intact.count() != 2 {
                return Err(format!("containers of others on {} were touched", host.name()));
            }
        }
        Ok(())
    }
}
