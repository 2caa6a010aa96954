//! Where something is done: here, or on the node that has the replica.

use std::{collections::BTreeMap, sync::Arc};

use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{AuditKind, NodeName, Principal},
    pb::{self, relay_client::RelayClient},
};
use tonic::transport::Channel;

use super::{
    super::{Api, Membership, relay},
    target::{Found, Target},
};
use crate::{
    admission,
    command::{Command, RecordAudit},
};

/// A container, and who has it.
pub(super) struct Site {
    pub(super) found: Found,
    pub(super) node: NodeName,
    pub(super) way: Way,
}

/// The way to a container.
pub(super) enum Way {
    /// This node has it.
    Here,
    /// Another node has it.
    There(Box<Far>),
}

/// Another node, and what it is told of the caller.
pub(super) struct Far {
    pub(super) client: RelayClient<Channel>,
    pub(super) header: Option<pb::RelayHeader>,
}

/// An operator who asked this node for something, and may have it done.
pub(super) struct Errand {
    membership: Arc<Membership>,
    who: Principal,
    /// Where it can be done, the best place first; never none.
    candidates: Vec<Found>,
}

impl Errand {
    /// Looks whether the caller may, then where the target is.
    pub(super) fn admit(api: &Api, who: Principal, target: &Target) -> Result<Self, ApiError> {
        admission::permit_change(&who, target.deployment())?;
        let (membership, state) = api.state()?;
        let candidates = target.find(&state, membership.id)?;
        Ok(Self { membership, who, candidates })
    }

    /// The places in turn.
    pub(super) fn sites<'a>(
        &'a self,
        api: &'a Api,
    ) -> impl Iterator<Item = Result<Site, ApiError>> + Send + 'a {
        self.candidates.iter().map(|found| self.site(api, found.clone()))
    }

    /// The best place.
    pub(super) fn best(&self, api: &Api) -> Result<Site, ApiError> {
        self.sites(api).next().unwrap_or_else(|| {
            Err(ApiError::new(ErrorCode::Internal, "a target without a replica was admitted"))
        })
    }

    fn site(&self, api: &Api, found: Found) -> Result<Site, ApiError> {
        let state = self.membership.state.newest();
        let at = found.replica.node;
        let node = state.node(at).ok_or_else(|| {
            let message = format!("node {at} of replica {} is no member", found.replica.id);
            ApiError::new(ErrorCode::NodeUnreachable, message)
        })?;
        let name = node.name.clone();
        let way = if at == self.membership.id {
            Way::Here
        } else {
            let client = RelayClient::new(api.peers.channel(node)?);
            let header = relay::header(
                &self.membership.actor(&self.who),
                &found.replica.id,
                &found.container,
            );
            Way::There(Box::new(Far { client, header: Some(header) }))
        };
        Ok(Site { found, node: name, way })
    }

    /// Notes in the audit log what is about to be done, or nothing is done. Never the arguments of
    /// a command: they may be secret.
    pub(super) async fn note(
        &self,
        site: &Site,
        facts: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Result<(), ApiError> {
        let mut payload: BTreeMap<String, String> =
            facts.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        payload.insert("replica".to_owned(), site.found.replica.id.to_string());
        payload.insert("on".to_owned(), site.node.to_string());
        let command = Command::RecordAudit(RecordAudit { kind: AuditKind::Exec, payload });
        self.membership.submit(&self.who, "", command).await.map(drop)
    }
}
