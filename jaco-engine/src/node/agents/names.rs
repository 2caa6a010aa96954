//! Keeps the responders answering from what the newest state says.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use jaco_api::model::{Fabric, NodeName};
use jaco_net::dns::{Listening, Names, Resolver, Responders, Tally, Zone};
use tokio::sync::watch;

use crate::node::plane::Naming;

/// On which gateways names are answered, and why not on the others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Answering {
    pub(crate) bound: BTreeSet<IpAddr>,
    pub(crate) failed: BTreeMap<IpAddr, String>,
}

impl Answering {
    fn of(status: &BTreeMap<SocketAddr, Listening>) -> Self {
        let mut answering = Self::default();
        for (at, listening) in status {
            match listening {
                Listening::Bound => {
                    answering.bound.insert(at.ip());
                }
                Listening::Failed(error) => {
                    let cause = std::error::Error::source(&**error).map(ToString::to_string);
                    let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
                    answering.failed.insert(at.ip(), format!("{error}{cause}"));
                }
            }
        }
        answering
    }
}

/// Answers until the node stops. A zone is there before the address on which it is asked for.
pub(crate) async fn keep_named(
    node: NodeName,
    naming: Naming,
    tally: Arc<Tally>,
    mut fabric: watch::Receiver<Option<Arc<Fabric>>>,
    answering: watch::Sender<Answering>,
) {
    let nobody = Zone::new(&Names::of(node));
    let forwarders = naming.forwarders.clone();
    let resolver = Resolver::tallied(nobody, forwarders, naming.patience, tally);
    let responders = Responders::start(Arc::clone(&resolver));
    let mut status = responders.watch();
    loop {
        if let Some(fabric) = fabric.borrow_and_update().clone() {
            let zone = Zone::new(&naming.names(&fabric));
            if !zone.left_out().is_empty() {
                tracing::debug!(names = ?zone.left_out(), "these names cannot be asked for");
            }
            resolver.swap(zone);
            responders.set(naming.listens(&fabric));
        }
        let now = Answering::of(&status.borrow_and_update());
        let changed = answering.send_if_modified(|present| {
            let differs = *present != now;
            *present = now.clone();
            differs
        });
        for (at, why) in now.failed.iter().filter(|(at, _)| changed && at.is_loopback()) {
            tracing::warn!(%at, why, "programs of this host are not answered (`dns.listen`)");
        }
        tokio::select! {
            changed = fabric.changed() => if changed.is_err() { return },
            Ok(()) = status.changed() => {}
        }
    }
}
