//! The node's certificate: there when it is needed, true, and renewed before it ends.

use std::{sync::Arc, time::Duration};

use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{ClusterId, NodeId},
    pb,
};

use super::{NodeError, consensus::Consensus, keeper::Keeper};
use crate::{
    clock::Clock,
    enrol,
    pki::{Credentials, NodeFiles, NodeIdentity, SigningRequest},
    raft::{Ask, Told},
    retry::Backoff,
    rpc::Membership,
};

/// How long the leader may take to sign.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest time between two looks at the certificate's age.
const LOOK: Duration = Duration::from_secs(60 * 60);

/// The identity with its CA's certificate behind its own.
pub(crate) fn chained(identity: NodeIdentity, ca_pem: &str) -> NodeIdentity {
    NodeIdentity { cert_pem: enrol::chained(identity.cert_pem, ca_pem), ..identity }
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
    id: NodeId,
) -> Result<Shown, NodeError> {
    let files = NodeFiles::at(keeper.directory.node());
    if let Some((ca_pem, identity)) = files.load(&keeper.name)? {
        let credentials = Credentials::new(&identity)?;
        let state = consensus.raft.state().newest();
        let same_ca = state.cluster().is_none_or(|c| c.ca_pem == ca_pem);
        let shown = credentials.identity();
        if (shown.cluster, shown.member) == (cluster, id) && same_ca {
            return Ok(Shown { ca_pem, credentials });
        }
    }
    let missing = || NodeError::NoCertificate {
        node: keeper.name.clone(),
        directory: keeper.directory.node(),
    };
    let state = consensus.present().await.map_err(|_| missing())?;
    let node = state.node(id).ok_or_else(missing)?;
    let request = SigningRequest::new()?;
    let clock = &*keeper.seams.clock;
    let cert_pem = enrol::sign(&state, &consensus.keyring, node, &request.csr_pem, clock)?;
    let identity = request.signed(cert_pem);
    let ca_pem = state.cluster().map(|c| c.ca_pem.clone()).ok_or_else(missing)?;
    files.save(&ca_pem, &keeper.name, &identity)?;
    Ok(Shown { ca_pem, credentials: Credentials::new(&identity)? })
}

/// What renewal needs.
pub(crate) struct Renewal {
    pub(crate) membership: Arc<Membership>,
    pub(crate) files: NodeFiles,
    pub(crate) credentials: Credentials,
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
            match self.renew().await {
                Ok(()) => {
                    pauses.reset();
                    tracing::info!("the node's certificate was renewed");
                }
                Err(error) => {
                    tracing::error!(%error, "the node's certificate could not be renewed");
                    self.clock.sleep(pauses.pause()).await;
                }
            }
        }
    }

    /// Asks the leader to sign for a fresh key.
    async fn renew(&self) -> Result<(), ApiError> {
        let m = &self.membership;
        let request = SigningRequest::new().map_err(NodeError::from)?;
        let ask = Ask::Sign(pb::SignRequest { csr_pem: request.csr_pem.clone() });
        let Told::Signed(reply) = m.raft.ask_leader(ask, PATIENCE).await? else {
            return Err(ApiError::new(ErrorCode::Internal, "an answer to another question"));
        };
        let identity = request.signed(reply.cert_pem);
        let state = m.state.newest();
        let Some(cluster) = state.cluster() else { return Ok(()) };
        self.files.save(&cluster.ca_pem, &m.name, &identity).map_err(NodeError::from)?;
        Ok(self.credentials.replace(&identity).map_err(NodeError::from)?)
    }
}
