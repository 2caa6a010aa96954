//! `jaco.v1.Watch`.

use std::sync::Arc;

use jaco_api::{
    convert::parse,
    error::{ApiError, ErrorCode},
    model::{ReplicaEvent, ReplicaId},
    pb::{self, watch_server},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tonic::{Request, Response, Status};

use super::{
    Api,
    rows::{Changes, Scope},
    stream::{Answers, Gone, Reader, answers},
    usage,
};
use crate::{control::Lease, seal, state::State, summary, watch::StateWatch};

/// Pause after a change before it is told, so that a burst becomes one round.
const GATHER: std::time::Duration = std::time::Duration::from_millis(50);

/// Looking at deployments and replicas.
pub(crate) struct Service(pub(crate) Arc<Api>);

#[tonic::async_trait]
impl watch_server::Watch for Service {
    type StatusStream = Answers<pb::StatusBatch>;
    type EventsStream = Answers<pb::ReplicaEvent>;
    type UsageStream = Answers<pb::UsageReport>;

    async fn status(
        &self,
        request: Request<pb::StatusRequest>,
    ) -> Result<Response<Self::StatusStream>, Status> {
        let message = request.into_inner();
        let scope = Scope::parse(&message.deployment, &message.service)?;
        let membership = self.0.membership()?;
        let mut state = membership.state.subscribe();
        if message.consistent {
            let index = membership.raft.read_index().await?;
            state.wait_for_index(index).await.map_err(|_| stopped())?;
        }
        scope.check(&state.newest())?;
        let currency =
            Currency { raft: membership.raft.status(), lease: membership.lease.subscribe() };
        let following = Following { state, currency, scope, follow: message.follow };
        Ok(answers(&self.0, |reader| Box::pin(following.run(reader))))
    }

    async fn events(
        &self,
        request: Request<pb::EventsRequest>,
    ) -> Result<Response<Self::EventsStream>, Status> {
        let message = request.into_inner();
        let scope = Scope::parse(&message.deployment, "")?;
        let state = self.0.membership()?.state.subscribe();
        if !message.follow {
            scope.check(&state.newest())?;
        }
        let wanted = Wanted { scope, follow: message.follow, after: message.after };
        Ok(answers(&self.0, move |reader| Box::pin(events(state, wanted, reader))))
    }

    async fn usage(
        &self,
        request: Request<pb::UsageRequest>,
    ) -> Result<Response<Self::UsageStream>, Status> {
        let interval = usage::interval(&request.into_inner());
        Ok(usage::of_every_node(&self.0, self.0.membership()?, interval))
    }

    async fn replica(
        &self,
        request: Request<pb::ReplicaRequest>,
    ) -> Result<Response<pb::ReplicaStatus>, Status> {
        let id: ReplicaId = parse("id", &request.into_inner().id).map_err(ApiError::from)?;
        let (membership, state) = self.0.state()?;
        let replica = state.replica(&id).ok_or_else(|| {
            ApiError::new(ErrorCode::ReplicaNotFound, format!("there is no replica {id}"))
        })?;
        let mut status = summary::replica(&state, replica);
        if let Some(sealed) = &replica.log_tail {
            let opened = membership.keyring.open(seal::LOG_TAIL, sealed).map_err(|e| {
                ApiError::new(ErrorCode::Internal, format!("the log tail cannot be opened: {e}"))
            })?;
            let text = String::from_utf8_lossy(&opened);
            status.log_tail = text.lines().map(str::to_owned).collect();
        }
        Ok(Response::new(status.into()))
    }
}

/// Whether what this node shows may be out of date: it has not heard of a leader that a majority
/// follows for a while.
struct Currency {
    raft: watch::Receiver<crate::raft::RaftStatus>,
    lease: watch::Receiver<Lease>,
}

impl Currency {
    fn is_stale(&mut self) -> bool {
        let raft = self.raft.borrow_and_update();
        let over = Instant::now() >= self.lease.borrow_and_update().fence_at();
        raft.leader.is_none() || (over && !raft.is_leader)
    }

    /// Ends when the answer is another.
    async fn changed(&mut self, stale: bool) -> Result<(), Gone> {
        while self.is_stale() == stale {
            let end = self.lease.borrow().fence_at();
            let ends =
                async { if stale { std::future::pending().await } else { sleep_until(end).await } };
            tokio::select! {
                changed = self.raft.changed() => changed.map_err(|_| Gone)?,
                Ok(()) = self.lease.changed() => {}
                () = ends => {}
            }
        }
        Ok(())
    }
}

struct Following {
    state: StateWatch,
    currency: Currency,
    scope: Scope,
    follow: bool,
}

impl Following {
    async fn run(mut self, reader: Reader<pb::StatusBatch>) -> Result<(), Gone> {
        let mut told = Arc::<State>::default();
        loop {
            let newest = self.state.newest();
            for batch in Changes::between(&told, &newest, &self.scope).batches() {
                reader.send(batch).await?;
            }
            let stale = self.currency.is_stale();
            let index = newest.index();
            let end = pb::StatusBatch { synced: true, index, stale, ..pb::StatusBatch::default() };
            reader.send(end).await?;
            told = newest;
            if !self.follow {
                return Ok(());
            }
            tokio::select! {
                changed = self.state.changed() => {
                    changed.map_err(|_| Gone)?;
                    tokio::time::sleep(GATHER).await;
                }
                changed = self.currency.changed(stale) => changed?,
                () = reader.gone() => return Err(Gone),
            }
        }
    }
}

/// Which events are wanted.
struct Wanted {
    scope: Scope,
    follow: bool,
    /// Only those with a higher sequence.
    after: u64,
}

async fn events(
    mut watch: StateWatch,
    wanted: Wanted,
    reader: Reader<pb::ReplicaEvent>,
) -> Result<(), Gone> {
    let mut last = wanted.after;
    loop {
        let state = watch.newest();
        for event in state.events_after(last) {
            last = event.sequence;
            if wanted.scope.includes(&event.replica) {
                reader.send(ReplicaEvent::clone(event).into()).await?;
            }
        }
        if !wanted.follow {
            return Ok(());
        }
        tokio::select! {
            changed = watch.changed() => drop(changed.map_err(|_| Gone)?),
            () = reader.gone() => return Err(Gone),
        }
    }
}

fn stopped() -> ApiError {
    ApiError::new(ErrorCode::NoLeader, "this node is shutting down")
}
