//! One node's part in the group: start, form, watch, change, stop.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, OnceLock, atomic::AtomicUsize},
    time::Duration,
};

use jaco_api::{
    error::{ApiError, ErrorCode},
    model::NodeId,
};
use openraft::{
    ChangeMembers, ReadPolicy,
    errors::{ClientWriteError, InitializeError, RaftError as OpenraftError},
};
use tokio::{sync::watch, task::JoinHandle, time::Instant};

use super::{
    contacts::Contacts,
    desk::{Ask, Desk, Told},
    error::RaftError,
    follow::{Follower, follow},
    log_store::LogStore,
    machine::Machine,
    network::Network,
    options::RaftOptions,
    service::PeerService,
    status::RaftStatus,
    storage::{RaftStorage, beside},
    transport::{PeerReply, PeerRequest, TransportError},
    types::{C, Member, Peer},
    writer::Writer,
};
use crate::{clock::Clock, state::State, submit::Submitter, watch::StateWatch};

/// openraft's handle.
pub(crate) type Group = openraft::Raft<C, Machine>;

/// How long the leader may take to confirm that it leads.
const READ_INDEX_PATIENCE: Duration = Duration::from_secs(3);

/// One node's part in the group. Clones are the same part.
#[derive(Clone)]
pub struct Raft {
    inner: Arc<Inner>,
}

struct Inner {
    id: NodeId,
    group: Group,
    network: Network,
    storage: Arc<dyn RaftStorage>,
    writer: Arc<Writer>,
    clock: Arc<dyn Clock>,
    state: StateWatch,
    status: watch::Receiver<RaftStatus>,
    following: JoinHandle<()>,
    desk: Arc<dyn Desk>,
}

impl fmt::Debug for Raft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Raft({})", self.inner.id)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.following.abort();
    }
}

impl Raft {
    /// Takes up where the storage left off. Without anything in it the node waits to be
    /// [initialised](Self::initialize), or to be called by a leader that has added it.
    ///
    /// # Errors
    /// [`RaftError`] when the storage holds something this version cannot read.
    pub async fn start(options: RaftOptions) -> Result<Self, RaftError> {
        let RaftOptions { id, storage, transport, clock, timing, desk } = options;
        let config = Arc::new(timing.config()?);
        let loading = storage.clone();
        let (machine, state) = beside(storage.clone(), move |_| Machine::load(loading))
            .await
            .map_err(|e| RaftError::Stopped(e.into()))??;
        let halt = machine.halt();
        let known = Arc::new(OnceLock::new());
        let network =
            Network { me: id, transport, contacts: Contacts::default(), group: known.clone() };
        let log = LogStore::new(storage.clone());
        let group = Group::new(id.0, config, network.clone(), log, machine)
            .await
            .map_err(|e| RaftError::Stopped(e.into()))?;
        let following = Follower {
            metrics: group.metrics(),
            lease: timing.election.1,
            halt: halt.clone(),
            storage: storage.clone(),
        };
        let (status, following) = follow(following);
        known.get_or_init(|| status.clone());
        let writer = Arc::new(Writer {
            raft: group.clone(),
            network: network.clone(),
            storage: storage.clone(),
            halt,
            clock: clock.clone(),
            turn: AtomicUsize::new(0),
        });
        let inner =
            Inner { id, group, network, storage, writer, clock, state, status, following, desk };
        let raft = Self { inner: Arc::new(inner) };
        raft.stand_alone().await?;
        Ok(raft)
    }

    /// The only voter need not wait for anybody's silence.
    async fn stand_alone(&self) -> Result<(), RaftError> {
        let me = self.inner.id.0;
        let alone = self.inner.group.with_raft_state(move |state| {
            state.membership_state.effective().voter_ids().collect::<Vec<_>>() == [me]
        });
        if alone.await.map_err(|e| RaftError::Stopped(e.into()))? {
            let elected = self.inner.group.trigger().elect(false).await;
            elected.map_err(|e| RaftError::Stopped(e.into()))?;
        }
        Ok(())
    }

    /// Forms a group of this node alone. Nothing happens when it belongs to one already.
    ///
    /// # Errors
    /// [`RaftError::Stopped`].
    pub async fn initialize(&self, me: Member) -> Result<(), RaftError> {
        match self.inner.group.initialize(BTreeMap::from([(self.inner.id.0, me)])).await {
            Ok(()) | Err(OpenraftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
            Err(OpenraftError::APIError(e)) => Err(RaftError::Membership(e.into())),
            Err(OpenraftError::Fatal(e)) => Err(RaftError::Stopped(e.into())),
        }
    }

    /// This node's number.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.inner.id
    }

