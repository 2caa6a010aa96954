//! What a container stands on that lives beside another one. Pure.
//!
//! Inputs: what is assigned, the other container as it is now. Output: whether what a container shares
//! with it is still there. A container that was made beside one that is gone, or started before that
//! one was last started, shares nothing with anybody any more.

use jaco_api::model::{AssignedReplica, Reason, ReplicaId};

use crate::container::{Container, label};

/// What the container of a replica stands on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ground<'a> {
    /// It lives alone.
    Own,
    /// The container that it lives beside runs.
    Lead(&'a Container),
    /// The container that it lives beside does not run.
    Missing(&'a ReplicaId),
}

impl<'a> Ground<'a> {
    /// That of a replica whose lead's present container is this one.
    pub(crate) fn of(replica: Option<&'a AssignedReplica>, lead: Option<&'a Container>) -> Self {
        match (replica.and_then(|r| r.beside.as_ref()), lead) {
            (None, _) => Self::Own,
            (Some(_), Some(lead)) if lead.status.is_alive() => Self::Lead(lead),
            (Some(beside), _) => Self::Missing(&beside.replica),
        }
    }

    /// Whether a container was made beside what is there.
    pub(crate) fn is_of(self, c: &Container) -> bool {
        match self {
            Self::Own => true,
            Self::Lead(lead) => c.labels.get(label::LEAD) == Some(&lead.id),
            Self::Missing(_) => false,
        }
    }

    /// Whether what a container was started with is still there. Both times are the engine's.
    pub(crate) fn holds(self, c: &Container) -> bool {
        match self {
            Self::Lead(lead) => self.is_of(c) && c.started_at >= lead.started_at,
            Self::Own | Self::Missing(_) => self.is_of(c),
        }
    }

    /// Whether the container that it lives beside is waited for.
    pub(crate) const fn is_missing(self) -> bool {
        matches!(self, Self::Missing(_))
    }

    /// Why a container that shares nothing any more does not serve.
    pub(crate) fn reason(self) -> Reason {
        let message = match self {
            Self::Missing(lead) => {
                format!("waits for the container of {lead}, which it lives beside")
            }
            Self::Own | Self::Lead(_) => {
                "is started again with the container that it lives beside".to_owned()
            }
        };
        Reason { code: None, message }
    }
}
