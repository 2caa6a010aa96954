//! The bridges of this node: what the container engine does not set of them, and their repair.
//!
//! In: the bridges that this node wants, as plain data. Out: the kernel's state, changed where it differs,
//! and what was changed. What differs is decided in `plan`, without I/O. The engine makes bridges with its
//! networks; whether a missing one was damaged or was never made is the caller's to say. Must never touch
//! an interface that is no bridge, nor a port of anybody's bridge.

mod kernel;
mod plan;
mod seen;

use std::{collections::BTreeSet, fmt, sync::Arc};

use ipnet::IpNet;
use tokio::sync::watch;

use crate::{
    InterfaceName, NetError,
    mesh::link::{Interest, Watcher},
};

/// How the names of all bridges of the cluster begin.
const BEGINNING: &str = "jaco-";

/// What the bridge of a network is on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BridgeLink {
    /// What it is called.
    pub name: InterfaceName,
    /// Its addresses, the gateways of its containers, each with the length of the block.
    pub addresses: BTreeSet<IpNet>,
}

/// By what a bridge differed from what it must be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum BridgeChange {
    /// It was not there.
    Missing,
    /// It did not have this address.
    Address(IpNet),
    /// It did not have this port.
    Port(String),
    /// It was down.
    Down,
    /// What comes in over it had to come in the way the answer would go.
    Filter,
    /// It did not send back over this port what came in over it.
    Hairpin(String),
}

impl fmt::Display for BridgeChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("it was missing"),
            Self::Address(address) => write!(f, "it had no address {address}"),
            Self::Port(port) => write!(f, "{port} was not its port"),
            Self::Down => f.write_str("it was down"),
            Self::Filter => f.write_str("its rp_filter was not 2"),
            Self::Hairpin(port) => write!(f, "hairpin of {port} was off"),
        }
    }
}

/// The bridges of the network namespace that this process is in.
#[derive(Debug, Clone)]
pub struct Bridges {
    watcher: Arc<Watcher>,
}

impl Default for Bridges {
    fn default() -> Self {
        Self { watcher: Arc::new(Watcher::of(Interest::Beginning(BEGINNING))) }
    }
}

impl Bridges {
    /// Nothing is done yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what the engine leaves: packets that came in another way than the answer would go are taken,
    /// and may leave through the port they came from. Those of `bridges` that are not there are left out.
    ///
    /// # Errors
    /// The kernel cannot be asked, or refuses something. Everything that it does not refuse is done.
    pub async fn settle(
        &self,
        bridges: &[BridgeLink],
    ) -> Result<Vec<(InterfaceName, BridgeChange)>, NetError> {
        kernel::settle(bridges).await
    }

    /// Has the kernel pass packets on, as every container engine does when it starts. Whether it did not.
    ///
    /// # Errors
    /// The kernel cannot be asked, or refuses.
    pub fn forward(&self) -> Result<bool, NetError> {
        kernel::forward()
    }

    /// By what `bridges` are not as the engine made them: there, with their addresses and ports, and up.
    /// An interface of such a name that is no bridge is left out.
    ///
    /// # Errors
    /// The kernel cannot be asked.
    pub async fn damage(
        &self,
        bridges: &[BridgeLink],
    ) -> Result<Vec<(InterfaceName, BridgeChange)>, NetError> {
        kernel::damage(bridges).await.map(|(_, damage)| damage)
    }

    /// Repairs all [`Bridges::damage`], and says what it was. Containers keep their interfaces and addresses.
    ///
    /// # Errors
    /// The kernel cannot be asked, or refuses something. Everything that it does not refuse is done.
    pub async fn mend(
        &self,
        bridges: &[BridgeLink],
    ) -> Result<Vec<(InterfaceName, BridgeChange)>, NetError> {
        kernel::mend(bridges).await
    }

    /// Removes bridges that were made here and are neither used nor among `wanted`: the engine, which knows
    /// its bridge by number, does not remove one that was made anew.
    ///
    /// # Errors
    /// The kernel cannot be asked, or refuses.
    pub async fn sweep(&self, wanted: &[BridgeLink]) -> Result<(), NetError> {
        kernel::sweep(wanted).await
    }

    /// Removes a bridge without ports. One that is not there, has ports or is no bridge is left alone.
    ///
    /// # Errors
    /// The kernel cannot be asked, or refuses.
    pub async fn remove(&self, bridge: &InterfaceName) -> Result<(), NetError> {
        kernel::remove(bridge).await
    }

    /// Changes whenever a bridge of the cluster, its addresses, routes or ports may have changed, by us or
    /// by somebody else. The number means nothing.
    ///
    /// To be called in a tokio runtime; what watches lives as long as that and this.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.watcher.subscribe()
    }
}
