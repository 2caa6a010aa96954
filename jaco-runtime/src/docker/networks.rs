//! Networks and volumes of the engine.

use bollard::{
    models::{
        Ipam, IpamConfig, NetworkCreateRequest, NetworkDisconnectRequest, VolumeCreateRequest,
    },
    query_parameters::{InspectNetworkOptions, ListNetworksOptionsBuilder, RemoveVolumeOptions},
};

use super::{DockerRuntime, containers::label_filter, error::Engine as _, needs};
use crate::container::{Labels, Network, NetworkRequest, RuntimeError, Volume, VolumeRequest};

fn map(labels: &Labels) -> std::collections::HashMap<String, String> {
    labels.iter().map(|(k, v)| (k.clone(), v.clone())).collect()
}

impl DockerRuntime {
    pub(super) async fn list_networks(
        &self,
        labels: &Labels,
    ) -> Result<Vec<Network>, RuntimeError> {
        let filter = label_filter(labels);
        let options = ListNetworksOptionsBuilder::default().filters(&filter).build();
        let found = self.client().await?.list_networks(Some(options)).await;
        Ok(found
            .engine(self, "networks")?
            .into_iter()
            .map(|n| Network {
                id: n.id.unwrap_or_default(),
                name: n.name.unwrap_or_default(),
                labels: n.labels.unwrap_or_default().into_iter().collect(),
            })
            .collect())
    }

    /// Engines before API 1.44 let two networks have one name, so the name is looked for first.
    pub(super) async fn make_network(&self, request: &NetworkRequest) -> Result<(), RuntimeError> {
        let existing = self.list_networks(&Labels::new()).await?;
        if existing.iter().any(|n| n.name == request.name) {
            let message = format!("network with name {} already exists", request.name);
            return Err(RuntimeError::Conflict { message });
        }
        let client = self.client().await?;
        let known = needs::known_to(&request.driver_opts, client.client_version());
        let body = NetworkCreateRequest {
            name: request.name.clone(),
            driver: Some("bridge".to_owned()),
            internal: Some(request.internal),
            options: Some(map(&known)),
            labels: Some(map(&request.labels)),
            ipam: request.addresses.map(|(subnet, gateway)| Ipam {
                config: Some(vec![IpamConfig {
                    subnet: Some(subnet.to_string()),
                    gateway: Some(gateway.to_string()),
                    ..IpamConfig::default()
                }]),
                ..Ipam::default()
            }),
            ..NetworkCreateRequest::default()
        };
        let made = client.create_network(body).await.engine(self, "create network");
        match (made, request.addresses) {
            // What it forbids of a network whose name it takes is its addresses and its bridge.
            (Err(RuntimeError::Refused { status: 403, message }), Some((subnet, _))) => {
                Err(RuntimeError::AddressesTaken { subnet, message })
            }
            (made, _) => made.map(drop),
        }
    }

    /// What the engine has left there of containers that are gone is taken off the network first: it never does that
    /// by itself, and refuses until then ("has active endpoints").
    pub(super) async fn drop_network(&self, id: &str) -> Result<(), RuntimeError> {
        match self.drop_empty_network(id).await {
            Err(RuntimeError::Conflict { message }) => {
                if !self.take_off_the_gone(id).await? {
                    return Err(RuntimeError::Conflict { message });
                }
                tracing::info!(
                    network = id,
                    "what was left of containers that are gone is taken off"
                );
                self.drop_empty_network(id).await
            }
            other => other,
        }
    }

    /// Takes off a network what belongs to no container any more; false when there was nothing.
    async fn take_off_the_gone(&self, id: &str) -> Result<bool, RuntimeError> {
        let client = self.client().await?;
        let none = None::<InspectNetworkOptions>;
        let found = client.inspect_network(id, none).await.engine(self, "network")?;
        let attached = found.containers.unwrap_or_default();
        let names: Vec<String> = attached.into_values().filter_map(|at| at.name).collect();
        let mut any = false;
        for name in names.into_iter().filter(|name| !name.is_empty()) {
            match self.inspect_container(&name).await {
                // One that is being made is there before it is attached.
                Err(error) if error.is_not_found() => {}
                Ok(_) => continue,
                Err(error) => return Err(error),
            }
            let gone = NetworkDisconnectRequest { container: name, force: Some(true) };
            client.disconnect_network(id, gone).await.engine(self, "disconnect")?;
            any = true;
        }
        Ok(any)
    }

    /// The engine answers 403 while a container is attached.
    async fn drop_empty_network(&self, id: &str) -> Result<(), RuntimeError> {
        match self.client().await?.remove_network(id).await.engine(self, "remove network") {
            Err(RuntimeError::Refused { status: 403, message }) => {
                Err(RuntimeError::Conflict { message })
            }
            other => other,
        }
    }

    pub(super) async fn look_for_volume(&self, name: &str) -> Result<Option<Volume>, RuntimeError> {
        match self.client().await?.inspect_volume(name).await.engine(self, "volume") {
            Ok(found) => {
                Ok(Some(Volume { name: found.name, labels: found.labels.into_iter().collect() }))
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn make_volume(&self, request: &VolumeRequest) -> Result<(), RuntimeError> {
        let body = VolumeCreateRequest {
            name: Some(request.name.clone()),
            driver: Some(request.driver.clone()).filter(|d| !d.is_empty()),
            driver_opts: Some(map(&request.driver_opts)),
            labels: Some(map(&request.labels)),
            ..VolumeCreateRequest::default()
        };
        self.client().await?.create_volume(body).await.engine(self, "create volume").map(drop)
    }

    pub(super) async fn drop_volume(&self, name: &str) -> Result<(), RuntimeError> {
        let client = self.client().await?;
        client.remove_volume(name, None::<RemoveVolumeOptions>).await.engine(self, "remove volume")
    }
}
