//! What a worker remembers between two looks at its containers. Pure.
//!
//! All times are spans since the worker began: there is no clock here.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem::take,
    time::Duration,
};

use jaco_api::{
    error::ErrorCode,
    model::{
        AssignedReplica, Health, Mode, Reason, ReplicaState, RestartCondition, RestartPolicy,
        Timestamp,
    },
};

use super::{
    beside::Ground,
    hooks::{self, Hooks},
    images::Image,
};
use crate::{
    container::{Container, ContainerStatus, ImageRef, RuntimeError},
    health::{self, PROVEN, SETTLED, Verdict},
};

/// Longest pause between two starts.
const LONGEST_RESTART_PAUSE: Duration = Duration::from_secs(60);
/// The present instant, by both clocks.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Now {
    /// Since the worker began.
    pub(crate) at: Duration,
    /// Of the engine's host, for containers that ran before the worker began.
    pub(crate) wall: Timestamp,
}

/// One run of a container: from a start to an end.
pub(crate) type RunId = (String, Option<Timestamp>);

/// The run that was seen last.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Run {
    id: RunId,
    /// How old it was when first seen, and when that was.
    age: Duration,
    first_seen: Duration,
    /// Since when it is healthy without a break, and for how long it was before.
    healthy: Option<(Duration, Duration)>,
    alive: bool,
}

/// How a generation ended for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// A job that ended well.
    Completed,
    /// Given up.
    Failed(Reason),
}

/// Everything a worker remembers of one generation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    generation: u64,
    run: Option<Run>,
    counted: Option<RunId>,
    failures: u32,
    /// Nothing of the replica was seen yet, or the engine was away since.
    fresh_look: bool,
    was_running: bool,
    /// A container of this generation has been started, whether or not it is still there.
    started: bool,
    /// The run that state holds as running: it has settled already, whatever the clocks say.
    settled: Option<RunId>,
    /// Restarts of this generation.
    pub(crate) restarts: u32,
    /// Exit code and out-of-memory mark of the last end.
    pub(crate) last_exit: (Option<i64>, bool),
    /// The last failure, until it runs healthily again.
    pub(crate) failure: Option<Reason>,
    /// Not started, or made, again before.
    pub(crate) retry_at: Option<Duration>,
    /// Nothing at all is tried before: an engine that refuses what it must not refuse.
    pub(crate) pause_until: Option<Duration>,
    pauses: u32,
    /// Its last end was that of the container it lives beside: starting it again is no restart.
    pub(crate) went_with_lead: bool,
    /// How it ended.
    pub(crate) end: Option<End>,
    /// Images, by reference.
    pub(crate) images: BTreeMap<ImageRef, Image>,
    /// Hooks of its containers.
    pub(crate) hooks: Hooks,
    /// Containers this worker made itself; others that never started may be half made.
    pub(crate) made: BTreeSet<String>,
}

/// `first`, doubled `times` times, at most `longest`.
pub(crate) fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(1u32 << times.min(20)).min(longest.max(first))
}

impl Memory {
    /// What is known before the first look: what state holds of the present generation.
    pub(crate) fn seeded(replica: &AssignedReplica) -> Self {
        let seen = &replica.observed;
        let mut memory =
            Self { generation: replica.generation, fresh_look: true, ..Self::default() };
        if seen.generation != replica.generation {
            return memory;
        }
        memory.restarts = seen.restarts;
        memory.failures = seen.restarts.min(replica.restart.max_attempts.saturating_sub(1));
        memory.last_exit = (seen.exit_code, seen.oom_killed);
        memory.was_running = seen.state == ReplicaState::Running;
        memory.started = seen.container.is_some();
        memory.settled =
            seen.container.clone().filter(|_| memory.was_running).map(|c| (c, seen.started_at));
        memory.end = match seen.state {
            ReplicaState::Completed => Some(End::Completed),
            ReplicaState::Failed => {
                let given_up = || reason(ErrorCode::RestartExhausted, "failed too often in a row");
                Some(End::Failed(seen.reason.clone().unwrap_or_else(given_up)))
            }
            _ => None,
        };
        memory
    }

    /// Forgets what belongs to another generation; true when it was of another. An image that
    /// was fetched for the next generation stays known, and so does how far the hooks of containers
    /// are.
    pub(crate) fn align(&mut self, replica: &AssignedReplica) -> bool {
        let other = self.generation != replica.generation;
        if other {
            let (images, hooks) = (take(&mut self.images), take(&mut self.hooks));
            *self = Self { images, hooks, ..Self::seeded(replica) };
            self.images.retain(|_, image| image.is_present());
        }
        other
    }

    /// The engine was away: what ended meanwhile ended with it.
    pub(crate) fn engine_was_away(&mut self) {
        if !self.fresh_look {
            self.fresh_look = true;
            self.was_running = self.run.as_ref().is_some_and(|r| r.alive);
        }
    }

