//! Keeps what this node serves to visitors equal to what the newest state says.

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use jaco_api::model::{Frontends, Protocol};
use jaco_ingress::{
    Transport,
    l4::{Bounds, Port, Target},
};
use tokio::{
    net::{TcpListener, UdpSocket},
    task::JoinSet,
    time::sleep,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    assignment::frontends,
    node::{
        plane::{picture, targets},
        served::{Listeners, Served},
    },
    rpc::Membership,
};

/// The name of the listener for HTTP.
const HTTP: &str = "http";
/// What changes at once is looked at once.
const TOGETHER: Duration = Duration::from_millis(20);
/// How long until a port that is in use is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// What serves, and where.
pub(crate) struct Serving {
    pub(crate) served: Served,
    /// Where HTTP is served; absent where only ports are.
    pub(crate) http: Option<SocketAddr>,
    /// Whether replicas on other nodes are reached.
    pub(crate) meshed: bool,
}

/// Serves until the node stops. A port that is in use keeps no other from being served; it is tried again.
pub(crate) async fn keep_served(membership: Arc<Membership>, serving: Serving) {
    let mut state = membership.state.subscribe();
    let mut served: Option<Frontends> = None;
    let mut open = Open::default();
    loop {
        let newest = frontends(&state.newest(), membership.id);
        if let Some(newest) = newest.filter(|newest| !same(newest, served.as_ref())) {
            for left_out in serving.served.ingress.set(picture(&newest, serving.meshed)) {
                tracing::warn!(domain = left_out.domain, path = left_out.path, reason = %left_out.reason,
                    "a route is not served");
            }
            served = Some(newest);
        }
        let wanted = served.as_ref().map(|f| targets(f, serving.meshed)).unwrap_or_default();
        open.http(&serving).await;
        open.set(wanted).await;
        open.show(&serving.served);
        let retry = async {
            match open.failed.is_empty() {
                false => sleep(AGAIN).await,
                true => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = state.changed() => if changed.is_err() { return },
            () = retry => {}
            Some(_) = open.tasks.join_next() => {}
        }
        sleep(TOGETHER).await;
    }
}

/// Whether the same is served; the state it was made from does not matter.
fn same(newest: &Frontends, served: Option<&Frontends>) -> bool {
    served.is_some_and(|served| *newest == Frontends { index: newest.index, ..served.clone() })
}

/// The listeners. Dropping them closes all at once.
#[derive(Default)]
struct Open {
    http: bool,
    ports: BTreeMap<(u16, Protocol), (Port, DropGuard)>,
    /// What could not be opened, and the last reason.
    failed: BTreeMap<String, String>,
    tasks: JoinSet<()>,
}

impl Open {
    async fn http(&mut self, serving: &Serving) {
        let Some(at) = serving.http.filter(|_| !self.http) else { return };
        let listener = TcpListener::bind(at).await;
        let Some(listener) = self.opened(HTTP.to_owned(), listener) else { return };
        self.http = true;
        let ingress = serving.served.ingress.clone();
        self.tasks.spawn(async move {
            ingress.serve(listener, Transport::Plain, CancellationToken::new()).await;
        });
    }

    /// Opens, changes and closes published ports. What is under way on one that closes may end first.
    async fn set(&mut self, wanted: BTreeMap<(u16, Protocol), Target>) {
        self.ports.retain(|key, _| wanted.contains_key(key));
        self.failed.retain(|what, _| what == HTTP || wanted.keys().any(|key| *what == named(*key)));
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
    fn show(&self, served: &Served) {
        let open = self.http.then(|| HTTP.to_owned());
        let open = open.into_iter().chain(self.ports.keys().map(|key| named(*key)));
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
