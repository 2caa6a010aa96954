//! The network that the node makes for its containers: what of it is there, and waiting for it.
//!
//! Input: what whoever makes it says. A container is made and started only when the bridges of its
//! networks are policed and names are answered on them: the first packet of the first container finds
//! both. Without anybody who makes it, the engine does all that by itself.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc, time::Duration};

use jaco_api::model::{AssignedFile, AssignedReplica, ContainerSpec, NetworkSpec};
use tokio::sync::watch;

use super::engine::Engine;
use crate::{container::RuntimeError, spec};

/// Where programs look for whom to ask for names.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// So long one attempt waits for the network; then it is told why, and tried again.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the node does for its containers beside the engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Underlay {
    /// The gateways of the bridges on which a container may be started.
    pub ready: BTreeSet<IpAddr>,
    /// Why others are not among them, as far as is known.
    pub reason: Option<String>,
    /// The largest packet, in bytes, that gets to other nodes in one piece; absent means the engine's
    /// own choice.
    pub mtu: Option<u32>,
    /// Whether the node decides what leaves a bridge and translates it: then the engine does neither.
    pub policed: bool,
    /// Whether names are answered on the gateway of each bridge.
    pub names: bool,
}

/// The newest word of it; none before anything is known.
pub type UnderlayWatch = watch::Receiver<Option<Arc<Underlay>>>;

impl Engine {
    /// What the node does for its containers; nothing when nobody makes a network for them.
    pub(super) async fn underlay(&self) -> Result<Option<Arc<Underlay>>, RuntimeError> {
        let Some(mut watch) = self.underlay.clone() else { return Ok(None) };
        match tokio::time::timeout(PATIENCE, watch.wait_for(Option::is_some)).await {
            Ok(Ok(underlay)) => Ok(underlay.clone()),
            _ => {
                let reason = "the node's own network is not known yet".to_owned();
                Err(RuntimeError::NetworkNotReady { reason })
            }
        }
    }

    /// Waits until containers may be started on the networks of a replica.
    pub(super) async fn networks_ready(
        &self,
        replica: &AssignedReplica,
        container: &ContainerSpec,
    ) -> Result<(), RuntimeError> {
        let (Some(mut watch), Some(newest)) = (self.underlay.clone(), self.newest()) else {
            return Ok(());
        };
        let names = container.networks.iter().map(|attachment| {
            NetworkSpec::engine_name(&replica.id.deployment, &attachment.network)
        });
        let subnets = names.filter_map(|name| newest.networks.get(&name)?.subnet.as_ref());
        let gateways: BTreeSet<IpAddr> = subnets.map(|subnet| subnet.gateway).collect();
        let missing = |underlay: &Option<Arc<Underlay>>| -> Option<IpAddr> {
            let ready = underlay.as_ref().map(|u| &u.ready);
            gateways.iter().find(|g| !ready.is_some_and(|r| r.contains(g))).copied()
        };
        let ready = watch.wait_for(|underlay| missing(underlay).is_none());
        if matches!(tokio::time::timeout(PATIENCE, ready).await, Ok(Ok(_))) {
            return Ok(());
        }
        let now = watch.borrow();
        let Some(gateway) = missing(&now) else { return Ok(()) };
        let why = now.as_ref().and_then(|u| u.reason.clone());
        let why = why.unwrap_or_else(|| "it is being built".to_owned());
        Err(RuntimeError::NetworkNotReady { reason: format!("{gateway} is not ready: {why}") })
    }

    /// The files of a container whose names are answered by the node.
    pub(super) fn files_of(
        &self,
        replica: &AssignedReplica,
        spec: &ContainerSpec,
    ) -> Vec<AssignedFile> {
        let resolver = self.resolver_of(replica, spec);
        let mut files = replica.files.clone();
        // Who mounts a file there has it.
        let taken = files.iter().any(|file| file.target == RESOLV_CONF)
            || spec.mounts.iter().any(|mount| mount.target == RESOLV_CONF);
        let text = resolver.filter(|_| !taken).and_then(|r| resolv_conf(r, spec));
        files.extend(text.map(|text| AssignedFile {
            target: RESOLV_CONF.to_owned(),
            content: text.as_str().into(),
            uid: 0,
            gid: 0,
            mode: 0o644,
        }));
        files
    }

    /// Where a container asks for names: at the gateway of the network that its other packets leave
    /// through. One that shares the network of another asks where that one does.
    fn resolver_of(&self, replica: &AssignedReplica, spec: &ContainerSpec) -> Option<IpAddr> {
        let newest = self.newest()?;
        let shares = spec.beside.as_ref().is_some_and(|beside| beside.network);
        let lead = replica.beside.as_ref().filter(|_| shares);
        let lead = lead.and_then(|beside| newest.replicas.get(&beside.replica)?.spec.as_deref());
        let network = spec::gateway_network(&lead.unwrap_or(spec).networks)?;
        let name = NetworkSpec::engine_name(&replica.id.deployment, network);
        Some(newest.networks.get(&name)?.subnet.as_ref()?.gateway)
    }
}

/// What is in `/etc/resolv.conf` of a container whose names are answered at this address; nothing when
/// its manifest names servers of its own.
#[must_use]
pub(super) fn resolv_conf(resolver: IpAddr, spec: &ContainerSpec) -> Option<String> {
    if !spec.dns.is_empty() {
        return None;
    }
    let mut text = format!("nameserver {resolver}\n");
    if !spec.dns_search.is_empty() {
        text += &format!("search {}\n", spec.dns_search.join(" "));
    }
    if !spec.dns_opt.is_empty() {
        text += &format!("options {}\n", spec.dns_opt.join(" "));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_of_the_manifest_win() {
        let gateway = "10.244.1.1".parse().unwrap();
        let mut spec = ContainerSpec::default();
        assert_eq!(resolv_conf(gateway, &spec).unwrap(), "nameserver 10.244.1.1\n");
        spec.dns_search = vec!["a.test".into(), "b.test".into()];
        spec.dns_opt = vec!["ndots:2".into()];
        assert_eq!(
            resolv_conf(gateway, &spec).unwrap(),
            "nameserver 10.244.1.1\nsearch a.test b.test\noptions ndots:2\n"
        );
        spec.dns = vec!["192.0.2.1".parse().unwrap()];
        assert_eq!(resolv_conf(gateway, &spec), None);
    }
}
