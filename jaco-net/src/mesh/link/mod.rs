//! What every mesh device does to its interface through rtnetlink: link, addresses, routes.
//!
//! In: the interface's name and what it shall hold. Out: the kernel's state, changed where it differs.
//! Decides nothing about peers, and must never touch an address or a route of another interface, nor a
//! route over ours that somebody else made.

mod path;
mod watch;

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _};
use ipnet::IpNet;
use rtnetlink::{
    Handle, LinkUnspec, RouteMessageBuilder,
    packet_core::ErrorMessage,
    packet_route::{
        address::{AddressAttribute, AddressMessage, AddressScope},
        link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage},
        route::{
            RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope,
        },
    },
};

pub use path::path_mtu;
pub(crate) use watch::{Interest, Watcher};

use super::MeshConfig;
use crate::NetError;

/// Marks the routes that are ours. One of the numbers that are left to the user of the machine.
const PROTOCOL: RouteProtocol = RouteProtocol::Other(74);

/// Numbers of errors, as the kernel gives them.
const ESRCH: i32 = 3;
pub(crate) const ENODEV: i32 = 19;
pub(crate) const EEXIST: i32 = 17;
const EADDRNOTAVAIL: i32 = 99;
/// When routes are asked for: `ENOENT`, `ESRCH`, `ENODEV`, `EOPNOTSUPP`, `EAFNOSUPPORT`.
const NO_ROUTES: [i32; 5] = [2, ESRCH, ENODEV, 95, 97];

/// A connection to the kernel's tables, in the network namespace of the thread that makes it.
pub(crate) struct Links(pub(crate) Handle);

/// One interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    /// What makes it; absent for a physical one.
    pub(super) kind: Option<InfoKind>,
    pub(super) mtu: u32,
    pub(crate) up: bool,
}

impl Links {
    /// Opens a connection, which ends with its last user.
    pub(crate) fn connect() -> Result<Self, NetError> {
        // Strict: the kernel looks for what is asked for alone, whatever else it routes.
        let opened = rtnetlink::new_connection_with_strict_check();
        let (connection, handle, _) = opened.map_err(|source| NetError::Unavailable {
            facility: "rtnetlink",
            source: Box::new(source),
        })?;
        tokio::spawn(connection);
        Ok(Self(handle))
    }

    pub(crate) async fn find(&self, name: &str) -> Result<Option<Link>, NetError> {
        let found = self.0.link().get().match_name(name).execute().try_next().await;
        found_link(found)
    }

    /// Every interface, as the kernel describes it.
    pub(crate) async fn all(&self) -> Result<Vec<LinkMessage>, NetError> {
        let all = self.0.link().get().execute().try_collect().await;
        all.map_err(|error| unreadable("interfaces", error))
    }

    pub(crate) async fn at(&self, index: u32) -> Result<Option<Link>, NetError> {
        found_link(self.0.link().get().match_index(index).execute().try_next().await)
    }

    /// Makes an interface of WireGuard; its kernel module is loaded if need be.
    #[cfg(feature = "kernel")]
    pub(super) async fn create_wireguard(&self, name: &str) -> Result<(), NetError> {
        let link = rtnetlink::LinkWireguard::new(name).build();
        self.0.link().add(link).execute().await.map_err(refused("interface"))
    }

    /// Deletes an interface; one that is gone already is success.
    pub(crate) async fn delete(&self, index: u32) -> Result<(), NetError> {
        gone_is_fine(self.0.link().del(index).execute().await, &[ENODEV], "interface")
    }

    /// Makes way for an interface of ours: one of this name that a mesh of ours may have left goes.
    pub(super) async fn replace(&self, name: &str, link: &Link) -> Result<(), NetError> {
        if !matches!(link.kind, Some(InfoKind::Wireguard | InfoKind::Tun)) {
            return Err(NetError::ForeignInterface { name: name.to_owned() });
        }
        self.delete(link.index).await
    }

