//! What may enter the log.
//!
//! [`Command`] is the closed set of changes, one file per entity with its pure `apply`. An
//! [`Envelope`] adds who and when: `apply` reads no clock and rolls no dice.

mod address;
mod audit;
mod certificate;
mod cluster;
mod codec;
mod companion;
mod content;
mod cron;
mod delete;
mod deployment;
mod file;
mod generation;
mod hold;
mod join;
mod key;
mod node;
mod placing;
mod reconcile;
mod rejection;
mod report;
mod restart;
mod rollback;
mod rollout;
mod scale;
mod settings;
mod subnet;
mod token;

use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{Actor, NodeId, Report, Timestamp},
};

pub use audit::RecordAudit;
pub use certificate::{
    AdvanceIssuance, DeleteCertificate, HurryIssuance, ImportCertificate, KeepAccount,
    PublishChallenge, WithdrawChallenge,
};
pub use cluster::InitCluster;
pub use codec::{DecodeError, decode, decode_outcome, encode, encode_outcome};
pub use cron::Tick;
pub use delete::DeleteDeployment;
pub use deployment::ApplyDeployment;
pub use file::{DeleteFile, SetFile};
pub use hold::HoldDeployment;
pub use join::{AdmitNode, IssueJoinToken};
pub use key::{ReserveKey, RotateKey};
pub use node::{LabelNode, RemoveNode, SetAvailability, UpdateNode};
pub use reconcile::{Action, Reconcile, RolloutEnd};
pub use restart::RestartDeployment;
pub use rollback::RollbackDeployment;
pub use scale::ScaleDeployment;
pub use settings::SetSetting;
pub use subnet::ReleaseSubnets;
pub use token::{IssueToken, RevokeToken};

use crate::state::{State, Transaction};
use rejection::Rejection;

/// A command with who proposed it and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// When it was proposed, by the proposer's clock.
    pub at: Timestamp,
    /// Who caused it.
    pub actor: Actor,
    /// Client-chosen id: a repeated one is answered with the first outcome and changes nothing.
    pub request_id: Option<String>,
    /// The change.
    pub command: Command,
}

/// A change of the replicated state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// First entry of a cluster's log.
    InitCluster(Box<InitCluster>),
    /// What a node is or says of itself has changed.
    UpdateNode(UpdateNode),
    /// A new join token.
    IssueJoinToken(IssueJoinToken),
    /// A node becomes a member.
    AdmitNode(Box<AdmitNode>),
    /// What operators want of a node.
    SetAvailability(SetAvailability),
    /// Other labels of a node.
    LabelNode(LabelNode),
    /// The end of a membership.
    RemoveNode(RemoveNode),
    /// Another data key for new values.
    RotateKey(RotateKey),
    /// See [`ReserveKey`].
    ReserveKey(ReserveKey),
    /// A new operator token.
    IssueToken(IssueToken),
    /// The end of an operator token.
    RevokeToken(RevokeToken),
    /// One cluster setting.
    SetSetting(SetSetting),
    /// New content for a secret or config of the cluster.
    SetFile(SetFile),
    /// The end of a secret or config of the cluster.
    DeleteFile(DeleteFile),
    /// New content for a deployment.
    ApplyDeployment(Box<ApplyDeployment>),
    /// The content of an earlier revision again.
    RollbackDeployment(RollbackDeployment),
    /// The end of a deployment.
    DeleteDeployment(DeleteDeployment),
    /// Other replica counts.
    ScaleDeployment(ScaleDeployment),
    /// New containers for the same content.
    RestartDeployment(RestartDeployment),
    /// Nothing is to run, or everything again.
    HoldDeployment(HoldDeployment),
    /// What the scheduler decided for one deployment.
    Reconcile(Reconcile),
    /// What a node saw of its replicas.
    Report(Report),
    /// A fact for the audit log that changes nothing else.
    RecordAudit(RecordAudit),
    /// Blocks of addresses that may be given to anybody again.
    ReleaseSubnets(ReleaseSubnets),
    /// A service is due.
    Tick(Tick),
    /// The next step of a domain on the way to its certificate.
    AdvanceIssuance(Box<AdvanceIssuance>),
    /// What any node answers to a CA from now on.
    PublishChallenge(PublishChallenge),
    /// What no node answers any more.
    WithdrawChallenge(WithdrawChallenge),
    /// Credentials of an account at a CA, or their end.
    KeepAccount(KeepAccount),
    /// A certificate of one's own.
    ImportCertificate(Box<ImportCertificate>),
    /// The end of a certificate of one's own.
    DeleteCertificate(DeleteCertificate),
    /// The next attempt at a certificate is made now.
    HurryIssuance(HurryIssuance),
}

