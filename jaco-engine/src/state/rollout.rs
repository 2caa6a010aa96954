//! What a rollout must leave running: one answer for the scheduler that plans and the state machine
//! that refuses.

use jaco_api::model::{Mode, Placement, ServiceSchedule, UpdateOrder};

/// How many of `desired` replicas a rollout leaves running at any moment: all of them start-first,
/// all but `parallelism` stop-first and for `global` services, none of a job.
#[must_use]
pub fn rollout_floor(schedule: &ServiceSchedule, desired: u32) -> u32 {
    let in_place = schedule.placement == Some(Placement::Global)
        || schedule.update.order == UpdateOrder::StopFirst;
    match (schedule.mode, in_place, schedule.update.parallelism) {
        (Mode::Job, ..) | (Mode::Service, true, 0) => 0,
        (Mode::Service, true, parallelism) => desired.saturating_sub(parallelism),
        (Mode::Service, false, _) => desired,
    }
}
