//! What this node serves to visitors, as it really is: the agent that keeps it writes it, who looks reads it.

use std::{collections::BTreeMap, sync::Arc};

use jaco_ingress::{Ingress, Limits, tls::Resolver};
use tokio::sync::watch;

/// The listeners of a node by name, `http`, `https` or one such as `5432/tcp`, and why one is not open.
pub(crate) type Listeners = BTreeMap<String, Option<String>>;

/// The proxy, the certificates and the listeners of a node. Clones are the same.
#[derive(Clone)]
pub(crate) struct Served {
    /// The routes.
    pub(crate) ingress: Ingress,
    /// The certificates.
    pub(crate) resolver: Arc<Resolver>,
    /// Which ports are open.
    pub(crate) listeners: Arc<watch::Sender<Listeners>>,
    /// The raft index by which it is served; absent while nothing is.
    pub(crate) index: Arc<watch::Sender<Option<u64>>>,
}

impl Served {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            ingress: Ingress::new(limits),
            resolver: Arc::default(),
            listeners: Arc::new(watch::Sender::new(BTreeMap::new())),
            index: Arc::new(watch::Sender::new(None)),
        }
    }
}
