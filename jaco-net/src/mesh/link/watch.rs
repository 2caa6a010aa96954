//! Tells when interfaces of ours may have changed behind our back.
//!
//! In: what rtnetlink announces to everybody. Out: a number that changes. Looks at nothing and repairs
//! nothing: whoever is woken does. Bursts are one wake, and a wake for what we did ourselves is harmless.

use std::{
    collections::BTreeSet,
    io,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures::{StreamExt as _, channel::mpsc::UnboundedReceiver};
use rtnetlink::{
    MulticastGroup,
    packet_core::{NetlinkMessage, NetlinkPayload},
    packet_route::{
        RouteNetlinkMessage,
        link::{LinkAttribute, LinkMessage},
        route::RouteAttribute,
    },
    sys::SocketAddr,
};
use tokio::{sync::watch, task::JoinHandle};

use super::Links;
use crate::NetError;

/// What concerns an interface.
const GROUPS: [MulticastGroup; 5] = [
    MulticastGroup::Link,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
];
/// Before the announcements are listened to again after they broke off.
const PAUSE: Duration = Duration::from_secs(1);

/// The interfaces that somebody wants to hear of.
#[derive(Debug, Clone)]
pub(crate) enum Interest {
    /// The one of this name.
    Named(String),
    /// All whose names begin like this.
    Beginning(&'static str),
}

impl Interest {
    fn is(&self, name: &str) -> bool {
        match self {
            Self::Named(own) => name == own,
            Self::Beginning(with) => name.starts_with(with),
        }
    }
}

/// Listens to what the kernel announces of some interfaces and their ports, from the first
/// [`Watcher::subscribe`] on.
#[derive(Debug)]
pub(crate) struct Watcher {
    interest: Interest,
    changed: watch::Sender<u64>,
    listening: Mutex<Option<JoinHandle<()>>>,
}

impl Watcher {
    pub(crate) fn of(interest: Interest) -> Self {
        Self { interest, changed: watch::Sender::new(0), listening: Mutex::default() }
    }

    /// What to tell a change to that the kernel does not announce.
    #[cfg(feature = "userspace")]
    pub(crate) fn sender(&self) -> watch::Sender<u64> {
        self.changed.clone()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        let mut listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner);
        // The runtime that it ran on may be gone.
        if listening.as_ref().is_none_or(JoinHandle::is_finished) {
            // Opened before this returns: whatever changes afterwards is heard.
            let announcements = Announcements::open();
            let (interest, changed) = (self.interest.clone(), self.changed.clone());
            *listening = Some(tokio::spawn(listen(interest, changed, announcements)));
        }
        self.changed.subscribe()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let listening = self.listening.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = listening.take() {
            task.abort();
        }
    }
}

/// What the kernel announces, and a way to ask it.
struct Announcements {
    links: Links,
    messages: Messages,
}

type Messages = UnboundedReceiver<(NetlinkMessage<RouteNetlinkMessage>, SocketAddr)>;

impl Announcements {
    fn open() -> io::Result<Self> {
        let (connection, handle, messages) = rtnetlink::new_multicast_connection(&GROUPS)?;
        tokio::spawn(connection);
        Ok(Self { links: Links(handle), messages })
    }

    /// Rings for each that concerns the interfaces, until they break off.
    async fn follow(
        mut self,
        interest: &Interest,
        changed: &watch::Sender<u64>,
    ) -> Result<(), NetError> {
        let mut ours = Ours { interest, indexes: BTreeSet::new() };
        for link in self.links.all().await? {
            ours.concerned(&RouteNetlinkMessage::NewLink(link));
        }
        while let Some((message, _)) = self.messages.next().await {
            let NetlinkPayload::InnerMessage(message) = message.payload else { continue };
            if ours.concerned(&message) {
                ring(changed);
            }
        }
        Ok(())
    }
}

async fn listen(
    interest: Interest,
    changed: watch::Sender<u64>,
    mut announcements: io::Result<Announcements>,
) {
    loop {
        let followed = match announcements {
            Ok(announcements) => announcements.follow(&interest, &changed).await,
            Err(source) => {
                Err(NetError::Unavailable { facility: "rtnetlink", source: Box::new(source) })
            }
        };
        if let Err(error) = followed {
            tracing::warn!(%error, ?interest, "changes of interfaces are not announced");
        }
        // It ends when the kernel announced more than was read: something was missed.
        tokio::time::sleep(PAUSE).await;
        announcements = Announcements::open();
        ring(&changed);
    }
}

fn ring(changed: &watch::Sender<u64>) {
    changed.send_modify(|n| *n = n.wrapping_add(1));
}

/// The interfaces of an interest, by the numbers that they have now.
struct Ours<'a> {
    interest: &'a Interest,
    indexes: BTreeSet<u32>,
}