    /// Takes in one look at the container of the present generation.
    pub(crate) fn look(
        &mut self,
        replica: &AssignedReplica,
        seen: Option<&Container>,
        ground: Ground<'_>,
        now: Now,
    ) {
        let fresh = take(&mut self.fresh_look);
        let once = replica.restart.condition == RestartCondition::None;
        match seen {
            None if once && self.started && self.end.is_none() => {
                let why = "its container has been removed, and it is not to be started again";
                self.run = None;
                self.end = Some(End::Failed(reason(ErrorCode::ContainerExited, why)));
            }
            Some(c) if c.status.is_alive() => self.saw_alive(replica, c, ground, now),
            Some(c) if matches!(c.status, ContainerStatus::Exited | ContainerStatus::Dead) => {
                self.saw_ended(replica, c, (ground, fresh), now);
            }
            _ => self.run = None,
        }
    }

    fn saw_alive(
        &mut self,
        replica: &AssignedReplica,
        c: &Container,
        ground: Ground<'_>,
        now: Now,
    ) {
        let id = (c.id.clone(), c.started_at);
        self.started = true;
        if self.run.as_ref().is_none_or(|r| r.id != id) {
            let age = match c.started_at {
                Some(started) if !self.made.contains(&c.id) => now.wall.since(started),
                _ => Duration::ZERO,
            };
            let age = if self.settled.as_ref() == Some(&id) { age.max(SETTLED) } else { age };
            let (first_seen, alive) = (now.at, true);
            self.run = Some(Run { id: id.clone(), age, first_seen, healthy: None, alive });
        }
        if self.counted.as_ref() != Some(&id) {
            // Somebody started it: whatever was decided about earlier runs is over.
            self.retry_at = None;
            self.end = None;
        }
        match self.verdict(replica, c, now.at) {
            Verdict::Healthy => {
                self.failure = None;
                let run = self.run.as_mut().expect("the run was set above");
                let before = run.age;
                run.healthy.get_or_insert((now.at, before));
            }
            Verdict::Starting(_) => {}
            // Its lead's container is gone: that is no failure of its own.
            Verdict::Unhealthy if !ground.holds(c) => {}
            Verdict::Unhealthy => {
                let output = c.health_output.as_deref().map(str::trim).filter(|o| !o.is_empty());
                let message = format!("health check fails: {}", output.unwrap_or("no output"));
                let unhealthy = reason(ErrorCode::HealthcheckFailed, &message);
                let why = self.hooks.failure(&id).cloned().unwrap_or(unhealthy);
                self.count(replica, id, why.clone(), now.at);
                if replica.restart.condition == RestartCondition::None {
                    self.end = Some(End::Failed(why.clone()));
                }
                self.failure = Some(why);
            }
        }
    }

