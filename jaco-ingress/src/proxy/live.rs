//! A picture as it is served: its table, with what this node knows of each route bound to it. Built whole, swapped
//! whole.

use std::{collections::BTreeMap, sync::Arc};

use sha2::{Digest as _, Sha256};

use super::{
    access::Access,
    stats::{Counters, Ledger, RouteKey},
    upstream::{Endpoints, Replicas},
};
use crate::route::{LeftOut, Picture, Route, Sticky, Table, normal};

/// A route with what belongs to it on this node.
#[derive(Debug)]
pub(crate) struct LiveRoute {
    pub(super) route: Route,
    /// Its path in the form in which it is compared, without its last slash.
    pub(super) prefix: Box<str>,
    pub(super) replicas: Replicas,
    pub(super) counters: Arc<Counters>,
    pub(super) access: Arc<Access>,
    /// Name of the cookie that keeps visitors on one replica, if that is asked.
    pub(super) cookie: Option<Box<str>>,
}

/// What is served now.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) picture: Arc<Picture>,
    pub(super) table: Table<Arc<LiveRoute>>,
    /// Kept so that the next picture can go on with what was counted.
    access: BTreeMap<RouteKey, Arc<Access>>,
}

impl Live {
    pub(super) fn nothing() -> Self {
        let table = Table::compile([]).0;
        Self { picture: Arc::default(), table, access: BTreeMap::new() }
    }

    pub(super) fn of(
        picture: Picture,
        before: &Self,
        endpoints: &Endpoints,
        ledger: &Ledger,
    ) -> (Self, Vec<LeftOut>) {
        let mut access = BTreeMap::new();
        let mut live = |route: &Route| {
            let key = RouteKey::of(route);
            let kept = before.access.get(&key).filter(|kept| kept.is_for(&route.options));
            let own = kept.map_or_else(|| Arc::new(Access::new(&route.options)), Arc::clone);
            access.insert(key.clone(), Arc::clone(&own));
            Arc::new(LiveRoute {
                route: route.clone(),
                prefix: normal(&route.path).trim_end_matches('/').into(),
                replicas: endpoints.replicas(&route.upstreams, route.options.sticky),
                counters: ledger.counters(&key),
                access: own,
                cookie: (route.options.sticky == Some(Sticky::Cookie)).then(|| cookie(route)),
            })
        };
        let routes = picture.routes.iter().map(|r| (&*r.domain, &*r.path, live(r)));
        let (table, left_out) = Table::compile(routes);
        (Self { picture: Arc::new(picture), table, access }, left_out)
    }
}

fn cookie(route: &Route) -> Box<str> {
    let digest = Sha256::digest(format!("{}/{}", route.deployment, route.service));
    format!("jaco-{}", hex(&digest[..4])).into()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
