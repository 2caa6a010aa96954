//! Containers of the engine.

use std::{collections::HashMap, net::IpAddr, time::Duration};

use bollard::{
    models::{
        ContainerInspectResponse, ContainerStateStatusEnum as State, ContainerSummaryStateEnum,
        HealthStatusEnum, NetworkConnectRequest,
    },
    query_parameters::{
        CreateContainerOptionsBuilder, InspectContainerOptions, ListContainersOptionsBuilder,
        RemoveContainerOptionsBuilder, StartContainerOptions, StatsOptionsBuilder,
        StopContainerOptions,
    },
};
use futures::StreamExt;
use jaco_api::model::{Health, Timestamp};

use super::{DockerRuntime, STOP_PATIENCE, body, error::Engine as _, needs};
use crate::container::{
    Container, ContainerRequest, ContainerStatus, ContainerSummary, ImageRef, Labels, RuntimeError,
    Stats,
};

/// The engine's filter for these labels.
pub(super) fn label_filter(labels: &Labels) -> HashMap<String, Vec<String>> {
    let wanted: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    if wanted.is_empty() { HashMap::new() } else { HashMap::from([("label".to_owned(), wanted)]) }
}

/// A time as the engine writes it; its zero means never.
pub(super) fn time(text: Option<&str>) -> Option<Timestamp> {
    text.and_then(|t| t.parse().ok())
}

impl DockerRuntime {
    pub(super) async fn list_containers(
        &self,
        labels: &Labels,
    ) -> Result<Vec<ContainerSummary>, RuntimeError> {
        let filter = label_filter(labels);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filter).build();
        let found =
            self.client().await?.list_containers(Some(options)).await.engine(self, "list")?;
        Ok(found
            .into_iter()
            .map(|c| ContainerSummary {
                id: c.id.unwrap_or_default(),
                name: c.names.into_iter().flatten().next().map(|n| bare(&n)).unwrap_or_default(),
                labels: c.labels.unwrap_or_default().into_iter().collect(),
                status: c.state.map_or(ContainerStatus::Dead, listed),
            })
            .collect())
    }

    pub(super) async fn inspect_container(&self, id: &str) -> Result<Container, RuntimeError> {
        let found =
            self.client().await?.inspect_container(id, None::<InspectContainerOptions>).await;
        Ok(container(found.engine(self, "inspect")?))
    }

    /// Creates it on its first network and joins the others; when that fails nothing is left.
    pub(super) async fn make_container(
        &self,
        request: &ContainerRequest,
    ) -> Result<String, RuntimeError> {
        let client = self.client().await?;
        needs::check(request, client.client_version())?;
        let mut options = CreateContainerOptionsBuilder::default().name(&request.name);
        if let Some(platform) = &request.spec.platform {
            options = options.platform(platform);
        }
        let files = self.provide_files(&request.name, &request.files).await?;
        let body = body::container(request, &files);
        let created = client.create_container(Some(options.build()), body).await;
        if created.is_err() {
            self.withdraw_files(&files);
        }
        let id = match created.engine(self, "create") {
            Ok(created) => {
                for warning in created.warnings {
                    tracing::warn!(container = request.name, warning, "the engine warns");
                }
                created.id
            }
            Err(RuntimeError::NotFound { message }) => {
                // The engine answers the same for every part that is missing.
                for image in ImageRef::all(&request.spec) {
                    if !self.look_for_image(&image).await? {
                        return Err(RuntimeError::ImageNotFound { image: image.name, message });
                    }
                }
                return Err(RuntimeError::NotFound { message });
            }
            Err(error) => return Err(error),
        };
        for join in request.networks.iter().skip(1) {
            let endpoint_config = Some(body::endpoint(join));
            let connect = NetworkConnectRequest { container: id.clone(), endpoint_config };
            let joined = client.connect_network(&join.network, connect).await;
            if let Err(error) = joined.engine(self, "connect") {
                if let Err(left) = self.drop_container(&id).await {
                    tracing::warn!(container = id, error = %left, "a half made container is left");
                }
                return Err(error);
            }
        }
        Ok(id)
    }

    pub(super) async fn start_container(&self, id: &str) -> Result<(), RuntimeError> {
        let client = self.client().await?;
        client.start_container(id, None::<StartContainerOptions>).await.engine(self, "start")
    }

    /// Without a time the engine takes the container's own.
    pub(super) async fn stop_container(
        &self,
        id: &str,
        most: Option<Duration>,
    ) -> Result<(), RuntimeError> {
        let client = self.client().await?.with_timeout(STOP_PATIENCE);
        let seconds = |most: Duration| most.as_millis().div_ceil(1000).try_into();
        let options = most.map(|most| StopContainerOptions {
            t: Some(seconds(most).unwrap_or(i32::MAX)),
            ..StopContainerOptions::default()
        });
        client.stop_container(id, options).await.engine(self, "stop")
    }

    pub(super) async fn drop_container(&self, id: &str) -> Result<(), RuntimeError> {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        let homes = self.homes_of(id).await?;
        let client = self.client().await?;
        client.remove_container(id, Some(options)).await.engine(self, "remove")?;
        self.discard_files(&homes);
        Ok(())
    }

    pub(super) async fn read_stats(&self, id: &str) -> Result<Stats, RuntimeError> {
        let options = StatsOptionsBuilder::default().stream(false).one_shot(true).build();
        let client = self.client().await?;
        let first = client.stats(id, Some(options)).boxed().next().await;
        let Some(stats) = first.transpose().engine(self, "stats")? else {
            return Ok(Stats::default());
        };
        let memory = stats.memory_stats.unwrap_or_default();
        let cache = memory
            .stats
            .as_ref()
            .and_then(|s| s.get("inactive_file").or_else(|| s.get("total_inactive_file")).copied());
        let networks = stats.networks.unwrap_or_default();
        let cpu = stats.cpu_stats.and_then(|c| c.cpu_usage).and_then(|u| u.total_usage);
        Ok(Stats {
            cpu_ns: cpu.unwrap_or_default(),
            memory_bytes: memory.usage.unwrap_or_default().saturating_sub(cache.unwrap_or(0)),
            received_bytes: networks.values().filter_map(|n| n.rx_bytes).sum(),
            sent_bytes: networks.values().filter_map(|n| n.tx_bytes).sum(),
        })
    }
}

