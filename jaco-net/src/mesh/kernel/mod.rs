//! The mesh by the kernel's WireGuard.
//!
//! In: a key and a [`MeshConfig`]. Out: an interface that the kernel serves, which outlives this
//! process and is taken over by the next one: everything is compared with what the kernel says it
//! holds, nothing with what was done before. Must never remove a peer that keeps being wanted, not even
//! for a moment: its session would be lost.

mod message;
mod socket;

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use async_trait::async_trait;
use rtnetlink::packet_route::link::InfoKind;
use tokio::sync::{Mutex, watch};

use self::message::Held;
pub(super) use self::socket::available;
use super::{
    MeshConfig, MeshDevice, MeshKind, MeshPeer, PeerStatus, PrivateKey, PublicKey, changes,
    link::{Interest, Link, Links, Watcher, destinations},
    mtu::Path,
    path_mtu, settle,
};
use crate::NetError;

/// The kernel's WireGuard behind one interface.
#[derive(Debug, Clone)]
pub struct KernelMesh {
    name: Arc<str>,
    /// What was wanted of the peers the last time, and the lock of whoever changes the interface.
    applied: Arc<Mutex<Option<BTreeMap<PublicKey, MeshPeer>>>>,
    watcher: Arc<Watcher>,
}

impl KernelMesh {
    /// The interface of that name, [`super::INTERFACE`] unless there is a reason. Nothing is done yet.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let watcher = Arc::new(Watcher::of(Interest::Named(name.to_owned())));
        Self { name: name.into(), applied: Arc::default(), watcher }
    }

    /// The interface: the one that is there, or a new one.
    async fn interface(&self, links: &Links) -> Result<Link, NetError> {
        if let Some(link) = links.find(&self.name).await? {
            if link.kind == Some(InfoKind::Wireguard) {
                return Ok(link);
            }
            links.replace(&self.name, &link).await?;
        }
        links.create_wireguard(&self.name).await?;
        let made = links.find(&self.name).await?;
        made.ok_or_else(|| NetError::Refused {
            what: "interface",
            source: "it was made, and was gone at once".into(),
        })
    }

    /// What there is of an interface of WireGuard.
    async fn held(&self) -> Result<Option<(Links, Link, Held)>, NetError> {
        let links = Links::connect()?;
        let Some(link) = links.find(&self.name).await? else { return Ok(None) };
        if link.kind != Some(InfoKind::Wireguard) {
            return Ok(None);
        }
        let held = socket::read(link.index).await?;
        Ok(held.map(|held| (links, link, held)))
    }
}

#[async_trait]
impl MeshDevice for KernelMesh {
    fn kind(&self) -> MeshKind {
        MeshKind::Kernel
    }

    async fn apply(&self, key: &PrivateKey, config: &MeshConfig) -> Result<(), NetError> {
        config.check()?;
        let mut applied = self.applied.lock().await;
        let links = Links::connect()?;
        let link = self.interface(&links).await?;
        let held = socket::read(link.index).await?.unwrap_or_default();
        let peers = settle(&config.peers, applied.as_ref(), &held.statuses);
        let key = (held.public_key != Some(key.public())).then_some(key);
        let port = (held.listen_port != config.listen_port).then_some(config.listen_port);
        let changes = changes(&held.peers, &peers);
        // Before the link is up: only then is the port bound, and it must be this one.
        socket::write(link.index, message::requests(key, port, &changes, &held.peers)).await?;
        links.configure(&link, config).await?;
        *applied = Some(config.peers.clone());
        links.route(link.index, &destinations(config)).await
    }

    async fn read(&self) -> Result<Option<MeshConfig>, NetError> {
        let Some((links, link, held)) = self.held().await? else { return Ok(None) };
        Ok(Some(MeshConfig {
            addresses: links.addresses(link.index).await?,
            listen_port: held.listen_port,
            mtu: link.mtu,
            peers: held.peers,
        }))
    }

    async fn peers(&self) -> Result<BTreeMap<PublicKey, PeerStatus>, NetError> {
        Ok(self.held().await?.map(|(_, _, held)| held.statuses).unwrap_or_default())
    }

    async fn path(&self, endpoint: IpAddr) -> Result<Option<Path>, NetError> {
        path_mtu(endpoint, &self.name).await
    }

    async fn remove(&self) -> Result<(), NetError> {
        let mut applied = self.applied.lock().await;
        *applied = None;
        let links = Links::connect()?;
        match links.find(&self.name).await? {
            Some(link) => links.replace(&self.name, &link).await,
            None => Ok(()),
        }
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.watcher.subscribe()
    }
}
