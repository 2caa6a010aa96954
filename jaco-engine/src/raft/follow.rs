//! Turns openraft's metrics into the status watch.

use std::{sync::Arc, time::Duration};

use openraft::{alias::WatchReceiverOf, async_runtime::WatchReceiver as _};
use tokio::{sync::watch, task::JoinHandle};

use super::{
    error::RaftError,
    machine::Halt,
    status::{Metrics, RaftStatus, status},
    storage::RaftStorage,
    types::C,
};

/// What the status is made of.
pub(super) struct Follower {
    pub(super) metrics: WatchReceiverOf<C, Metrics>,
    pub(super) lease: Duration,
    pub(super) halt: Halt,
    pub(super) storage: Arc<dyn RaftStorage>,
}

/// Follows the metrics until openraft stops.
pub(super) fn follow(follower: Follower) -> (watch::Receiver<RaftStatus>, JoinHandle<()>) {
    let mut recovery = Recovery::new(follower.storage.extent().end.saturating_sub(1));
    let first = follower.status(&mut recovery);
    let (sender, receiver) = watch::channel(first);
    let task = tokio::spawn(async move {
        let mut follower = follower;
        loop {
            let open = follower.changed().await;
            let next = follower.status(&mut recovery);
            sender.send_if_modified(|shown| {
                let news = *shown != next;
                if news {
                    *shown = next;
                }
                news
            });
            if !open {
                break;
            }
        }
        // The last status stays readable; whoever waits for another one learns that none comes.
    });
    (receiver, task)
}

impl Follower {
    /// Waits for news. A leader of several also looks at its lease, which ends without any.
    async fn changed(&mut self) -> bool {
        let leads_others = {
            let metrics = self.metrics.borrow_watched();
            metrics.current_leader == Some(metrics.id)
                && metrics.membership_config.membership().voter_ids().nth(1).is_some()
        };
        let pause = if leads_others { self.lease / 2 } else { Duration::from_secs(3_600) };
        tokio::select! {
            changed = self.metrics.changed() => changed.is_ok(),
            () = tokio::time::sleep(pause) => true,
        }
    }

    fn status(&self, recovery: &mut Recovery) -> RaftStatus {
        let metrics = self.metrics.borrow_watched().clone();
        recovery.observe(&metrics);
        status(&metrics, self.lease, recovery.caught_up, self.fault(&metrics))
    }

    fn fault(&self, metrics: &Metrics) -> Option<Arc<RaftError>> {
        if let Some(halt) = self.halt.get() {
            return Some(halt.clone());
        }
        if let Some(fault) = self.storage.fault() {
            return Some(Arc::new(RaftError::Storage(fault)));
        }
        match &metrics.running_state {
            Err(openraft::errors::Fatal::Stopped) | Ok(()) => None,
            Err(fatal) => Some(Arc::new(RaftError::Stopped(fatal.clone().into()))),
        }
    }
}

/// Whether the state has got to where the group was when this node started.
#[derive(Debug)]
struct Recovery {
    /// Last entry in the log at the start: all of them may have been applied before.
    at_start: u64,
    /// The leader's commit index that covers it.
    target: Option<u64>,
    caught_up: bool,
}

impl Recovery {
    fn new(at_start: u64) -> Self {
        Self { at_start, target: None, caught_up: false }
    }

    fn observe(&mut self, metrics: &Metrics) {
        if self.caught_up {
            return;
        }
        // Never a value restored from storage: a leader of this run has said so.
        let commit = metrics.cluster_committed.map(|id| id.index).filter(|c| *c >= self.at_start);
        self.target = self.target.or(commit);
        let applied = metrics.last_applied.map_or(0, |id| id.index);
        self.caught_up = self.target.is_some_and(|target| applied >= target);
    }
}
