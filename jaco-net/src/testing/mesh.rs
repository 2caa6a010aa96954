//! A mesh interface in memory.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::{
    MeshConfig, MeshDevice, MeshKind, MeshPeer, NetError, PeerChange, PeerStatus, PrivateKey,
    PublicKey,
    mesh::{changes, mtu::Path, settle},
    testing::MeshTampering,
};

/// A mesh interface in memory that remembers every change made to it, and can be tampered with.
#[derive(Debug, Default)]
pub struct FakeMesh {
    device: Mutex<Device>,
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Device {
    interface: Option<Interface>,
    /// What was wanted of the peers the last time.
    applied: Option<BTreeMap<PublicKey, MeshPeer>>,
    changes: Vec<PeerChange>,
}

#[derive(Debug, Default)]
struct Interface {
    config: MeshConfig,
    own: Option<PublicKey>,
    statuses: BTreeMap<PublicKey, PeerStatus>,
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

    /// The public half of the key in use.
    #[must_use]
    pub fn own(&self) -> Option<PublicKey> {
        self.device().interface.as_ref().and_then(|interface| interface.own)
    }

    /// A peer was heard from: its status is this from now on, its endpoint too.
    pub fn hear(&self, from: PublicKey, status: PeerStatus) {
        if let Some(interface) = &mut self.device().interface {
            if let Some(peer) = interface.config.peers.get_mut(&from) {
                peer.endpoint = status.endpoint;
            }
            interface.statuses.insert(from, status);
        }
    }

    /// Changes what the interface holds behind the node's back; `None` deletes it.
    pub fn tamper(&self, change: impl FnOnce(&mut Option<MeshConfig>)) {
        {
            let mut device = self.device();
            let mut config = device.interface.as_ref().map(|interface| interface.config.clone());
            change(&mut config);
            device.interface = config.map(|config| {
                let interface = device.interface.take().unwrap_or_default();
                Interface { config, ..interface }
            });
        }
        self.changed.send_modify(|n| *n += 1);
    }
}

impl MeshTampering for FakeMesh {
    fn delete_interface(&self) {
        self.tamper(|config| *config = None);
    }

    fn flush_addresses(&self) {
        self.tamper(|config| config.iter_mut().for_each(|config| config.addresses.clear()));
    }
}

#[async_trait]
impl MeshDevice for FakeMesh {
    fn kind(&self) -> MeshKind {
        MeshKind::Fake
    }

    async fn apply(&self, key: &PrivateKey, config: &MeshConfig) -> Result<(), NetError> {
        config.check()?;
        {
            let mut device = self.device();
            let Device { interface, applied, changes: log } = &mut *device;
            let interface = interface.get_or_insert_default();
            let peers = settle(&config.peers, applied.as_ref(), &interface.statuses);
            log.extend(changes(&interface.config.peers, &peers));
            interface.statuses.retain(|key, _| peers.contains_key(key));
            for (key, peer) in &peers {
                interface.statuses.entry(*key).or_default().endpoint = peer.endpoint;
            }
            interface.own = Some(key.public());
            interface.config = MeshConfig { peers, ..config.clone() };
            *applied = Some(config.peers.clone());
        }
        self.changed.send_modify(|n| *n += 1);
        Ok(())
    }

    async fn read(&self) -> Result<Option<MeshConfig>, NetError> {
        Ok(self.device().interface.as_ref().map(|interface| interface.config.clone()))
    }

    async fn peers(&self) -> Result<BTreeMap<PublicKey, PeerStatus>, NetError> {
        let device = self.device();
        Ok(device.interface.as_ref().map(|i| i.statuses.clone()).unwrap_or_default())
    }

    async fn path(&self, _: IpAddr) -> Result<Option<Path>, NetError> {
        Ok(None)
    }

    async fn remove(&self) -> Result<(), NetError> {
        let mut device = self.device();
        device.interface = None;
        device.applied = None;
        drop(device);
        self.changed.send_modify(|n| *n += 1);
        Ok(())
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}
