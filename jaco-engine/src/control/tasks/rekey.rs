//! Replaces the data key after a node was removed: it knows the former one.

use std::sync::Arc;

use async_trait::async_trait;
use jaco_api::{error::ApiError, model::Timestamp};

use super::super::{driver::Task, group::Rekey};
use crate::state::State;

/// Puts a new key in force when one is due.
pub(in crate::control) struct Renew {
    keys: Arc<dyn Rekey>,
}

impl Renew {
    pub(in crate::control) fn new(keys: Arc<dyn Rekey>) -> Self {
        Self { keys }
    }
}

#[async_trait]
impl Task for Renew {
    fn name(&self) -> &'static str {
        "rekey"
    }

    async fn pass(&mut self, state: Arc<State>) -> Result<Option<Timestamp>, ApiError> {
        if state.cluster().is_some_and(|cluster| cluster.key_due) {
            let key = self.keys.rotate().await?;
            tracing::info!(key, "a new data key is in force, because a node was removed");
        }
        Ok(None)
    }
}