    /// MTU, state and addresses as in `config`.
    pub(super) async fn configure(&self, link: &Link, config: &MeshConfig) -> Result<(), NetError> {
        if link.mtu != config.mtu || !link.up {
            let wanted = LinkUnspec::new_with_index(link.index).mtu(config.mtu).up().build();
            self.0.link().set(wanted).execute().await.map_err(refused("interface"))?;
        }
        let held = self.address_messages(link.index).await?;
        let have: BTreeSet<IpNet> = held.iter().filter_map(address_of).collect();
        // New ones first: with the last address of a family, the kernel takes all its routes.
        for address in config.addresses.difference(&have) {
            let add = self.0.address().add(link.index, address.addr(), address.prefix_len());
            known_is_fine(add.execute().await, "address")?;
        }
        for message in held {
            if address_of(&message).is_some_and(|address| !config.addresses.contains(&address)) {
                let delete = self.0.address().del(message).execute().await;
                gone_is_fine(delete, &[EADDRNOTAVAIL, ENODEV], "address")?;
            }
        }
        Ok(())
    }

    /// Addresses of the interface that somebody gave it.
    pub(crate) async fn addresses(&self, index: u32) -> Result<BTreeSet<IpNet>, NetError> {
        Ok(self.address_messages(index).await?.iter().filter_map(address_of).collect())
    }

    async fn address_messages(&self, index: u32) -> Result<Vec<AddressMessage>, NetError> {
        let mut get = self.0.address().get().set_link_index_filter(index);
        get.message_mut().header.index = index;
        let held = get.execute().try_collect().await;
        held.or_else(|error| match errno(&error) {
            Some(ENODEV) => Ok(Vec::new()),
            _ => Err(unreadable("addresses", error)),
        })
    }

    /// Our routes over the interface: exactly `wanted`. One that the kernel refuses does not keep the
    /// others out; the first such refusal is the error.
    pub(super) async fn route(&self, index: u32, wanted: &BTreeSet<IpNet>) -> Result<(), NetError> {
        let have = self.routes(index).await?;
        let mut outcome = Ok(());
        for prefix in have.difference(wanted) {
            let delete = self.0.route().del(over(index, *prefix)).execute().await;
            outcome = outcome.and(gone_is_fine(delete, &[ESRCH, ENODEV], "route"));
        }
        for prefix in wanted.difference(&have) {
            // Never replaced: a route to the same place that is not ours is somebody's decision.
            let add = self.0.route().add(over(index, *prefix)).execute().await;
            let add = add.map_err(|error| match errno(&error) {
                Some(EEXIST) => NetError::RouteTaken { prefix: *prefix },
                _ => refused("route")(error),
            });
            outcome = outcome.and(add);
        }
        outcome
    }

    /// Prefixes of our routes over the interface.
    pub(super) async fn routes(&self, index: u32) -> Result<BTreeSet<IpNet>, NetError> {
        let mut all = BTreeSet::new();
        for any in [IpNet::from(ipnet::Ipv4Net::default()), ipnet::Ipv6Net::default().into()] {
            let mut question = RouteMessage::default();
            question.header.address_family = over(index, any).header.address_family;
            question.header.table = RouteHeader::RT_TABLE_MAIN;
            question.header.protocol = PROTOCOL;
            question.attributes.push(RouteAttribute::Oif(index));
            let mut answers = self.0.route().get(question).execute();
            while let Some(answer) = answers.next().await {
                let answer = match answer {
                    // The kernel knows no such interface, no such family, or no route of it.
                    Err(error) if errno(&error).is_some_and(|n| NO_ROUTES.contains(&n)) => break,
                    answer => answer.map_err(|error| unreadable("routes", error))?,
                };
                all.extend(route_of(&answer, index));
            }
        }
        Ok(all)
    }
}

