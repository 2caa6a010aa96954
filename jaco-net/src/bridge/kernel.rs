//! Looks at bridges and changes them, through rtnetlink and /proc/sys.
//!
//! What is in another network namespace is asked for with the number that the kernel gives it here. That
//! takes CAP_NET_ADMIN, which this process needs anyhow; entering it would take CAP_SYS_ADMIN.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use futures::TryStreamExt as _;
use ipnet::IpNet;
use rtnetlink::{
    LinkBridge, LinkBridgePort, LinkUnspec,
    packet_route::{
        address::{AddressAttribute, AddressMessage},
        link::{InfoKind, LinkAttribute},
    },
};

use super::{
    BridgeChange, BridgeLink,
    plan::{self, LOOSE},
    seen::{MARK, Seen, View},
};
use crate::{
    InterfaceName, NetError,
    mesh::link::{
        EEXIST, ENODEV, Links, address_of, errno, gone_is_fine, known_is_fine, unreadable,
    },
};

/// When the addresses of another namespace are asked for: it is gone, or may not be looked into.
const NO_ANSWER: [i32; 3] = [ENODEV, 22, 13];

type Changes = Vec<(InterfaceName, BridgeChange)>;

pub(super) async fn settle(bridges: &[BridgeLink]) -> Result<Changes, NetError> {
    let links = Links::connect()?;
    let view = View { links: interfaces(&links).await?, ..View::default() };
    let mut filters = BTreeMap::new();
    for bridge in bridges {
        if let Some(filter) = read(&setting(&bridge.name, "rp_filter"))? {
            filters.insert(bridge.name.clone(), filter);
        }
    }
    let changes = plan::unsettled(bridges, &view, &filters);
    carry_out(&links, &view, &changes).await?;
    Ok(changes)
}

pub(super) fn forward() -> Result<bool, NetError> {
    let path = Path::new("/proc/sys/net/ipv4/ip_forward");
    if read(path)?.is_none_or(|value| value == "1") {
        return Ok(false);
    }
    write(path, "1", "net.ipv4.ip_forward")?;
    Ok(true)
}

pub(super) async fn damage(bridges: &[BridgeLink]) -> Result<(View, Changes), NetError> {
    let view = look(&Links::connect()?, bridges).await?;
    let changes = plan::damage(bridges, &view);
    Ok((view, changes))
}

pub(super) async fn mend(bridges: &[BridgeLink]) -> Result<Changes, NetError> {
    let (view, changes) = damage(bridges).await?;
    carry_out(&Links::connect()?, &view, &changes).await?;
    Ok(changes)
}

pub(super) async fn remove(bridge: &InterfaceName) -> Result<(), NetError> {
    let links = Links::connect()?;
    let all = interfaces(&links).await?;
    let is = |link: &&Seen| link.name == bridge.as_str() && link.kind == Some(InfoKind::Bridge);
    match all.iter().find(is) {
        Some(found) if all.iter().all(|link| link.master != Some(found.index)) => {
            links.delete(found.index).await
        }
        _ => Ok(()),
    }
}

pub(super) async fn sweep(wanted: &[BridgeLink]) -> Result<(), NetError> {
    let links = Links::connect()?;
    let view = View { links: interfaces(&links).await?, ..View::default() };
    for index in plan::orphans(wanted, &view) {
        links.delete(index).await?;
    }
    Ok(())
}

async fn interfaces(links: &Links) -> Result<Vec<Seen>, NetError> {
    Ok(links.all().await?.iter().map(Seen::from).collect())
}

async fn look(links: &Links, bridges: &[BridgeLink]) -> Result<View, NetError> {
    let mut view = View { links: interfaces(links).await?, ..View::default() };
    for bridge in bridges {
        if let Some(index) = view.named(bridge.name.as_str()).map(|seen| seen.index) {
            view.addresses.insert(index, links.addresses(index).await?);
        }
    }
    let strays: Vec<_> = view.strays().filter_map(|s| Some((s.index, s.peer?))).collect();
    for (index, peer) in strays {
        view.behind.insert(index, behind(links, peer).await?);
    }
    Ok(view)
}

/// The addresses of an interface in another network namespace.
async fn behind(
    links: &Links,
    (index, namespace): (u32, i32),
) -> Result<BTreeSet<IpNet>, NetError> {
    let there = AddressAttribute::TargetNetNsId(namespace);
    let mut get = links.0.address().get().set_link_index_filter(index);
    get.message_mut().header.index = index;
    get.message_mut().attributes.push(there.clone());
    let held: Result<Vec<AddressMessage>, _> = get.execute().try_collect().await;
    match held {
        // A kernel that does not know the question answers with what is here.
        Ok(held) => Ok(held
            .iter()
            .filter(|message| message.attributes.contains(&there))
            .filter_map(address_of)
            .collect()),
        Err(error) if errno(&error).is_some_and(|n| NO_ANSWER.contains(&n)) => Ok(BTreeSet::new()),
        Err(error) => Err(unreadable("addresses of a container", error)),
    }
}

