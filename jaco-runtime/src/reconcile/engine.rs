//! The engine as all workers of a node share it: whether it is there, and what must not be done
//! twice at once.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use jaco_api::model::Assignment;
use tokio::sync::{Notify, watch};

use super::report::EngineStatus;
use crate::container::{ContainerRuntime, Credentials, EngineVersion, ImageRef, RuntimeError};

/// The link to the engine: each session begins with its coming up.
#[derive(Debug, Clone, Default)]
pub(crate) struct Link {
    /// How it is.
    pub(crate) status: EngineStatus,
    /// Counts the times it came up.
    pub(crate) session: u64,
}

/// The engine as all workers of a node share it.
pub(crate) struct Engine {
    pub(crate) runtime: Arc<dyn ContainerRuntime>,
    credentials: Arc<dyn Credentials>,
    pub(crate) assignment: watch::Receiver<Option<Arc<Assignment>>>,
    link: watch::Sender<Link>,
    /// Held while networks are looked at and changed.
    pub(crate) networks: tokio::sync::Mutex<()>,
    /// One lock per image, so that replicas of a service do not all fetch it.
    fetching: Mutex<BTreeMap<ImageRef, Arc<tokio::sync::Mutex<()>>>>,
    /// A container was removed: networks and volumes may be free now.
    pub(crate) freed: Notify,
}

impl Engine {
    pub(crate) fn new(
        runtime: Arc<dyn ContainerRuntime>,
        credentials: Arc<dyn Credentials>,
        assignment: watch::Receiver<Option<Arc<Assignment>>>,
    ) -> Self {
        Self {
            runtime,
            credentials,
            assignment,
            link: watch::Sender::default(),
            networks: tokio::sync::Mutex::default(),
            fetching: Mutex::default(),
            freed: Notify::new(),
        }
    }

    /// The link, to be watched.
    pub(crate) fn link(&self) -> watch::Receiver<Link> {
        self.link.subscribe()
    }

    /// The engine answers.
    pub(crate) fn up(&self, version: EngineVersion) {
        tracing::info!(engine = %version.name, version = %version.version, api = %version.api, "container engine is up");
        self.link.send_modify(|link| {
            link.status = EngineStatus::Up(version);
            link.session += 1;
        });
    }

    /// The engine does not answer. Said once.
    pub(crate) fn lost(&self, reason: &str) {
        self.link.send_if_modified(|link| {
            let news = !matches!(link.status, EngineStatus::Down { .. });
            if news {
                tracing::warn!(reason, "container engine is away");
                link.status = EngineStatus::Down { reason: reason.to_owned() };
            }
            news
        });
    }

    /// The newest assignment.
    pub(crate) fn newest(&self) -> Option<Arc<Assignment>> {
        self.assignment.borrow().clone()
    }

    /// Fetches an image, with the credentials of this moment; of several asking at once only one
    /// fetches, and the others find it there. `anew` fetches it even when the engine has it.
    pub(crate) async fn fetch(&self, image: &ImageRef, anew: bool) -> Result<(), RuntimeError> {
        let lock = {
            let mut all = self.fetching.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            all.retain(|_, lock| Arc::strong_count(lock) > 1);
            all.entry(image.clone()).or_default().clone()
        };
        let _alone = lock.lock().await;
        if !anew && self.runtime.image_present(image).await? {
            return Ok(());
        }
        let credential = self.credentials.credential(&image.name).await;
        let progress = |p: crate::container::PullProgress| {
            tracing::debug!(%image, layer = p.layer, status = p.status, current = p.current, total = p.total, "pull");
        };
        tracing::info!(%image, "fetching image");
        self.runtime.pull(image, credential.as_ref(), &progress).await
    }
}