/// All prefixes that are reached through the mesh.
pub(super) fn destinations(config: &MeshConfig) -> BTreeSet<IpNet> {
    config.peers.values().flat_map(|peer| &peer.allowed).map(IpNet::trunc).collect()
}

fn over(index: u32, prefix: IpNet) -> RouteMessage {
    match prefix {
        IpNet::V4(v4) => RouteMessageBuilder::<std::net::Ipv4Addr>::new()
            .destination_prefix(v4.addr(), v4.prefix_len())
            .output_interface(index)
            .protocol(PROTOCOL)
            .scope(RouteScope::Link)
            .build(),
        IpNet::V6(v6) => RouteMessageBuilder::<std::net::Ipv6Addr>::new()
            .destination_prefix(v6.addr(), v6.prefix_len())
            .output_interface(index)
            .protocol(PROTOCOL)
            .build(),
    }
}

/// The prefix, if the route is ours: older kernels answer with more than was asked for.
fn route_of(message: &RouteMessage, index: u32) -> Option<IpNet> {
    let ours = message.header.protocol == PROTOCOL
        && message.header.table == RouteHeader::RT_TABLE_MAIN
        && message.attributes.contains(&RouteAttribute::Oif(index));
    let destination = message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(RouteAddress::Inet(v4)) => Some((*v4).into()),
        RouteAttribute::Destination(RouteAddress::Inet6(v6)) => Some((*v6).into()),
        _ => None,
    });
    let length = message.header.destination_prefix_length;
    destination.filter(|_| ours).and_then(|address| IpNet::new(address, length).ok())
}

/// The address, if somebody gave it: those of the link itself come and go with it.
pub(crate) fn address_of(message: &AddressMessage) -> Option<IpNet> {
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    let address = local.or_else(|| {
        message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
    })?;
    let given = message.header.scope != AddressScope::Link;
    IpNet::new(address, message.header.prefix_len).ok().filter(|_| given)
}

fn link_of(message: &LinkMessage) -> Link {
    let mut link = Link {
        index: message.header.index,
        name: String::new(),
        kind: None,
        mtu: 0,
        up: message.header.flags.contains(LinkFlags::Up),
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::LinkInfo(infos) => {
                link.kind = infos.iter().find_map(|info| match info {
                    LinkInfo::Kind(kind) => Some(kind.clone()),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    link
}

fn found_link(
    found: Result<Option<LinkMessage>, rtnetlink::Error>,
) -> Result<Option<Link>, NetError> {
    match found {
        Ok(message) => Ok(message.as_ref().map(link_of)),
        Err(error) if errno(&error) == Some(ENODEV) => Ok(None),
        Err(error) => Err(unreadable("interface", error)),
    }
}

/// The number of the kernel's refusal.
pub(crate) fn errno(error: &rtnetlink::Error) -> Option<i32> {
    match error {
        rtnetlink::Error::NetlinkError(message) => ErrorMessage::to_io(message).raw_os_error(),
        _ => None,
    }
}

pub(crate) fn refused(what: &'static str) -> impl Fn(rtnetlink::Error) -> NetError {
    move |source| NetError::Refused { what, source: Box::new(source) }
}

pub(crate) fn unreadable(what: &'static str, source: rtnetlink::Error) -> NetError {
    NetError::Unreadable { what, source: Box::new(source) }
}

pub(crate) fn gone_is_fine(
    outcome: Result<(), rtnetlink::Error>,
    gone: &[i32],
    what: &'static str,
) -> Result<(), NetError> {
    match outcome {
        Err(error) if errno(&error).is_some_and(|number| gone.contains(&number)) => Ok(()),
        outcome => outcome.map_err(refused(what)),
    }
}

pub(crate) fn known_is_fine(
    outcome: Result<(), rtnetlink::Error>,
    what: &'static str,
) -> Result<(), NetError> {
    gone_is_fine(outcome, &[EEXIST], what)
}
