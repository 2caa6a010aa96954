//! Leadership as a value: while this node leads, the tasks are there; when it does not, they are
//! not.

use std::sync::Arc;

use tokio::{sync::watch, task::JoinSet};

use super::{
    Board, ControlOptions,
    driver::{Task, TaskStatus, drive},
    issuer::Desk,
    tasks::{Announce, Certs, Cron, Liveness, Members, Rebalance, Renew, Schedule, Subnets},
};

/// Whether this node leads, and what it does then.
enum Term {
    /// Another node leads, or none.
    Follower,
    /// This node leads; dropping this ends the tasks.
    Leader {
        number: u64,
        /// Held only to be dropped.
        tasks: JoinSet<()>,
    },
}

/// Follows the leadership of this node for ever.
pub(super) async fn follow<T>(
    options: ControlOptions,
    mut status: watch::Receiver<T>,
    leads: impl Fn(&T) -> Option<u64>,
    board: Board,
) {
    let mut term = Term::Follower;
    loop {
        let number = leads(&status.borrow_and_update());
        term = term.moved_to(number, &options, &board);
        if term.until_over(&mut status).await.is_err() {
            return board.show(Vec::new());
        }
    }
}

/// Nobody follows raft any more.
struct Over;

impl Term {
    fn moved_to(self, number: Option<u64>, options: &ControlOptions, board: &Board) -> Self {
        match (self, number) {
            (Self::Leader { number: present, tasks }, Some(next))
                if present == next && !tasks.is_empty() =>
            {
                Self::Leader { number: present, tasks }
            }
            (former, Some(number)) => {
                drop(former);
                tracing::info!(term = number, "this node leads");
                Self::Leader { number, tasks: begin(number, options, board) }
            }
            (Self::Leader { number, .. }, None) => {
                tracing::info!(term = number, "this node no longer leads");
                board.show(Vec::new());
                Self::Follower
            }
            (Self::Follower, None) => Self::Follower,
        }
    }

    /// Waits until raft has something to say or a task has ended, which none does by itself: all
    /// begin again then.
    async fn until_over<T>(&mut self, status: &mut watch::Receiver<T>) -> Result<(), Over> {
        match self {
            Self::Follower => status.changed().await.map_err(|_| Over),
            Self::Leader { number, tasks } => tokio::select! {
                changed = status.changed() => changed.map_err(|_| Over),
                Some(ended) = tasks.join_next() => {
                    tracing::error!(term = *number, ?ended, "a task of the leader ended");
                    tasks.shutdown().await;
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                    Ok(())
                }
            },
        }
    }
}

/// Starts the tasks of a term.
fn begin(number: u64, options: &ControlOptions, board: &Board) -> JoinSet<()> {
    let (propose, clock) = (&options.propose, &options.clock);
    let mut tasks = Tasks { options, set: JoinSet::new(), statuses: Vec::new() };
    tasks.start(Announce::new(number, options.node.clone(), propose.clone()));
    let sessions = &options.sessions;
    let (id, group) = (options.id, options.group.clone());
    let former = group.former_leader();
    tasks.start(Liveness::new(former, sessions.clone(), propose.clone(), clock.clone()));
    tasks.start(Members::new(id, group, sessions.clone(), propose.clone(), clock.clone()));
    let sampler = Arc::new(sessions.clone());
    tasks.start(Schedule::new(propose.clone(), clock.clone()).sampling(sampler.clone()));
    tasks.start(Cron::new(propose.clone(), clock.clone()));
    tasks.start(Rebalance::new(propose.clone(), clock.clone(), sampler));
    tasks.start(Subnets::new(sessions.clone(), propose.clone(), clock.clone()));
    tasks.start(Renew::new(options.keys.clone()));
    if let Some(issuer) = options.issuer.clone() {
        let (sessions, state) = (sessions.clone(), options.state.clone());
        let (propose, clock) = (propose.clone(), clock.clone());
        tasks.start(Certs::new(Desk { issuer, state, propose, clock, sessions }));
    }
    board.show(tasks.statuses);
    tasks.set
}

struct Tasks<'a> {
    options: &'a ControlOptions,
    set: JoinSet<()>,
    statuses: Vec<watch::Receiver<TaskStatus>>,
}

impl Tasks<'_> {
    fn start(&mut self, task: impl Task) {
        let (sender, receiver) =
            watch::channel(TaskStatus { name: task.name(), ..TaskStatus::default() });
        self.statuses.push(receiver);
        let (state, clock) = (self.options.state.clone(), self.options.clock.clone());
        self.set.spawn(drive(task, state, clock, sender));
    }
}
