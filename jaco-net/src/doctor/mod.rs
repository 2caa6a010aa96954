//! The doctor: a node proves its data plane, and says what is broken.
//!
//! Input is [`Wanted`], what the agents of this node want the kernel to hold, and [`Handles`], through which they
//! keep it; output is a finding for each thing that was looked at. What was seen is judged by pure functions; looking
//! is thin, and each look ends within [`PATIENCE`]. It must never change anything: whoever repairs applies what is
//! wanted again and then asks once more. `docs/design/doctor.md` says what each check proves.

mod bridge;
mod capability;
mod kernel;
mod mesh;
mod names;
mod path_mtu;
mod probe;
mod responder;
mod route;
mod rules;
mod wire;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use futures::future::join_all;
use ipnet::IpNet;
use jaco_api::model::{Check, Finding, NodeName};

pub use responder::{ProbeResponder, Serving};

use crate::{
    Bridge, Firewall, InterfaceName, MeshConfig, MeshDevice, NetError, PublicKey, Ruleset,
    mesh::link::{Link, Links},
};

/// How long one look may take.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// Where the responders of all nodes listen on their mesh addresses, UDP and TCP, unless told otherwise.
pub const PROBE_PORT: u16 = 51821;
/// Where names are answered on gateways.
const DNS_PORT: u16 = 53;

/// Everything that is to be proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The bridges of this node.
    pub bridges: BTreeMap<InterfaceName, Bridge>,
    /// Whether names are answered on their gateways; if not, the engine does it in its own way.
    pub names: bool,
    /// What the firewall must hold; absent on a node that keeps nobody apart on purpose.
    pub rules: Option<Ruleset>,
    /// The mesh; absent on a node without one.
    pub mesh: Option<WantedMesh>,
}

/// The mesh, as this node wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedMesh {
    /// Its interface.
    pub interface: InterfaceName,
    /// What was applied.
    pub config: MeshConfig,
    /// Who is behind each key of `config`.
    pub peers: BTreeMap<PublicKey, WantedPeer>,
    /// Where the responders of all nodes listen.
    pub probe_port: u16,
}

/// Another member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedPeer {
    /// Its name.
    pub name: NodeName,
    /// Its mesh address.
    pub address: IpAddr,
}

/// Through what the node keeps its data plane.
#[derive(Clone, Default)]
pub struct Handles {
    /// The firewall, if there is one.
    pub firewall: Option<Arc<dyn Firewall>>,
    /// The mesh, if there is one.
    pub mesh: Option<Arc<dyn MeshDevice>>,
}

impl std::fmt::Debug for Handles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mesh = self.mesh.as_ref().map(|mesh| mesh.kind());
        let firewall = self.firewall.as_ref().map(|firewall| firewall.enforces());
        f.debug_struct("Handles").field("enforces", &firewall).field("mesh", &mesh).finish()
    }
}

/// Looks at everything that is wanted, at once. To be called in a tokio runtime whose threads are in the network
/// namespace of the node.
pub async fn examine(wanted: &Wanted, handles: &Handles) -> Vec<Finding> {
    let (links, names, rules, mesh) = tokio::join!(
        links(wanted),
        all_names(wanted),
        rules(wanted, handles.firewall.as_deref()),
        meshed(wanted, handles.mesh.as_deref()),
    );
    let enforces = handles.firewall.as_ref().is_some_and(|firewall| firewall.enforces());
    let needed = enforces || handles.mesh.is_some();
    // It passes nothing on for a node that has nobody to pass it on for.
    let passes_on = !wanted.bridges.is_empty() || wanted.mesh.is_some();
    let able = [capability::look(needed), kernel::look(passes_on, enforces)];
    [able.to_vec(), vec![rules], links, names, mesh].concat()
}

/// What the kernel says of bridges and routes.
async fn links(wanted: &Wanted) -> Vec<Finding> {
    let look = async {
        let seen = Seen::of(wanted).await?;
        let mut findings: Vec<_> = wanted
            .bridges
            .iter()
            .map(|(name, bridge)| bridge::judge(name, bridge, seen.links.get(name)))
            .collect();
        findings.extend(route::look(wanted, &seen).await?);
        Ok::<_, NetError>(findings)
    };
    let cause = match tokio::time::timeout(PATIENCE, look).await {
        Ok(Ok(findings)) => return findings,
        Ok(Err(error)) => told(&error),
        Err(_) => "the kernel has not answered within 2 s".to_owned(),
    };
    let fix = "look into the log of jacod and of the kernel (`dmesg`)";
    let unseen = |check| Finding::failed(check, "", cause.clone(), fix);
    vec![unseen(Check::Bridge), unseen(Check::Route)]
}

