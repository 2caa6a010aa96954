//! The network that a node makes for its containers: its tasks, and what they tell each other.

use std::{net::IpAddr, path::PathBuf, sync::Arc};

use jaco_api::model::{Actor, Fabric, MeshKey, NodeName, Protocol};
use jaco_net::mesh::KeyFile;
use jaco_runtime::reconcile::{EngineStatus, Underlay, UnderlayWatch};
use tokio::sync::{Mutex, watch};

use super::{
    NodeError,
    agents::{
        self, Answering, Bridging, Isolating, Isolation, Kept, Looks, Meshing, Parts, Proof,
        Proving, Published, Serving,
    },
    doctor::NodeDoctor,
    member::Duty,
    mesh_end::MeshEnd,
    mesh_key::{OwnKey, Told},
    plane::Mesh,
    seams::Seams,
};
use crate::rpc::Membership;

/// A network that nobody keeps yet.
pub(super) struct Network {
    key: Option<Arc<OwnKey>>,
    isolation: watch::Sender<Isolation>,
    underlay: watch::Sender<Option<Arc<Underlay>>>,
    proof: watch::Sender<Proof>,
}

impl Network {
    /// Reads the key of the mesh, or makes one. The other members reach its end at this address.
    pub(super) fn prepare(
        seams: &Seams,
        key: PathBuf,
        address: IpAddr,
        node: &NodeName,
    ) -> Result<Self, NodeError> {
        let open = |mesh: &Mesh| {
            let by = Actor::system(Some(node.clone()));
            OwnKey::open(KeyFile::at(key), |key| mesh.facts(key, address), by).map(Arc::new)
        };
        let key = seams.mesh.as_ref().map(open).transpose()?;
        // Without bridges of this kernel there is nothing to be proved.
        let proof = match seams.bridges {
            Some(_) => Proof::Outstanding,
            None => Proof::Proved,
        };
        Ok(Self {
            key,
            isolation: watch::Sender::default(),
            underlay: watch::Sender::default(),
            proof: watch::Sender::new(proof),
        })
    }

    /// Whether deployments are kept apart.
    pub(super) fn isolation(&self) -> watch::Receiver<Isolation> {
        self.isolation.subscribe()
    }

    /// Whether it was proved since the start.
    pub(super) fn proof(&self) -> watch::Receiver<Proof> {
        self.proof.subscribe()
    }

    /// What the node does for its containers; absent when the engine does it all.
    pub(super) fn underlay(&self, seams: &Seams) -> Option<UnderlayWatch> {
        let any = seams.firewall.enforces() || seams.mesh.is_some() || seams.names.is_some();
        any.then(|| self.underlay.subscribe())
    }

    /// What the members are to know of the node's end of the mesh.
    pub(super) fn told(&self) -> watch::Receiver<Option<Told>> {
        self.key.as_ref().map_or_else(|| watch::channel(None).1, |key| key.told())
    }