    fn saw_ended(
        &mut self,
        replica: &AssignedReplica,
        c: &Container,
        (ground, fresh): (Ground<'_>, bool),
        now: Now,
    ) {
        let id = (c.id.clone(), c.started_at);
        if let Some(run) = &mut self.run {
            run.alive = false;
        }
        if self.counted.as_ref() == Some(&id) || self.end.is_some() {
            return;
        }
        let unwatched = fresh && self.was_running;
        self.last_exit = (c.exit_code, c.oom_killed);
        let limit = replica.spec.as_ref().map_or(0, |spec| spec.resources.memory_bytes);
        let failure = ended(c, limit);
        let code = c.exit_code.unwrap_or_default();
        let condition = replica.restart.condition;
        let finished =
            code == 0 && (replica.mode == Mode::Job || condition != RestartCondition::Any);
        self.went_with_lead = !ground.holds(c) && !finished && condition != RestartCondition::None;
        if self.went_with_lead {
            self.counted = Some(id);
            self.retry_at = Some(now.at);
            self.failure = Some(ground.reason());
        } else if unwatched && replica.mode == Mode::Service {
            // The engine or the host stopped it, as far as anybody can tell.
            self.counted = Some(id);
            self.retry_at = Some(now.at);
            self.failure = Some(failure);
        } else if finished {
            self.counted = Some(id);
            self.end = Some(End::Completed);
        } else if condition == RestartCondition::None {
            self.counted = Some(id);
            self.end = Some(End::Failed(failure));
        } else {
            let lasted = match (c.started_at, c.finished_at) {
                (Some(from), Some(to)) if fresh => to.since(from),
                _ => Duration::ZERO,
            };
            if lasted >= PROVEN {
                self.failures = 0;
            }
            self.count(replica, id, failure, now.at);
        }
    }

    /// Counts a run as failed, once.
    fn count(&mut self, replica: &AssignedReplica, id: RunId, why: Reason, at: Duration) {
        if self.counted.as_ref() == Some(&id) {
            return;
        }
        self.counted = Some(id);
        let healthy = self.run.as_mut().and_then(|r| r.healthy.take());
        if healthy.is_some_and(|(since, before)| before + at.saturating_sub(since) >= PROVEN) {
            self.failures = 0;
        }
        self.failed(&replica.restart, why, at);
    }

    /// The engine refused to make or start the container.
    pub(crate) fn refused(&mut self, policy: &RestartPolicy, error: &RuntimeError, at: Duration) {
        self.failed(policy, reason(ErrorCode::EngineError, &error.to_string()), at);
    }

    fn failed(&mut self, policy: &RestartPolicy, why: Reason, at: Duration) {
        self.failures = self.failures.saturating_add(1);
        if policy.max_attempts > 0 && self.failures >= policy.max_attempts {
            let times = if self.failures == 1 { "once" } else { "times in a row" };
            let message = match self.failures {
                1 => format!("failed {times}: {}", why.message),
                n => format!("failed {n} {times}: {}", why.message),
            };
            self.end = Some(End::Failed(reason(ErrorCode::RestartExhausted, &message)));
            self.retry_at = None;
        } else {
            let pause = doubled(policy.delay.to_std(), self.failures - 1, LONGEST_RESTART_PAUSE);
            self.retry_at = Some(at + pause);
        }
        self.failure = Some(why);
    }

    /// The engine refused something it has no business to refuse: try again, ever more slowly.
    pub(crate) fn pause(&mut self, at: Duration) -> Duration {
        let pause = doubled(Duration::from_secs(1), self.pauses, LONGEST_RESTART_PAUSE);
        self.pauses += 1;
        self.pause_until = Some(at + pause);
        pause
    }

    /// Whether nothing at all is tried now.
    pub(crate) fn is_paused(&self, at: Duration) -> bool {
        self.pause_until.is_some_and(|until| at < until)
    }

    /// The engine did what it was asked.
    pub(crate) fn went_well(&mut self) {
        self.pauses = 0;
        self.pause_until = None;
    }

    /// How long the present run has lasted.
    pub(crate) fn age(&self, at: Duration) -> Duration {
        self.run.as_ref().map_or(Duration::ZERO, |r| r.age + at.saturating_sub(r.first_seen))
    }

    /// What is to be thought of a container of the present generation that has processes: without an
    /// end of its hooks it has only started.
    pub(crate) fn verdict(
        &self,
        replica: &AssignedReplica,
        c: &Container,
        at: Duration,
    ) -> Verdict {
        let bare = health::verdict(c, self.age(at));
        let run = hooks::run_of(c);
        if hooks::on_start(replica).is_empty() || self.settled.as_ref() == Some(&run) {
            return bare;
        }
        self.hooks.verdict(&run, bare, at)
    }

    /// Whether the hooks of the present run of a container are still to be begun.
    pub(crate) fn is_start_due(&self, replica: &AssignedReplica, c: &Container) -> bool {
        let run = hooks::run_of(c);
        c.status == ContainerStatus::Running
            && !hooks::on_start(replica).is_empty()
            && self.settled.as_ref() != Some(&run)
            && self.hooks.is_start_due(&run)
    }

    /// Whether the run of this container was found to have failed.
    pub(crate) fn is_counted(&self, c: &Container) -> bool {
        self.counted.as_ref().is_some_and(|(id, at)| *id == c.id && *at == c.started_at)
    }
}

/// What the shell and the engine say of a process that SIGKILL ended.
const KILLED: i64 = 137;

/// Why an ended container does not run; `memory_limit` in bytes, 0 for none.
fn ended(c: &Container, memory_limit: u64) -> Reason {
    let code = c.exit_code.map_or_else(|| "an unknown code".to_owned(), |n| format!("code {n}"));
    let words = c.error.as_deref().filter(|e| !e.is_empty());
    let message = match (c.oom_killed, words) {
        (true, _) => format!("killed for lack of memory ({code})"),
        (false, Some(words)) => format!("exited with {code}: {words}"),
        // An engine under load does not always notice why.
        (false, None) if c.exit_code == Some(KILLED) && memory_limit > 0 => {
            format!("killed ({code}), likely at its memory limit of {memory_limit} bytes")
        }
        (false, None) => format!("exited with {code}"),
    };
    reason(ErrorCode::ContainerExited, &message)
}

/// A reason with its code.
pub(crate) fn reason(code: ErrorCode, message: &str) -> Reason {
    Reason { code: Some(code), message: message.to_owned() }
}

/// What a container's health is reported as.
pub(crate) fn health_of(c: &Container) -> Health {
    if c.status.is_alive() { c.health } else { Health::None }
}
