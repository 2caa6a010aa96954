//! The one driver of all loops: wakes, debounce, timer, back-off and status, written once.
//!
//! In: a [`Task`] and the newest state. Out: passes of the task, never two at a time. A wake carries
//! no data; a burst of changes makes one pass after 20 ms of quiet, and after 100 ms at the latest.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jaco_api::{error::ApiError, model::Timestamp};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use crate::{
    clock::Clock,
    retry::Backoff,
    state::State,
    watch::{Closed, StateWatch},
};

/// Quiet that ends a burst of changes.
const QUIET: Duration = Duration::from_millis(20);
/// Most time a burst may hold up a pass.
const LONGEST_BURST: Duration = Duration::from_millis(100);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// One loop of the leader.
#[async_trait]
pub(super) trait Task: Send + 'static {
    /// Its name in `jaco node inspect`.
    fn name(&self) -> &'static str;
    /// Does everything that is due by this state; says when something will be due by itself.
    ///
    /// # Errors
    /// Why it could not: it is called again after a pause, with the newest state.
    async fn pass(&mut self, state: Arc<State>) -> Result<Option<Timestamp>, ApiError>;
}

/// How a loop is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskStatus {
    /// Its name.
    pub name: &'static str,
    /// Passes since this node began to lead.
    pub passes: u64,
    /// When the last pass began.
    pub last_pass: Option<Timestamp>,
    /// Why the last pass failed, if it did.
    pub error: Option<ApiError>,
    /// Passes that failed in a row.
    pub failures: u32,
    /// When the next pass is due if nothing happens before.
    pub due: Option<Timestamp>,
}

/// Runs a task until the state machine stops.
pub(super) async fn drive(
    mut task: impl Task,
    state: StateWatch,
    clock: Arc<dyn Clock>,
    status: watch::Sender<TaskStatus>,
) {
    let mut state = state.subscribe();
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    let mut due = None;
    let mut first = true;
    loop {
        if !std::mem::take(&mut first) && wake(&mut state, &*clock, due).await.is_err() {
            return;
        }
        status.send_modify(|s| {
            s.passes += 1;
            s.last_pass = Some(clock.now());
        });
        let result = task.pass(state.newest()).await;
        status.send_modify(|s| note(s, &result));
        match result {
            Ok(next) => {
                due = next;
                backoff.reset();
            }
            Err(error) => {
                tracing::warn!(task = task.name(), %error, "a pass failed and is tried again");
                tokio::time::sleep(backoff.pause()).await;
                // Whatever the state: the next pass is due.
                due = Some(Timestamp(0));
            }
        }
    }
}

fn note(status: &mut TaskStatus, result: &Result<Option<Timestamp>, ApiError>) {
    match result {
        Ok(due) => {
            *status = TaskStatus { error: None, failures: 0, due: *due, ..status.clone() };
        }
        Err(error) => {
            status.error = Some(error.clone());
            status.failures += 1;
        }
    }
}

/// Waits for a change of the state, with its burst, or for the time at which a pass is due.
async fn wake(
    state: &mut StateWatch,
    clock: &dyn Clock,
    due: Option<Timestamp>,
) -> Result<(), Closed> {
    let timer = async {
        match due {
            Some(at) => clock.sleep(at.since(clock.now())).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        changed = state.changed() => { changed?; }
        () = timer => return Ok(()),
    }
    let end = Instant::now() + LONGEST_BURST;
    loop {
        let quiet = (Instant::now() + QUIET).min(end);
        match timeout_at(quiet, state.changed()).await {
            Ok(changed) if Instant::now() < end => {
                changed?;
            }
            Ok(changed) => return changed.map(|_| ()),
            Err(_) => return Ok(()),
        }
    }
}
