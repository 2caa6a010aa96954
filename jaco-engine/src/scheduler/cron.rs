//! Which services that run at times are due.
//!
//! In: the state, a deployment, the leader's time. Out: the ticks to decide now, and when the next one
//! is due. Of several ticks that were missed only the newest is due: a run does what is to be done by
//! now, not what was to be done then. Whether it may still start is decided where it is applied.

use jaco_api::model::{Deployment, DeploymentPhase, Timestamp, Timetable};

use crate::{command::Tick, state::State};

/// The ticks of one deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Due {
    /// Those to be decided now, one per service at most.
    pub ticks: Vec<Tick>,
    /// When the next one is due, if nothing happens before.
    pub next: Option<Timestamp>,
}

/// What is due of a deployment at the leader's time `now`.
#[must_use]
pub fn due(state: &State, deployment: &Deployment, now: Timestamp) -> Due {
    let mut due = Due::default();
    let revision = state.revision(&deployment.name, deployment.revision);
    let Some(revision) = revision.filter(|_| deployment.phase == DeploymentPhase::Running) else {
        return due;
    };
    for (name, planned) in revision.services.iter().filter(|(_, s)| s.schedule.replicas > 0) {
        let (Some(cron), Some(ticks)) = (&planned.schedule.cron, deployment.ticks.get(name)) else {
            continue;
        };
        let Some(table) = Timetable::of(cron) else { continue };
        match table.latest(now).filter(|tick| *tick > ticks.last) {
            Some(tick) => due.ticks.push(Tick {
                deployment: deployment.name.clone(),
                service: name.clone(),
                revision: deployment.revision,
                tick,
            }),
            None => {
                let next = table.next_after(now.max(ticks.last));
                due.next = due.next.into_iter().chain(next).min();
            }
        }
    }
    due
}
