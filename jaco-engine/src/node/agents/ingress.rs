//! Keeps what this node serves to visitors equal to what the newest state says.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use jaco_api::model::{Frontends, Timestamp};
use jaco_ingress::{
    Domain, Transport,
    acme::challenge::Challenge,
    tls::{TlsError, server_config},
};
use tokio::time::sleep;

use super::listeners::Open;
use crate::{
    assignment::{Secured, frontends, secured},
    certificate::opened,
    clock::Clock,
    node::{
        plane::{Passwords, answers, picture, targets},
        served::Served,
    },
    rpc::Membership,
};

/// What changes at once is looked at once.
const TOGETHER: Duration = Duration::from_millis(20);
/// How long until what could not be served is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// What serves, and where.
pub(crate) struct Serving {
    pub(crate) served: Served,
    /// Where HTTP is served; absent where it is not.
    pub(crate) http: Option<SocketAddr>,
    /// Where HTTPS is served; absent where it is not.
    pub(crate) https: Option<SocketAddr>,
    /// Whether replicas on other nodes are reached.
    pub(crate) meshed: bool,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Serving {
    /// The listeners of names, by their own name.
    fn named(&self) -> Result<Vec<(&'static str, SocketAddr, Transport)>, TlsError> {
        let mut named = Vec::new();
        named.extend(self.http.map(|at| ("http", at, Transport::Plain)));
        if let Some(at) = self.https {
            let resolver = Arc::clone(&self.served.resolver);
            named.push(("https", at, Transport::Tls(server_config(resolver)?)));
        }
        Ok(named)
    }
}

/// What is served now, and what could not be.
struct Now {
    frontends: Option<Frontends>,
    secured: Secured,
    passwords: Passwords,
    /// When an answer to a CA ends.
    until: Option<Timestamp>,
    /// Some certificate could not be opened or loaded.
    lacking: bool,
}

/// Serves until the node stops. A port that is in use keeps no other from being served; it is tried again.
pub(crate) async fn keep_served(membership: Arc<Membership>, serving: Serving) {
    let named = match serving.named() {
        Ok(named) => named,
        Err(error) => {
            tracing::error!(%error, "visitors are not served on this node");
            return;
        }
    };
    let mut state = membership.state.subscribe();
    let mut now = Now {
        frontends: None,
        secured: Secured::default(),
        passwords: Passwords::new(membership.keyring.clone()),
        until: None,
        lacking: false,
    };
    let mut open = Open::default();
    loop {
        let newest = state.newest();
        if let Some(frontends) = frontends(&newest, membership.id) {
            serving.set(&membership, &mut now, frontends, secured(&newest));
        }
        let wanted = now.frontends.as_ref().map(|f| targets(f, serving.meshed)).unwrap_or_default();
        for (name, at, transport) in &named {
            open.http(name, *at, transport, &serving.served.ingress).await;
        }
        open.set(wanted).await;
        open.show(&serving.served);
        serving.served.index.send_replace(Some(newest.index()));
        let whole = open.is_whole() && !now.lacking && !now.passwords.lack_a_key();
        let again = async {
            match whole {
                false => sleep(AGAIN).await,
                true => std::future::pending().await,
            }
        };
        let over = async {
            match now.until {
                Some(until) => serving.clock.sleep(until.since(serving.clock.now())).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = state.changed() => if changed.is_err() { return },
            () = again => {}
            () = over => {}
            () = open.ended() => {}
        }
        sleep(TOGETHER).await;
    }
}

impl Serving {
    /// Serves exactly this from now on. Does nothing where it is served already.
    fn set(&self, membership: &Membership, now: &mut Now, newest: Frontends, secured: Secured) {
        let time = self.clock.now();
        let over = now.until.is_some_and(|until| until <= time);
        let certificates = now.lacking || over || now.secured != secured;
        let lacked = now.passwords.lack_a_key();
        if !certificates && !lacked && same(&newest, now.frontends.as_ref()) {
            return;
        }
        if certificates {
            now.lacking = !self.secure(membership, &secured);
        }
        let (answers, until) = answers(&secured.challenges, time);
        let table = self.served.resolver.table();
        let is_secured = |domain: &str| {
            domain.parse::<Domain>().is_ok_and(|domain| table.leaf(&domain).is_some())
        };
        let https = self.https.is_some();
        let shown = |domain: &str| https && is_secured(domain);
        let picture = picture(&newest, self.meshed, shown, answers, &mut now.passwords);
        if now.passwords.lack_a_key() && !lacked {
            tracing::error!("passwords of routes do not open: who has one of them is kept out");
        }
        for left_out in self.served.ingress.set(picture) {
            tracing::warn!(domain = left_out.domain, path = left_out.path, reason = %left_out.reason,
                "a route is not served");
        }
        (now.frontends, now.secured, now.until) = (Some(newest), secured, until);
    }

    /// Shows these certificates from now on; false when one of them cannot be shown.
    fn secure(&self, membership: &Membership, secured: &Secured) -> bool {
        let opened: Vec<_> = secured
            .certificates
            .iter()
            .filter_map(|(domain, stored)| Some((domain, opened(stored, &membership.keyring)?)))
            .collect();
        let answers =
            secured.challenges.iter().filter_map(|published| match &published.challenge {
                Challenge::TlsAlpn01 { domain, digest } => Some((domain, digest)),
                Challenge::Http01 { .. } | Challenge::Dns01(_) => None,
            });
        let shown = opened.iter().map(|(domain, certificate)| (*domain, certificate));
        let unserved = self.served.resolver.serve(shown, answers, None);
        for unserved in &unserved {
            tracing::error!(domain = %unserved.domain, error = %unserved.error,
                old_is_served = unserved.old_is_served, "a certificate is not served");
        }
        unserved.is_empty() && opened.len() == secured.certificates.len()
    }
}

/// Whether the same is served; the state it was made from does not matter.
fn same(newest: &Frontends, served: Option<&Frontends>) -> bool {
    served.is_some_and(|served| *newest == Frontends { index: newest.index, ..served.clone() })
}
