//! Certificates of domains: the steps of the issuer, and certificates of one's own.

use std::collections::BTreeMap;

use jaco_api::{
    error::ErrorCode,
    model::{AuditKind, CertificateSource, Sealed, StoredCertificate, TlsMode},
};
use jaco_ingress::{
    Domain,
    acme::phase::{Phase, Row},
};

use super::{Outcome, rejection::Rejection};
use crate::state::{Issuance, Published, State, Transaction, payload};

/// Most certificates that a cluster keeps of those that were imported.
const MOST: usize = 10_000;
/// Most challenges of one domain: an order has as many as its domain has addresses to be proved from.
const MOST_CHALLENGES: usize = 16;

/// The next step of a domain, decided by an issuer that saw the row before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdvanceIssuance {
    /// The next row. Its version is that of the row it follows, 0 for the first; its challenges are those
    /// that the state has.
    pub issuance: Issuance,
    /// The certificate that the attempt has obtained: it is served from this entry on.
    pub certificate: Option<StoredCertificate>,
}

/// A challenge that every node answers from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishChallenge {
    /// Of which domain.
    pub domain: Domain,
    /// In which attempt.
    pub attempt: u32,
    /// The challenge and its end.
    pub challenge: Published,
}

/// A challenge that no node answers any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithdrawChallenge {
    /// Of which domain.
    pub domain: Domain,
    /// The challenge; its end does not matter.
    pub challenge: Published,
}

/// Credentials of an account at a CA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeepAccount {
    /// The directory of the CA.
    pub directory: String,
    /// The address it was made with; empty without one.
    pub email: String,
    /// Absent when the CA does not know the account any more.
    pub credentials: Option<Sealed>,
}

/// A certificate of one's own, which was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportCertificate {
    /// The certificate.
    pub certificate: StoredCertificate,
}

/// The end of a certificate of one's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteCertificate {
    /// Its domain.
    pub domain: Domain,
}

/// The next attempt at the certificate of a domain is made now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HurryIssuance {
    /// The domain.
    pub domain: Domain,
}

impl AdvanceIssuance {
    pub(super) fn apply(&self, tx: &mut Transaction<'_>) -> Result<Outcome, Rejection> {
        let domain = &self.issuance.domain;
        let present = tx.view().issuances().find(domain).cloned();
        let version = present.as_ref().map_or(0, |issuance| issuance.version);
        if version != self.issuance.version {
            return Err(Rejection::conflict(format!("{domain} has made another step already")));
        }
        if !tx.view().is_to_obtain(domain) {
            return Err(Rejection::conflict(format!(
                "no certificate is to be obtained for {domain}"
            )));
        }
        let next = &self.issuance.row;
        if let Some((kind, facts)) = told(tx.view(), domain, next, self.certificate.as_ref()) {
            tx.audit(kind, facts);
        }
        if let Some(certificate) = &self.certificate {
            tx.put_certificate(domain.clone(), certificate.clone());
        }
        let challenges = present.map(|issuance| issuance.challenges.clone()).unwrap_or_default();
        // What proved an order that is over proves nothing any more.
        let challenges = if next.order.is_some() { challenges } else { Vec::new() };
        tx.put_issuance(Issuance { challenges, ..self.issuance.clone() });
        Ok(Outcome::Done)
    }
}

/// What of a step people want to find again.
fn told(
    state: &State,
    domain: &Domain,
    next: &Row,
    certificate: Option<&StoredCertificate>,
) -> Option<(AuditKind, BTreeMap<String, String>)> {
    let before = state.issuances().find(domain).map(|issuance| &issuance.row);
    if let Some(certificate) = certificate {
        let kind = match state.certificates().contains(domain) {
            true => AuditKind::CertificateRenewed,
            false => AuditKind::CertificateIssued,
        };
        return Some((kind, facts(certificate)));
    }
    let failed = next.phase == Phase::Failed
        && before
            .is_none_or(|before| before.phase != Phase::Failed || before.attempt != next.attempt);
    failed.then(|| {
        let reason = next.reason.clone().unwrap_or_default();
        let facts = payload([
            ("domain", domain.to_string()),
            ("reason", reason),
            ("again_at", next.deadline.to_string()),
        ]);
        (AuditKind::CertificateFailed, facts)
    })
}

fn facts(certificate: &StoredCertificate) -> BTreeMap<String, String> {
    payload([
        ("domain", certificate.domain.clone()),
        ("fingerprint", certificate.fingerprint.to_string()),
        ("issuer", certificate.issuer.clone()),
        ("expires_at", certificate.not_after.to_string()),
    ])
}

