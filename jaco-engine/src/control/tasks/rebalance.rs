//! Lets the rebalancer look every 30 s and proposes the move it chose.
//!
//! It holds no decisions. What is not moved is logged, not audited.

use std::sync::Arc;

use async_trait::async_trait;
use jaco_api::{
    error::{ApiError, ErrorCode},
    model::Timestamp,
};
use tokio::time::Instant;

use super::super::{driver::Task, propose::Propose, samples::Sampler};
use crate::{
    clock::Clock,
    command::{Action, Command, Reconcile},
    scheduler::rebalance::{CYCLE, Rebalancer, Relocation},
    state::State,
};

/// Relieves hot nodes.
pub(in crate::control) struct Rebalance {
    propose: Arc<dyn Propose>,
    clock: Arc<dyn Clock>,
    sampler: Arc<dyn Sampler>,
    rebalancer: Rebalancer,
    last: Option<Instant>,
}

impl Rebalance {
    pub(in crate::control) fn new(
        propose: Arc<dyn Propose>,
        clock: Arc<dyn Clock>,
        sampler: Arc<dyn Sampler>,
    ) -> Self {
        Self { propose, clock, sampler, rebalancer: Rebalancer::default(), last: None }
    }

    /// Proposes a move. One that comes too late is nobody's fault: the next cycle looks anew.
    async fn carry_out(&mut self, relocation: Relocation) -> Result<(), ApiError> {
        let Relocation { replica, version, to, reason, .. } = relocation.clone();
        let deployment = replica.deployment.clone();
        let actions = vec![Action::Move { replica, to, reason }];
        let command = Command::Reconcile(Reconcile { deployment, version, actions });
        match self.propose.propose(None, command).await {
            Ok(_) => {
                self.rebalancer.note(&relocation);
                Ok(())
            }
            Err(error)
                if matches!(error.code, ErrorCode::Conflict | ErrorCode::SubnetPoolExhausted) =>
            {
                tracing::debug!(replica = %relocation.replica, %error, "not moved");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Task for Rebalance {
    fn name(&self) -> &'static str {
        "rebalance"
    }

    async fn pass(&mut self, state: Arc<State>) -> Result<Option<Timestamp>, ApiError> {
        let now = Instant::now();
        let elapsed = self.last.map(|last| now - last);
        let wait = elapsed.map_or(CYCLE, |elapsed| CYCLE.saturating_sub(elapsed));
        if elapsed.is_none() || wait.is_zero() {
            self.last = Some(now);
            let elapsed = elapsed.unwrap_or_default();
            let cycle = self.rebalancer.cycle(&state, &self.sampler.samples(), elapsed);
            for (node, why) in &cycle.skipped {
                let node = state.node(*node).map(|n| n.name.as_str()).unwrap_or_default();
                tracing::info!(node, why, "nothing is moved from a hot node");
            }
            if let Some(relocation) = cycle.relocation {
                self.carry_out(relocation).await?;
            }
            return Ok(Some(self.clock.now().after(CYCLE)));
        }
        Ok(Some(self.clock.now().after(wait)))
    }
}
