//! Keeps what CAs have issued on this node's disk as well, for a cluster that loses its state.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jaco_api::model::{CertificateSource, Digest};
use jaco_ingress::{CertStore, Domain};
use tokio::time::sleep;

use crate::{certificate::opened, rpc::Membership, state::State};

/// Pause before what could not be kept is tried again.
const AGAIN: Duration = Duration::from_secs(30);

/// Follows the state until the node stops. What was there before this began, and the state does not know, stays: it
/// may be what the cluster needs.
pub(crate) async fn keep_cached(membership: Arc<Membership>, cache: Arc<dyn CertStore>) {
    let mut state = membership.state.subscribe();
    let mut kept = BTreeMap::new();
    loop {
        let wanted = issued(&state.newest());
        let whole = if wanted == kept {
            true
        } else {
            update(&membership, &*cache, &mut kept, &wanted).await
        };
        let again = async {
            match whole {
                true => std::future::pending().await,
                false => sleep(AGAIN).await,
            }
        };
        tokio::select! {
            changed = state.changed() => if changed.is_err() { return },
            () = again => {}
        }
    }
}

/// The certificates of CAs, by domain.
fn issued(state: &State) -> BTreeMap<Domain, Digest> {
    let all = state.certificates().iter().filter(|(_, c)| c.source == CertificateSource::Acme);
    all.map(|(domain, certificate)| (domain.clone(), certificate.fingerprint)).collect()
}

/// Saves and removes what differs; false when something is left to do.
async fn update(
    membership: &Membership,
    cache: &dyn CertStore,
    kept: &mut BTreeMap<Domain, Digest>,
    wanted: &BTreeMap<Domain, Digest>,
) -> bool {
    let state = membership.state.newest();
    let mut whole = true;
    let gone: Vec<_> =
        kept.keys().filter(|domain| !wanted.contains_key(*domain)).cloned().collect();
    for domain in gone {
        match cache.remove(&domain).await {
            Ok(()) => drop(kept.remove(&domain)),
            Err(error) => {
                tracing::warn!(%domain, %error, "a certificate is left in the cache");
                whole = false;
            }
        }
    }
    for (domain, fingerprint) in wanted {
        if kept.get(domain) == Some(fingerprint) {
            continue;
        }
        let certificate = state.certificates().find(domain);
        let Some(certificate) = certificate.and_then(|c| opened(c, &membership.keyring)) else {
            whole = false;
            continue;
        };
        match cache.save(domain, &certificate).await {
            Ok(()) => drop(kept.insert(domain.clone(), *fingerprint)),
            Err(error) => {
                tracing::warn!(%domain, %error, "a certificate is not in the cache");
                whole = false;
            }
        }
    }
    whole
}
