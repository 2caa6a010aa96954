//! Runs of services that run at times: one reading of them for all who decide or show.

use std::sync::Arc;

use jaco_api::model::{Deployment, DeploymentName, Replica, Run, RunFate, ServiceName};

use super::State;

impl State {
    /// The replica of a run: that of the last attempt, while its row is there.
    #[must_use]
    pub fn replica_of_run(&self, run: &Run) -> Option<&Arc<Replica>> {
        self.replica(run.replica.as_ref()?)
    }

    /// Whether a run is still to come to an end: wanted, and not seen to have ended.
    #[must_use]
    pub fn is_open(&self, run: &Run) -> bool {
        run.fate == RunFate::Wanted && self.replica_of_run(run).is_none_or(|r| !r.has_ended())
    }

    /// Whether a service of the revision in force runs at times.
    #[must_use]
    pub fn runs_at_times(&self, deployment: &DeploymentName, service: &ServiceName) -> bool {
        self.service(deployment, service).is_some_and(|s| s.schedule.cron.is_some())
    }

    /// Whether a replica is that of a run which is kept.
    #[must_use]
    pub fn is_kept_run(&self, deployment: &Deployment, replica: &Replica) -> bool {
        let run =
            replica.tick.and_then(|tick| deployment.ticks.get(&replica.id.service)?.run(tick));
        run.is_some_and(|run| {
            run.fate == RunFate::Wanted && run.replica.as_ref() == Some(&replica.id)
        })
    }
}
