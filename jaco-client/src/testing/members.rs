//! Membership as the fake has it.

use jaco_api::{
    error::{ApiError, ErrorCode},
    pb::*,
};
use tonic::Request;

use super::{
    FakeCluster, Tables,
    services::{Answer, Rows, missing, rows},
};

#[tonic::async_trait]
impl cluster_server::Cluster for FakeCluster {
    async fn init(&self, r: Request<InitRequest>) -> Answer<InitResponse> {
        self.answer(&r, "init".into(), |t| {
            if t.cluster.initialized {
                let code = ErrorCode::ClusterAlreadyInitialized;
                return Err(ApiError::new(code, "this node belongs to a cluster already"));
            }
            t.cluster.initialized = true;
            Ok(InitResponse {
                cluster_id: "0f0e0d0c-0b0a-4009-8807-060504030201".into(),
                token: "ab".repeat(32),
                ca_fingerprint: format!("sha256:{}", "cd".repeat(32)),
                ca_pem: "-----BEGIN CERTIFICATE-----".into(),
                node: "node-a".into(),
                api_addr: "10.0.0.1:7000".into(),
            })
        })
    }
    async fn status(&self, r: Request<ClusterStatusRequest>) -> Answer<ClusterStatusResponse> {
        self.answer(&r, "cluster status".into(), |t| Ok(t.cluster.clone().into()))
    }
    async fn get_settings(&self, r: Request<GetSettingsRequest>) -> Answer<GetSettingsResponse> {
        self.answer(&r, "get settings".into(), |t| {
            Ok(GetSettingsResponse { settings: t.settings.clone() })
        })
    }
    async fn set_setting(&self, r: Request<SetSettingRequest>) -> Answer<GetSettingsResponse> {
        let SetSettingRequest { key, value } = r.get_ref().clone();
        self.answer(&r, format!("set {key}={value}"), |t| {
            t.settings.insert(key, value);
            Ok(GetSettingsResponse { settings: t.settings.clone() })
        })
    }
    async fn join(&self, r: Request<JoinRequest>) -> Answer<JoinResponse> {
        let peer = r.get_ref().peer.clone();
        self.answer(&r, format!("join {peer}"), |t| {
            t.cluster.initialized = true;
            let cluster_id = "0f0e0d0c-0b0a-4009-8807-060504030201".into();
            Ok(JoinResponse { cluster_id, node: t.cluster.node.clone(), node_id: 2 })
        })
    }
    async fn transfer_leader(
        &self,
        r: Request<TransferLeaderRequest>,
    ) -> Answer<TransferLeaderResponse> {
        let to = r.get_ref().node.clone();
        self.answer(&r, format!("transfer leader {to}"), |_| {
            let leader = if to.is_empty() { "node-b".into() } else { to.clone() };
            Ok(TransferLeaderResponse { leader })
        })
    }
    async fn rotate_key(&self, r: Request<RotateKeyRequest>) -> Answer<RotateKeyResponse> {
        self.answer(&r, "rotate key".into(), |_| Ok(RotateKeyResponse { key_id: 2 }))
    }
}

/// The row of a member.
fn named<'a>(t: &'a mut Tables, name: &str) -> Result<&'a mut NodeSummary, ApiError> {
    t.nodes
        .iter_mut()
        .find(|n| n.node.as_ref().is_some_and(|n| n.name == name))
        .ok_or_else(|| missing(ErrorCode::UnknownNode, &format!("node {name}")))
}

/// Changes the row of a member.
fn change(
    t: &mut Tables,
    name: &str,
    change: impl FnOnce(&mut Node),
) -> Result<NodeSummary, ApiError> {
    let summary = named(t, name)?;
    if let Some(node) = &mut summary.node {
        change(node);
    }
    Ok(summary.clone())
}