/// What there is of the interfaces that are wanted.
struct Seen {
    links: BTreeMap<InterfaceName, SeenLink>,
    kernel: Links,
}

/// One interface.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SeenLink {
    index: u32,
    up: bool,
    addresses: BTreeSet<IpNet>,
}

impl Seen {
    async fn of(wanted: &Wanted) -> Result<Self, NetError> {
        let kernel = Links::connect()?;
        let mesh = wanted.mesh.as_ref().map(|mesh| &mesh.interface);
        let mut links = BTreeMap::new();
        for name in wanted.bridges.keys().chain(mesh) {
            if let Some(Link { index, up, .. }) = kernel.find(name.as_str()).await? {
                let addresses = kernel.addresses(index).await?;
                links.insert(name.clone(), SeenLink { index, up, addresses });
            }
        }
        Ok(Self { links, kernel })
    }
}

async fn all_names(wanted: &Wanted) -> Vec<Finding> {
    if !wanted.names {
        let why = "this node answers no names: containers know what their engine knows";
        return vec![Finding::skipped(Check::Names, "", why)];
    }
    join_all(wanted.bridges.values().map(|bridge| names::look(bridge, DNS_PORT))).await
}

async fn rules(wanted: &Wanted, firewall: Option<&dyn Firewall>) -> Finding {
    let (Some(wanted), Some(firewall)) = (&wanted.rules, firewall.filter(|f| f.enforces())) else {
        let why = "this node has no firewall on purpose: deployments are not kept apart on it";
        return Finding::skipped(Check::Rules, "", why);
    };
    match tokio::time::timeout(PATIENCE, firewall.read()).await {
        Ok(read) => rules::judge(wanted, read),
        Err(_) => {
            let fix =
                "the machine is overloaded, or `nft` hangs: try `nft list ruleset` on the node";
            Finding::failed(Check::Rules, "", "the rules could not be read within 2 s", fix)
        }
    }
}

async fn meshed(wanted: &Wanted, device: Option<&dyn MeshDevice>) -> Vec<Finding> {
    let (Some(wanted), Some(device)) = (&wanted.mesh, device) else {
        let why = "this node has no mesh: it reaches no containers of other nodes";
        return vec![Finding::skipped(Check::Mesh, "", why)];
    };
    let (probes, sizes, mesh) = tokio::join!(
        join_all(wanted.peers.values().map(|peer| probe::look(wanted, peer))),
        join_all(wanted.peers.iter().map(|(key, peer)| path_mtu::look(wanted, key, peer))),
        mesh::look(wanted, device),
    );
    [mesh, probes, sizes].concat()
}

/// This node's own mesh address of the same family.
fn own_address(mesh: &WantedMesh, like: IpAddr) -> Option<IpAddr> {
    let own = mesh.config.addresses.iter().map(IpNet::addr);
    own.into_iter().find(|own| own.is_ipv4() == like.is_ipv4())
}

/// An error with what it comes from.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

/// A few of many, in words.
fn few(mut words: Vec<String>) -> String {
    const SHOWN: usize = 4;
    let more = words.len().saturating_sub(SHOWN);
    words.truncate(SHOWN);
    let text = words.join("; ");
    if more == 0 { text } else { format!("{text}; and {more} more") }
}

/// For the fuzz targets.
#[cfg(feature = "testing")]
pub(crate) mod sealed {
    use super::{
        names,
        wire::{FRAME, Frame},
    };

    /// Whatever a packet is: a frame that is read is written as it was, apart from what has no meaning.
    pub(crate) fn frame(packet: &[u8]) {
        let Some(frame) = Frame::read(packet) else { return };
        assert_eq!(Frame::read(&frame.bytes()), Some(frame));
        let padded = frame.padded(packet.len());
        assert_eq!((padded.len(), Frame::read(&padded)), (packet.len(), Some(frame)));
        assert!(padded.len() >= FRAME);
    }

    /// Whatever answers at a gateway: only the authority of our own zone is right.
    pub(crate) fn answer(answer: &[u8]) {
        let Some(number) = answer.first_chunk().map(|id| u16::from_be_bytes(*id)) else { return };
        let right = names::is_right(answer, number);
        assert!(
            !right || !names::is_right(answer, number.wrapping_add(1)),
            "it answers one question"
        );
    }
}
