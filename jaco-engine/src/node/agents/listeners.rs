//! The listeners of a node: opened, kept, and tried again when their port is in use.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{Ipv4Addr, SocketAddr},
};

use jaco_api::model::Protocol;
use jaco_ingress::{
    Ingress, Transport,
    l4::{Bounds, Port, Target},
};
use tokio::{
    net::{TcpListener, UdpSocket},
    task::JoinSet,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::node::served::{Listeners, Served};

/// The listeners of names.
const NAMES: [&str; 2] = ["http", "https"];

/// The listeners. Dropping them closes all at once.
#[derive(Default)]
pub(super) struct Open {
    /// Those of names that are open.
    named: BTreeSet<&'static str>,
    ports: BTreeMap<(u16, Protocol), (Port, DropGuard)>,
    /// What could not be opened, and the last reason.
    failed: BTreeMap<String, String>,
    tasks: JoinSet<()>,
}

impl Open {
    /// Opens a listener of names, if it is not open.
    pub(super) async fn http(
        &mut self,
        name: &'static str,
        at: SocketAddr,
        transport: &Transport,
        ingress: &Ingress,
    ) {
        if self.named.contains(name) {
            return;
        }
        let listener = TcpListener::bind(at).await;
        let Some(listener) = self.opened(name.to_owned(), listener) else { return };
        self.named.insert(name);
        let (ingress, transport) = (ingress.clone(), transport.clone());
        self.tasks.spawn(async move {
            ingress.serve(listener, transport, CancellationToken::new()).await;
        });
    }

    /// Whether everything that is wanted is open.
    pub(super) fn is_whole(&self) -> bool {
        self.failed.is_empty()
    }

    /// Waits until a listener has ended.
    pub(super) async fn ended(&mut self) {
        if self.tasks.join_next().await.is_none() {
            std::future::pending().await
        }
    }

    /// Opens, changes and closes published ports. What is under way on one that closes may end first.
    pub(super) async fn set(&mut self, wanted: BTreeMap<(u16, Protocol), Target>) {
        self.ports.retain(|key, _| wanted.contains_key(key));
        self.failed.retain(|what, _| {
            NAMES.contains(&what.as_str()) || wanted.keys().any(|key| *what == named(*key))
        });
        for (key, target) in wanted {
            if let Some((port, _)) = self.ports.get(&key) {
                port.set(target);
                continue;
            }
            let (port, stop) = (Port::new(target, Bounds::default()), CancellationToken::new());
            let (serving, stopped) = (port.clone(), stop.clone());
            let at = SocketAddr::from((Ipv4Addr::UNSPECIFIED, key.0));
            match key.1 {
                Protocol::Tcp => {
                    let listener = TcpListener::bind(at).await;
                    let Some(listener) = self.opened(named(key), listener) else { continue };
                    self.tasks.spawn(async move { serving.serve_tcp(listener, stopped).await });
                }
                Protocol::Udp => {
                    let socket = UdpSocket::bind(at).await;
                    let Some(socket) = self.opened(named(key), socket) else { continue };
                    self.tasks.spawn(async move { serving.serve_udp(socket, stopped).await });
                }
            }
            self.ports.insert(key, (port, stop.drop_guard()));
        }
    }

    /// Tells which listeners there are and why others are not.
    pub(super) fn show(&self, served: &Served) {
        let names = self.named.iter().map(|name| (*name).to_owned());
        let open = names.chain(self.ports.keys().map(|key| named(*key)));
        let mut listeners: Listeners = open.map(|what| (what, None)).collect();
        listeners.extend(self.failed.iter().map(|(what, why)| (what.clone(), Some(why.clone()))));
        served.listeners.send_if_modified(|shown| {
            let differs = *shown != listeners;
            *shown = listeners;
            differs
        });
    }

    fn opened<T>(&mut self, what: String, bound: io::Result<T>) -> Option<T> {
        match bound {
            Ok(bound) => {
                if self.failed.remove(&what).is_some() {
                    tracing::info!(port = what, "is served now");
                }
                Some(bound)
            }
            Err(error) => {
                let reason = error.to_string();
                if self.failed.get(&what) != Some(&reason) {
                    tracing::error!(port = what, reason, "is not served on this node");
                }
                self.failed.insert(what, reason);
                None
            }
        }
    }
}

fn named((port, protocol): (u16, Protocol)) -> String {
    match protocol {
        Protocol::Tcp => format!("{port}/tcp"),
        Protocol::Udp => format!("{port}/udp"),
    }
}
