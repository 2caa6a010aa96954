//! Ends every fault, and does what operators do after a bad day.

use std::time::Duration;

use jaco_api::model::{Availability, DeploymentPhase, NodeStatus, Ticks, Timestamp};

use super::{BEGINNING, World, WorldError, name};
use crate::scenario::{Deployment, Operation, Recipe};

impl World {
    /// Does one more thing that operators do until every host is a member that takes work, and every
    /// deployment that is there has content that can run. True when nothing is left to do.
    ///
    /// # Errors
    /// [`WorldError::Start`].
    pub async fn tidy_up(&mut self) -> Result<bool, WorldError> {
        let Some(leader) = self.cluster.leader() else { return Ok(false) };
        let Some(state) = self.cluster.host(leader).state() else { return Ok(false) };
        let mut left = false;
        for host in 0..self.hosts {
            let row = state.nodes().find(|n| n.name == name(host).as_str()).cloned();
            let member = self.cluster.host(host).member();
            match (row, member) {
                (None, None) => {
                    left = true;
                    self.operate(Operation::Join(host), leader);
                }
                // Its disk was lost: what is left of its membership goes first.
                (Some(row), None) if row.availability != Availability::Leaving || !row.forced => {
                    left = true;
                    self.operate(Operation::Avail(host, Availability::Leaving, true), leader);
                }
                (Some(row), Some(id))
                    if row.id == id && row.availability != Availability::Active =>
                {
                    left = true;
                    self.operate(Operation::Avail(host, Availability::Active, false), leader);
                }
                (Some(row), Some(id)) if row.id == id && row.status == NodeStatus::Ready => {}
                _ => left = true,
            }
        }
        Ok(!left)
    }

    /// Gives every deployment that is there content that can run.
    pub fn repair_deployments(&mut self, round: u32) {
        let Some(leader) = self.cluster.leader() else { return };
        let Some(state) = self.cluster.host(leader).state() else { return };
        for deployment in Deployment::ALL {
            let named = deployment.name().parse().expect("our names are valid");
            let there = state.deployment(&named);
            if there.is_some_and(|d| d.phase == DeploymentPhase::Running) {
                let recipe = Recipe::good(100 + round, 2);
                self.operate(Operation::Apply(deployment, recipe), leader);
            }
        }
    }

    /// The ticks of the deployment that runs at times, while it does.
    #[must_use]
    pub fn ticks(&self) -> Option<Ticks> {
        let state = self.cluster.host(self.cluster.leader()?).state()?;
        let row = state.deployment(&Deployment::Timed.name().parse().expect("our names are valid"));
        let row = row.filter(|d| d.phase == DeploymentPhase::Running)?;
        row.ticks.get("app").cloned()
    }

    /// Suspends it, so that the cluster can come to rest.
    pub fn suspend(&mut self) {
        if let Some(leader) = self.cluster.leader() {
            self.operate(Operation::Stop(Deployment::Timed), leader);
        }
    }

    /// Whether no run is left that has not ended.
    #[must_use]
    pub fn runs_have_ended(&self) -> bool {
        let state = self.cluster.leader().and_then(|at| self.cluster.host(at).state());
        state.is_some_and(|state| {
            state.replicas().filter(|r| r.tick.is_some()).all(|r| !r.takes_room() && r.has_ended())
        })
    }

    /// What a clock shows that is right.
    #[must_use]
    pub fn true_time(&self) -> Timestamp {
        BEGINNING.after(self.now())
    }

    /// Lets time pass.
    pub async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}
