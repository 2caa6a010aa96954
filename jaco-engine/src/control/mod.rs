//! What the cluster's leader does, for as long as it leads.
//!
//! In: the newest state, whether this node leads, and a way to write. Out: proposals. Leadership is
//! a value that owns its tasks: losing it drops them, and nothing of theirs survives it that is not
//! in the state. It never writes but through the one write path and never acts on a node.

mod driver;
mod group;
mod issuer;
mod propose;
mod samples;
mod sessions;
mod tasks;
mod term;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use jaco_api::model::{NodeId, NodeName};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{clock::Clock, watch::StateWatch};

pub use driver::TaskStatus;
pub use group::{Group, Rekey};
pub use issuer::{AcmeOptions, Issuer, Ways};
pub use propose::{Propose, Proposer};
pub use samples::Sampler;
pub use sessions::{HEARTBEAT, LEASE, Lease, Session, Sessions};

/// What [`Control::spawn`] needs.
pub struct ControlOptions {
    /// This node.
    pub node: NodeName,
    /// Its number.
    pub id: NodeId,
    /// The raft group.
    pub group: Arc<dyn Group>,
    /// Who was heard of lately.
    pub sessions: Sessions,
    /// The data keys.
    pub keys: Arc<dyn Rekey>,
    /// What obtains certificates; absent where nothing is served to visitors.
    pub issuer: Option<Arc<Issuer>>,
    /// Where the tasks show how they are doing.
    pub board: Board,
    /// The newest state.
    pub state: StateWatch,
    /// How the leader's tasks write.
    pub propose: Arc<dyn Propose>,
    /// The leader's time.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for ControlOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlOptions").field("node", &self.node).finish_non_exhaustive()
    }
}

/// The statuses of the leader's tasks, empty while another node leads. Clones show the same.
#[derive(Debug, Clone, Default)]
pub struct Board {
    shown: Arc<Mutex<Vec<watch::Receiver<TaskStatus>>>>,
}

impl Board {
    /// How each task is doing.
    #[must_use]
    pub fn tasks(&self) -> Vec<TaskStatus> {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.iter().map(|status| status.borrow().clone()).collect()
    }

    fn show(&self, statuses: Vec<watch::Receiver<TaskStatus>>) {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = statuses;
    }
}

/// The leader's part of a node. Dropping it stops the tasks without waiting.
#[derive(Debug)]
pub struct Control {
    stop: CancellationToken,
    join: JoinHandle<()>,
    board: Board,
}

impl Control {
    /// Follows `status` and runs the leader's tasks whenever `leads` finds in it a term that this
    /// node leads.
    pub fn spawn<T: Send + Sync + 'static>(
        options: ControlOptions,
        status: watch::Receiver<T>,
        leads: impl Fn(&T) -> Option<u64> + Send + 'static,
    ) -> Self {
        let (stop, board) = (CancellationToken::new(), options.board.clone());
        let follow = term::follow(options, status, leads, board.clone());
        let token = stop.clone();
        let join = tokio::spawn(async move {
            tokio::select! {
                () = token.cancelled() => {}
                () = follow => {}
            }
        });
        Self { stop, join, board }
    }

    /// How the leader's tasks are doing; empty while another node leads.
    #[must_use]
    pub fn tasks(&self) -> Vec<TaskStatus> {
        self.board.tasks()
    }

    /// Stops the tasks and waits until they have ended.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        if let Err(error) = (&mut self.join).await
            && error.is_panic()
        {
            tracing::error!("the leader's part had ended by itself: {error}");
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
