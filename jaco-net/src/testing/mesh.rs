//! A mesh interface in memory.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::{MeshConfig, MeshDevice, MeshKind, NetError, PeerChange, PrivateKey, mesh::changes};

/// A mesh interface in memory that remembers every change made to it.
#[derive(Debug, Default)]
pub struct FakeMesh {
    device: Mutex<Device>,
}

#[derive(Debug, Default)]
struct Device {
    config: Option<MeshConfig>,
    changes: Vec<PeerChange>,
}

impl FakeMesh {
    fn device(&self) -> MutexGuard<'_, Device> {
        self.device.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every change of a peer so far, oldest first.
    #[must_use]
    pub fn changes(&self) -> Vec<PeerChange> {
        self.device().changes.clone()
    }
}

#[async_trait]
impl MeshDevice for FakeMesh {
    fn kind(&self) -> MeshKind {
        MeshKind::Fake
    }

    async fn apply(&self, _key: &PrivateKey, config: &MeshConfig) -> Result<(), NetError> {
        config.check()?;
        let mut device = self.device();
        let old = device.config.take().unwrap_or_default();
        device.changes.extend(changes(&old.peers, &config.peers));
        device.config = Some(config.clone());
        Ok(())
    }

    async fn read(&self) -> Result<Option<MeshConfig>, NetError> {
        Ok(self.device().config.clone())
    }

    async fn remove(&self) -> Result<(), NetError> {
        self.device().config = None;
        Ok(())
    }
}
