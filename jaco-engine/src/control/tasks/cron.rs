//! Proposes the ticks that are due.
//!
//! It holds no decisions: what is due is worked out from the state, and a tick that another leader has
//! proposed as well is decided once, where it is applied. Between ticks it writes nothing.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{DeploymentName, Timestamp},
};

use super::super::{driver::Task, propose::Propose};
use crate::{
    clock::Clock,
    command::{Command, Tick},
    scheduler::cron::due,
    state::State,
};

/// Ticks that are on their way at a time.
const AT_A_TIME: usize = 64;
/// Longest pause between two looks while there are schedules: a clock that is set is noticed by then.
const LOOK: Duration = Duration::from_secs(30);

/// Looks at the schedules.
pub(in crate::control) struct Cron {
    propose: Arc<dyn Propose>,
    clock: Arc<dyn Clock>,
    /// The version of each deployment with schedules, and when its next tick is due.
    known: BTreeMap<DeploymentName, Known>,
    /// When the last pass looked.
    looked_at: Timestamp,
}

/// What was worked out about a deployment.
struct Known {
    version: u64,
    next: Option<Timestamp>,
}

impl Cron {
    pub(in crate::control) fn new(propose: Arc<dyn Propose>, clock: Arc<dyn Clock>) -> Self {
        Self { propose, clock, known: BTreeMap::new(), looked_at: Timestamp(0) }
    }

    /// The ticks that are due; only what has changed, or is due by now, is worked out anew.
    fn due(&mut self, state: &State, now: Timestamp) -> Vec<Tick> {
        if now < self.looked_at {
            // The clock was set back.
            self.known.clear();
        }
        self.looked_at = now;
        self.known.retain(|name, _| state.deployment(name).is_some());
        let mut ticks = Vec::new();
        for deployment in state.deployments() {
            let known = self.known.get(&deployment.name);
            let waits = |known: &Known| {
                known.version == deployment.version && known.next.is_none_or(|next| next > now)
            };
            if known.is_some_and(waits) {
                continue;
            }
            let found = due(state, deployment, now);
            let version = deployment.version;
            self.known.insert(deployment.name.clone(), Known { version, next: found.next });
            if !found.ticks.is_empty() {
                // What comes of them changes the version; if nothing does, they are due again.
                self.known.remove(&deployment.name);
                ticks.extend(found.ticks);
            }
        }
        ticks
    }

    /// Proposes every tick.
    ///
    /// # Errors
    /// The first failure that another look does not put right by itself.
    async fn carry_out(&self, ticks: Vec<Tick>) -> Result<(), ApiError> {
        let propose = &self.propose;
        let results: Vec<_> = stream::iter(ticks)
            .map(|tick| async move {
                let what = format!("{}/{} at {}", tick.deployment, tick.service, tick.tick);
                (what, propose.propose(None, Command::Tick(tick)).await)
            })
            .buffer_unordered(AT_A_TIME)
            .collect()
            .await;
        let mut first = Ok(());
        for (tick, result) in results {
            match result {
                Ok(_) => {}
                Err(error)
                    if matches!(
                        error.code,
                        ErrorCode::Conflict | ErrorCode::DeploymentNotFound
                    ) =>
                {
                    tracing::debug!(tick, %error, "worked out from an older state");
                }
                Err(error) => first = first.and(Err(error)),
            }
        }
        first
    }
}

#[async_trait]
impl Task for Cron {
    fn name(&self) -> &'static str {
        "cron"
    }

    async fn pass(&mut self, state: Arc<State>) -> Result<Option<Timestamp>, ApiError> {
        let now = self.clock.now();
        let ticks = self.due(&state, now);
        let busy = !ticks.is_empty();
        self.carry_out(ticks).await?;
        let next = self.known.values().filter_map(|known| known.next).min();
        let look = now.after(LOOK);
        Ok(match next {
            _ if busy => Some(now.after(Duration::from_secs(1))),
            Some(next) => Some(next.min(look)),
            None => None,
        })
    }
}
