//! The container engine of a simulated host, as one life of its node reaches it.
//!
//! In: what the node asks. Out: the answers of the engine in memory, unless the node is dead, the engine
//! hangs, or the one who looks on makes it lie. Whoever looks on is told of everything that changes
//! something, before and after.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jaco_api::model::{AssignedFile, ExecCommand, Timestamp};
use jaco_runtime::{
    ContainerRuntime, RuntimeError,
    container::{
        Container, ContainerRequest, ContainerSummary, Credential, EngineVersion, EventStream,
        Exec, ImageRef, Labels, LogQuery, LogStream, Network, NetworkRequest, PullProgress, Stats,
        Volume, VolumeRequest,
    },
    testing::FakeRuntime,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Something that changes what an engine has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// A container is made, with these labels.
    Create(String, Labels),
    /// A container is started.
    Start(String),
    /// A container is stopped.
    Stop(String),
    /// A container is removed.
    Remove(String),
    /// A network is made.
    CreateNetwork(String),
    /// A network is removed.
    RemoveNetwork(String),
    /// A volume is made.
    CreateVolume(String),
    /// A volume is removed.
    RemoveVolume(String),
}

/// Looks on while nodes act on their engines.
pub trait Onlooker: Send + Sync + 'static {
    /// The node of a host asks its engine for this.
    fn asked(&self, _host: &str, _act: &Act) {}
    /// The engine has done it.
    fn done(&self, _host: &str, _act: &Act) {}
    /// Whether the engine says that it has done it and does nothing.
    fn lies(&self, _host: &str, _act: &Act) -> bool {
        false
    }
}

/// Nobody looks on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nobody;

impl Onlooker for Nobody {}

/// One life's link to the engine of its host.
pub(super) struct EngineLink {
    pub(super) host: String,
    pub(super) engine: FakeRuntime,
    /// Ended, nothing that the node still does has an effect.
    pub(super) life: CancellationToken,
    /// While true, no request is answered.
    pub(super) hangs: watch::Receiver<bool>,
    pub(super) onlooker: Arc<dyn Onlooker>,
}

impl EngineLink {
    fn alive(&self) -> Result<(), RuntimeError> {
        if !self.life.is_cancelled() {
            return Ok(());
        }
        let source = std::io::Error::other("the node is dead").into();
        Err(RuntimeError::Unreachable { endpoint: self.host.clone(), source })
    }

    /// Waits while the engine hangs.
    async fn pass(&self) -> Result<(), RuntimeError> {
        self.alive()?;
        let mut hangs = self.hangs.clone();
        let answers = hangs.wait_for(|hangs| !hangs);
        let _ = self.life.run_until_cancelled(answers).await;
        self.alive()
    }

    /// One request that changes nothing.
    async fn look<T>(
        &self,
        request: impl Future<Output = Result<T, RuntimeError>>,
    ) -> Result<T, RuntimeError> {
        self.pass().await?;
        let answer = request.await;
        self.pass().await?;
        answer
    }

    /// One request that changes something; `pretended` is answered by an engine that lies.
    async fn act<T>(
        &self,
        act: Act,
        pretended: T,
        request: impl Future<Output = Result<T, RuntimeError>>,
    ) -> Result<T, RuntimeError> {
        self.pass().await?;
        self.onlooker.asked(&self.host, &act);
        if self.onlooker.lies(&self.host, &act) {
            return Ok(pretended);
        }
        let answer = request.await;
        if answer.is_ok() {
            self.onlooker.done(&self.host, &act);
        }
        self.pass().await?;
        answer
    }
}

#[async_trait]
impl ContainerRuntime for EngineLink {
    async fn ping(&self) -> Result<(), RuntimeError> {
        self.look(self.engine.ping()).await
    }
    async fn version(&self) -> Result<EngineVersion, RuntimeError> {
        self.look(self.engine.version()).await
    }
    async fn image_present(&self, image: &ImageRef) -> Result<bool, RuntimeError> {
        self.look(self.engine.image_present(image)).await
    }
    async fn image_fetched_at(&self, image: &ImageRef) -> Result<Option<Timestamp>, RuntimeError> {
        self.look(self.engine.image_fetched_at(image)).await
    }
    async fn pull(
        &self,
        image: &ImageRef,
        credential: Option<&Credential>,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<(), RuntimeError> {
        self.look(self.engine.pull(image, credential, progress)).await
    }
    async fn networks(&self, labels: &Labels) -> Result<Vec<Network>, RuntimeError> {
        self.look(self.engine.networks(labels)).await
    }
    async fn create_network(&self, request: &NetworkRequest) -> Result<(), RuntimeError> {
        let act = Act::CreateNetwork(request.name.clone());
        self.act(act, (), self.engine.create_network(request)).await
    }
    async fn remove_network(&self, id: &str) -> Result<(), RuntimeError> {
        self.act(Act::RemoveNetwork(id.to_owned()), (), self.engine.remove_network(id)).await
    }
    async fn volume(&self, name: &str) -> Result<Option<Volume>, RuntimeError> {
        self.look(self.engine.volume(name)).await
    }
    async fn create_volume(&self, request: &VolumeRequest) -> Result<(), RuntimeError> {
        let act = Act::CreateVolume(request.name.clone());
        self.act(act, (), self.engine.create_volume(request)).await
    }
    async fn remove_volume(&self, name: &str) -> Result<(), RuntimeError> {
        self.act(Act::RemoveVolume(name.to_owned()), (), self.engine.remove_volume(name)).await
    }
    async fn list(&self, labels: &Labels) -> Result<Vec<ContainerSummary>, RuntimeError> {
        self.look(self.engine.list(labels)).await
    }
    async fn inspect(&self, id: &str) -> Result<Container, RuntimeError> {
        self.look(self.engine.inspect(id)).await
    }
    async fn create(&self, request: &ContainerRequest) -> Result<String, RuntimeError> {
        let act = Act::Create(request.name.clone(), request.labels.clone());
        self.act(act, request.name.clone(), self.engine.create(request)).await
    }
    async fn start(&self, id: &str) -> Result<(), RuntimeError> {
        self.act(Act::Start(id.to_owned()), (), self.engine.start(id)).await
    }
    async fn restore_files(&self, id: &str, files: &[AssignedFile]) -> Result<(), RuntimeError> {
        self.look(self.engine.restore_files(id, files)).await
    }
    async fn stop(&self, id: &str) -> Result<(), RuntimeError> {
        self.act(Act::Stop(id.to_owned()), (), self.engine.stop(id)).await
    }
    async fn stop_within(&self, id: &str, most: Duration) -> Result<(), RuntimeError> {
        self.act(Act::Stop(id.to_owned()), (), self.engine.stop_within(id, most)).await
    }
    async fn exec(&self, id: &str, request: &ExecCommand) -> Result<Exec, RuntimeError> {
        self.look(self.engine.exec(id, request)).await
    }
    async fn remove(&self, id: &str) -> Result<(), RuntimeError> {
        self.act(Act::Remove(id.to_owned()), (), self.engine.remove(id)).await
    }
    async fn logs(&self, id: &str, query: &LogQuery) -> Result<LogStream, RuntimeError> {
        self.look(self.engine.logs(id, query)).await
    }
    async fn events(&self, labels: &Labels) -> Result<EventStream, RuntimeError> {
        self.look(self.engine.events(labels)).await
    }
    async fn stats(&self, id: &str) -> Result<Stats, RuntimeError> {
        self.look(self.engine.stats(id)).await
    }
}