/// What applying a command came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was applied, or there was nothing to change.
    Done,
    /// The deployment's revision in force afterwards.
    Revision {
        /// Its number.
        number: u64,
        /// False when nothing had to change.
        changed: bool,
    },
    /// A rollback's two revisions.
    RolledBack {
        /// Whose content was restored.
        restored: u64,
        /// The new revision with that content.
        number: u64,
    },
    /// A deletion's volumes, by engine name.
    Deleted {
        /// Kept, or removed when that was asked for.
        volumes: Vec<String>,
    },
    /// A node has become a member.
    Admitted {
        /// Its number.
        node: NodeId,
    },
    /// A data key may be made.
    KeyReserved {
        /// Its number.
        key_id: u32,
    },
    /// Refused: the state is unchanged.
    Rejected(ApiError),
}

impl State {
    /// The state after this entry, and what the entry came to. A pure function of its arguments.
    ///
    /// A refused command leaves everything but the index as it was; one refused because it would
    /// break a promise to users is also in the audit log.
    #[must_use]
    pub fn apply(&self, index: u64, envelope: &Envelope) -> (State, Outcome) {
        if let Some(first) = envelope.request_id.as_deref().and_then(|id| self.remembered(id)) {
            return (self.at_index(index), first.clone());
        }
        let begin = || Transaction::begin(self, index, envelope.at, &envelope.actor);
        let mut tx = begin();
        match envelope.command.apply(&mut tx) {
            Ok(outcome) => {
                if let Some(id) = &envelope.request_id {
                    tx.remember(id, &outcome);
                }
                (tx.commit(), outcome)
            }
            Err(Rejection { error, audit }) => {
                let mut tx = begin();
                if let Some((kind, payload)) = audit {
                    tx.audit(kind, payload);
                }
                (tx.commit(), Outcome::Rejected(error))
            }
        }
    }
}

impl Command {
    fn apply(&self, tx: &mut Transaction<'_>) -> Result<Outcome, Rejection> {
        if tx.view().cluster().is_none() && !matches!(self, Self::InitCluster(_)) {
            return Err(Rejection::new(
                ErrorCode::ClusterUninitialized,
                "this node belongs to no cluster",
            ));
        }
        match self {
            Self::InitCluster(c) => c.apply(tx),
            Self::UpdateNode(c) => c.apply(tx),
            Self::IssueJoinToken(c) => c.apply(tx),
            Self::AdmitNode(c) => c.apply(tx),
            Self::SetAvailability(c) => c.apply(tx),
            Self::LabelNode(c) => c.apply(tx),
            Self::RemoveNode(c) => c.apply(tx),
            Self::RotateKey(c) => c.apply(tx),
            Self::ReserveKey(c) => c.apply(tx),
            Self::IssueToken(c) => c.apply(tx),
            Self::RevokeToken(c) => c.apply(tx),
            Self::SetSetting(c) => c.apply(tx),
            Self::SetFile(c) => c.apply(tx),
            Self::AdvanceIssuance(c) => c.apply(tx),
            Self::PublishChallenge(c) => c.apply(tx),
            Self::WithdrawChallenge(c) => c.apply(tx),
            Self::KeepAccount(c) => c.apply(tx),
            Self::ImportCertificate(c) => c.apply(tx),
            Self::DeleteCertificate(c) => c.apply(tx),
            Self::HurryIssuance(c) => c.apply(tx),
            Self::DeleteFile(c) => c.apply(tx),
            Self::ApplyDeployment(c) => c.apply(tx),
            Self::RollbackDeployment(c) => c.apply(tx),
            Self::DeleteDeployment(c) => c.apply(tx),
            Self::ScaleDeployment(c) => c.apply(tx),
            Self::RestartDeployment(c) => c.apply(tx),
            Self::HoldDeployment(c) => c.apply(tx),
            Self::Reconcile(c) => c.apply(tx),
            Self::Report(report) => report::apply(report, tx),
            Self::RecordAudit(c) => c.apply(tx),
            Self::ReleaseSubnets(c) => c.apply(tx),
            Self::Tick(c) => c.apply(tx),
        }
    }
}

#[cfg(test)]
mod tests;
