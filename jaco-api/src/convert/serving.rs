//! Routes as they are stored and as nodes serve them.

use super::{InvalidMessage, parse, required};
use crate::{model, pb};

fn all<A, B: TryFrom<A, Error = InvalidMessage>>(rows: Vec<A>) -> Result<Vec<B>, InvalidMessage> {
    rows.into_iter().map(TryInto::try_into).collect()
}

impl From<model::StoredRoutes> for pb::StoredRoutes {
    fn from(s: model::StoredRoutes) -> Self {
        let routes = s.routes.into_iter().map(|stored| pb::StoredRoute {
            deployment: stored.deployment.into(),
            route: Some(stored.route.into()),
        });
        Self {
            domain: s.domain,
            routes: routes.collect(),
            certificate: s.certificate.map(Into::into),
        }
    }
}
impl TryFrom<pb::StoredRoutes> for model::StoredRoutes {
    type Error = InvalidMessage;
    fn try_from(s: pb::StoredRoutes) -> Result<Self, InvalidMessage> {
        Ok(Self {
            domain: s.domain,
            routes: all(s.routes)?,
            certificate: s.certificate.map(TryInto::try_into).transpose()?,
        })
    }
}
impl TryFrom<pb::StoredRoute> for model::StoredRoute {
    type Error = InvalidMessage;
    fn try_from(s: pb::StoredRoute) -> Result<Self, InvalidMessage> {
        Ok(Self {
            deployment: parse("deployment", &s.deployment)?,
            route: required("route", s.route)?.try_into()?,
        })
    }
}

impl From<model::NodeRoutes> for pb::NodeRoutes {
    fn from(n: model::NodeRoutes) -> Self {
        Self {
            node: n.node.into(),
            r#match: pb::RouteMatch::from(n.matches).into(),
            differences: n.differences,
            served: n.served.map(Into::into),
        }
    }
}
impl TryFrom<pb::NodeRoutes> for model::NodeRoutes {
    type Error = InvalidMessage;
    fn try_from(n: pb::NodeRoutes) -> Result<Self, InvalidMessage> {
        Ok(Self {
            node: parse("node", &n.node)?,
            matches: n.r#match().try_into()?,
            differences: n.differences,
            served: n.served.map(TryInto::try_into).transpose()?,
        })
    }
}

impl From<model::ServedDomain> for pb::ServedDomain {
    fn from(s: model::ServedDomain) -> Self {
        Self {
            listeners: s.listeners.into_iter().map(Into::into).collect(),
            routes: s.routes.into_iter().map(Into::into).collect(),
            leaf: s.leaf.map(|leaf| leaf.to_string()),
        }
    }
}
impl TryFrom<pb::ServedDomain> for model::ServedDomain {
    type Error = InvalidMessage;
    fn try_from(s: pb::ServedDomain) -> Result<Self, InvalidMessage> {
        Ok(Self {
            listeners: s.listeners.into_iter().map(Into::into).collect(),
            routes: all(s.routes)?,
            leaf: s.leaf.map(|leaf| parse("leaf", &leaf)).transpose()?,
        })
    }
}

impl From<model::Listener> for pb::Listener {
    fn from(l: model::Listener) -> Self {
        Self { name: l.name, closed: l.closed }
    }
}
impl From<pb::Listener> for model::Listener {
    fn from(l: pb::Listener) -> Self {
        Self { name: l.name, closed: l.closed }
    }
}

impl From<model::ServedRoute> for pb::ServedRoute {
    fn from(r: model::ServedRoute) -> Self {
        let upstreams = r.upstreams.into_iter().map(|u| pb::ServedUpstream {
            replica: u.replica.to_string(),
            node: u.node.into(),
            address: u.address.to_string(),
            draining: u.draining,
            passed_over: u.passed_over,
            in_flight: u.in_flight,
        });
        Self {
            path: r.path,
            deployment: r.deployment.into(),
            service: r.service.into(),
            in_flight: r.in_flight,
            upstreams: upstreams.collect(),
        }
    }
}
impl TryFrom<pb::ServedRoute> for model::ServedRoute {
    type Error = InvalidMessage;
    fn try_from(r: pb::ServedRoute) -> Result<Self, InvalidMessage> {
        Ok(Self {
            path: r.path,
            deployment: parse("deployment", &r.deployment)?,
            service: parse("service", &r.service)?,
            in_flight: r.in_flight,
            upstreams: all(r.upstreams)?,
        })
    }
}
impl TryFrom<pb::ServedUpstream> for model::ServedUpstream {
    type Error = InvalidMessage;
    fn try_from(u: pb::ServedUpstream) -> Result<Self, InvalidMessage> {
        Ok(Self {
            replica: parse("replica", &u.replica)?,
            node: parse("node", &u.node)?,
            address: parse("address", &u.address)?,
            draining: u.draining,
            passed_over: u.passed_over,
            in_flight: u.in_flight,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        Digest, Listener, NodeRoutes, RouteMatch, ServedDomain, ServedRoute, ServedUpstream,
    };

    #[test]
    fn what_a_node_serves_is_read_as_it_was_written() {
        let upstream = ServedUpstream {
            replica: "shop.web.1".parse().unwrap(),
            node: "node-a".parse().unwrap(),
            address: "10.244.0.2:8080".parse().unwrap(),
            draining: true,
            passed_over: true,
            in_flight: 3,
        };
        let route = ServedRoute {
            path: "/".to_owned(),
            deployment: "shop".parse().unwrap(),
            service: "web".parse().unwrap(),
            in_flight: 4,
            upstreams: vec![upstream],
        };
        let listener = |name: &str, closed| Listener { name: name.to_owned(), closed };
        let listeners = vec![listener("http", None), listener("https", Some("in use".to_owned()))];
        let served =
            ServedDomain { listeners, routes: vec![route], leaf: Some(Digest::of(b"leaf")) };
        let told = NodeRoutes {
            node: "node-a".parse().unwrap(),
            matches: RouteMatch::Stale,
            differences: vec!["/ lacks shop.web.2".to_owned()],
            served: Some(served),
        };
        let message = pb::NodeRoutes::from(told.clone());
        assert_eq!(NodeRoutes::try_from(message.clone()).unwrap(), told);
        let vague = pb::NodeRoutes { r#match: 0, ..message };
        assert_eq!(NodeRoutes::try_from(vague).unwrap_err().field, "match");
    }
}