impl Ours<'_> {
    /// Whether an announcement is about one of them, or about a port of one. Their numbers are kept up to
    /// date with it.
    fn concerned(&mut self, message: &RouteNetlinkMessage) -> bool {
        match message {
            RouteNetlinkMessage::NewLink(link) | RouteNetlinkMessage::DelLink(link) => {
                let there = matches!(message, RouteNetlinkMessage::NewLink(_));
                self.link(link, there)
            }
            RouteNetlinkMessage::NewAddress(address) | RouteNetlinkMessage::DelAddress(address) => {
                self.indexes.contains(&address.header.index)
            }
            RouteNetlinkMessage::NewRoute(route) | RouteNetlinkMessage::DelRoute(route) => {
                let over = |a: &RouteAttribute| matches!(a, RouteAttribute::Oif(i) if self.indexes.contains(i));
                route.attributes.iter().any(over)
            }
            _ => false,
        }
    }

    fn link(&mut self, link: &LinkMessage, there: bool) -> bool {
        let is = |a: &LinkAttribute| matches!(a, LinkAttribute::IfName(n) if self.interest.is(n));
        let named = link.attributes.iter().any(is);
        let index = link.header.index;
        // One that was ours and has another name now counts, too.
        let known =
            if named && there { !self.indexes.insert(index) } else { self.indexes.remove(&index) };
        let port = |a: &LinkAttribute| matches!(a, LinkAttribute::Controller(i) if self.indexes.contains(i));
        named || known || link.attributes.iter().any(port)
    }
}

#[cfg(test)]
mod tests {
    use rtnetlink::packet_route::{address::AddressMessage, route::RouteMessage};

    use super::*;

    fn link(index: u32, name: &str) -> LinkMessage {
        let mut link = LinkMessage::default();
        link.header.index = index;
        link.attributes.push(LinkAttribute::IfName(name.to_owned()));
        link
    }

    #[test]
    fn only_what_is_about_the_interface_wakes() {
        let interest = Interest::Named("jaco0".to_owned());
        let mut ours = Ours { interest: &interest, indexes: BTreeSet::new() };
        let mut seen = |message| ours.concerned(&message);
        let mut address = AddressMessage::default();
        address.header.index = 7;
        let mut route = RouteMessage::default();
        route.attributes.push(RouteAttribute::Oif(7));

        assert!(!seen(RouteNetlinkMessage::NewAddress(address.clone())), "whose is it?");
        assert!(!seen(RouteNetlinkMessage::NewLink(link(3, "eth0"))));
        assert!(seen(RouteNetlinkMessage::NewLink(link(7, "jaco0"))));
        assert!(seen(RouteNetlinkMessage::DelAddress(address.clone())));
        assert!(seen(RouteNetlinkMessage::DelRoute(route.clone())));
        assert!(seen(RouteNetlinkMessage::DelLink(link(7, "jaco0"))));
        assert!(!seen(RouteNetlinkMessage::NewRoute(route)), "the number may be another's now");

        assert!(seen(RouteNetlinkMessage::NewLink(link(8, "jaco0"))), "made anew");
        assert!(seen(RouteNetlinkMessage::NewLink(link(8, "mine"))), "renamed");
        address.header.index = 8;
        assert!(!seen(RouteNetlinkMessage::NewAddress(address)));
    }

    #[test]
    fn a_port_of_an_interface_wakes_as_the_interface_does() {
        let interest = Interest::Beginning("jaco-");
        let mut ours = Ours { interest: &interest, indexes: BTreeSet::new() };
        let mut seen = |message| ours.concerned(&message);
        let mut port = link(9, "veth1");
        port.attributes.push(LinkAttribute::Controller(7));

        assert!(!seen(RouteNetlinkMessage::NewLink(port.clone())), "of whose bridge?");
        assert!(seen(RouteNetlinkMessage::NewLink(link(7, "jaco-a"))));
        assert!(seen(RouteNetlinkMessage::NewLink(link(8, "jaco-b"))));
        assert!(seen(RouteNetlinkMessage::NewLink(port.clone())));
        assert!(seen(RouteNetlinkMessage::DelLink(port.clone())));
        assert!(!seen(RouteNetlinkMessage::NewLink(link(9, "veth1"))), "a port is not the bridge");
        assert!(!seen(RouteNetlinkMessage::NewLink(link(3, "jaco0"))));
        assert!(seen(RouteNetlinkMessage::DelLink(link(7, "jaco-a"))));
        assert!(!seen(RouteNetlinkMessage::NewLink(port)));
    }
}
