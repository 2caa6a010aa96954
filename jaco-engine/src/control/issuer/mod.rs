//! How certificates are obtained at a CA, by whoever leads.
//!
//! In: the newest state, the options of this node, a way to write. Out: proposals, and requests to the CA. What is to
//! be done about a domain is decided by [`phase::step`]; this carries it out, and keeps nothing that
//! another leader would need.

mod account;
mod attempt;
mod recorder;

use std::{fmt, sync::Arc};

use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{NodeCondition, NodeId, Timestamp},
};
use jaco_ingress::{
    CertStore, Certificate, DnsProvider, Domain,
    acme::{
        AcmeClient, AcmeError, ExternalAccount, Limits,
        challenge::ChallengeKind,
        phase::{self, Failure, FailureKind, LETS_ENCRYPT},
    },
};

pub(super) use attempt::{make, validity};

use super::{Propose, Sessions, sessions::LEASE};
use crate::{
    clock::Clock,
    command::{AdvanceIssuance, Command},
    seal::Keyring,
    state::{Issuance, State},
    watch::StateWatch,
};

/// How a node obtains certificates while it leads.
#[derive(Clone)]
pub struct AcmeOptions {
    /// Whether anything may go out at all.
    pub enabled: bool,
    /// The directory of the CA, an `https` URL.
    pub directory: String,
    /// Where the CA may write to; a deployment may have an address of its own.
    pub email: Option<String>,
    /// Where a new domain is tried first, an `https` URL; Let's Encrypt's own for Let's Encrypt.
    pub staging: Option<String>,
    /// No dry run before a new domain's first certificate.
    pub skip_staging: bool,
    /// Roots of the CA's own server, beside those of the system: a PEM bundle.
    pub extra_roots: Option<String>,
    /// An account elsewhere at the CA to which ours is bound.
    pub external_account: Option<ExternalAccount>,
    /// How domains are proved; absent means as the listeners allow, one way after the other.
    pub challenge: Option<ChallengeKind>,
    /// Where TXT records are published. Wildcards need it.
    pub dns: Option<Arc<dyn DnsProvider>>,
    /// How long we wait for the CA.
    pub limits: Limits,
}

impl Default for AcmeOptions {
    fn default() -> Self {
        Self {
            enabled: true,
            directory: LETS_ENCRYPT.to_owned(),
            email: None,
            staging: None,
            skip_staging: false,
            extra_roots: None,
            external_account: None,
            challenge: None,
            dns: None,
            limits: Limits::default(),
        }
    }
}

impl fmt::Debug for AcmeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("AcmeOptions");
        out.field("enabled", &self.enabled).field("directory", &self.directory);
        out.field("challenge", &self.challenge).field("dns", &self.dns.is_some());
        out.finish_non_exhaustive()
    }
}

/// Which ways of the CA to a domain this cluster serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ways {
    /// HTTP is served.
    pub http: bool,
    /// HTTPS is served.
    pub https: bool,
}

/// What obtains certificates.
pub struct Issuer {
    /// What the operator of this node wants.
    pub options: AcmeOptions,
    /// What is served by this node; the others are as it is.
    pub ways: Ways,
    /// Seals keys and accounts.
    pub keyring: Keyring,
    /// Certificates that outlive the cluster's state.
    pub cache: Arc<dyn CertStore>,
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Issuer {
    /// What decides about a domain.
    pub(super) fn settings(&self) -> phase::Settings {
        let AcmeOptions { enabled, directory, staging, skip_staging, .. } = &self.options;
        phase::Settings::new(*enabled, directory, staging.as_deref(), *skip_staging)
    }

    /// A client of one of the CA's directories.
    pub(super) fn client(&self, directory: &str) -> Result<AcmeClient, AcmeError> {
        AcmeClient::new(directory, self.options.extra_roots.as_deref(), self.options.limits)
    }

    /// How a domain is proved after so many failures: where two ways are open, the other one is tried
    /// after each failure, for one of the ports may be closed on the way to us.
    fn way(&self, domain: &Domain, failures: u32) -> Result<ChallengeKind, Failure> {
        let AcmeOptions { challenge, dns, .. } = &self.options;
        let wildcard = domain.as_str().starts_with("*.");
        let way = match (challenge, self.ways) {
            _ if wildcard => ChallengeKind::Dns01,
            (Some(way), _) => *way,
            (None, Ways { http: true, https: true }) if failures % 2 == 1 => {
                ChallengeKind::TlsAlpn01
            }
            (None, Ways { http: true, .. }) => ChallengeKind::Http01,
            (None, Ways { https: true, .. }) => ChallengeKind::TlsAlpn01,
            (None, _) => ChallengeKind::Dns01,
        };
        match way {
            ChallengeKind::Dns01 if dns.is_none() => Err(local(format!(
                "{domain} can only be proved by a DNS record, and no DNS provider is configured"
            ))),
            way => Ok(way),
        }
    }
}

/// A failure for which the CA is not to blame.
fn local(reason: String) -> Failure {
    Failure { kind: FailureKind::Local, reason, retry_after: None }
}

/// What an issuer works with during one term.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) issuer: Arc<Issuer>,
    pub(super) state: StateWatch,
    pub(super) propose: Arc<dyn Propose>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) sessions: Sessions,
}

impl Desk {
    /// The row of a domain as long as this attempt is being made.
    fn row(&self, domain: &Domain, attempt: u32) -> Option<Arc<Issuance>> {
        let state = self.state.newest();
        let present = state.issuances().find(domain)?;
        let goes_on = present.row.attempt == attempt && present.row.phase.attempt().is_some();
        goes_on.then(|| Arc::clone(present))
    }

    /// Writes the next row of a domain. False when it has made another step in the meantime.
    pub(super) async fn advance(&self, next: AdvanceIssuance) -> Result<bool, ApiError> {
        match self.propose.propose(None, Command::AdvanceIssuance(Box::new(next))).await {
            Ok(_) => Ok(true),
            Err(error) if error.code == ErrorCode::Conflict => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The certificate of a domain in the cache of this node, if it can still be served.
    pub(super) async fn cached(&self, domain: &Domain, now: Timestamp) -> Option<Certificate> {
        let found = match self.issuer.cache.load(domain).await {
            Ok(found) => found?,
            Err(error) => {
                tracing::warn!(%domain, %error, "the certificate in the cache cannot be read");
                return None;
            }
        };
        let checked = jaco_ingress::tls::check_certificate(&found.chain, &found.key, domain, now);
        checked.is_ok().then_some(found)
    }

    /// Whether every node that serves visitors and is not down has said that it serves by this raft index. One that
    /// this leader has not heard of yet may be asked by the CA like any other.
    fn is_served(&self, state: &State, index: u64) -> bool {
        let told = |node: NodeId| {
            let heard = self.sessions.of(node).filter(|session| session.heard.elapsed() < LEASE);
            heard.is_some_and(|session| session.load.served.is_none_or(|served| served >= index))
        };
        let mut alive = state.nodes().filter(|node| node.condition != NodeCondition::Down);
        alive.all(|node| told(node.id))
    }
}
