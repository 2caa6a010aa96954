//! Keeps the node's own row true: what it says of itself and whether it can run work.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Duration};

use jaco_api::model::{Actor, Intent, Node, NodeCondition, NodeFacts, NodeId};
use jaco_runtime::reconcile::EngineStatus;
use tokio::sync::watch;

use super::{Isolation, Proof};
use crate::{
    command::{Command, UpdateNode},
    node::{host, mesh_key::Told, readiness::Readiness},
    retry::Backoff,
    rpc::Membership,
    state::State,
};

/// What the node's row is derived from.
pub(crate) struct Standing {
    pub(crate) api_addr: SocketAddr,
    pub(crate) raft_addr: SocketAddr,
    pub(crate) version: &'static str,
    /// The node's end of the mesh; nothing when it has none.
    pub(crate) mesh: watch::Receiver<Option<Told>>,
    pub(crate) engine: watch::Receiver<EngineStatus>,
    pub(crate) isolation: watch::Receiver<Isolation>,
    pub(crate) proof: watch::Receiver<Proof>,
    pub(crate) caught_up: watch::Receiver<bool>,
    /// Where it is told what the node waits for.
    pub(crate) readiness: watch::Sender<Readiness>,
    /// The replicas that are here, once the engine was looked at.
    pub(crate) holds: watch::Receiver<Option<BTreeSet<String>>>,
}

/// What decides whether the node can run work, and what it says of itself.
#[derive(Debug, Clone)]
struct Able {
    mesh: Option<Told>,
    engine: EngineStatus,
    isolation: Isolation,
    proof: Proof,
}

/// Proposes a change whenever the row is not true, until the state machine stops.
pub(crate) async fn keep_standing(membership: Arc<Membership>, mut standing: Standing) {
    let mut state = membership.state.subscribe();
    let mut pauses = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
    loop {
        let newest = state.newest();
        let able = Able {
            mesh: standing.mesh.borrow_and_update().clone(),
            engine: standing.engine.borrow_and_update().clone(),
            isolation: standing.isolation.borrow_and_update().clone(),
            proof: standing.proof.borrow_and_update().clone(),
        };
        let caught_up = *standing.caught_up.borrow_and_update();
        let readiness = Readiness::of(caught_up, &able.isolation, &able.proof);
        standing.readiness.send_if_modified(|present| {
            let differs = *present != readiness;
            *present = readiness;
            differs
        });
        let tidy = is_tidy(&newest, membership.id, standing.holds.borrow_and_update().as_ref());
        let update = match newest.node(membership.id) {
            Some(node) => correction(node, &standing, &able, tidy),
            None => moved(&membership, &standing),
        };
        if let Some(update) = update {
            let actor = on_behalf(newest.node(membership.id), &update, able.mesh)
                .unwrap_or_else(|| Actor::system(Some(membership.name.clone())));
            match membership.submitter.submit(actor, None, Command::UpdateNode(update)).await {
                Ok(_) => pauses.reset(),
                Err(error) => {
                    tracing::warn!(%error, "this node's row could not be updated");
                    tokio::time::sleep(pauses.pause()).await;
                    continue;
                }
            }
        }
        tokio::select! {
            changed = state.changed() => if changed.is_err() { return },
            Ok(()) = standing.engine.changed() => {}
            Ok(()) = standing.isolation.changed() => {}
            Ok(()) = standing.proof.changed() => {}
            Ok(()) = standing.caught_up.changed() => {}
            Ok(()) = standing.holds.changed() => {}
            Ok(()) = standing.mesh.changed() => {}
        }
    }
}

/// Who brought an update about, unless it is this node itself: whoever wanted another mesh key.
fn on_behalf(row: Option<&Arc<Node>>, update: &UpdateNode, told: Option<Told>) -> Option<Actor> {
    let former = row?.facts.mesh.as_ref()?.public_key;
    let next = update.facts.as_ref()?.mesh.as_ref()?.public_key;
    (former != next).then_some(told?.by)
}

/// Whether nothing is left here that this node does not own. False while that is not known.
fn is_tidy(state: &State, node: NodeId, holds: Option<&BTreeSet<String>>) -> bool {
    let owned: BTreeSet<String> = state
        .replicas_on(node)
        .filter(|replica| replica.intent == Intent::Run)
        .map(|replica| replica.id.to_string())
        .collect();
    holds.is_some_and(|holds| holds.is_subset(&owned))
}