#[tonic::async_trait]
impl nodes_server::Nodes for FakeCluster {
    type ListStream = Rows<NodeSummary>;
    type DiagnoseStream = Rows<DoctorReport>;
    async fn list(&self, r: Request<ListNodesRequest>) -> Answer<Self::ListStream> {
        self.answer(&r, "nodes".into(), |t| Ok(rows(t.nodes.clone())))
    }
    async fn inspect(&self, r: Request<InspectNodeRequest>) -> Answer<NodeDetail> {
        let name = r.get_ref().node.clone();
        self.answer(&r, format!("node {name}"), |t| {
            let here = t.replicas.values().filter(|r| r.node == *name);
            let replicas = here.map(|r| r.id.to_string()).collect();
            let summary = Some(named(t, &name)?.clone());
            let mesh_unknown = t.silent.clone();
            let mesh = t.meshes.get(&name).filter(|_| mesh_unknown.is_none()).cloned();
            let listeners_unknown = mesh_unknown.clone();
            let listeners = match &listeners_unknown {
                None => t.listeners.clone(),
                Some(_) => Vec::new(),
            };
            Ok(NodeDetail {
                summary,
                replicas,
                mesh,
                mesh_unknown,
                listeners,
                listeners_unknown,
                ..NodeDetail::default()
            })
        })
    }
    async fn issue_join_token(
        &self,
        r: Request<IssueJoinTokenRequest>,
    ) -> Answer<IssueJoinTokenResponse> {
        let ttl = r.get_ref().ttl;
        self.answer(&r, format!("issue join token {ttl}"), |_| {
            Ok(IssueJoinTokenResponse {
                token: "JOIN-TOKEN".into(),
                expires_at: 172_800_000,
                peer: "10.0.0.1:7000".into(),
                ca_fingerprint: format!("sha256:{}", "cd".repeat(32)),
                ca_pem: "-----BEGIN CERTIFICATE-----\n".into(),
            })
        })
    }
    async fn set_availability(&self, r: Request<SetAvailabilityRequest>) -> Answer<NodeSummary> {
        let SetAvailabilityRequest { node, force, availability } = r.get_ref().clone();
        let wanted = r.get_ref().availability().as_str_name();
        self.answer(&r, format!("{node} {wanted} {force}"), |t| {
            change(t, &node, |row| row.availability = availability)
        })
    }
    async fn remove(&self, r: Request<RemoveNodeRequest>) -> Answer<RemoveNodeResponse> {
        let RemoveNodeRequest { node, force } = r.get_ref().clone();
        self.answer(&r, format!("remove {node} {force}"), |t| {
            named(t, &node)?;
            t.nodes.retain(|n| n.node.as_ref().is_none_or(|n| n.name != node));
            Ok(RemoveNodeResponse {})
        })
    }
    async fn label(&self, r: Request<LabelNodeRequest>) -> Answer<NodeSummary> {
        let LabelNodeRequest { node, set, remove } = r.get_ref().clone();
        self.answer(&r, format!("label {node} {set:?} {remove:?}"), |t| {
            change(t, &node, |row| {
                row.labels.retain(|key, _| !remove.contains(key));
                row.labels.extend(set);
            })
        })
    }
    async fn diagnose(&self, r: Request<DiagnoseRequest>) -> Answer<Self::DiagnoseStream> {
        let DiagnoseRequest { node, repair } = r.get_ref().clone();
        self.answer(&r, format!("diagnose {node} {repair}"), |t| {
            if !node.is_empty() {
                named(t, &node)?;
            }
            let of = |report: &&DoctorReport| node.is_empty() || report.node == node;
            Ok(rows(t.reports.iter().filter(of).cloned().collect()))
        })
    }
    async fn rotate_mesh_key(&self, r: Request<RotateMeshKeyRequest>) -> Answer<MeshKeyRotation> {
        let node = r.get_ref().node.clone();
        self.answer(&r, format!("rotate mesh key {node}"), |t| {
            let (former, public_key) = ("01".repeat(32), "02".repeat(32));
            change(t, &node, |row| {
                if let Some(mesh) = row.facts.as_mut().and_then(|facts| facts.mesh.as_mut()) {
                    mesh.public_key.clone_from(&public_key);
                }
            })?;
            Ok(MeshKeyRotation { node: node.clone(), former, public_key })
        })
    }
}
