//! Runs the hooks of a container in it, beside what else its worker does.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures::StreamExt as _;
use jaco_api::model::{AssignedReplica, Hook};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::Worker;
use crate::{
    container::{Container, ContainerRuntime, Exec, ExecControl, RuntimeError},
    reconcile::{
        engine::Engine,
        hooks::{self, Failed, Failure, Point},
        memory::{Memory, RunId},
        report::at,
        step::{Step, Wanted},
    },
};

/// So much of the output of a hook is kept, its last.
const OUTPUT: usize = 4 << 10;
/// A hook that has ended may leave processes that hold its output: nobody waits for those.
const DRAIN: Duration = Duration::from_millis(500);

/// How the hooks of a turn ended: all well, or one not. The error is the engine's that went away.
pub(super) type Outcome = Result<Result<(), Failed>, RuntimeError>;

/// Hooks that are being run.
pub(super) struct Running {
    point: Point,
    run: RunId,
    pub(super) task: AbortOnDropHandle<Outcome>,
}

impl Worker {
    /// Begins with the hooks of a container; others that are under way are called off.
    pub(super) fn begin_hooks(&mut self, point: Point, replica: &AssignedReplica, c: &Container) {
        let (hooks, limit) = match point {
            // A little less than a rollout waits, so that it hears of the hook rather than of the time.
            Point::PostStart => {
                (hooks::on_start(replica).to_vec(), replica.start_limit.to_std() * 9 / 10)
            }
            Point::PreStop => match hooks::farewell(replica, c) {
                Some(spec) => (spec.pre_stop.clone(), spec.grace().to_std()),
                None => return,
            },
        };
        let (at, run) = (self.now().at, hooks::run_of(c));
        if let Some(other) = self.hooks.take() {
            self.memory().hooks.called_off(other.point);
        }
        tracing::debug!(replica = self.key, %point, count = hooks.len(), "running hooks");
        let (engine, of) = (self.engine.clone(), run.clone());
        let task = tokio::spawn(async move { run_all(&engine, point, &of, &hooks, limit).await });
        self.memory().hooks.begun(point, &run, at);
        self.hooks = Some(Running { point, run, task: AbortOnDropHandle::new(task) });
    }

    /// Calls off hooks that nobody wants any more.
    pub(super) fn call_off_hooks(
        &mut self,
        wanted: Wanted<'_>,
        current: Option<&Container>,
        next: &Step,
        memory: &mut Memory,
    ) {
        let counted = current.is_some_and(|c| memory.is_counted(c));
        let superseded = memory.hooks.superseded(wanted, current, counted, next);
        for point in superseded.into_iter().flatten() {
            memory.hooks.called_off(point);
            self.hooks.take_if(|running| running.point == point);
        }
    }

    /// A container is being stopped or removed: what runs in it ends with it.
    pub(super) fn leave_hooks(&mut self, id: &str) {
        self.hooks.take_if(|running| running.run.0 == id);
    }

    /// The hooks have ended.
    pub(super) fn hooked(&mut self, outcome: Outcome) {
        let at = self.now().at;
        let Some(Running { point, .. }) = self.hooks.take() else { return };
        match outcome {
            Ok(result) => {
                if let Err(failed) = &result {
                    // Without its output, which may hold what nobody else is to see.
                    tracing::warn!(replica = self.key, "{point} {failed}");
                }
                self.memory().hooks.ended(point, result, at);
            }
            Err(error) => {
                let memory = self.memory();
                memory.hooks.called_off(point);
                match error.is_unreachable() {
                    true => self.engine.lost(&error.to_string()),
                    false => {
                        let pause = memory.pause(at);
                        tracing::warn!(replica = self.key, %error, ?pause, "running hooks again");
                    }
                }
            }
        }
    }
}

/// Runs hooks one after the other until one fails or their time is over. That those of a start have
/// ended is noted before anybody hears of it.
async fn run_all(
    engine: &Engine,
    point: Point,
    run: &RunId,
    hooks: &[Hook],
    limit: Duration,
) -> Outcome {
    let deadline = Instant::now() + limit;
    for (index, hook) in hooks.iter().enumerate() {
        let mut output = VecDeque::new();
        let ended = run_one(engine.runtime.as_ref(), &run.0, hook, &mut output);
        let how = match tokio::time::timeout_at(deadline, ended).await {
            Ok(Ok(0)) => continue,
            Ok(Ok(code)) => Failure::Code(code),
            Ok(Err(error)) if error.is_unreachable() => return Err(error),
            Ok(Err(error)) => Failure::NotStarted(error.to_string()),
            Err(_) => Failure::TimedOut(limit),
        };
        let output = String::from_utf8_lossy(output.make_contiguous()).into_owned();
        return Ok(Err(Failed { number: index + 1, how, output }));
    }
    if point == Point::PostStart {
        engine.marks.set(run);
    }
    Ok(Ok(()))
}

/// Runs one hook; its exit code.
async fn run_one(
    runtime: &dyn ContainerRuntime,
    id: &str,
    hook: &Hook,
    kept: &mut VecDeque<u8>,
) -> Result<i64, RuntimeError> {
    let Exec { input, mut output, control } = runtime.exec(id, &hook.to_exec()).await?;
    drop(input);
    let control: Arc<dyn ExecControl> = control;
    let (mut early, mut until) = (None, None);
    let mut over = std::pin::pin!(ended(control.clone()));
    loop {
        tokio::select! {
            piece = output.next() => match piece {
                Some(Ok(piece)) => {
                    kept.extend(piece.bytes);
                    kept.drain(..kept.len().saturating_sub(OUTPUT));
                }
                Some(Err(error)) if error.is_unreachable() => return Err(error),
                Some(Err(_)) | None => break,
            },
            code = &mut over, if early.is_none() => {
                early = Some(code?);
                until = Some(Instant::now() + DRAIN);
            }
            () = at(until) => break,
        }
    }
    match early {
        Some(code) => Ok(code),
        None => control.wait().await,
    }
}

/// The exit code of a command whose output need not have ended; a command that was not started says why
/// when its output has.
async fn ended(control: Arc<dyn ExecControl>) -> Result<i64, RuntimeError> {
    match control.wait().await {
        Err(RuntimeError::CannotExecute { .. }) => std::future::pending().await,
        other => other,
    }
}
