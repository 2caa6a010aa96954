//! The engine in memory as an engine.

use std::{collections::VecDeque, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use jaco_api::model::{Health, MountSource, Timestamp};
use tokio::{io::AsyncWriteExt as _, sync::broadcast};

use super::{
    super::program::Action,
    FakeRuntime, Op, Usage,
    world::{Fake, matches},
};
use crate::container::{
    AssignedFile, Connection, Container, ContainerRequest, ContainerRuntime, ContainerStatus,
    ContainerSummary, Credential, EngineEvent, EngineVersion, EventAction, EventStream, Exec,
    ExecCommand, ImageRef, Labels, LogQuery, LogStream, Network, NetworkRequest, PathInfo,
    PullProgress, RuntimeError, Stats, TarSource, TarStream, Volume, VolumeRequest,
};

/// Size of the pieces an archive comes in.
const PIECE: usize = 16 << 10;

#[async_trait]
impl ContainerRuntime for FakeRuntime {
    async fn ping(&self) -> Result<(), RuntimeError> {
        self.request(Op::Ping, "").await
    }

    async fn version(&self) -> Result<EngineVersion, RuntimeError> {
        self.request(Op::Ping, "").await?;
        Ok(EngineVersion {
            name: "Fake".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            api: "1.41".to_owned(),
            platform: "linux/amd64".to_owned(),
            cpus: 4,
            memory_bytes: 8 << 30,
        })
    }

    async fn image_present(&self, image: &ImageRef) -> Result<bool, RuntimeError> {
        self.request(Op::ImagePresent, &image.name).await?;
        Ok(self.lock().images.get(&image.name).is_some_and(|i| i.present))
    }

    async fn image_fetched_at(&self, image: &ImageRef) -> Result<Option<Timestamp>, RuntimeError> {
        self.request(Op::ImagePresent, &image.name).await?;
        let world = self.lock();
        Ok(world.images.get(&image.name).filter(|i| i.present).and_then(|i| i.fetched_at))
    }

    async fn pull(
        &self,
        image: &ImageRef,
        _credential: Option<&Credential>,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<(), RuntimeError> {
        self.request(Op::Pull, &image.name).await?;
        let script = self.lock().pulls.get_mut(&image.name).and_then(VecDeque::pop_front);
        progress(PullProgress { status: format!("Pulling {image}"), ..Default::default() });
        if let Some(pull) = script {
            tokio::time::sleep(pull.takes).await;
            pull.result?;
        }
        self.lock().reachable()?;
        self.add_image(&image.name);
        Ok(())
    }

    async fn networks(&self, labels: &Labels) -> Result<Vec<Network>, RuntimeError> {
        self.request(Op::Networks, "").await?;
        let world = self.lock();
        Ok(world.networks.values().filter(|n| matches(&n.labels, labels)).cloned().collect())
    }

    async fn create_network(&self, request: &NetworkRequest) -> Result<(), RuntimeError> {
        self.request(Op::CreateNetwork, &request.name).await?;
        let mut world = self.lock();
        if world.has_network(&request.name) {
            let message = format!("network with name {} already exists", request.name);
            return Err(RuntimeError::Conflict { message });
        }
        world.refuse_taken(request)?;
        let id = format!("net{:08}", world.next_serial());
        world.requests.insert(id.clone(), request.clone());
        let labels = request.labels.clone();
        world.networks.insert(id.clone(), Network { id, name: request.name.clone(), labels });
        Ok(())
    }

    async fn remove_network(&self, id: &str) -> Result<(), RuntimeError> {
        self.request(Op::RemoveNetwork, id).await?;
        let mut world = self.lock();
        let Some(network) = world.networks.get(id).cloned() else {
            return Err(RuntimeError::NotFound { message: format!("network {id} not found") });
        };
        let uses = |f: &Fake| {
            f.seen.status.is_alive() && f.request.networks.iter().any(|n| n.network == network.name)
        };
        if world.containers.values().any(uses) {
            let message = format!("network {} has active endpoints", network.name);
            return Err(RuntimeError::Conflict { message });
        }
        world.networks.remove(id);
        world.requests.remove(id);
        Ok(())
    }

    async fn volume(&self, name: &str) -> Result<Option<Volume>, RuntimeError> {
        let world = self.lock();
        world.reachable()?;
        Ok(world.volumes.get(name).cloned())
    }

    async fn create_volume(&self, request: &VolumeRequest) -> Result<(), RuntimeError> {
        self.request(Op::CreateVolume, &request.name).await?;
        let volume = Volume { name: request.name.clone(), labels: request.labels.clone() };
        self.lock().volumes.entry(request.name.clone()).or_insert(volume);
        Ok(())
    }

    async fn remove_volume(&self, name: &str) -> Result<(), RuntimeError> {
        self.request(Op::RemoveVolume, name).await?;
        let mut world = self.lock();
        let mounts = |f: &Fake| {
            f.request.spec.mounts.iter().any(
                |m| matches!(&m.source, MountSource::Volume { name: mounted, .. } if mounted == name),
            )
        };
        if world.containers.values().any(mounts) {
            return Err(RuntimeError::Conflict { message: format!("volume {name} is in use") });
        }
        match world.volumes.remove(name) {
            Some(_) => Ok(()),
            None => Err(RuntimeError::NotFound { message: format!("no such volume: {name}") }),
        }
    }

    async fn list(&self, labels: &Labels) -> Result<Vec<ContainerSummary>, RuntimeError> {
        self.request(Op::List, "").await?;
        let world = self.lock();
        let found = world.containers.values().filter(|f| matches(&f.request.labels, labels));
        Ok(found
            .map(|f| ContainerSummary {
                id: f.seen.id.clone(),
                name: f.seen.name.clone(),
                labels: f.request.labels.clone(),
                status: f.seen.status,
            })
            .collect())
    }

    async fn inspect(&self, id: &str) -> Result<Container, RuntimeError> {
        self.request(Op::Inspect, id).await?;
        self.lock().container(id).map(|f| f.seen.clone())
    }

    async fn create(&self, request: &ContainerRequest) -> Result<String, RuntimeError> {
        self.request(Op::Create, &request.name).await?;
        let now = self.now();
        let mut world = self.lock();
        if let Some(other) = world.find_mut(&request.name) {
            let message = format!(
                "The container name \"/{}\" is already in use by container \"{}\"",
                request.name, other.seen.id
            );
            return Err(RuntimeError::Conflict { message });
        }
        let image = world.images.get(&request.spec.image).cloned().unwrap_or_default();
        let is_there = |i: &ImageRef| world.images.get(&i.name).is_some_and(|i| i.present);
        if let Some(missing) = ImageRef::all(&request.spec).find(|i| !is_there(i)) {
            let name = missing.name;
            let message = format!("No such image: {name}");
            return Err(RuntimeError::ImageNotFound { image: name, message });
        }
        let missing = request.networks.iter().find(|n| !world.has_network(&n.network));
        if let Some(missing) = missing {
            let message = format!("network {} not found", missing.network);
            return Err(RuntimeError::NotFound { message });
        }
        if let Some(lead) = &request.lead {
            world.container(lead)?;
        }
        let serial = world.next_serial();
        let mut fake = Fake::new(request, &image, serial, now);
        for join in &request.networks {
            let own = world.free_address(&join.network);
            fake.seen.addresses.extend(own.map(|address| (join.network.clone(), address)));
        }
        let id = fake.seen.id.clone();
        world.containers.insert(id.clone(), fake);
        world.emit(&id, EventAction::Created);
        Ok(id)
    }

    async fn start(&self, id: &str) -> Result<(), RuntimeError> {
        self.request(Op::Start, id).await?;
        let now = self.now();
        let mut world = self.lock();
        let missing = {
            let networks: Vec<_> =
                world.container(id)?.request.networks.iter().map(|n| n.network.clone()).collect();
            networks.into_iter().find(|n| !world.has_network(n))
        };
        if let Some(missing) = missing {
            let message = format!("network {missing} not found");
            return Err(RuntimeError::NotFound { message });
        }
        if let Some(lead) = world.container(id)?.request.lead.clone()
            && !world.container(&lead)?.seen.status.is_alive()
        {
            let message = format!("cannot join network of a non running container: {lead}");
            return Err(RuntimeError::Conflict { message });
        }
        let fake = world.container(id)?;
        if fake.seen.status.is_alive() {
            return Ok(());
        }
        if let Some(program) = fake.argv().first().filter(|a| a.starts_with("/nonexistent")) {
            let message = format!("exec: \"{program}\": stat {program}: no such file or directory");
            fake.seen.exit_code = Some(127);
            fake.seen.error = Some(message.clone());
            return Err(RuntimeError::Refused { status: 400, message });
        }
        fake.run += 1;
        fake.seen.status = ContainerStatus::Running;
        // Two runs never begin at the same time.
        fake.seen.started_at = fake.seen.started_at.map(|t| Timestamp(t.0 + 1)).max(Some(now));
        fake.seen.finished_at = None;
        fake.seen.exit_code = None;
        fake.seen.oom_killed = false;
        fake.seen.error = None;
        fake.seen.health = if fake.health.is_some() { Health::Starting } else { Health::None };
        let (id, run) = (fake.seen.id.clone(), fake.run);
        let (program, health) = (fake.program.clone(), fake.health.clone());
        world.emit(&id, EventAction::Started);
        drop(world);
        if let Some(check) = health {
            tokio::spawn(self.clone().check(id.clone(), run, check));
        }
        if program.actions.first() != Some(&Action::Forever) {
            tokio::spawn(self.clone().play(id, run, program));
        }
        Ok(())
    }

    /// They never get lost.
    async fn restore_files(&self, id: &str, _: &[AssignedFile]) -> Result<(), RuntimeError> {
        self.lock().container(id).map(drop)
    }

    async fn stop(&self, id: &str) -> Result<(), RuntimeError> {
        self.end(id, None).await
    }

    async fn stop_within(&self, id: &str, most: Duration) -> Result<(), RuntimeError> {
        self.end(id, Some(most)).await
    }

    async fn remove(&self, id: &str) -> Result<(), RuntimeError> {
        self.request(Op::Remove, id).await?;
        self.lock().container(id)?;
        self.remove_behind(id);
        self.output.send_modify(|n| *n += 1);
        Ok(())
    }

    async fn logs(&self, id: &str, query: &LogQuery) -> Result<LogStream, RuntimeError> {
        self.request(Op::Logs, id).await?;
        let since = query.since.unwrap_or_default();
        let (id, old) = {
            let mut world = self.lock();
            let fake = world.container(id)?;
            (fake.seen.id.clone(), fake.logs.clone())
        };
        let next = old.len();
        let mut old: Vec<_> = old.into_iter().filter(|l| l.at >= since).collect();
        if let Some(tail) = query.tail {
            old.drain(..old.len().saturating_sub(tail as usize));
        }
        let old = stream::iter(old.into_iter().map(Ok));
        if !query.follow {
            return Ok(old.boxed());
        }
        let follow = stream::unfold(
            (self.clone(), self.output.subscribe(), id, next),
            |(fake, mut output, id, next)| async move {
                loop {
                    output.mark_unchanged();
                    let (line, alive) = {
                        let mut world = fake.lock();
                        let found = world.find_mut(&id)?;
                        (found.logs.get(next).cloned(), found.seen.status.is_alive())
                    };
                    if let Some(line) = line {
                        return Some((Ok(line), (fake, output, id, next + 1)));
                    }
                    if !alive || output.changed().await.is_err() {
                        return None;
                    }
                }
            },
        );
        Ok(old.chain(follow).boxed())
    }

    async fn events(&self, labels: &Labels) -> Result<EventStream, RuntimeError> {
        self.request(Op::Events, "").await?;
        let (events, labels) = (self.lock().events.subscribe(), labels.clone());
        let all = stream::unfold(events, |mut events| async move {
            loop {
                match events.recv().await {
                    Ok(event) => return Some((Ok(event), events)),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        });
        let wanted = move |e: &Result<EngineEvent, RuntimeError>| {
            futures::future::ready(e.as_ref().map_or(true, |e| matches(&e.labels, &labels)))
        };
        Ok(all.filter(wanted).boxed())
    }

    async fn stats(&self, id: &str) -> Result<Stats, RuntimeError> {
        self.request(Op::Stats, id).await?;
        let now = self.now();
        let mut world = self.lock();
        let fake = world.container(id)?;
        if !fake.seen.status.is_alive() {
            return Ok(Stats::default());
        }
        let ran = fake.seen.started_at.map_or(0, |started| now.0.saturating_sub(started.0));
        let Usage { cpu_permille, memory_bytes, received, sent } = fake.usage;
        Ok(Stats {
            // Milliseconds and thousandths make microseconds.
            cpu_ns: ran * cpu_permille * 1_000,
            memory_bytes,
            received_bytes: ran * received / 1_000,
            sent_bytes: ran * sent / 1_000,
        })
    }

    async fn exec(&self, id: &str, request: &ExecCommand) -> Result<Exec, RuntimeError> {
        self.request(Op::Exec, id).await?;
        self.execute(id, request)
    }

    async fn path(&self, id: &str, path: &str) -> Result<PathInfo, RuntimeError> {
        self.request(Op::Path, id).await?;
        self.lock().container(id)?.tree.info(path)
    }

    async fn copy_out(&self, id: &str, path: &str) -> Result<TarStream, RuntimeError> {
        self.request(Op::CopyOut, id).await?;
        let tar = Bytes::from(self.lock().container(id)?.tree.pack(path)?);
        let pieces: Vec<Bytes> =
            (0..tar.len()).step_by(PIECE).map(|i| tar.slice(i..tar.len().min(i + PIECE))).collect();
        Ok(stream::iter(pieces.into_iter().map(Ok)).boxed())
    }

    async fn copy_in(&self, id: &str, path: &str, mut tar: TarSource) -> Result<(), RuntimeError> {
        self.request(Op::CopyIn, id).await?;
        self.lock().container(id)?.tree.info(path)?;
        let mut bytes = Vec::new();
        while let Some(piece) = tar.next().await {
            let piece = piece.map_err(|e| RuntimeError::BrokenOff { source: e.into() })?;
            bytes.extend_from_slice(&piece);
        }
        self.lock().container(id)?.tree.unpack(path, &bytes)
    }

    async fn connect(&self, id: &str, port: u16) -> Result<Connection, RuntimeError> {
        self.request(Op::Connect, id).await?;
        let mut world = self.lock();
        let fake = world.container(id)?;
        let container = id.to_owned();
        if !fake.seen.status.is_alive() {
            return Err(RuntimeError::NotRunning {
                message: format!("Container {id} is not running"),
            });
        }
        if fake.seen.addresses.is_empty() {
            return Err(RuntimeError::NoNetwork { container });
        }
        if !fake.program.ports.contains(&port) {
            let source = std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into();
            return Err(RuntimeError::PortUnreachable { container, port, source });
        }
        let (run, engine, held) = (fake.run, self.clone(), fake.seen.id.clone());
        let (ours, theirs) = tokio::io::duplex(PIECE);
        tokio::spawn(async move {
            let (mut from, mut to) = tokio::io::split(theirs);
            tokio::select! {
                // Ends with what it is sent.
                _ = tokio::io::copy(&mut from, &mut to) => drop(to.shutdown().await),
                () = engine.until_ended(&held, run) => {}
            }
        });
        Ok(Connection(Box::new(ours)))
    }
}
