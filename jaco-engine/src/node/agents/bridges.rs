//! Keeps the bridges of this node as they must be.

use std::{sync::Arc, time::Duration};

use jaco_api::model::{ClusterId, Fabric};
use jaco_net::{BridgeChange, Bridges, NetError};
use jaco_runtime::{ContainerRuntime, RuntimeError, container::Network, spec::cluster_labels};
use tokio::{sync::watch, time::sleep};

use super::{Isolation, Looks};
use crate::{
    node::plane::{bridges, made},
    retry::Backoff,
};

/// What changes at once is looked at once.
const TOGETHER: Duration = Duration::from_millis(50);

/// Why the bridges may not be as they must be.
#[derive(Debug, thiserror::Error)]
enum Unkept {
    #[error(transparent)]
    Kernel(#[from] NetError),
    #[error("the engine does not say which networks it has")]
    Engine(#[from] RuntimeError),
}

/// What bridges are kept from and with.
pub(crate) struct Bridging {
    pub(crate) bridges: Bridges,
    pub(crate) runtime: Arc<dyn ContainerRuntime>,
    pub(crate) cluster: ClusterId,
    pub(crate) fabric: watch::Receiver<Option<Arc<Fabric>>>,
    pub(crate) isolation: watch::Receiver<Isolation>,
    pub(crate) looks: Looks,
}

/// Repairs and sets bridges whenever the fabric, the rules or the kernel's interfaces change, until the
/// node stops. Nothing is done while the rules are not loaded: what a bridge joins, they keep apart. What
/// cannot be done is told and tried again, and keeps nothing else from being done.
pub(crate) async fn keep_bridged(mut bridging: Bridging) {
    let mut changes = bridging.bridges.watch();
    let mut pauses = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
    loop {
        changes.borrow_and_update();
        let mends = bridging.looks.begin();
        let isolated = matches!(*bridging.isolation.borrow_and_update(), Isolation::Loaded(_));
        let fabric = bridging.fabric.borrow_and_update().clone();
        if let Some(fabric) = fabric.filter(|_| isolated) {
            if let Err(error) = bridging.keep(&fabric, mends).await {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, "bridges may not be as they must be");
                sleep(pauses.pause()).await;
                continue;
            }
            pauses.reset();
        }
        tokio::select! {
            changed = bridging.fabric.changed() => if changed.is_err() { return },
            Ok(()) = bridging.isolation.changed() => {}
            () = bridging.looks.next(&mut changes) => {}
        }
        sleep(TOGETHER).await;
    }
}

impl Bridging {
    async fn keep(&self, fabric: &Fabric, mends: bool) -> Result<(), Unkept> {
        let repaired = if mends { self.repair(fabric).await } else { Ok(()) };
        let set = self.bridges.settle(&bridges(fabric)).await;
        self.bridges.sweep(&bridges(fabric)).await?;
        repaired?;
        for (bridge, change) in set? {
            tracing::debug!(%bridge, %change, "set");
        }
        Ok(())
    }

    /// Makes whole what the engine made and somebody else damaged.
    async fn repair(&self, fabric: &Fabric) -> Result<(), Unkept> {
        if self.bridges.forward()? {
            tracing::warn!("net.ipv4.ip_forward was off and is set: containers reached nobody");
        }
        if self.bridges.damage(&bridges(fabric)).await?.is_empty() {
            return Ok(());
        }
        // The engine is asked first and the bridges are looked at afterwards: one that it made in between
        // is there, and one that it is still making is not named.
        let mended = self.bridges.mend(&made(fabric, &self.networks().await?)).await?;
        for (bridge, change) in &mended {
            tracing::warn!(%bridge, %change, "a bridge was damaged by others and is repaired");
        }
        let anew: Vec<_> = mended
            .into_iter()
            .filter(|(_, c)| *c == BridgeChange::Missing)
            .map(|(b, _)| b)
            .collect();
        if anew.is_empty() {
            return Ok(());
        }
        // The engine may have removed a network, and its bridge, in between.
        let left = made(fabric, &self.networks().await?);
        for bridge in anew.iter().filter(|name| left.iter().all(|b| b.name != **name)) {
            self.bridges.remove(bridge).await?;
        }
        Ok(())
    }

    async fn networks(&self) -> Result<Vec<Network>, RuntimeError> {
        self.runtime.networks(&cluster_labels(self.cluster)).await
    }
}
