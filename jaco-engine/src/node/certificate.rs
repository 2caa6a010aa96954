//! The node's certificate: there when it is needed, true, and renewed before it ends.

use std::{net::IpAddr, sync::Arc, time::Duration};

use jaco_api::model::{ClusterId, NodeName};

use super::{NodeError, consensus::Consensus, keeper::Keeper};
use crate::{
    clock::Clock,
    pki::{Authority, Credentials, NodeFiles, NodeIdentity},
    retry::Backoff,
    rpc::Membership,
    seal::{self, Keyring},
    state::State,
};

/// Longest time between two looks at the certificate's age.
const LOOK: Duration = Duration::from_secs(60 * 60);

/// The identity with its CA's certificate behind its own: a client that pins the CA by fingerprint
/// must be shown it.
pub(crate) fn chained(identity: NodeIdentity, ca_pem: &str) -> NodeIdentity {
    let mut cert_pem = identity.cert_pem;
    if !cert_pem.ends_with('\n') {
        cert_pem.push('\n');
    }
    cert_pem.push_str(ca_pem);
    NodeIdentity { cert_pem, ..identity }
}

/// A CA certificate with what this node shows.
pub(crate) struct Shown {
    pub(crate) ca_pem: String,
    pub(crate) credentials: Credentials,
}

/// The certificate on disk, or a new one where it is missing or belongs to an attempt to create a
/// cluster that came to nothing.
pub(crate) async fn usable(
    keeper: &Keeper,
    consensus: &Consensus,
    cluster: ClusterId,
) -> Result<Shown, NodeError> {
    let files = NodeFiles::at(keeper.directory.node());
    if let Some((ca_pem, identity)) = files.load(&keeper.name)? {
        let credentials = Credentials::new(&identity)?;
        let state = consensus.raft.state().newest();
        let same_ca = state.cluster().is_none_or(|c| c.ca_pem == ca_pem);
        if credentials.identity().cluster == cluster && same_ca {
            return Ok(Shown { ca_pem, credentials });
        }
    }
    let missing = || NodeError::NoCertificate {
        node: keeper.name.clone(),
        directory: keeper.directory.node(),
    };
    let state = consensus.present().await.map_err(|_| missing())?;
    let now = keeper.seams.clock.now();
    let address = keeper.addresses.0.ip();
    let issued = issue(&state, &consensus.keyring, &keeper.name, address, now)?;
    let (ca_pem, identity) = issued.ok_or_else(missing)?;
    files.save(&ca_pem, &keeper.name, &identity)?;
    Ok(Shown { ca_pem, credentials: Credentials::new(&identity)? })
}

/// A certificate signed with the CA key that the state holds; `None` before there is a cluster.
fn issue(
    state: &State,
    keyring: &Keyring,
    name: &NodeName,
    address: IpAddr,
    now: jaco_api::model::Timestamp,
) -> Result<Option<(String, NodeIdentity)>, NodeError> {
    let Some(cluster) = state.cluster() else { return Ok(None) };
    let key = keyring.open(seal::CA, &cluster.ca_key)?;
    let authority = Authority::load(&cluster.ca_pem, &key)?;
    let identity = authority.issue(name, cluster.id, &[address], now)?;
    Ok(Some((cluster.ca_pem.clone(), chained(identity, &cluster.ca_pem))))
}

/// What renewal needs.
pub(crate) struct Renewal {
    pub(crate) membership: Arc<Membership>,
    pub(crate) files: NodeFiles,
    pub(crate) credentials: Credentials,
    pub(crate) address: IpAddr,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Renewal {
    /// Shows a new certificate whenever two thirds of the present one's life are over; open
    /// connections are not touched.
    pub(crate) async fn keep(self) {
        let mut pauses = Backoff::new(Duration::from_secs(1), Duration::from_secs(600));
        loop {
            let now = self.clock.now();
            if !self.credentials.renew_due(now) {
                let due = self.credentials.validity().renew_at().since(now);
                self.clock.sleep(due.min(LOOK)).await;
                continue;
            }
            match self.renew() {
                Ok(()) => {
                    pauses.reset();
                    tracing::info!("the node's certificate was renewed");
                }
                Err(error) => {
                    tracing::error!(%error, "the node's certificate could not be renewed");
                    tokio::time::sleep(pauses.pause()).await;
                }
            }
        }
    }

    fn renew(&self) -> Result<(), NodeError> {
        let m = &self.membership;
        let now = self.clock.now();
        let issued = issue(&m.state.newest(), &m.keyring, &m.name, self.address, now)?;
        let Some((ca_pem, identity)) = issued else { return Ok(()) };
        self.files.save(&ca_pem, &m.name, &identity)?;
        Ok(self.credentials.replace(&identity)?)
    }
}
