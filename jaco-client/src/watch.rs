//! Looking at deployments and replicas, once or as they change.

use futures::{Stream, StreamExt as _, TryStreamExt as _, future::BoxFuture};
use jaco_api::{
    model::{
        CertificateSummary, DeploymentName, DeploymentStatus, ReplicaEvent, ReplicaId,
        ReplicaStatus, ServiceName,
    },
    pb,
};
use tonic::transport::Channel;

use crate::{
    Client, Error, StatusView,
    again::{Cursor, Opened, again},
    call::MAX_MESSAGE,
    retry::Repeat,
};

/// Which rows to look at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatusQuery {
    /// Only this deployment.
    pub deployment: Option<DeploymentName>,
    /// Only this service of it.
    pub service: Option<ServiceName>,
    /// Reads what the leader has committed by now, not what the answering node has applied.
    pub consistent: bool,
}

/// Which events to look at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// Only this deployment's.
    pub deployment: Option<DeploymentName>,
    /// Also those still to come.
    pub follow: bool,
}

/// A part of the rows, or of their changes; see [`StatusView`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatusBatch {
    /// New or changed deployments.
    pub deployments: Vec<DeploymentStatus>,
    /// New or changed replicas.
    pub replicas: Vec<ReplicaStatus>,
    /// Deployments that are gone.
    pub removed_deployments: Vec<DeploymentName>,
    /// Replicas that are gone.
    pub removed_replicas: Vec<ReplicaId>,
    /// New or changed certificates.
    pub certificates: Vec<CertificateSummary>,
    /// Domains whose certificates are gone.
    pub removed_certificates: Vec<String>,
    /// Everything up to `index` has been sent.
    pub synced: bool,
    /// Log index the rows belong to.
    pub index: u64,
    /// The answering node hears no leader: the rows may be old.
    pub stale: bool,
}

impl TryFrom<pb::StatusBatch> for StatusBatch {
    type Error = Error;
    fn try_from(b: pb::StatusBatch) -> Result<Self, Error> {
        fn all<A, B>(rows: Vec<A>) -> Result<Vec<B>, Error>
        where
            B: TryFrom<A, Error: std::error::Error + Send + Sync + 'static>,
        {
            rows.into_iter().map(|r| r.try_into().map_err(Error::answer)).collect()
        }
        fn names<B>(names: &[String]) -> Result<Vec<B>, Error>
        where
            B: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
        {
            names.iter().map(|n| n.parse().map_err(Error::answer)).collect()
        }
        Ok(Self {
            deployments: all(b.deployments)?,
            replicas: all(b.replicas)?,
            removed_deployments: names(&b.removed_deployments)?,
            removed_replicas: names(&b.removed_replicas)?,
            certificates: all(b.certificates)?,
            removed_certificates: b.removed_certificates,
            synced: b.synced,
            index: b.index,
            stale: b.stale,
        })
    }
}

fn service(channel: Channel) -> pb::watch_client::WatchClient<Channel> {
    pb::watch_client::WatchClient::new(channel).max_decoding_message_size(MAX_MESSAGE)
}

/// Behind the last event that was read.
struct Events(pb::EventsRequest);

impl Cursor for Events {
    type Item = ReplicaEvent;
    fn open(&self, client: Client) -> BoxFuture<'static, Result<Opened<ReplicaEvent>, Error>> {
        let request = self.0.clone();
        Box::pin(async move {
            let stream = client
                .call(Repeat::Harmless, &request, |c, r| async move { service(c).events(r).await })
                .await?;
            Ok(stream.map(|event| event?.try_into().map_err(Error::answer)).boxed())
        })
    }
    fn note(&mut self, event: &ReplicaEvent) {
        self.0.after = event.sequence;
    }
}

impl Client {
    async fn status_batches(
        &self,
        query: &StatusQuery,
        follow: bool,
    ) -> Result<impl Stream<Item = Result<StatusBatch, Error>> + Send + Unpin + use<>, Error> {
        let request = pb::StatusRequest {
            deployment: query.deployment.as_ref().map(ToString::to_string).unwrap_or_default(),
            service: query.service.as_ref().map(ToString::to_string).unwrap_or_default(),
            follow,
            consistent: query.consistent,
        };
        let stream = self
            .call(Repeat::Harmless, &request, |c, r| async move { service(c).status(r).await })
            .await?;
        Ok(stream.map(|batch| batch.map_err(Error::from).and_then(StatusBatch::try_from)))
    }

    /// The rows as they are now.
    ///
    /// # Errors
    /// `deployment_not_found` when a deployment is named that does not exist.
    pub async fn status(&self, query: &StatusQuery) -> Result<StatusView, Error> {
        let mut batches = self.status_batches(query, false).await?;
        let mut view = StatusView::default();
        while let Some(batch) = batches.try_next().await? {
            view.apply(batch);
        }
        Ok(view)
    }

    /// The rows and every change to them: fold the batches into a [`StatusView`]. Ends only with an
    /// error.
    ///
    /// # Errors
    /// When no node answers.
    pub async fn watch(
        &self,
        query: &StatusQuery,
    ) -> Result<impl Stream<Item = Result<StatusBatch, Error>> + Send + Unpin + use<>, Error> {
        self.status_batches(query, true).await
    }

    /// State transitions of replicas, oldest first. A stream that follows goes on where it was when
    /// its connection breaks.
    ///
    /// # Errors
    /// When no node answers.
    pub async fn events(
        &self,
        query: &EventQuery,
    ) -> Result<impl Stream<Item = Result<ReplicaEvent, Error>> + Send + Unpin + use<>, Error> {
        let events = Events(pb::EventsRequest {
            deployment: query.deployment.as_ref().map(ToString::to_string).unwrap_or_default(),
            follow: query.follow,
            after: 0,
        });
        again(self.clone(), events).await
    }

    /// One replica, with its last log lines.
    ///
    /// # Errors
    /// `replica_not_found`.
    pub async fn replica(&self, id: &ReplicaId) -> Result<ReplicaStatus, Error> {
        let request = pb::ReplicaRequest { id: id.to_string() };
        self.call(Repeat::Harmless, &request, |c, r| async move { service(c).replica(r).await })
            .await?
            .try_into()
            .map_err(Error::answer)
    }
}
