//! Which certificate belongs to which name: an immutable value.

use std::{collections::BTreeMap, sync::Arc};

use rustls::sign::CertifiedKey;

use super::{TlsError, certified, challenge_certificate};
use crate::store::{Certificate, Domain};

/// A certificate that is stored and not served, or not as it is stored.
#[derive(Debug)]
pub struct Unserved {
    /// Its domain.
    pub domain: Domain,
    /// Why.
    pub error: TlsError,
    /// Whether the one that was served before is served on.
    pub old_is_served: bool,
}

struct Entry {
    stored: Certificate,
    key: Arc<CertifiedKey>,
}

struct Answer {
    digest: [u8; 32],
    key: Arc<CertifiedKey>,
}

/// The certificates of a node by name, and its answers to TLS-ALPN-01.
#[derive(Default)]
pub struct CertificateTable {
    certificates: BTreeMap<Domain, Arc<Entry>>,
    answers: BTreeMap<Domain, Arc<Answer>>,
    fallback: Option<Arc<Entry>>,
}

impl std::fmt::Debug for CertificateTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = f.debug_struct("CertificateTable");
        out.field("certificates", &self.certificates.keys()).finish_non_exhaustive()
    }
}

impl CertificateTable {
    /// The table of what is stored now. What is unchanged is not parsed again; what does not parse leaves
    /// what `self` has for the domain, and is told.
    ///
    /// `fallback` is shown to clients that ask for no name, or for one that is not here; without it they
    /// are refused.
    #[must_use]
    pub fn next<'a>(
        &self,
        certificates: impl IntoIterator<Item = (&'a Domain, &'a Certificate)>,
        answers: impl IntoIterator<Item = (&'a Domain, &'a [u8; 32])>,
        fallback: Option<&Domain>,
    ) -> (Self, Vec<Unserved>) {
        let mut next = Self::default();
        let mut unserved = Vec::new();
        for (domain, stored) in certificates {
            let old = self.certificates.get(domain);
            let entry = match old.filter(|old| old.stored == *stored) {
                Some(old) => Some(Arc::clone(old)),
                None => match certified(stored) {
                    Ok(key) => Some(Arc::new(Entry { stored: stored.clone(), key })),
                    Err(error) => {
                        let (domain, old_is_served) = (domain.clone(), old.is_some());
                        unserved.push(Unserved { domain, error, old_is_served });
                        old.cloned()
                    }
                },
            };
            next.certificates.extend(entry.map(|entry| (domain.clone(), entry)));
        }
        for (domain, digest) in answers {
            let old = self.answers.get(domain).filter(|old| old.digest == *digest);
            let answer = match old {
                Some(old) => Ok(Arc::clone(old)),
                None => challenge_certificate(domain, digest)
                    .map(|key| Arc::new(Answer { digest: *digest, key })),
            };
            match answer {
                Ok(answer) => drop(next.answers.insert(domain.clone(), answer)),
                Err(error) => {
                    unserved.push(Unserved { domain: domain.clone(), error, old_is_served: false });
                }
            }
        }
        next.fallback = fallback.and_then(|domain| next.certificates.get(domain).cloned());
        (next, unserved)
    }

    /// The certificate for the name that a client asks for: that name's own, else its wildcard's.
    pub(super) fn certificate(&self, name: Option<&str>) -> Option<&Arc<CertifiedKey>> {
        let named = name.and_then(|name| {
            let exact = name.parse::<Domain>().ok()?;
            self.certificates.get(&exact).or_else(|| {
                let (_, parent) = exact.as_str().split_once('.')?;
                self.certificates.get(&format!("*.{parent}").parse::<Domain>().ok()?)
            })
        });
        named.or(self.fallback.as_ref()).map(|entry| &entry.key)
    }

    /// The certificate that answers a challenge for the name.
    pub(super) fn answer(&self, name: Option<&str>) -> Option<&Arc<CertifiedKey>> {
        let domain = name?.parse::<Domain>().ok()?;
        self.answers.get(&domain).map(|answer| &answer.key)
    }

    /// The leaf that is served for exactly this domain, as DER: what is to be compared with what is stored.
    #[must_use]
    pub fn leaf(&self, domain: &Domain) -> Option<&[u8]> {
        self.certificates.get(domain).and_then(|entry| entry.key.cert.first()).map(AsRef::as_ref)
    }

    /// The domains that are served.
    pub fn domains(&self) -> impl Iterator<Item = &Domain> {
        self.certificates.keys()
    }
}