/// One that the kernel refuses does not keep the others out; the first such refusal is the error.
async fn carry_out(
    links: &Links,
    view: &View,
    changes: &[(InterfaceName, BridgeChange)],
) -> Result<(), NetError> {
    let mut outcome = Ok(());
    let known = |name: &InterfaceName| Some((name.clone(), view.named(name.as_str())?.index));
    let mut indexes: BTreeMap<_, _> = changes.iter().filter_map(|(name, _)| known(name)).collect();
    for (name, change) in changes {
        if *change == BridgeChange::Missing {
            match make(links, name).await {
                Ok(index) => drop(indexes.insert(name.clone(), index)),
                Err(error) => outcome = outcome.and(Err(error)),
            }
        } else if let Some(index) = indexes.get(name) {
            outcome = outcome.and(put_right(links, view, (name, *index), change).await);
        }
    }
    outcome
}

async fn put_right(
    links: &Links,
    view: &View,
    (name, bridge): (&InterfaceName, u32),
    change: &BridgeChange,
) -> Result<(), NetError> {
    let port = |port: &str| view.named(port).map(|seen| seen.index);
    match change {
        BridgeChange::Missing => Ok(()),
        BridgeChange::Address(address) => {
            let add = links.0.address().add(bridge, address.addr(), address.prefix_len());
            known_is_fine(add.execute().await, "address")
        }
        BridgeChange::Port(stray) => {
            let Some(index) = port(stray) else { return Ok(()) };
            let joined = LinkUnspec::new_with_index(index).controller(bridge).up().build();
            gone_is_fine(links.0.link().set(joined).execute().await, &[ENODEV], "port of a bridge")
        }
        BridgeChange::Down => {
            let up = LinkUnspec::new_with_index(bridge).up().build();
            gone_is_fine(links.0.link().set(up).execute().await, &[ENODEV], "bridge")
        }
        BridgeChange::Filter => write(&setting(name, "rp_filter"), LOOSE, "rp_filter"),
        BridgeChange::Hairpin(name) => {
            let Some(index) = port(name) else { return Ok(()) };
            let on = LinkBridgePort::new(index).hairpin(true).build();
            let set = links.0.link().set_port(on).execute().await;
            gone_is_fine(set, &[ENODEV], "port of a bridge")
        }
    }
}

/// Makes a bridge that is down, and returns its number.
async fn make(links: &Links, name: &InterfaceName) -> Result<u32, NetError> {
    // Its own for good: otherwise it takes that of a port, and another one when that goes.
    let mut hardware = rand::random::<[u8; 6]>();
    hardware[0] = (hardware[0] & !1) | 2;
    let message = LinkBridge::new(name.as_str()).address(hardware.to_vec()).down().build();
    let made = links.0.link().add(message).execute().await;
    gone_is_fine(made, &[EEXIST], "bridge")?;
    // Containers know the gateway by the hardware address of the bridge that is gone: when it comes up, it
    // tells them its own.
    write(&setting(name, "arp_notify"), "1", "arp_notify")?;
    let all = interfaces(links).await?;
    let found = all.iter().find(|link| link.name == name.as_str());
    let index = found.map(|link| link.index).ok_or_else(|| NetError::Refused {
        what: "bridge",
        source: "it was made, and was gone at once".into(),
    })?;
    let mark = LinkAttribute::IfAlias(MARK.to_owned());
    let marked = LinkUnspec::new_with_index(index).append_extra_attribute(mark).build();
    gone_is_fine(links.0.link().set(marked).execute().await, &[ENODEV], "bridge")?;
    Ok(index)
}

fn setting(bridge: &InterfaceName, key: &str) -> PathBuf {
    ["/proc/sys/net/ipv4/conf", bridge.as_str(), key].iter().collect()
}

/// A setting of the kernel, which is memory and never waited for; none of an interface that is not there.
fn read(path: &Path) -> Result<Option<String>, NetError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            Err(NetError::Unreadable { what: "settings of a bridge", source: Box::new(error) })
        }
    }
}

fn write(path: &Path, value: &str, what: &'static str) -> Result<(), NetError> {
    match fs::write(path, value) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(NetError::Refused { what, source: Box::new(error) })
        }
        _ => Ok(()),
    }
}
