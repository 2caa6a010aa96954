//! Certificates of domains, and what is under way to the next ones.

use std::sync::Arc;

use jaco_api::model::{DeploymentName, Sealed, StoredCertificate, Timestamp, TlsMode};
use jaco_ingress::{
    Domain,
    acme::{challenge::Challenge, phase},
};

use super::{State, Table};

/// Where a domain is on the way to its certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuance {
    /// The domain.
    pub domain: Domain,
    /// Its phase, deadline and order.
    pub row: phase::Row,
    /// What any node answers to the CA.
    pub challenges: Vec<Published>,
    /// The raft index of its last change.
    pub version: u64,
}

/// A challenge, and until when it is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// What proves the domain.
    pub challenge: Challenge,
    /// Its end.
    pub until: Timestamp,
}

impl State {
    /// What is served for each domain.
    #[must_use]
    pub fn certificates(&self) -> &Table<Domain, StoredCertificate> {
        &self.certificates
    }
    /// What is under way for each domain.
    #[must_use]
    pub fn issuances(&self) -> &Table<Domain, Issuance> {
        &self.issuances
    }
    /// The credentials of an account at a CA.
    #[must_use]
    pub fn acme_account(&self, directory: &str, email: &str) -> Option<&Arc<Sealed>> {
        self.acme_accounts.find(&(directory.to_owned(), email.to_owned()))
    }

    /// The domains for which a CA is to issue a certificate, and whose they are: those of routes with
    /// `tls: auto` for which nobody has imported one.
    pub fn domains_to_obtain(&self) -> impl Iterator<Item = (Domain, &DeploymentName)> {
        let mut last = None;
        let routes = self.routes.iter();
        let domains = routes.filter(move |((domain, _), _)| last.replace(domain) != Some(domain));
        domains.filter_map(|((domain, path), owner)| {
            let domain = public(domain)?;
            self.obtains(&domain, path, owner).then_some((domain, owner))
        })
    }

    /// Whether a CA is to issue a certificate for a domain.
    #[must_use]
    pub fn is_to_obtain(&self, domain: &Domain) -> bool {
        let mut routes = self.routes_of_domain(domain.as_str());
        public(domain.as_str()).is_some()
            && routes.next().is_some_and(|(owner, route)| self.obtains(domain, &route.path, owner))
    }

    /// All routes of a domain are secured in the same way, so one of them tells.
    fn obtains(&self, domain: &Domain, path: &str, owner: &DeploymentName) -> bool {
        use jaco_api::model::CertificateSource::Imported;
        let imported = self.certificates.find(domain).is_some_and(|c| c.source == Imported);
        let auto = || {
            let routes = self.revision_in_force(owner).into_iter().flat_map(|r| &r.routes);
            let mut routes = routes.filter(|r| r.domain == domain.as_str() && r.path == path);
            routes.any(|route| route.tls == TlsMode::Auto)
        };
        !imported && auto()
    }

    /// The deployments with a route that `domain`'s certificate is served for.
    #[must_use]
    pub fn users_of_certificate(&self, domain: &Domain) -> Vec<DeploymentName> {
        let named = |tls: &TlsMode, of: &str| match tls {
            TlsMode::Auto => of == domain.as_str(),
            TlsMode::Imported(name) => name == domain.as_str(),
            TlsMode::Off => false,
        };
        let owners = self.deployments().map(|deployment| &deployment.name);
        let uses = |owner: &&DeploymentName| {
            let routes = self.revision_in_force(owner).into_iter().flat_map(|r| &r.routes);
            routes
                .filter(|r| self.route_owner(&r.domain, &r.path) == Some(owner))
                .any(|route| named(&route.tls, &route.domain))
        };
        owners.filter(uses).cloned().collect()
    }
}

/// A name for which a CA may issue a certificate: names of one's own network are not asked for.
fn public(domain: &str) -> Option<Domain> {
    let own = ["localhost", "local", "internal"];
    let last = domain.rsplit_once('.').map(|(_, last)| last)?;
    if own.contains(&last) { None } else { domain.parse().ok() }
}
