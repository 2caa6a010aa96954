//! Proves the network of this node after a start, before it counts as ready.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jaco_api::model::{NodeCondition, NodeName};
use jaco_runtime::reconcile::EngineStatus;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use crate::{
    node::{doctor::NodeDoctor, plane::outstanding},
    retry::Backoff,
    rpc::Membership,
};

/// How long everything may be coming up before what is missing is told.
const SETTLING: Duration = Duration::from_secs(5);

/// Whether the network of this node was proved since the daemon started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Not yet.
    #[default]
    Outstanding,
    /// Not after a while, and what is missing.
    Failing(String),
    /// It was. What breaks later is repaired by the agents and found by the doctor.
    Proved,
}

/// What is proved, and after what.
pub(crate) struct Proving {
    pub(crate) doctor: NodeDoctor,
    /// Nothing is known of what must be there before.
    pub(crate) caught_up: watch::Receiver<bool>,
    /// It makes bridges when it comes up.
    pub(crate) engine: watch::Receiver<EngineStatus>,
}

/// Looks until everything holds, then keeps that until the node stops.
pub(crate) async fn prove(
    membership: Arc<Membership>,
    mut proving: Proving,
    proof: watch::Sender<Proof>,
) {
    if proving.caught_up.wait_for(|caught_up| *caught_up).await.is_err() {
        return;
    }
    let told_from = Instant::now() + SETTLING;
    let mut pauses = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
    loop {
        proving.engine.borrow_and_update();
        let findings = proving.doctor.network().await;
        let Some(missing) = outstanding(&findings, &peers(&membership)) else { break };
        if Instant::now() >= told_from {
            let failing = Proof::Failing(missing);
            let news = proof.send_if_modified(|present| {
                let differs = *present != failing;
                present.clone_from(&failing);
                differs
            });
            if let (true, Proof::Failing(missing)) = (news, failing) {
                tracing::warn!(missing, "this node's network does not hold yet");
            }
        }
        tokio::select! {
            () = sleep(pauses.pause()) => {}
            Ok(()) = proving.engine.changed() => {}
        }
    }
    tracing::info!("this node's network is proved");
    proof.send_replace(Proof::Proved);
    proof.closed().await;
}

/// The other members that have an end of the mesh, and whether they are heard of.
fn peers(membership: &Membership) -> BTreeMap<NodeName, bool> {
    let state = membership.state.newest();
    let others = state.nodes().filter(|node| node.id != membership.id);
    others
        .filter(|node| node.facts.mesh.is_some() && node.mesh_address.is_some())
        .map(|node| (node.name.clone(), node.condition != NodeCondition::Down))
        .collect()
}
