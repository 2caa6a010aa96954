//! The only writer: proposes here or through the leader, in batches, across elections.
//!
//! In: a command with who wants it. Out: what applying it came to. Callers on every node use this
//! one path; none of them asks who leads. A command that is proposed twice because an answer was
//! lost is applied once: it carries a request id, or cannot do harm the second time.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use jaco_api::{error::ApiError, model::Actor};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use tokio::time::{Instant, timeout_at};

use crate::{
    clock::Clock,
    command::{Command, Envelope, Outcome},
    retry::Backoff,
    watch::StateWatch,
};

/// How long a command is tried before the caller is told why it does not get through.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long too few voters must have been silent before a command is given up.
const PATIENCE_WITHOUT_QUORUM: Duration = Duration::from_millis(1_200);
/// How often that is looked at. Most commands are through before the first time.
const LOOK: Duration = Duration::from_millis(200);
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Where commands become log entries.
#[async_trait]
pub trait LogWriter: Send + Sync + 'static {
    /// One attempt to commit and apply a command, here or at the leader.
    async fn propose(&self, envelope: Envelope) -> Result<Applied, Failed>;
    /// Why attempts fail at present: `no_leader`, `quorum_lost` or what is wrong with this node.
    fn obstacle(&self) -> ApiError;
    /// Since when too few voters have been silent to accept a write; `None` while enough are not.
    fn minority_since(&self) -> Option<Instant>;
    /// Calls voters that were not heard of just now. Only calls tell who is silent, and a node that
    /// leads nobody may not have made any for seconds.
    async fn look_around(&self);
}

/// A command that was committed and applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Its place in the log.
    pub index: u64,
    /// What it came to.
    pub outcome: Outcome,
}

/// An attempt that came to nothing that is known of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// Another attempt may succeed.
    #[error("not accepted yet")]
    Again,
    /// No attempt can succeed.
    #[error(transparent)]
    ForGood(#[from] ApiError),
}

/// Writes commands. Clones write to the same log.
#[derive(Clone)]
pub struct Submitter {
    log: Arc<dyn LogWriter>,
    clock: Arc<dyn Clock>,
    state: StateWatch,
    commits: Histogram,
}

/// How long commands take, in seconds: from a fast disk to where they are given up.
pub(crate) fn commit_times() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 14))
}

impl fmt::Debug for Submitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Submitter")
    }
}

impl Submitter {
    /// Writes to `log`; `state` is where this node's readers look.
    #[must_use]
    pub fn new(log: Arc<dyn LogWriter>, clock: Arc<dyn Clock>, state: StateWatch) -> Self {
        Self { log, clock, state, commits: commit_times() }
    }

    /// How long commands took that got through: until they were applied and the state showed them.
    #[must_use]
    pub fn commits(&self) -> Histogram {
        self.commits.clone()
    }

    /// Commits a command and waits until this node's state shows it.
    ///
    /// # Errors
    /// The rejection, when the state machine refused it. `no_leader` when it did not get through
    /// within ten seconds, `quorum_lost` when too few voters answer: then it may still be applied
    /// later, unless they had been silent before this call.
    pub async fn submit(
        &self,
        actor: Actor,
        request_id: Option<String>,
        command: Command,
    ) -> Result<Outcome, ApiError> {
        let request_id = request_id
            .or_else(|| (!harmless_twice(&command)).then(|| uuid::Uuid::new_v4().to_string()));
        let envelope = Envelope { at: self.clock.now(), actor, request_id, command };
        let began = Instant::now();
        let deadline = began + PATIENCE;
        if self.alone_for_long() {
            self.log.look_around().await;
            if self.alone_for_long() {
                return Err(self.log.obstacle());
            }
        }
        let applied = tokio::select! {
            applied = self.persist(envelope, deadline) => applied?,
            error = self.without_quorum() => return Err(error),
        };
        // Committed already: a node cut off from the leader just now learns of it when it is back.
        let mut state = self.state.clone();
        let _ = timeout_at(deadline, state.wait_for_index(applied.index)).await;
        self.commits.observe(began.elapsed().as_secs_f64());
        match applied.outcome {
            Outcome::Rejected(error) => Err(error),
            outcome => Ok(outcome),
        }
    }

    async fn persist(
        &self,
        mut envelope: Envelope,
        deadline: Instant,
    ) -> Result<Applied, ApiError> {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            match timeout_at(deadline, self.log.propose(envelope.clone())).await {
                Ok(Ok(applied)) => return Ok(applied),
                Ok(Err(Failed::ForGood(error))) => return Err(error),
                Ok(Err(Failed::Again)) => {}
                Err(_) => return Err(self.log.obstacle()),
            }
            let pause = backoff.pause();
            if Instant::now() + pause >= deadline {
                return Err(self.log.obstacle());
            }
            tokio::time::sleep(pause).await;
            envelope.at = self.clock.now();
        }
    }

    /// Ends when too few voters have been reachable for a while.
    async fn without_quorum(&self) -> ApiError {
        loop {
            tokio::time::sleep(LOOK).await;
            let given_up = self.log.minority_since().map(|since| since + PATIENCE_WITHOUT_QUORUM);
            let look = self.log.look_around();
            match given_up {
                Some(given_up) => drop(timeout_at(given_up, look).await),
                None => look.await,
            }
            if self.alone_for_long() {
                return self.log.obstacle();
            }
        }
    }

    fn alone_for_long(&self) -> bool {
        let since = self.log.minority_since();
        since.is_some_and(|since| since.elapsed() >= PATIENCE_WITHOUT_QUORUM)
    }
}

