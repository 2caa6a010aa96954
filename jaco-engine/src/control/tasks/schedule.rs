//! Keeps the scheduler's plan going: every change of the state is planned for the deployments it
//! concerns, and every plan is proposed.
//!
//! It holds no decisions. A batch that was planned from a version that is no longer in force is
//! refused by the state machine; the change that made it so leads to the next plan.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{DeploymentName, Timestamp},
};

use super::{
    super::{driver::Task, propose::Propose, samples::Sampler},
    lost::LostNodes,
};
use crate::{
    clock::Clock,
    command::{Command, Reconcile},
    scheduler::{self, Readings},
    state::State,
};

/// Batches that are on their way at a time: they share entries of the log.
const AT_A_TIME: usize = 64;

/// Plans and proposes.
pub(in crate::control) struct Schedule {
    propose: Arc<dyn Propose>,
    clock: Arc<dyn Clock>,
    sampler: Option<Arc<dyn Sampler>>,
    lost: LostNodes,
    /// The state the last pass planned from; none before the first pass of a term.
    seen: Option<Arc<State>>,
    /// Deployments whose batch did not get through.
    again: BTreeSet<DeploymentName>,
    /// When deployments are to be planned even if nothing happens.
    timers: BTreeMap<DeploymentName, Timestamp>,
}

impl Schedule {
    pub(in crate::control) fn new(propose: Arc<dyn Propose>, clock: Arc<dyn Clock>) -> Self {
        let (sampler, lost, seen, again, timers) = Default::default();
        Self { propose, clock, sampler, lost, seen, again, timers }
    }

    /// Looks at the pressure of nodes too, where they are equal otherwise.
    pub(in crate::control) fn sampling(self, sampler: Arc<dyn Sampler>) -> Self {
        Self { sampler: Some(sampler), ..self }
    }

    fn readings(&mut self, state: &State, now: Timestamp) -> Readings {
        let samples = self.sampler.as_ref().map(|s| s.samples()).unwrap_or_default();
        let pressure = samples.nodes.iter().map(|(node, load)| (*node, load.pressure())).collect();
        Readings { pressure, lost_since: self.lost.look(state, now) }
    }

    /// What this pass plans: what has changed, what did not get through, and what is due.
    fn touched(&mut self, state: &State, now: Timestamp) -> BTreeSet<DeploymentName> {
        let mut touched = match &self.seen {
            None => state.deployments().map(|d| d.name.clone()).collect(),
            Some(seen) => scheduler::touched(seen, state),
        };
        touched.append(&mut self.again);
        touched.extend(self.timers.iter().filter(|(_, at)| **at <= now).map(|(n, _)| n.clone()));
        self.timers.retain(|name, _| !touched.contains(name) && state.deployment(name).is_some());
        touched
    }

    /// Proposes every batch.
    ///
    /// # Errors
    /// The first failure that the next change of the state does not put right by itself.
    async fn carry_out(&mut self, batches: Vec<Reconcile>) -> Result<(), ApiError> {
        let propose = &self.propose;
        let results: Vec<_> = stream::iter(batches)
            .map(|batch| async move {
                let name = batch.deployment.clone();
                (name, propose.propose(None, Command::Reconcile(batch)).await)
            })
            .buffer_unordered(AT_A_TIME)
            .collect()
            .await;
        let mut first = Ok(());
        for (name, result) in results {
            match result {
                Ok(_) => {}
                // The state is another one by now: this node is going to see it, or sees it already.
                // What became other need not be the deployment itself.
                Err(error) if outdated(&error) => {
                    tracing::debug!(deployment = %name, %error, "planned from an older state");
                    self.again.insert(name);
                }
                Err(error) if error.code == ErrorCode::DeploymentNotFound => {}
                Err(error) => {
                    self.again.insert(name);
                    first = first.and(Err(error));
                }
            }
        }
        first
    }
}

/// Whether a batch was refused because the state is another one than it was planned from: what it
/// counted on is another's now.
fn outdated(error: &ApiError) -> bool {
    matches!(error.code, ErrorCode::Conflict | ErrorCode::SubnetPoolExhausted)
}

#[async_trait]
impl Task for Schedule {
    fn name(&self) -> &'static str {
        "schedule"
    }

    async fn pass(&mut self, state: Arc<State>) -> Result<Option<Timestamp>, ApiError> {
        let now = self.clock.now();
        let touched = self.touched(&state, now);
        let readings = self.readings(&state, now);
        let plan = scheduler::plan_with(&state, &touched, now, &readings);
        self.seen = Some(state);
        self.timers.extend(plan.wakes);
        self.carry_out(plan.batches).await?;
        Ok(self.timers.values().min().copied())
    }
}
