//! A cluster in memory: it serves the whole API from plain tables, without a node behind it.
//!
//! Tables are edited with [`FakeCluster::edit`]; followers see every edit. Calls that change
//! something are remembered and change the tables in the simplest way. It decides nothing: it is no
//! model of scheduling.

mod certs;
mod containers;
mod files;
mod members;
mod serve;
mod services;
mod streams;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use jaco_api::{
    error::ApiError,
    model::{
        AuditEvent, ClusterStatus, DeploymentName, DeploymentStatus, OperatorToken, ReplicaEvent,
        ReplicaId, ReplicaStatus,
    },
};
use tokio::sync::watch;

pub use jaco_api::pb;

/// What the cluster holds.
#[derive(Debug, Default)]
pub struct Tables {
    /// Answer to `cluster status`.
    pub cluster: ClusterStatus,
    /// Members.
    pub nodes: Vec<pb::NodeSummary>,
    /// Their ends of the mesh, as they say themselves.
    pub meshes: BTreeMap<String, pb::MeshStatus>,
    /// Why none of them says so.
    pub silent: Option<String>,
    /// Deployments.
    pub deployments: BTreeMap<DeploymentName, DeploymentStatus>,
    /// Replicas.
    pub replicas: BTreeMap<ReplicaId, ReplicaStatus>,
    /// Revisions by deployment, newest first.
    pub history: BTreeMap<DeploymentName, Vec<pb::RevisionSummary>>,
    /// Specifications by deployment, as JSON.
    pub documents: BTreeMap<DeploymentName, String>,
    /// What applies differ in.
    pub differences: Vec<pb::Difference>,
    /// Transitions of replicas.
    pub events: Vec<ReplicaEvent>,
    /// Output.
    pub logs: Vec<pb::LogBatch>,
    /// Audit events.
    pub audit: Vec<AuditEvent>,
    /// Tokens.
    pub tokens: Vec<OperatorToken>,
    /// Secrets and configs, by kind and name.
    pub files: BTreeMap<(i32, String), pb::FileSummary>,
    /// Certificates, by domain.
    pub certificates: BTreeMap<String, pb::CertificateSummary>,
    /// What nodes say that they serve for a domain.
    pub served: Vec<pb::NodeRoutes>,
    /// Listeners of every node.
    pub listeners: Vec<pb::Listener>,
    /// Settings.
    pub settings: BTreeMap<String, String>,
    /// Errors that the next calls are answered with.
    pub refusals: VecDeque<ApiError>,
    /// Every call: its name, and what identifies it.
    pub calls: Vec<String>,
    /// The `authorization` header of every call.
    pub authorizations: Vec<Option<String>>,
    /// What nodes and replicas use.
    pub usage: Vec<pb::UsageReport>,
    /// What nodes find of themselves.
    pub reports: Vec<pb::DoctorReport>,
    /// What commands answer, in order; one that ends without an exit code is still running.
    pub command: Vec<pb::ExecOutput>,
    /// What commands were sent: their standard input, then other inputs as words.
    pub typed: Vec<String>,
    /// What is at the paths of every container.
    pub paths: BTreeMap<String, pb::PathInfo>,
    /// Archives of the paths of every container; what is copied in is put here.
    pub archives: BTreeMap<String, Vec<u8>>,
    /// Whether streams that follow stay open behind what there is, until they are cut.
    pub stays: bool,
    /// Breaks every open stream when it changes.
    pub cut: u64,
}

/// A cluster in memory. Clones are the same cluster.
#[derive(Debug, Clone)]
pub struct FakeCluster {
    tables: Arc<Mutex<Tables>>,
    version: watch::Sender<u64>,
}

impl Default for FakeCluster {
    fn default() -> Self {
        Self { tables: Arc::default(), version: watch::Sender::new(1) }
    }
}

impl FakeCluster {
    /// Looks at or changes the tables; followers are told.
    pub fn edit<T>(&self, change: impl FnOnce(&mut Tables) -> T) -> T {
        let value = change(&mut self.tables.lock().unwrap_or_else(PoisonError::into_inner));
        self.version.send_modify(|v| *v += 1);
        value
    }

    /// Looks at the tables.
    pub fn read<T>(&self, look: impl FnOnce(&Tables) -> T) -> T {
        look(&self.tables.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds a deployment.
    pub fn insert(&self, deployment: DeploymentStatus) {
        self.edit(|t| t.deployments.insert(deployment.name.clone(), deployment));
    }

    /// Adds a replica.
    pub fn insert_replica(&self, replica: ReplicaStatus) {
        self.edit(|t| t.replicas.insert(replica.id.clone(), replica));
    }

    /// Answers the next call with this error.
    pub fn refuse(&self, error: ApiError) {
        self.edit(|t| t.refusals.push_back(error));
    }

    /// Every call so far.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        self.read(|t| t.calls.clone())
    }
}