    /// The newest state on this node.
    #[must_use]
    pub fn state(&self) -> StateWatch {
        self.inner.state.subscribe()
    }

    /// What this node knows of the group, now and whenever it changes.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<RaftStatus> {
        self.inner.status.clone()
    }

    /// The way to write.
    #[must_use]
    pub fn submitter(&self) -> Submitter {
        Submitter::new(self.inner.writer.clone(), self.inner.clock.clone(), self.state())
    }

    /// What answers other members' calls.
    #[must_use]
    pub fn service(&self) -> PeerService {
        let inner = &self.inner;
        PeerService {
            raft: inner.group.clone(),
            writer: inner.writer.clone(),
            desk: inner.desk.clone(),
            state: self.state(),
            status: self.status(),
        }
    }

    /// Asks a member, or this node itself, something that is not raft's own business.
    ///
    /// # Errors
    /// `peer_unreachable`, or the member's refusal.
    pub async fn ask(&self, peer: &Peer, ask: Ask, patience: Duration) -> Result<Told, ApiError> {
        let request = PeerRequest::Ask(ask);
        let answer = if peer.id == self.inner.id {
            self.service().handle(peer.id, request).await?
        } else {
            match self.inner.network.call(peer, request, patience).await {
                Ok(answer) => answer,
                Err(TransportError::Refused { source, .. }) => return Err(source),
                Err(error) => {
                    return Err(ApiError::new(ErrorCode::PeerUnreachable, error.to_string()));
                }
            }
        };
        match answer {
            PeerReply::Told(told) => Ok(told),
            _ => Err(ApiError::new(ErrorCode::Internal, "an answer to another question")),
        }
    }

    /// Asks the leader, whoever that is now.
    ///
    /// # Errors
    /// `no_leader` when none is known; else as [`Self::ask`].
    pub async fn ask_leader(&self, ask: Ask, patience: Duration) -> Result<Told, ApiError> {
        let leader = self.leader().ok_or_else(no_leader)?;
        self.ask(&leader, ask, patience).await
    }

    /// The leader, as far as is known here.
    #[must_use]
    pub fn leader(&self) -> Option<Peer> {
        let status = self.inner.status.borrow();
        let id = status.leader?;
        let member = status.members.get(&id)?.member.clone();
        Some(Peer { id, member })
    }

    /// How long ago a member last answered this node; known to the leader and to candidates.
    #[must_use]
    pub fn last_contact(&self, peer: NodeId) -> Option<Duration> {
        let answered = self.inner.network.contacts.of(peer).answered?;
        Some(Instant::now().saturating_duration_since(answered))
    }

    /// Who last called this node as the leader does, and when.
    #[must_use]
    pub fn former_leader(&self) -> Option<(NodeId, Instant)> {
        self.inner.network.contacts.led()
    }

    /// How far a state must have got to hold everything that was committed before this call. The
    /// leader confirms that it leads; a follower asks it.
    ///
    /// # Errors
    /// `no_leader` when nobody confirms.
    pub async fn read_index(&self) -> Result<u64, ApiError> {
        match self.leader() {
            Some(leader) if leader.id != self.inner.id => self.ask_read_index(&leader).await,
            Some(_) => leader_read_index(&self.inner.group).await,
            None => Err(no_leader()),
        }
    }

    async fn ask_read_index(&self, leader: &Peer) -> Result<u64, ApiError> {
        let request = PeerRequest::ReadIndex;
        match self.inner.network.call(leader, request, READ_INDEX_PATIENCE).await {
            Ok(PeerReply::ReadIndex(index)) => Ok(index),
            Ok(_) => Err(ApiError::new(ErrorCode::Internal, "an answer to another question")),
            Err(TransportError::Refused { source, .. }) => Err(source),
            Err(error) => Err(ApiError::new(ErrorCode::NoLeader, error.to_string())),
        }
    }

    /// Waits until this node holds everything that was committed before this call.
    ///
    /// # Errors
    /// `no_leader` when nobody confirms.
    pub async fn present(&self) -> Result<Arc<State>, ApiError> {
        let index = self.read_index().await?;
        let mut state = self.state();
        let stopped = |_| ApiError::new(ErrorCode::NoLeader, "raft has stopped on this node");
        state.wait_for_index(index).await.map_err(stopped)
    }

    /// Waits until everything that was committed when this node started is applied.
    ///
    /// # Errors
    /// [`RaftError::Stopped`] when that will never be.
    pub async fn caught_up(&self) -> Result<(), RaftError> {
        let mut status = self.status();
        let reached = status.wait_for(|s| s.caught_up).await;
        reached.map(drop).map_err(|e| RaftError::Stopped(e.into()))
    }

    /// Adds a member that only follows. It is caught up in the background: see its lag.
    ///
    /// # Errors
    /// [`RaftError::NotLeader`], or [`RaftError::Membership`] while another change is under way.
    pub async fn add_learner(&self, peer: Peer) -> Result<(), RaftError> {
        let added = self.inner.group.add_learner(peer.id.0, peer.member, false).await;
        added.map(drop).map_err(membership_error)
    }

    /// Replaces the voters; former ones stay as learners.
    ///
    /// # Errors
    /// As [`Self::add_learner`].
    pub async fn set_voters(&self, voters: BTreeSet<NodeId>) -> Result<(), RaftError> {
        let voters: BTreeSet<u64> = voters.into_iter().map(|id| id.0).collect();
        let changed = self.inner.group.change_membership(voters, true).await;
        changed.map(drop).map_err(membership_error)
    }

    /// Removes a learner from the group.
    ///
    /// # Errors
    /// As [`Self::add_learner`].
    pub async fn remove_learner(&self, id: NodeId) -> Result<(), RaftError> {
        let change = ChangeMembers::RemoveNodes(BTreeSet::from([id.0]));
        let changed = self.inner.group.change_membership(change, false).await;
        changed.map(drop).map_err(membership_error)
    }

    /// Writes down where a member is reached now.
    ///
    /// # Errors
    /// As [`Self::add_learner`].
    pub async fn update_member(&self, peer: Peer) -> Result<(), RaftError> {
        let change = ChangeMembers::SetNodes(BTreeMap::from([(peer.id.0, peer.member)]));
        let changed = self.inner.group.change_membership(change, true).await;
        changed.map(drop).map_err(membership_error)
    }

    /// Asks a voter to take over the lead. It has when its status says so.
    ///
    /// # Errors
    /// [`RaftError::Stopped`].
    pub async fn transfer_leader(&self, to: NodeId) -> Result<(), RaftError> {
        let asked = self.inner.group.trigger().transfer_leader(to.0).await;
        asked.map_err(|e| RaftError::Stopped(e.into()))
    }

    /// Takes a snapshot in the background, whatever the policy says.
    ///
    /// # Errors
    /// [`RaftError::Stopped`].
    pub async fn take_snapshot(&self) -> Result<(), RaftError> {
        let asked = self.inner.group.trigger().snapshot().await;
        asked.map_err(|e| RaftError::Stopped(e.into()))
    }

    /// Stops this node's part: nothing is written or answered afterwards, and the storage can be
    /// opened again. Returns within `patience` whatever happens.
    ///
    /// # Errors
    /// [`RaftError::TimedOut`] when something still runs.
    pub async fn shutdown(&self, patience: Duration) -> Result<(), RaftError> {
        let deadline = Instant::now() + patience;
        let group = tokio::time::timeout(patience / 2, self.inner.group.shutdown()).await;
        // Closing ends writes that wait for a full disk, which is what may have held up the group.
        let closed = beside(self.inner.storage.clone(), |storage| storage.close());
        let closed = tokio::time::timeout_at(deadline, closed).await;
        self.inner.following.abort();
        if group.is_err() || closed.is_err() {
            return Err(RaftError::TimedOut { what: "stopping raft" });
        }
        Ok(())
    }
}

fn no_leader() -> ApiError {
    ApiError::new(ErrorCode::NoLeader, "no leader is known here")
}

/// Confirms that this node leads.
pub(super) async fn leader_read_index(group: &Group) -> Result<u64, ApiError> {
    let no_leader = |why: &str| ApiError::new(ErrorCode::NoLeader, why);
    let confirming = group.ensure_linearizable(ReadPolicy::ReadIndex);
    match tokio::time::timeout(READ_INDEX_PATIENCE, confirming).await {
        Ok(Ok(read)) => Ok(read.index()),
        Ok(Err(error)) => {
            Err(no_leader("this node cannot confirm that it leads").with("cause", error))
        }
        Err(_) => Err(no_leader("no majority confirmed in time that this node leads")),
    }
}

fn membership_error(error: OpenraftError<C, ClientWriteError<C>>) -> RaftError {
    match error {
        OpenraftError::APIError(ClientWriteError::ForwardToLeader(forward)) => {
            RaftError::NotLeader { leader: forward.leader_id.map(NodeId) }
        }
        OpenraftError::APIError(error) => RaftError::Membership(error.into()),
        OpenraftError::Fatal(error) => RaftError::Stopped(error.into()),
    }
}
