//! No firewall: for nodes that run without isolation on purpose.

use async_trait::async_trait;
use tokio::sync::watch;

use super::{Firewall, Loaded, Ruleset};
use crate::NetError;

/// Accepts every well-formed ruleset and enforces nothing, and says so.
#[derive(Debug)]
pub struct NoFirewall {
    never: watch::Sender<u64>,
}

impl NoFirewall {
    /// A firewall that is none.
    #[must_use]
    pub fn new() -> Self {
        Self { never: watch::Sender::new(0) }
    }
}

impl Default for NoFirewall {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Firewall for NoFirewall {
    fn enforces(&self) -> bool {
        false
    }

    async fn apply(&self, ruleset: &Ruleset) -> Result<Option<Loaded>, NetError> {
        ruleset.check()?;
        Ok(None)
    }

    async fn read(&self) -> Result<Option<Loaded>, NetError> {
        Ok(None)
    }

    async fn remove(&self) -> Result<(), NetError> {
        Ok(())
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.never.subscribe()
    }
}
