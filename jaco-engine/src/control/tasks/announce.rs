//! Records in the audit log that this node leads: once per term.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use jaco_api::{
    error::ApiError,
    model::{AuditKind, NodeName, Timestamp},
};

use super::super::{driver::Task, propose::Propose};
use crate::{
    command::{Command, RecordAudit},
    state::State,
};

/// Says once per term who leads.
pub(in crate::control) struct Announce {
    term: u64,
    node: NodeName,
    propose: Arc<dyn Propose>,
    done: bool,
}

impl Announce {
    pub(in crate::control) fn new(term: u64, node: NodeName, propose: Arc<dyn Propose>) -> Self {
        Self { term, node, propose, done: false }
    }
}

#[async_trait]
impl Task for Announce {
    fn name(&self) -> &'static str {
        "announce"
    }

    async fn pass(&mut self, state: Arc<State>) -> Result<Option<Timestamp>, ApiError> {
        if self.done || state.cluster().is_none() {
            return Ok(None);
        }
        let payload = BTreeMap::from([
            ("leader".to_owned(), self.node.to_string()),
            ("term".to_owned(), self.term.to_string()),
        ]);
        // A process that is restarted may find itself leading the same term still.
        let request_id = format!("leader_elected/{}", self.term);
        let kind = AuditKind::LeaderElected;
        let command = Command::RecordAudit(RecordAudit { kind, payload });
        self.propose.propose(Some(request_id), command).await?;
        self.done = true;
        Ok(None)
    }
}
