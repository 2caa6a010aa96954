//! The content of a deployment: what an apply brings, a revision keeps and a rollback restores.

use std::collections::BTreeMap;

use jaco_api::model::{
    NetworkName, NetworkSpec, PlannedService, Revision, RouteSpec, ServiceName, VolumeName,
    VolumeSpec,
};

/// What an apply brings and a revision keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) services: BTreeMap<ServiceName, PlannedService>,
    pub(crate) networks: BTreeMap<NetworkName, NetworkSpec>,
    pub(crate) volumes: BTreeMap<VolumeName, VolumeSpec>,
    pub(crate) routes: Vec<RouteSpec>,
    pub(crate) acme_email: Option<String>,
}

impl Content {
    /// The content of a revision.
    pub(crate) fn of(revision: &Revision) -> Self {
        Self {
            services: revision.services.clone(),
            networks: revision.networks.clone(),
            volumes: revision.volumes.clone(),
            routes: revision.routes.clone(),
            acme_email: revision.acme_email.clone(),
        }
    }
}
