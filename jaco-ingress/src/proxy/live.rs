//! A picture as it is served: its table, with what this node knows of each route bound to it. Built whole, swapped
//! whole.

use std::{collections::BTreeMap, sync::Arc};

use jaco_api::model::{DeploymentName, ServiceName, TlsMode};
use sha2::{Digest as _, Sha256};

use super::{
    access::Access,
    stats::{Counters, Ledger, RouteKey},
    upstream::{Endpoints, Replicas},
};
use crate::route::{LeftOut, Picture, Route, RouteOptions, Sticky, Table, normal};

/// A route with what belongs to it on this node. What every request reads is first, and so in one line of the cache:
/// with many routes each request fetches it anew.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct LiveRoute {
    pub(super) counters: Arc<Counters>,
    pub(super) replicas: Replicas,
    pub(super) options: Arc<RouteOptions>,
    pub(super) access: Arc<Access>,
    /// Visitors without TLS are sent to HTTPS.
    pub(super) to_https: bool,
    pub(super) has_certificate: bool,
    cookie: Option<Box<str>>,
    /// Its path in the form in which it is compared, without its last slash.
    pub(super) prefix: Box<str>,
    pub(super) deployment: DeploymentName,
    pub(super) service: ServiceName,
}

impl LiveRoute {
    /// Name of the cookie that keeps visitors on one replica, if that is asked.
    pub(super) fn cookie(&self) -> Option<&str> {
        // Its own field is further away than the options.
        self.options.sticky.filter(|sticky| *sticky == Sticky::Cookie)?;
        self.cookie.as_deref()
    }
}

/// What is served now.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) picture: Arc<Picture>,
    pub(super) table: Table<Arc<LiveRoute>>,
    /// Of the routes that count their visitors: kept so that the next picture can go on with what was counted.
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
        let mut counting = BTreeMap::new();
        let mut alike = Alike::default();
        let mut live = |route: &Route| {
            let (key, options) = (RouteKey::of(route), &route.options);
            let access = if options.rate_limit.is_some() {
                let kept = before.access.get(&key).filter(|kept| kept.is_for(options));
                let own = kept.map_or_else(|| Arc::new(Access::new(options)), Arc::clone);
                counting.insert(key.clone(), Arc::clone(&own));
                own
            } else {
                alike.access(options)
            };
            Arc::new(LiveRoute {
                counters: ledger.counters(&key),
                replicas: endpoints.replicas(&route.upstreams, options.sticky),
                options: alike.options(options),
                access,
                to_https: route.tls != TlsMode::Off && route.has_certificate,
                has_certificate: route.has_certificate,
                cookie: (options.sticky == Some(Sticky::Cookie)).then(|| cookie(route)),
                prefix: normal(&route.path).trim_end_matches('/').into(),
                deployment: route.deployment.clone(),
                service: route.service.clone(),
            })
        };
        let routes = picture.routes.iter().map(|r| (&*r.domain, &*r.path, live(r)));
        let (table, left_out) = Table::compile(routes);
        (Self { picture: Arc::new(picture), table, access: counting }, left_out)
    }
}

/// What the route before asked for. Routes that ask for the same, which most often is nothing, have it together.
struct Alike {
    options: Arc<RouteOptions>,
    access: Arc<Access>,
}

impl Default for Alike {
    fn default() -> Self {
        let options = Arc::<RouteOptions>::default();
        Self { access: Arc::new(Access::new(&options)), options }
    }
}

impl Alike {
    fn options(&mut self, wanted: &RouteOptions) -> Arc<RouteOptions> {
        if *self.options != *wanted {
            self.options = Arc::new(wanted.clone());
        }
        Arc::clone(&self.options)
    }

    fn access(&mut self, wanted: &RouteOptions) -> Arc<Access> {
        if !self.access.is_for(wanted) {
            self.access = Arc::new(Access::new(wanted));
        }
        Arc::clone(&self.access)
    }
}

fn cookie(route: &Route) -> Box<str> {
    let digest = Sha256::digest(format!("{}/{}", route.deployment, route.service));
    format!("jaco-{}", hex(&digest[..4])).into()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::route::RateLimit;

    fn route(domain: &str, options: &RouteOptions) -> Route {
        Route {
            domain: domain.to_owned(),
            path: "/".to_owned(),
            tls: TlsMode::Off,
            has_certificate: false,
            deployment: "shop".parse().expect("a deployment name"),
            service: "web".parse().expect("a service name"),
            upstreams: Vec::new(),
            options: options.clone(),
        }
    }

    #[test]
    fn routes_share_what_they_ask_for_but_not_whom_they_count() {
        let per = Duration::from_secs(60);
        let limit = RateLimit { requests: 1, per, burst: 1 };
        let limited = RouteOptions { rate_limit: Some(limit), ..RouteOptions::default() };
        let open = RouteOptions::default();
        let routes = [("a", &open), ("b", &open), ("c", &limited), ("d", &limited)];
        let routes = routes.map(|(domain, options)| route(domain, options)).to_vec();
        let picture = Picture { routes, ..Picture::default() };
        let next = |before: &Live| {
            Live::of(picture.clone(), before, &Endpoints::default(), &Ledger::default()).0
        };
        let first = next(&Live::nothing());
        let [a, b, c, d] =
            ["a", "b", "c", "d"].map(|host| first.table.find(host, "/").expect("a route"));
        assert!(Arc::ptr_eq(&a.options, &b.options) && Arc::ptr_eq(&a.access, &b.access));
        assert!(Arc::ptr_eq(&c.options, &d.options) && !Arc::ptr_eq(&c.access, &d.access));
        let second = next(&first);
        let kept = second.table.find("c", "/").expect("the same route");
        assert!(Arc::ptr_eq(&c.access, &kept.access), "it goes on with what it counted");
    }
}
