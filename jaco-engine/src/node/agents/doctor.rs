//! Tells the doctor of this node what is kept, and answers the doctors of the others.

use std::sync::Arc;

use async_trait::async_trait;
use jaco_api::model::Fabric;
use jaco_net::doctor::{ProbeResponder, Wanted};
use tokio::sync::watch;

use crate::node::{
    doctor::DataPlane,
    plane::{Mesh, serving, wanted},
};

/// What the agents of this node keep.
pub(crate) struct Kept {
    pub(crate) fabric: watch::Receiver<Option<Arc<Fabric>>>,
    /// The mesh, and the largest packet that fits through it once that is known.
    pub(crate) mesh: Option<(Mesh, watch::Receiver<Option<u32>>)>,
    pub(crate) policed: bool,
    pub(crate) names: bool,
    /// Wakes whoever keeps it.
    pub(crate) again: watch::Sender<u64>,
}

#[async_trait]
impl DataPlane for Kept {
    fn wanted(&self) -> Option<Wanted> {
        let fabric = self.fabric.borrow().clone()?;
        let mesh = match &self.mesh {
            None => None,
            Some((mesh, mtu)) => {
                let fits = *mtu.borrow();
                Some((mesh, fits?))
            }
        };
        Some(wanted(&fabric, mesh, self.policed, self.names))
    }

    async fn restore(&self) {
        self.again.send_modify(|n| *n += 1);
    }
}

/// Where whoever asks finds something of this membership; empty again when this is dropped.
pub(crate) struct Published<'p, T>(&'p watch::Sender<Option<T>>);

impl<'p, T> Published<'p, T> {
    /// Publishes it.
    pub(crate) fn new(slot: &'p watch::Sender<Option<T>>, value: T) -> Self {
        slot.send_replace(Some(value));
        Self(slot)
    }
}

impl<T> Drop for Published<'_, T> {
    fn drop(&mut self) {
        self.0.send_replace(None);
    }
}

/// Publishes it, and answers until the node stops.
pub(crate) async fn keep_proved(kept: Kept, plane: watch::Sender<Option<Arc<dyn DataPlane>>>) {
    let (mut fabric, meshed) = (kept.fabric.clone(), kept.mesh.is_some());
    let _published = Published::new(&plane, Arc::new(kept) as Arc<dyn DataPlane>);
    let responder = ProbeResponder::start();
    loop {
        let known = fabric.borrow_and_update().clone();
        if let Some(fabric) = known.filter(|_| meshed) {
            responder.set(serving(&fabric));
        }
        if fabric.changed().await.is_err() {
            return;
        }
    }
}