/// New addresses of a node that knows nothing yet but that the group looks for it elsewhere: until it
/// has said so, no leader reaches it.
fn moved(membership: &Membership, standing: &Standing) -> Option<UpdateNode> {
    let status = membership.raft.status();
    let status = status.borrow();
    let known = &status.members.get(&membership.id)?.member;
    let here = (standing.api_addr, standing.raft_addr);
    ((known.api_addr, known.raft_addr) != here).then(|| UpdateNode {
        node: membership.id,
        facts: Some(host::first_facts(here.0, here.1, standing.version)),
        condition: None,
    })
}

/// What must change in the row; nothing while too little is known. Pure.
fn correction(node: &Node, standing: &Standing, able: &Able, tidy: bool) -> Option<UpdateNode> {
    let facts = facts(&node.facts, standing, able);
    let condition = condition(node.condition, able, tidy);
    let facts = (facts != node.facts).then_some(facts);
    let condition = condition.filter(|(c, reason)| (*c, reason) != (node.condition, &node.reason));
    (facts.is_some() || condition.is_some()).then_some(UpdateNode {
        node: node.id,
        facts,
        condition,
    })
}

fn facts(known: &NodeFacts, standing: &Standing, able: &Able) -> NodeFacts {
    let known = NodeFacts {
        api_addr: standing.api_addr,
        raft_addr: standing.raft_addr,
        version: standing.version.to_owned(),
        mesh: able.mesh.as_ref().map(|told| told.facts.clone()),
        ..known.clone()
    };
    match &able.engine {
        EngineStatus::Connecting => known,
        EngineStatus::Down { .. } => NodeFacts { engine: None, ..known },
        EngineStatus::Up(found) => NodeFacts {
            engine: Some(format!("{} {}", found.name, found.version)),
            platform: found.platform.clone(),
            cpu_millis: u64::from(found.cpus) * 1_000,
            memory_bytes: found.memory_bytes,
            ..known
        },
    }
}

