//! The mesh by this process: WireGuard in user space over a TUN interface.
//!
//! In: a key and a [`MeshConfig`]. Out: an interface that this process serves and that goes with it, so
//! that every start makes it anew. An interface that is deleted while the process lives is noticed, and
//! the next `apply` makes another. Must never hold up a packet for a change of the configuration.

mod bell;
mod tun;
mod tunnel;
mod udp;

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use async_trait::async_trait;
use tokio::sync::{Mutex, watch};

use self::tunnel::Tunnel;
use super::{
    MeshConfig, MeshDevice, MeshKind, MeshPeer, PeerStatus, PrivateKey, PublicKey,
    link::{Interest, Link, Links, Watcher, destinations},
    mtu::Path,
    path_mtu, settle,
};
use crate::NetError;

/// WireGuard in this process behind one interface. Lives on the runtime on which it was applied.
#[derive(Clone)]
pub struct UserspaceMesh {
    name: Arc<str>,
    /// What runs, and the lock of whoever changes it.
    running: Arc<Mutex<Option<Running>>>,
    watcher: Arc<Watcher>,
}

struct Running {
    tunnel: Tunnel,
    /// The number of its interface: one of the same name and another number is not its own.
    index: u32,
    /// What was wanted of the peers the last time.
    applied: Option<BTreeMap<PublicKey, MeshPeer>>,
}

impl std::fmt::Debug for UserspaceMesh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserspaceMesh").field("name", &self.name).finish_non_exhaustive()
    }
}

impl UserspaceMesh {
    /// The interface of that name, [`super::INTERFACE`] unless there is a reason. Nothing is done yet.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let watcher = Arc::new(Watcher::of(Interest::Named(name.to_owned())));
        Self { name: name.into(), running: Arc::default(), watcher }
    }

    /// The tunnel and its interface, made anew if either is gone.
    async fn start<'a>(
        &self,
        running: &'a mut Option<Running>,
        links: &Links,
        key: &PrivateKey,
        config: &MeshConfig,
    ) -> Result<(&'a mut Running, Link), NetError> {
        let found = links.find(&self.name).await?;
        if let Some(run) = running.take() {
            let alive = run.tunnel.alive();
            if let Some(link) = found.filter(|link| alive && link.index == run.index) {
                return Ok((running.insert(run), link));
            }
            run.tunnel.stop().await;
        }
        // Asked again: an interface that was ours went with the tunnel.
        if let Some(link) = links.find(&self.name).await? {
            links.replace(&self.name, &link).await?;
        }
        let tunnel = Tunnel::open(&self.name, key, config, self.watcher.sender()).await?;
        let made = links.find(&self.name).await?;
        let link = made.ok_or_else(|| NetError::Refused {
            what: "interface",
            source: "it was made, and was gone at once".into(),
        })?;
        let run = Running { tunnel, index: link.index, applied: None };
        Ok((running.insert(run), link))
    }
}

#[async_trait]
impl MeshDevice for UserspaceMesh {
    fn kind(&self) -> MeshKind {
        MeshKind::Userspace
    }

    async fn apply(&self, key: &PrivateKey, config: &MeshConfig) -> Result<(), NetError> {
        config.check()?;
        let mut running = self.running.lock().await;
        let links = Links::connect()?;
        let (run, link) = self.start(&mut running, &links, key, config).await?;
        let statuses = run.tunnel.peers().await.into_iter().map(|(key, (_, status))| (key, status));
        let peers = settle(&config.peers, run.applied.as_ref(), &statuses.collect());
        if let Err(error) = run.tunnel.change(key, config, &peers).await {
            // It serves nobody without its socket: the next time it is made anew.
            if let Some(run) = running.take() {
                run.tunnel.stop().await;
            }
            return Err(error);
        }
        links.configure(&link, config).await?;
        run.applied = Some(config.peers.clone());
        links.route(link.index, &destinations(config)).await
    }

    async fn read(&self) -> Result<Option<MeshConfig>, NetError> {
        let running = self.running.lock().await;
        let alive = running.as_ref().filter(|run| run.tunnel.alive());
        let Some(run) = alive else { return Ok(None) };
        let links = Links::connect()?;
        let found = links.find(&self.name).await?;
        let Some(link) = found.filter(|link| link.index == run.index) else { return Ok(None) };
        Ok(Some(MeshConfig {
            addresses: links.addresses(link.index).await?,
            listen_port: run.tunnel.port().await,
            mtu: link.mtu,
            peers: run
                .tunnel
                .peers()
                .await
                .into_iter()
                .map(|(key, (peer, _))| (key, peer))
                .collect(),
        }))
    }

    async fn peers(&self) -> Result<BTreeMap<PublicKey, PeerStatus>, NetError> {
        let running = self.running.lock().await;
        let alive = running.as_ref().filter(|run| run.tunnel.alive());
        let Some(run) = alive else { return Ok(BTreeMap::new()) };
        Ok(run.tunnel.peers().await.into_iter().map(|(key, (_, status))| (key, status)).collect())
    }

    async fn path(&self, endpoint: IpAddr) -> Result<Option<Path>, NetError> {
        path_mtu(endpoint, &self.name).await
    }

    async fn remove(&self) -> Result<(), NetError> {
        if let Some(run) = self.running.lock().await.take() {
            run.tunnel.stop().await;
        }
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
