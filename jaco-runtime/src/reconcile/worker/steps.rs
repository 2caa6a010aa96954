//! Carries out the steps of a worker.

use std::{sync::Arc, time::Duration};

use jaco_api::{
    error::ErrorCode,
    model::{AssignedReplica, ContainerSpec, Intent, PullPolicy, Reason},
};
use tokio_util::task::AbortOnDropHandle;

use super::{Turn, Worker};
use crate::{
    container::{Container, ContainerStatus, ImageRef, RuntimeError},
    reconcile::{
        diff::Order,
        hooks::Point,
        memory::Memory,
        step::{Step, Wanted},
    },
    spec,
};

/// So long a container that goes waits for those beside it to be stopped.
const COMPANY: Duration = Duration::from_secs(60);

impl Worker {
    /// Takes one step.
    pub(super) async fn take(
        &mut self,
        order: &Order,
        wanted: Wanted<'_>,
        step: Step,
        (containers, lead): (&[Container], Option<&Container>),
    ) -> Result<Turn, RuntimeError> {
        if !matches!(step, Step::Hold(_)) {
            tracing::debug!(replica = self.key, ?step, "step");
        }
        let runtime = self.engine.runtime.clone();
        let known = |id: &str| containers.iter().find(|c| c.id == id);
        match (step, wanted) {
            (Step::Hold(until), _) => return Ok(Turn::Wait(until)),
            (Step::PreStop(_) | Step::Stop(_) | Step::StopWithin(..), Wanted::Gone(_))
                if self.waits_for_companions(order).await? =>
            {
                return Ok(Turn::Wait(self.leaving_since.map(|since| since + COMPANY)));
            }
            (Step::AwaitPreStop(_), _) => return Ok(Turn::Wait(None)),
            (Step::PostStart(id), Wanted::Running(replica, _)) => {
                if let Some(container) = known(&id) {
                    self.begin_hooks(Point::PostStart, replica, container);
                }
            }
            (Step::PreStop(id), Wanted::Running(replica, _) | Wanted::Gone(Some(replica))) => {
                if let Some(container) = known(&id) {
                    self.begin_hooks(Point::PreStop, replica, container);
                }
            }
            (Step::LookForImage(image), Wanted::Running(replica, _)) => {
                let (policy, now) = (policy_for(replica, &image), self.now());
                let stale = self.engine.is_stale(&image, policy, now.wall).await?;
                let known = self.memory().images.entry(image.clone()).or_default();
                match stale {
                    Some(true) => known.stale(),
                    Some(false) => known.found(),
                    None => known.missing(&image.name, policy, now.at),
                }
            }
            (Step::Fetch(image), Wanted::Running(replica, _)) => {
                let policy = policy_for(replica, &image);
                self.begin_fetch(image, policy);
            }
            (Step::Create, Wanted::Running(replica, spec)) => {
                self.create(order, replica, spec, lead).await?;
            }
            (Step::Start(id), Wanted::Running(replica, spec)) => {
                let again = known(&id).is_some_and(|c| c.status != ContainerStatus::Created);
                self.start(order, (replica, spec), (&id, again), lead).await?;
            }
            (Step::Stop(id), _) => {
                self.leave_hooks(&id);
                ignore_missing(runtime.stop(&id).await)?;
            }
            (Step::StopWithin(id, most), _) => {
                self.leave_hooks(&id);
                ignore_missing(runtime.stop_within(&id, most).await)?;
            }
            (Step::Remove(id), _) => {
                self.leave_hooks(&id);
                ignore_missing(runtime.remove(&id).await)?;
                self.engine.freed.notify_one();
                if self.removed.as_ref() == Some(&id) {
                    let (operation, source) = ("removing a container", "it is still there".into());
                    return Err(RuntimeError::NotUnderstood { operation, source });
                }
                self.removed = Some(id);
            }
            // Only a running replica has images, a container to make and one to start.
            (_, Wanted::Gone(_) | Wanted::Killed | Wanted::Unknown) => return Ok(Turn::Wait(None)),
        }
        self.memory().went_well();
        Ok(Turn::Again)
    }