impl PublishChallenge {
    pub(super) fn apply(&self, tx: &mut Transaction<'_>) -> Result<Outcome, Rejection> {
        let over =
            || Rejection::conflict(format!("attempt {} for {} is over", self.attempt, self.domain));
        let present = tx.view().issuances().find(&self.domain).cloned().ok_or_else(over)?;
        if present.row.attempt != self.attempt || present.row.phase.attempt().is_none() {
            return Err(over());
        }
        let mut challenges = without(&present.challenges, &self.challenge);
        challenges.retain(|published| published.until > tx.at());
        if challenges.len() >= MOST_CHALLENGES {
            let message = format!("{} has {MOST_CHALLENGES} challenges already", self.domain);
            return Err(Rejection::conflict(message));
        }
        challenges.push(self.challenge.clone());
        tx.put_issuance(Issuance { challenges, ..Issuance::clone(&present) });
        Ok(Outcome::Done)
    }
}

impl WithdrawChallenge {
    pub(super) fn apply(&self, tx: &mut Transaction<'_>) -> Result<Outcome, Rejection> {
        let Some(present) = tx.view().issuances().find(&self.domain).cloned() else {
            return Ok(Outcome::Done);
        };
        let challenges = without(&present.challenges, &self.challenge);
        if challenges.len() != present.challenges.len() {
            tx.put_issuance(Issuance { challenges, ..Issuance::clone(&present) });
        }
        Ok(Outcome::Done)
    }
}

fn without(all: &[Published], one: &Published) -> Vec<Published> {
    all.iter().filter(|published| published.challenge != one.challenge).cloned().collect()
}

impl KeepAccount {
    pub(super) fn apply(&self, tx: &mut Transaction<'_>) -> Result<Outcome, Rejection> {
        tx.put_account((self.directory.clone(), self.email.clone()), self.credentials.clone());
        Ok(Outcome::Done)
    }
}

impl ImportCertificate {
    pub(super) fn apply(&self, tx: &mut Transaction<'_>) -> Result<Outcome, Rejection> {
        let certificate = &self.certificate;
        let domain: Domain = certificate
            .domain
            .parse()
            .map_err(|e| Rejection::new(ErrorCode::ValidationFailed, format!("{e}")))?;
        let view = tx.view();
        if !view.certificates().contains(&domain) && view.certificates().len() >= MOST {
            let message = format!("a cluster keeps at most {MOST} certificates");
            return Err(Rejection::new(ErrorCode::ValidationFailed, message));
        }
        tx.audit(AuditKind::CertificateImported, facts(certificate));
        tx.put_certificate(domain, certificate.clone());
        Ok(Outcome::Done)
    }
}

impl DeleteCertificate {
    pub(super) fn apply(&self, tx: &mut Transaction<'_>) -> Result<Outcome, Rejection> {
        let domain = &self.domain;
        let found = tx.view().certificates().find(domain).cloned();
        let Some(certificate) = found.filter(|c| c.source == CertificateSource::Imported) else {
            return Err(absent(domain));
        };
        let named =
            |tls: &TlsMode| matches!(tls, TlsMode::Imported(name) if name == domain.as_str());
        let users = tx.view().users_of_certificate(domain);
        let users = users.iter().filter(|name| {
            let routes = tx.view().revision_in_force(name).into_iter().flat_map(|r| &r.routes);
            routes.map(|route| &route.tls).any(named)
        });
        let users: Vec<_> = users.map(ToString::to_string).collect();
        if !users.is_empty() {
            let users = users.join(", ");
            let message = format!("the certificate for {domain} is used by {users}");
            return Err(Rejection::conflict(message)
                .with("used_by", users)
                .hint("apply the deployments without it first"));
        }
        tx.remove_certificate(domain);
        tx.audit(AuditKind::CertificateRemoved, facts(&certificate));
        Ok(Outcome::Done)
    }
}

fn absent(domain: &Domain) -> Rejection {
    let message = format!("nobody has imported a certificate for {domain}");
    Rejection::new(ErrorCode::CertificateNotFound, message)
}

impl HurryIssuance {
    pub(super) fn apply(&self, tx: &mut Transaction<'_>) -> Result<Outcome, Rejection> {
        let domain = &self.domain;
        if let Some(present) = tx.view().issuances().find(domain).cloned() {
            if let Some(row) = present.row.hurried(tx.at()) {
                tx.put_issuance(Issuance { row, ..Issuance::clone(&present) });
            }
            return Ok(Outcome::Done);
        }
        let imported = tx.view().certificates().contains(domain);
        Err(match imported {
            true => Rejection::conflict(format!("the certificate for {domain} was imported"))
                .hint(format!("`jaco cert import {domain}` puts another one in its place")),
            false => Rejection::new(
                ErrorCode::CertificateNotFound,
                format!("no certificate is obtained for {domain}"),
            ),
        })
    }
}
