//! The engine as all workers of a node share it: whether it is there, and what must not be done
//! twice at once.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jaco_api::model::{Assignment, PullPolicy, Timestamp};
use tokio::sync::{Notify, watch};

use super::{
    fetched::Fetched, images, marks::Marks, report::EngineStatus, underlay::UnderlayWatch,
};
use crate::container::{ContainerRuntime, Credentials, EngineVersion, ImageRef, RuntimeError};

/// The link to the engine: each session begins with its coming up.
#[derive(Debug, Clone, Default)]
pub(crate) struct Link {
    /// How it is.
    pub(crate) status: EngineStatus,
    /// Counts the times it came up.
    pub(crate) session: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// When images were fetched last.
    pub(crate) fetched: Fetched,
    /// Which hooks have ended.
    pub(crate) marks: Marks,
    /// The newest assignment by which this node has no network too many; none before that is known.
    pub(crate) tidied: watch::Sender<Option<Arc<Assignment>>>,
    /// What the node does for its containers; absent means that the engine does it all.
    pub(crate) underlay: Option<UnderlayWatch>,
    /// A container was removed: networks and volumes may be free now.
    pub(crate) freed: Notify,
}

impl Engine {
    pub(crate) fn new(
        runtime: Arc<dyn ContainerRuntime>,
        credentials: Arc<dyn Credentials>,
        assignment: watch::Receiver<Option<Arc<Assignment>>>,
        directory: Option<PathBuf>,
    ) -> Self {
        Self {
            runtime,
            credentials,
            assignment,
            link: watch::Sender::default(),
            networks: tokio::sync::Mutex::default(),
            tidied: watch::Sender::default(),
            fetching: Mutex::default(),
            fetched: Fetched::at(directory.clone()),
            marks: Marks::at(directory),
            underlay: None,
            freed: Notify::new(),
        }
    }

    /// The same on a node that makes this of the network for its containers.
    pub(crate) fn over(self, underlay: Option<UnderlayWatch>) -> Self {
        Self { underlay, ..self }
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

    /// Whether the engine has an image that is to be fetched again by this policy; none when it has
    /// no such image.
    pub(crate) async fn is_stale(
        &self,
        image: &ImageRef,
        policy: PullPolicy,
        now: Timestamp,
    ) -> Result<Option<bool>, RuntimeError> {
        if !self.runtime.image_present(image).await? {
            return Ok(None);
        }
        let fetched_at = match policy {
            PullPolicy::Refresh(_) => self.runtime.image_fetched_at(image).await?,
            _ => None,
        };
        let ours = self.fetched.get(image);
        Ok(Some(images::is_stale(image, policy, fetched_at.max(ours), now)))
    }

    /// Of networks nothing is left that this assignment does not need. A newer one that needs the same
    /// is as good.
    pub(crate) fn networks_are_of(&self, assignment: Arc<Assignment>) {
        self.tidied.send_if_modified(|tidied| {
            let newest = self.newest().filter(|newest| same_networks(newest, &assignment));
            let settled = newest.unwrap_or(assignment);
            let news = tidied.as_ref().is_none_or(|t| t.index < settled.index);
            if news {
                *tidied = Some(settled);
            }
            news
        });
    }

    /// There is a newer assignment: it may need the same networks as the one that they are of.
    pub(crate) fn assigned(&self, newest: &Arc<Assignment>) {
        self.tidied.send_if_modified(|tidied| {
            let same = |t: &Arc<Assignment>| t.index < newest.index && same_networks(t, newest);
            let news = tidied.as_ref().is_some_and(same);
            if news {
                *tidied = Some(Arc::clone(newest));
            }
            news
        });
    }

    /// Fetches an image, with the credentials of this moment; of several asking at once only one
    /// fetches, and the others find it there, unless the policy is to fetch it always.
    pub(crate) async fn fetch(
        &self,
        image: &ImageRef,
        policy: PullPolicy,
        now: Timestamp,
    ) -> Result<(), RuntimeError> {
        let alone = {
            let mut all = lock(&self.fetching);
            all.retain(|_, lock| Arc::strong_count(lock) > 1);
            all.entry(image.clone()).or_default().clone()
        };
        let _alone = alone.lock().await;
        if policy != PullPolicy::Always && self.is_stale(image, policy, now).await? == Some(false) {
            return Ok(());
        }
        let credential = self.credentials.credential(&image.name).await;
        let progress = |p: crate::container::PullProgress| {
            tracing::debug!(%image, layer = p.layer, status = p.status, current = p.current, total = p.total, "pull");
        };
        tracing::info!(%image, "fetching image");
        self.runtime.pull(image, credential.as_ref(), &progress).await?;
        let assigned = self.newest();
        let needed = |image: &ImageRef| {
            let replicas = assigned.iter().flat_map(|a| a.replicas.values());
            let mut specs = replicas.flat_map(|r| r.spec.iter().chain(&r.prepare));
            specs.any(|spec| ImageRef::all(spec).any(|other| other == *image))
        };
        self.fetched.set(image, now, needed);
        Ok(())
    }
}

/// Whether two assignments need the same networks, and both may be acted on.
fn same_networks(a: &Assignment, b: &Assignment) -> bool {
    (a.caught_up, a.cluster, &a.networks) == (b.caught_up, b.cluster, &b.networks)
}
