//! Tells when the interface may have changed behind our back.
//!
//! In: what rtnetlink announces to everybody. Out: a number that changes. Looks at nothing and repairs
//! nothing: whoever is woken does. Bursts are one wake, and a wake for what we did ourselves is harmless.

use std::{
    io,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures::{StreamExt as _, channel::mpsc::UnboundedReceiver};
use rtnetlink::{
    MulticastGroup,
    packet_core::{NetlinkMessage, NetlinkPayload},
    packet_route::{RouteNetlinkMessage, link::LinkAttribute, route::RouteAttribute},
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

/// Listens to what the kernel announces of one interface, from the first [`Watcher::subscribe`] on.
#[derive(Debug)]
pub(in crate::mesh) struct Watcher {
    name: String,
    changed: watch::Sender<u64>,
    listening: Mutex<Option<JoinHandle<()>>>,
}

impl Watcher {
    pub(in crate::mesh) fn of(name: &str) -> Self {
        Self { name: name.to_owned(), changed: watch::Sender::new(0), listening: Mutex::default() }
    }

    /// What to tell a change to that the kernel does not announce.
    #[cfg(feature = "userspace")]
    pub(in crate::mesh) fn sender(&self) -> watch::Sender<u64> {
        self.changed.clone()
    }

    pub(in crate::mesh) fn subscribe(&self) -> watch::Receiver<u64> {
        let mut listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner);
        // The runtime that it ran on may be gone.
        if listening.as_ref().is_none_or(JoinHandle::is_finished) {
            // Opened before this returns: whatever changes afterwards is heard.
            let announcements = Announcements::open();
            let (name, changed) = (self.name.clone(), self.changed.clone());
            *listening = Some(tokio::spawn(listen(name, changed, announcements)));
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

    /// Rings for each that concerns the interface, until they break off.
    async fn follow(mut self, name: &str, changed: &watch::Sender<u64>) -> Result<(), NetError> {
        let mut index = self.links.find(name).await?.map(|link| link.index);
        while let Some((message, _)) = self.messages.next().await {
            let NetlinkPayload::InnerMessage(message) = message.payload else { continue };
            if concerns(&message, name, &mut index) {
                ring(changed);
            }
        }
        Ok(())
    }
}

async fn listen(
    name: String,
    changed: watch::Sender<u64>,
    mut announcements: io::Result<Announcements>,
) {
    loop {
        let followed = match announcements {
            Ok(announcements) => announcements.follow(&name, &changed).await,
            Err(source) => {
                Err(NetError::Unavailable { facility: "rtnetlink", source: Box::new(source) })
            }
        };
        if let Err(error) = followed {
            tracing::warn!(%error, "changes of the mesh interface are not announced");
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

/// Whether an announcement is about the interface of that name, whose number is kept up to date.
fn concerns(message: &RouteNetlinkMessage, name: &str, index: &mut Option<u32>) -> bool {
    match message {
        RouteNetlinkMessage::NewLink(link) | RouteNetlinkMessage::DelLink(link) => {
            let named = link
                .attributes
                .iter()
                .any(|attribute| matches!(attribute, LinkAttribute::IfName(own) if own == name));
            // One that was ours and has another name now counts, too.
            let concerned = named || *index == Some(link.header.index);
            if concerned {
                let there = named && matches!(message, RouteNetlinkMessage::NewLink(_));
                *index = there.then_some(link.header.index);
            }
            concerned
        }
        RouteNetlinkMessage::NewAddress(address) | RouteNetlinkMessage::DelAddress(address) => {
            *index == Some(address.header.index)
        }
        RouteNetlinkMessage::NewRoute(route) | RouteNetlinkMessage::DelRoute(route) => {
            index.is_some_and(|index| route.attributes.contains(&RouteAttribute::Oif(index)))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use rtnetlink::packet_route::{
        address::AddressMessage, link::LinkMessage, route::RouteMessage,
    };

    use super::*;

    fn link(index: u32, name: &str) -> LinkMessage {
        let mut link = LinkMessage::default();
        link.header.index = index;
        link.attributes.push(LinkAttribute::IfName(name.to_owned()));
        link
    }

    #[test]
    fn only_what_is_about_the_interface_wakes() {
        let mut index = None;
        let mut seen = |message| concerns(&message, "jaco0", &mut index);
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
}