    /// Whether containers that live beside this one and go as well still run: they are stopped first,
    /// as long as that does not take for ever.
    async fn waits_for_companions(&mut self, order: &Order) -> Result<bool, RuntimeError> {
        let now = self.now().at;
        let since = *self.leaving_since.get_or_insert(now);
        let Some(assignment) = self.engine.newest().filter(|_| now < since + COMPANY) else {
            return Ok(false);
        };
        let goes = |r: &&AssignedReplica| {
            let beside = r.beside.as_ref().is_some_and(|b| b.replica.to_string() == self.key);
            beside && r.intent == Intent::Remove
        };
        for companion in assignment.replicas.values().filter(goes) {
            let labels = spec::replica_labels(order.cluster, &companion.id.to_string());
            if self.engine.runtime.list(&labels).await?.iter().any(|c| c.status.is_alive()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn memory(&mut self) -> &mut Memory {
        self.memory.get_or_insert_default()
    }

    async fn create(
        &mut self,
        order: &Order,
        replica: &AssignedReplica,
        spec: &ContainerSpec,
        lead: Option<&Container>,
    ) -> Result<(), RuntimeError> {
        let made = self.try_create(order, replica, spec, lead).await;
        let now = self.now().at;
        match made {
            Ok(id) => {
                let memory = self.memory();
                memory.made.insert(id);
                // The next container wants a fresh look at them.
                ImageRef::all(spec).for_each(|image| drop(memory.images.remove(&image)));
                Ok(())
            }
            Err(error @ RuntimeError::Conflict { .. }) if self.is_mine(order).await => {
                tracing::debug!(replica = self.key, %error, "the container is there already");
                Ok(())
            }
            Err(error) if self.has_lost(order, lead, &error).await => Ok(()),
            Err(error) => {
                if error.is_definitive_for_image() {
                    let memory = self.memory();
                    ImageRef::all(spec).for_each(|image| drop(memory.images.remove(&image)));
                }
                self.refused(replica, error, now)
            }
        }
    }

    async fn try_create(
        &self,
        order: &Order,
        replica: &AssignedReplica,
        spec: &ContainerSpec,
        lead: Option<&Container>,
    ) -> Result<String, RuntimeError> {
        self.engine.ensure_networks(order.cluster, replica, spec).await?;
        self.engine.networks_ready(replica, spec).await?;
        self.engine.ensure_volumes(order.cluster, replica, spec).await?;
        let underlay = self.engine.underlay().await?;
        let spec = Arc::new(spec.clone());
        let mut request = spec::container(order.cluster, replica, &spec);
        if underlay.is_some_and(|u| u.names) {
            // Whoever asks is answered there, and nowhere else: the engine knows nothing of health.
            request.networks.iter_mut().for_each(|join| join.aliases.clear());
            request.files = self.engine.files_of(replica, &spec);
        }
        let request = match lead {
            Some(lead) => spec::beside(&lead.id, request),
            None => request,
        };
        self.engine.runtime.create(&request).await
    }

    /// Whether the container that it was to be beside is another one by now, or does not run: then the
    /// refusal says nothing of this replica.
    async fn has_lost(
        &self,
        order: &Order,
        lead: Option<&Container>,
        error: &RuntimeError,
    ) -> bool {
        let Some(lead) = lead.filter(|_| !error.is_unreachable()) else { return false };
        let same = |c: &Container| {
            c.status.is_alive() && (&c.id, c.started_at) == (&lead.id, lead.started_at)
        };
        let lost =
            matches!(self.look_beside(order).await, Ok(now) if !now.as_ref().is_some_and(same));
        if lost {
            tracing::debug!(replica = self.key, %error, "the container it lives beside is gone");
        }
        lost
    }

    /// Whether the container with our name is this replica's.
    async fn is_mine(&self, order: &Order) -> bool {
        let name = format!("jaco.{}", self.key);
        let wanted = spec::replica_labels(order.cluster, &self.key);
        match self.engine.runtime.inspect(&name).await {
            Ok(found) => wanted.iter().all(|(k, v)| found.labels.get(k) == Some(v)),
            Err(_) => false,
        }
    }

    async fn start(
        &mut self,
        order: &Order,
        (replica, spec): (&AssignedReplica, &ContainerSpec),
        (id, again): (&str, bool),
        lead: Option<&Container>,
    ) -> Result<(), RuntimeError> {
        // A container that ran before may have lost its networks; a new one has just got them.
        // In a reboot it has lost its files as well.
        let ready = match again {
            true => self.make_ready_again(order, (replica, spec), id).await,
            false => Ok(()),
        };
        let started = match ready {
            Ok(()) => self.engine.runtime.start(id).await,
            Err(error) => Err(error),
        };
        let now = self.now().at;
        match started {
            Ok(()) => {
                let memory = self.memory();
                memory.made.insert(id.to_owned());
                memory.restarts += u32::from(again && !memory.went_with_lead);
                Ok(())
            }
            Err(error) if self.has_lost(order, lead, &error).await => Ok(()),
            Err(error) => self.refused(replica, error, now),
        }
    }

    /// Everything that a container needs in order to be started once more.
    async fn make_ready_again(
        &self,
        order: &Order,
        (replica, spec): (&AssignedReplica, &ContainerSpec),
        id: &str,
    ) -> Result<(), RuntimeError> {
        self.engine.ensure_networks(order.cluster, replica, spec).await?;
        self.engine.networks_ready(replica, spec).await?;
        let names = self.engine.underlay().await?.is_some_and(|u| u.names);
        let files = if names { self.engine.files_of(replica, spec) } else { replica.files.clone() };
        self.engine.runtime.restore_files(id, &files).await
    }

    /// A refusal counts as a failure of the replica; an engine that is away or silent, or a network that
    /// is not there yet, does not.
    fn refused(
        &mut self,
        replica: &AssignedReplica,
        error: RuntimeError,
        now: Duration,
    ) -> Result<(), RuntimeError> {
        match error {
            RuntimeError::TimedOut { .. } | RuntimeError::NotUnderstood { .. } => Err(error),
            RuntimeError::NetworkNotReady { .. } => {
                let code = Some(ErrorCode::IsolationUnavailable);
                self.memory().failure = Some(Reason { code, message: error.to_string() });
                Err(error)
            }
            _ if error.is_unreachable() => Err(error),
            _ => {
                tracing::info!(replica = self.key, %error, "the engine refused");
                self.memory().refused(&replica.restart, &error, now);
                Ok(())
            }
        }
    }

    fn begin_fetch(&mut self, image: ImageRef, policy: PullPolicy) {
        let (engine, wanted, now) = (self.engine.clone(), image.clone(), self.now().wall);
        let task = tokio::spawn(async move { engine.fetch(&wanted, policy, now).await });
        if let Some((old, _)) = self.fetch.replace((image.clone(), AbortOnDropHandle::new(task))) {
            self.memory().images.entry(old).or_default().called_off();
        }
        self.memory().images.entry(image).or_default().fetching();
    }

    /// Drops a fetch that nobody wants any more.
    pub(super) fn call_off_fetch(&mut self, replica: &AssignedReplica, memory: &mut Memory) {
        let wants = |spec: &Option<Arc<ContainerSpec>>, image: &ImageRef| {
            spec.as_deref().is_some_and(|s| ImageRef::all(s).any(|i| i == *image))
        };
        let Some((image, _)) = &self.fetch else { return };
        let run = replica.intent == Intent::Run;
        if !(run && (wants(&replica.spec, image) || wants(&replica.prepare, image))) {
            memory.images.remove(image);
            self.fetch = None;
        } else {
            // A new generation has forgotten that it is under way.
            memory.images.entry(image.clone()).or_default().fetching();
        }
    }

    pub(super) fn fetched(&mut self, result: Result<(), RuntimeError>) {
        let now = self.now().at;
        let Some((image, _)) = self.fetch.take() else { return };
        match result {
            Ok(()) => self.memory().images.entry(image).or_default().found(),
            Err(error) if error.is_unreachable() => {
                self.memory().images.entry(image).or_default().called_off();
                self.engine.lost(&error.to_string());
            }
            Err(error) => {
                let replica = self.key.clone();
                let known = self.memory().images.entry(image.clone()).or_default();
                known.failed(&error, now);
                match known.is_present() {
                    true => {
                        tracing::warn!(replica, %image, %error, "the old image is used: cannot fetch it anew")
                    }
                    false => tracing::info!(replica, %image, %error, "cannot fetch the image"),
                }
            }
        }
    }
}

/// The pull policy that applies to an image of this replica.
fn policy_for(replica: &AssignedReplica, image: &ImageRef) -> PullPolicy {
    let specs = replica.spec.iter().chain(&replica.prepare);
    specs
        .filter(|s| ImageRef::all(s).any(|i| i == *image))
        .map(|s| s.pull_policy)
        .next()
        .unwrap_or_default()
}

fn ignore_missing(result: Result<(), RuntimeError>) -> Result<(), RuntimeError> {
    match result {
        Err(error) if error.is_not_found() => Ok(()),
        other => other,
    }
}