/// The condition that is true; nothing while too little is known. A node that was given up comes back
/// only when it has stopped what is no longer its own.
fn condition(
    present: NodeCondition,
    able: &Able,
    tidy: bool,
) -> Option<(NodeCondition, Option<String>)> {
    let engine_is_down = matches!(able.engine, EngineStatus::Down { .. });
    if present == NodeCondition::Down && !tidy && !engine_is_down {
        return None;
    }
    match (&able.isolation, &able.engine, &able.proof) {
        (Isolation::Unavailable(why), _, _) => {
            Some((NodeCondition::IsolationUnavailable, Some(why.clone())))
        }
        (_, EngineStatus::Down { reason }, _) => {
            Some((NodeCondition::Degraded, Some(reason.clone())))
        }
        (Isolation::Loaded(_), EngineStatus::Up(_), Proof::Proved) => {
            Some((NodeCondition::Ready, None))
        }
        // What runs there is answered as before: it may well be reached by some.
        (Isolation::Loaded(_), EngineStatus::Up(_), Proof::Failing(missing)) => {
            Some((NodeCondition::Joining, Some(missing.clone())))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jaco_api::model::{Availability, MeshFacts, MeshKey, MeshKind, NodeStatus, Timestamp};
    use jaco_runtime::container::EngineVersion;

    use super::*;

    fn version() -> EngineVersion {
        EngineVersion {
            name: "Docker".to_owned(),
            version: "20.10".to_owned(),
            api: "1.41".to_owned(),
            platform: "linux/amd64".to_owned(),
            cpus: 2,
            memory_bytes: 8,
        }
    }

    fn row(condition: NodeCondition) -> Node {
        Node {
            id: NodeId(1),
            name: "a".parse().unwrap(),
            status: NodeStatus::Joining,
            condition,
            condition_since: Timestamp(0),
            reason: None,
            availability: Availability::Active,
            forced: false,
            labels: BTreeMap::new(),
            facts: NodeFacts {
                api_addr: "10.0.0.1:7000".parse().unwrap(),
                raft_addr: "10.0.0.1:7001".parse().unwrap(),
                version: "1".to_owned(),
                engine: Some("Docker 20.10".to_owned()),
                platform: "linux/amd64".to_owned(),
                cpu_millis: 2_000,
                memory_bytes: 8,
                mesh: None,
            },
            joined_at: Timestamp(0),
            mesh_address: None,
        }
    }

    fn standing() -> Standing {
        Standing {
            api_addr: "10.0.0.1:7000".parse().unwrap(),
            raft_addr: "10.0.0.1:7001".parse().unwrap(),
            version: "1",
            mesh: watch::channel(None).1,
            engine: watch::channel(EngineStatus::Connecting).1,
            isolation: watch::channel(Isolation::Loaded(BTreeSet::new())).1,
            proof: watch::channel(Proof::Proved).1,
            caught_up: watch::channel(true).1,
            readiness: watch::Sender::default(),
            holds: watch::channel(None).1,
        }
    }

    fn up() -> Able {
        Able {
            mesh: None,
            engine: EngineStatus::Up(version()),
            isolation: Isolation::Loaded(BTreeSet::new()),
            proof: Proof::Proved,
        }
    }

    fn down() -> Able {
        Able { engine: EngineStatus::Down { reason: "no socket".to_owned() }, ..up() }
    }

    #[test]
    fn a_true_row_is_left_alone() {
        let ready = row(NodeCondition::Ready);
        assert_eq!(correction(&ready, &standing(), &up(), true), None);
        let joining = row(NodeCondition::Joining);
        let unknown = Able { engine: EngineStatus::Connecting, ..up() };
        assert_eq!(correction(&joining, &standing(), &unknown, true), None);
    }

    #[test]
    fn another_mesh_key_is_told_in_the_name_of_whoever_wanted_it() {
        let facts = |key| MeshFacts {
            public_key: MeshKey([key; 32]),
            endpoint: "10.0.0.1:51820".parse().unwrap(),
            device: MeshKind::Fake,
            reason: None,
        };
        let boss = Actor { identity: "boss".parse().unwrap(), uid: None, node: None };
        let able = Able { mesh: Some(Told { facts: facts(2), by: boss.clone() }), ..up() };
        let mut present = row(NodeCondition::Ready);
        let update = |row: &Node| correction(row, &standing(), &able, true).unwrap();
        let by = |row: &Node, update: &UpdateNode| {
            on_behalf(Some(&Arc::new(row.clone())), update, able.mesh.clone())
        };
        let first = update(&present);
        assert_eq!(first.facts.as_ref().unwrap().mesh, Some(facts(2)));
        assert_eq!(by(&present, &first), None, "the first key is the node's own doing");
        present.facts.mesh = Some(facts(1));
        assert_eq!(by(&present, &update(&present)), Some(boss));
        let same = UpdateNode { facts: Some(present.facts.clone()), ..update(&present) };
        assert_eq!(by(&present, &same), None);
    }

    #[test]
    fn the_engine_and_the_firewall_decide_what_the_node_can_do() {
        let broken = Able { isolation: Isolation::Unavailable("no nftables".to_owned()), ..up() };
        let condition = |present, able: &Able| {
            correction(&row(present), &standing(), able, false).and_then(|u| u.condition)
        };
        assert_eq!(condition(NodeCondition::Joining, &up()), Some((NodeCondition::Ready, None)));
        assert_eq!(
            condition(NodeCondition::Ready, &down()),
            Some((NodeCondition::Degraded, Some("no socket".to_owned())))
        );
        assert_eq!(
            condition(NodeCondition::Degraded, &broken),
            Some((NodeCondition::IsolationUnavailable, Some("no nftables".to_owned())))
        );
        assert_eq!(condition(NodeCondition::Down, &up()), None);
        let back = correction(&row(NodeCondition::Down), &standing(), &up(), true);
        assert_eq!(back.and_then(|u| u.condition), Some((NodeCondition::Ready, None)));
        let update = correction(&row(NodeCondition::Ready), &standing(), &down(), false).unwrap();
        assert_eq!(update.facts.unwrap().engine, None);
    }

    #[test]
    fn a_node_is_ready_once_its_network_is_proved() {
        let missing = "probe of b: nothing came back".to_owned();
        let (outstanding, failing) = (
            Able { proof: Proof::Outstanding, ..up() },
            Able { proof: Proof::Failing(missing.clone()), ..up() },
        );
        for present in [NodeCondition::Joining, NodeCondition::Ready, NodeCondition::Down] {
            let condition = |able| condition(present, able, true);
            assert_eq!(condition(&outstanding), None);
            assert_eq!(condition(&failing), Some((NodeCondition::Joining, Some(missing.clone()))));
            assert_eq!(condition(&up()), Some((NodeCondition::Ready, None)));
        }
    }
}