/// Whether a command may be applied a second time without a request id that tells: it says what
/// is, or names the version it was planned from.
fn harmless_twice(command: &Command) -> bool {
    matches!(command, Command::Report(_) | Command::Reconcile(_) | Command::UpdateNode(_))
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    };

    use jaco_api::{error::ErrorCode, model::AuditKind};

    use super::*;
    use crate::{command::RecordAudit, state::State, testing::ManualClock, watch};

    /// Refuses a number of attempts, then accepts.
    struct Stubborn {
        refusals: AtomicUsize,
        obstacle: ErrorCode,
        publisher: watch::StatePublisher,
        seen: Mutex<Vec<Envelope>>,
        /// When the others were first called in vain.
        called_since: Mutex<Option<Instant>>,
    }

    #[async_trait]
    impl LogWriter for Stubborn {
        async fn propose(&self, envelope: Envelope) -> Result<Applied, Failed> {
            self.seen.lock().unwrap().push(envelope);
            if self.refusals.load(Ordering::SeqCst) > 0 {
                self.refusals.fetch_sub(1, Ordering::SeqCst);
                return Err(Failed::Again);
            }
            self.publisher.publish(Arc::new(State { index: 7, ..State::default() }));
            Ok(Applied { index: 7, outcome: Outcome::Done })
        }
        fn obstacle(&self) -> ApiError {
            ApiError::new(self.obstacle, "nobody leads")
        }
        fn minority_since(&self) -> Option<Instant> {
            let since = *self.called_since.lock().unwrap();
            since.filter(|_| self.obstacle == ErrorCode::QuorumLost)
        }
        async fn look_around(&self) {
            self.called_since.lock().unwrap().get_or_insert_with(Instant::now);
        }
    }

    fn submitter(refusals: usize) -> (Arc<Stubborn>, Submitter) {
        hindered(refusals, ErrorCode::NoLeader)
    }

    fn hindered(refusals: usize, obstacle: ErrorCode) -> (Arc<Stubborn>, Submitter) {
        let (publisher, state) = watch::channel(Arc::default());
        let seen = Mutex::default();
        let (refusals, called_since) = (refusals.into(), Mutex::default());
        let log = Arc::new(Stubborn { refusals, obstacle, publisher, seen, called_since });
        let clock = Arc::new(ManualClock::default());
        (log.clone(), Submitter::new(log, clock, state))
    }

    fn audit() -> Command {
        let payload = std::collections::BTreeMap::new();
        Command::RecordAudit(RecordAudit { kind: AuditKind::LeaderElected, payload })
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_go_on_across_an_election_under_one_request_id() {
        let (log, submitter) = submitter(12);
        let outcome = submitter.submit(Actor::system(None), None, audit()).await.unwrap();
        assert_eq!(outcome, Outcome::Done);
        assert_eq!(submitter.state.newest().index(), 7);
        let seen = log.seen.lock().unwrap();
        assert_eq!(seen.len(), 13);
        assert!(seen[0].request_id.is_some());
        assert!(seen.iter().all(|e| e.request_id == seen[0].request_id));
    }

    #[tokio::test(start_paused = true)]
    async fn after_ten_seconds_the_caller_is_told_why() {
        let (_log, submitter) = submitter(usize::MAX);
        let began = Instant::now();
        let error = submitter.submit(Actor::system(None), None, audit()).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::NoLeader);
        assert!(began.elapsed() <= PATIENCE && began.elapsed() > PATIENCE / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_quorum_the_caller_is_told_within_two_seconds() {
        let (_log, submitter) = hindered(usize::MAX, ErrorCode::QuorumLost);
        let began = Instant::now();
        let error = submitter.submit(Actor::system(None), None, audit()).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::QuorumLost);
        assert!(began.elapsed() < Duration::from_millis(1_700), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_majority_that_was_lost_long_ago_is_told_at_once() {
        let (log, submitter) = hindered(usize::MAX, ErrorCode::QuorumLost);
        *log.called_since.lock().unwrap() = Some(Instant::now());
        tokio::time::advance(PATIENCE_WITHOUT_QUORUM).await;
        let began = Instant::now();
        let error = submitter.submit(Actor::system(None), None, audit()).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::QuorumLost);
        assert!(log.seen.lock().unwrap().is_empty(), "nothing is in the log that could come later");
        assert!(began.elapsed() <= LOOK, "{:?}", began.elapsed());
    }
}