fn bare(name: &str) -> String {
    name.trim_start_matches('/').to_owned()
}

fn listed(state: ContainerSummaryStateEnum) -> ContainerStatus {
    use ContainerSummaryStateEnum as S;
    match state {
        S::CREATED => ContainerStatus::Created,
        S::RUNNING | S::STOPPING => ContainerStatus::Running,
        S::PAUSED => ContainerStatus::Paused,
        S::RESTARTING => ContainerStatus::Restarting,
        S::REMOVING => ContainerStatus::Removing,
        S::EXITED => ContainerStatus::Exited,
        S::DEAD | S::EMPTY => ContainerStatus::Dead,
    }
}

fn inspected(state: State) -> ContainerStatus {
    match state {
        State::CREATED => ContainerStatus::Created,
        State::RUNNING | State::STOPPING => ContainerStatus::Running,
        State::PAUSED => ContainerStatus::Paused,
        State::RESTARTING => ContainerStatus::Restarting,
        State::REMOVING => ContainerStatus::Removing,
        State::EXITED => ContainerStatus::Exited,
        State::DEAD | State::EMPTY => ContainerStatus::Dead,
    }
}

fn container(found: ContainerInspectResponse) -> Container {
    let state = found.state.unwrap_or_default();
    let status = state.status.map_or(ContainerStatus::Dead, inspected);
    let health = state.health.unwrap_or_default();
    let last = health.log.unwrap_or_default().pop();
    let networks = found.network_settings.and_then(|n| n.networks).unwrap_or_default();
    let address = |text: Option<String>| text.and_then(|t| t.parse::<IpAddr>().ok());
    Container {
        id: found.id.unwrap_or_default(),
        name: bare(&found.name.unwrap_or_default()),
        labels: found.config.and_then(|c| c.labels).unwrap_or_default().into_iter().collect(),
        status,
        health: match health.status {
            Some(HealthStatusEnum::STARTING) => Health::Starting,
            Some(HealthStatusEnum::HEALTHY) => Health::Healthy,
            Some(HealthStatusEnum::UNHEALTHY) => Health::Unhealthy,
            Some(HealthStatusEnum::NONE | HealthStatusEnum::EMPTY) | None => Health::None,
        },
        health_output: last.and_then(|l| l.output),
        exit_code: state.exit_code.filter(|_| !status.is_alive()),
        oom_killed: state.oom_killed.unwrap_or_default(),
        error: state.error.filter(|e| !e.is_empty()),
        created_at: time(found.created.as_deref()),
        started_at: time(state.started_at.as_deref()),
        finished_at: time(state.finished_at.as_deref()),
        addresses: networks
            .into_iter()
            .filter_map(|(name, endpoint)| Some((name, address(endpoint.ip_address)?)))
            .collect(),
    }
}
