//! The certificates and challenges that every node serves, projected from the state.

use std::{collections::BTreeMap, sync::Arc};

use jaco_api::model::{StoredCertificate, TlsMode};
use jaco_ingress::Domain;

use crate::state::{Published, State};

/// What TLS shows, and what CAs are answered. The same on every node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Secured {
    /// The certificate of each domain of a route that has one.
    pub certificates: BTreeMap<Domain, Arc<StoredCertificate>>,
    /// What any node answers to a CA.
    pub challenges: Vec<Published>,
}

/// What is served by this state.
#[must_use]
pub fn secured(state: &State) -> Secured {
    let routes = state.deployments().flat_map(|deployment| {
        let revision = state.revision_in_force(&deployment.name);
        revision.into_iter().flat_map(|revision| &revision.routes)
    });
    let certificate = |route: &jaco_api::model::RouteSpec| {
        let name = match &route.tls {
            TlsMode::Auto => &route.domain,
            TlsMode::Imported(name) => name,
            TlsMode::Off => return None,
        };
        let stored = state.certificates().find(&name.parse::<Domain>().ok()?)?;
        Some((route.domain.parse().ok()?, Arc::clone(stored)))
    };
    let challenges = state.issuances().iter().flat_map(|(_, issuance)| &issuance.challenges);
    Secured {
        certificates: routes.filter_map(certificate).collect(),
        challenges: challenges.cloned().collect(),
    }
}

#[cfg(test)]
mod tests {
    use jaco_api::model::CertificateSource::Imported;

    use super::*;
    use crate::{
        command::{Command, ImportCertificate},
        testing::builders::{Scenario, Stack, certificate},
    };

    #[test]
    fn a_domain_is_served_with_the_certificate_that_its_routes_name() {
        let mut s = Scenario::new();
        let stack = Stack::new("shop").service("web", "web:1", 1);
        let mut stack = stack.route("a.example.com", "/", "web").route("b.example.com", "/", "web");
        stack = stack.route("c.example.com", "/", "web").route("d.example.com", "/", "web");
        let mut command = stack.command();
        command.routes[1].tls = TlsMode::Imported("*.example.com".into());
        command.routes[2].tls = TlsMode::Off;
        s.run(Command::ApplyDeployment(Box::new(command)));
        for domain in ["a.example.com", "*.example.com", "c.example.com", "unused.example.com"] {
            let certificate = certificate(domain, Imported);
            s.run(Command::ImportCertificate(Box::new(ImportCertificate { certificate })));
        }
        let served = secured(&s.state).certificates;
        let served: Vec<_> =
            served.iter().map(|(domain, c)| (domain.as_str(), c.domain.as_str())).collect();
        let expected = [("a.example.com", "a.example.com"), ("b.example.com", "*.example.com")];
        assert_eq!(served, expected);
        assert!(secured(&s.state).challenges.is_empty());
    }
}
