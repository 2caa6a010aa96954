//! A network inside the process, with faults.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use jaco_api::{
    error::{ApiError, ErrorCode},
    model::NodeId,
    pb,
};

use crate::{
    pki::CaPin,
    raft::{Admits, Peer, PeerReply, PeerRequest, PeerService, PeerTransport, TransportError},
};

/// Members that call each other directly, as far as the faults allow. Clones are the same network.
#[derive(Clone, Default)]
pub struct SimulatedNetwork {
    wires: Arc<Mutex<Wires>>,
}

impl std::fmt::Debug for SimulatedNetwork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SimulatedNetwork")
    }
}

#[derive(Default)]
struct Wires {
    members: BTreeMap<NodeId, PeerService>,
    /// From and to: one direction each.
    cut: BTreeSet<(NodeId, NodeId)>,
    delay: BTreeMap<(NodeId, NodeId), Duration>,
    /// Where nodes ask to be admitted, by the address they are told.
    gates: BTreeMap<String, (NodeId, Arc<dyn Admits>)>,
}

impl SimulatedNetwork {
    /// Plugs a member in, in place of what answered under its number before.
    pub fn plug(&self, id: NodeId, service: PeerService) {
        self.lock().members.insert(id, service);
    }
    /// Unplugs a member: nobody answers under its number any more.
    pub fn unplug(&self, id: NodeId) {
        self.lock().members.remove(&id);
    }
    /// The network as one member uses it.
    #[must_use]
    pub fn transport(&self, from: NodeId) -> Arc<dyn PeerTransport> {
        let port = Port { from: OnceLock::new(), network: self.clone() };
        let _ = port.from.set(from);
        Arc::new(port)
    }
    /// The network as a whole node uses it: it is plugged in when the node becomes a member.
    #[must_use]
    pub fn port(&self) -> Arc<dyn PeerTransport> {
        Arc::new(Port { from: OnceLock::new(), network: self.clone() })
    }
    /// Loses everything that goes from one member to another; the other direction is not touched.
    pub fn cut_one_way(&self, from: NodeId, to: NodeId) {
        self.lock().cut.insert((from, to));
    }
    /// Loses everything between one member and all others.
    pub fn isolate(&self, id: NodeId) {
        let mut wires = self.lock();
        let others: Vec<NodeId> = wires.members.keys().copied().filter(|o| *o != id).collect();
        wires.cut.extend(others.iter().flat_map(|other| [(id, *other), (*other, id)]));
    }
    /// Lets everything through again, at once.
    pub fn heal(&self) {
        let mut wires = self.lock();
        wires.cut.clear();
        wires.delay.clear();
    }
    /// Holds up everything that goes from one member to another.
    pub fn delay(&self, from: NodeId, to: NodeId, span: Duration) {
        self.lock().delay.insert((from, to), span);
    }
    fn lock(&self) -> MutexGuard<'_, Wires> {
        self.wires.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        self.lock().cut.contains(&(from, to))
    }
    /// Whether everything that goes to a member is lost.
    fn is_isolated(&self, id: NodeId) -> bool {
        let wires = self.lock();
        let mut others = wires.members.keys().filter(|other| **other != id).peekable();
        others.peek().is_some() && others.all(|other| wires.cut.contains(&(*other, id)))
    }
    fn delay_of(&self, from: NodeId, to: NodeId) -> Duration {
        self.lock().delay.get(&(from, to)).copied().unwrap_or_default()
    }
}

/// Nobody is there.
#[derive(Debug, thiserror::Error)]
#[error("the simulated network has nobody under this number")]
struct Nobody;

struct Port {
    /// Known once the node is a member.
    from: OnceLock<NodeId>,
    network: SimulatedNetwork,
}

impl Port {
    async fn carry(&self, to: NodeId, request: PeerRequest) -> Result<PeerReply, TransportError> {
        let unreachable = || TransportError::Unreachable { peer: to, source: Box::new(Nobody) };
        let from = *self.from.get().ok_or_else(unreachable)?;
        tokio::time::sleep(self.network.delay_of(from, to)).await;
        if self.network.is_cut(from, to) {
            return std::future::pending().await;
        }
        let service = self.network.lock().members.get(&to).cloned().ok_or_else(unreachable)?;
        let reply = service.handle(from, request).await;
        tokio::time::sleep(self.network.delay_of(to, from)).await;
        // What is under way when a wire is cut is lost too.
        if self.network.is_cut(to, from) {
            return std::future::pending().await;
        }
        reply.map_err(|source| TransportError::Refused { peer: to, source })
    }
}

#[async_trait]
impl PeerTransport for Port {
    async fn call(
        &self,
        to: &Peer,
        request: PeerRequest,
        patience: Duration,
    ) -> Result<PeerReply, TransportError> {
        let timed_out = |_| TransportError::TimedOut { peer: to.id, after: patience };
        tokio::time::timeout(patience, self.carry(to.id, request)).await.map_err(timed_out)?
    }

    async fn enrol(
        &self,
        address: &str,
        _pin: &CaPin,
        request: pb::EnrolRequest,
    ) -> Result<pb::EnrolReply, ApiError> {
        let gate = self.network.lock().gates.get(address).cloned();
        let gate = gate.filter(|(member, _)| !self.network.is_isolated(*member));
        match gate {
            Some((_, gate)) => gate.admit(request).await,
            None => Err(ApiError::new(ErrorCode::PeerUnreachable, Nobody.to_string())),
        }
    }

    fn attached(&self, me: &Peer, calls: PeerService, admits: Arc<dyn Admits>) {
        let _ = self.from.set(me.id);
        let mut wires = self.network.lock();
        wires.members.insert(me.id, calls);
        wires.gates.insert(me.member.api_addr.to_string(), (me.id, admits));
    }

    fn detached(&self) {
        let Some(me) = self.from.get() else { return };
        let mut wires = self.network.lock();
        wires.members.remove(me);
        wires.gates.retain(|_, (member, _)| member != me);
    }
}
