//! Certificates of domains, and the lack of them.

use std::collections::BTreeMap;

use jaco_api::model::{
    CertificatePhase, CertificateSource, CertificateSummary, DeploymentName, ServedCertificate,
    TlsMode,
};
use jaco_ingress::{Domain, acme::phase::Phase};

use crate::state::{Issuance, State};

/// Every domain that has a certificate, is to have one, or has one named that is not there; by domain. The cost is that
/// of all routes.
#[must_use]
pub fn certificates(state: &State) -> BTreeMap<String, CertificateSummary> {
    let mut users = users(state);
    let stored = state.certificates().iter().map(|(domain, _)| domain);
    let underway = state.issuances().iter().map(|(domain, _)| domain);
    let wanted: Vec<_> = state.domains_to_obtain().map(|(domain, _)| domain).collect();
    let mut all = BTreeMap::new();
    for domain in stored.chain(underway).chain(&wanted) {
        let of = users.remove(domain.as_str());
        let row = || one(state, domain, of.unwrap_or_default().names);
        all.entry(domain.to_string()).or_insert_with(row);
    }
    let missing = users.into_iter().filter(|(_, users)| users.named);
    all.extend(missing.map(|(name, users)| (name.clone(), missing_row(name, users.names))));
    all
}

/// The certificate of one name, as it is shown; absent when there is none and none is wanted.
#[must_use]
pub fn certificate(state: &State, name: &str) -> Option<CertificateSummary> {
    let domain: Option<Domain> = name.parse().ok();
    let known = domain.as_ref().filter(|domain| {
        state.certificates().contains(*domain)
            || state.issuances().contains(*domain)
            || state.is_to_obtain(domain)
    });
    if let Some(domain) = known {
        return Some(one(state, domain, state.users_of_certificate(domain)));
    }
    let users = users(state).remove(name).filter(|users| users.named)?;
    Some(missing_row(name.to_owned(), users.names))
}

/// The deployments whose routes a certificate is served for.
#[derive(Default)]
struct Users {
    names: Vec<DeploymentName>,
    /// A route names it, and does not leave it to us where it comes from.
    named: bool,
}

/// Who uses which certificate, in one pass over all routes.
fn users(state: &State) -> BTreeMap<String, Users> {
    let mut all: BTreeMap<String, Users> = BTreeMap::new();
    for deployment in state.deployments() {
        let owner = &deployment.name;
        for route in state.revision_in_force(owner).into_iter().flat_map(|r| &r.routes) {
            let name = match &route.tls {
                TlsMode::Auto => &route.domain,
                TlsMode::Imported(name) => name,
                TlsMode::Off => continue,
            };
            if state.route_owner(&route.domain, &route.path) != Some(owner) {
                continue;
            }
            let users = all.entry(name.clone()).or_default();
            users.named |= matches!(route.tls, TlsMode::Imported(_));
            if users.names.last() != Some(owner) {
                users.names.push(owner.clone());
            }
        }
    }
    all
}

fn one(state: &State, domain: &Domain, deployments: Vec<DeploymentName>) -> CertificateSummary {
    let stored = state.certificates().find(domain);
    let row = CertificateSummary {
        domain: domain.to_string(),
        phase: CertificatePhase::Pending,
        deployments,
        certificate: stored.map(|stored| ServedCertificate::from(&**stored)),
        next_at: None,
        attempts: 0,
        failures: 0,
        reason: None,
    };
    if stored.is_some_and(|stored| stored.source == CertificateSource::Imported) {
        return CertificateSummary { phase: CertificatePhase::Imported, ..row };
    }
    match state.issuances().find(domain) {
        Some(issuance) => underway(row, issuance),
        None if stored.is_some() => CertificateSummary { phase: CertificatePhase::Issued, ..row },
        None => {
            CertificateSummary { reason: Some("the leader has not begun yet".to_owned()), ..row }
        }
    }
}

fn underway(row: CertificateSummary, issuance: &Issuance) -> CertificateSummary {
    let now = &issuance.row;
    CertificateSummary {
        phase: match now.phase {
            Phase::Pending => CertificatePhase::Pending,
            Phase::Staging => CertificatePhase::Staging,
            Phase::Promoting => CertificatePhase::Promoting,
            Phase::Issued => CertificatePhase::Issued,
            Phase::Renewing => CertificatePhase::Renewing,
            Phase::Failed => CertificatePhase::Failed,
        },
        next_at: (now.phase != Phase::Pending).then_some(now.deadline),
        attempts: now.attempt,
        failures: now.failures,
        reason: now.reason.clone(),
        ..row
    }
}

fn missing_row(name: String, deployments: Vec<DeploymentName>) -> CertificateSummary {
    let reason = format!(
        "nobody has imported it: `jaco cert import {name} --cert FILE --key FILE` puts one in place"
    );
    CertificateSummary {
        domain: name,
        phase: CertificatePhase::Missing,
        deployments,
        certificate: None,
        next_at: None,
        attempts: 0,
        failures: 0,
        reason: Some(reason),
    }
}