    /// Keeps it until the part ends.
    pub(super) fn keep(
        self,
        seams: &Seams,
        membership: &Arc<Membership>,
        engine: watch::Receiver<EngineStatus>,
        caught_up: watch::Receiver<bool>,
        duty: &Duty<'_>,
    ) {
        let underlay = self.underlay(seams);
        let (fabrics, fabric) = watch::channel(None);
        let again = watch::Sender::new(0);
        let looks = Looks::new(again.subscribe(), seams.repairs);
        let mut parts = Parts {
            policed: seams.firewall.enforces(),
            isolation: self.isolation.subscribe(),
            answering: None,
            mtu: None,
        };
        if let (Some(mesh), Some(key)) = (seams.mesh.clone(), self.key) {
            let (mtu, measured) = watch::channel(None);
            parts.mtu = Some(measured);
            let (taken, holds) = watch::channel(None);
            let meshing = Meshing {
                mesh: mesh.clone(),
                keys: key.keys(),
                fabric: fabric.clone(),
                looks: looks.clone(),
                mtu,
                taken,
            };
            let end = end(mesh, key, membership, &fabric, holds);
            let slot = seams.mesh_end.clone();
            duty.spawn(async move {
                let _published = Published::new(&slot, end);
                agents::keep_meshed(meshing).await;
            });
        }
        if let Some(naming) = seams.names.clone() {
            let (answering, answered) = watch::channel(Answering::default());
            parts.answering = Some(answered);
            let node = membership.name.clone();
            let tally = Arc::clone(&seams.counters.queries);
            duty.spawn(agents::keep_named(node, naming, tally, fabric.clone(), answering));
        }
        let kept = Kept {
            fabric: fabric.clone(),
            mesh: seams.mesh.clone().zip(parts.mtu.clone()),
            policed: seams.firewall.enforces(),
            names: seams.names.is_some(),
            again: again.clone(),
        };
        duty.spawn(agents::keep_proved(kept, seams.plane.clone()));
        if underlay.is_some() {
            let options = seams.ingress.as_ref();
            let addresses = options.map(|options| [options.http, options.https]);
            let addresses = addresses.into_iter().flatten().flatten();
            let served = addresses.map(|at| (at.port(), Protocol::Tcp)).collect();
            duty.spawn(agents::keep_fabric(Arc::clone(membership), served, fabrics));
            duty.spawn(agents::keep_underlay(parts, self.underlay));
        }
        if let Some(options) = seams.ingress.clone() {
            let serving = Serving {
                served: seams.served.clone(),
                http: options.http,
                https: options.https,
                clock: Arc::clone(&seams.clock),
                meshed: seams.mesh.is_some(),
            };
            duty.spawn(agents::keep_served(Arc::clone(membership), serving));
            duty.spawn(agents::keep_cached(Arc::clone(membership), Arc::clone(&seams.certs)));
        }
        if let Some(bridges) = seams.bridges.clone() {
            duty.spawn(agents::keep_bridged(Bridging {
                bridges,
                runtime: Arc::clone(&seams.runtime),
                cluster: membership.cluster,
                fabric: fabric.clone(),
                isolation: self.isolation.subscribe(),
                looks: looks.clone(),
            }));
            let doctor = NodeDoctor::new(seams, seams.plane.subscribe());
            let proving = Proving { doctor, caught_up, engine: engine.clone() };
            duty.spawn(agents::prove(Arc::clone(membership), proving, self.proof));
        }
        let isolating = Isolating {
            firewall: Arc::clone(&seams.firewall),
            chains: seams.chains.clone(),
            mesh: seams.mesh.clone(),
            fabric,
            engine,
            looks,
            counters: Arc::clone(&seams.counters),
        };
        duty.spawn(agents::isolate(Arc::clone(membership), isolating, self.isolation));
    }
}

/// The node's end of the mesh, for whoever asks.
fn end(
    mesh: Mesh,
    key: Arc<OwnKey>,
    membership: &Arc<Membership>,
    fabric: &watch::Receiver<Option<Arc<Fabric>>>,
    taken: watch::Receiver<Option<MeshKey>>,
) -> Arc<MeshEnd> {
    let (membership, fabric) = (Arc::clone(membership), fabric.clone());
    Arc::new(MeshEnd { mesh, key, membership, fabric, taken, rotating: Mutex::default() })
}

/// Removes what the node made: it belongs to no cluster any more. What cannot be removed is reported and
/// replaced by whatever the next membership makes.
pub(super) async fn remove(seams: &Seams) {
    if let Err(error) = seams.firewall.remove().await {
        tracing::error!(%error, "rules of the cluster are left on this node");
    }
    if let Some(chains) = &seams.chains
        && let Err(error) = chains.unpin().await
    {
        tracing::error!(%error, "accepts for the cluster are left in the engine's chains");
    }
    if let Some(bridges) = &seams.bridges
        && let Err(error) = bridges.sweep(&[]).await
    {
        tracing::error!(%error, "bridges of the cluster are left on this node");
    }
    if let Some(mesh) = &seams.mesh
        && let Err(error) = mesh.device.remove().await
    {
        tracing::error!(%error, "the mesh interface is left on this node");
    }
}
