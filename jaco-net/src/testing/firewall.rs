//! A kernel with one ruleset, in memory.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::{Firewall, Loaded, NetError, Ruleset};

/// A firewall in memory that can be tampered with and can be made to fail.
#[derive(Debug, Default)]
pub struct FakeFirewall {
    kernel: Mutex<Kernel>,
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Kernel {
    loaded: Option<Ruleset>,
    refusing: bool,
    transactions: u64,
}

impl FakeFirewall {
    fn kernel(&self) -> MutexGuard<'_, Kernel> {
        self.kernel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is loaded behind the node's back, as an administrator with `nft` would.
    pub fn tamper(&self, change: impl FnOnce(&mut Option<Ruleset>)) {
        change(&mut self.kernel().loaded);
        self.changed.send_modify(|n| *n += 1);
    }

    /// From now on every `apply` is refused, or no longer refused.
    pub fn refuse(&self, refusing: bool) {
        self.kernel().refusing = refusing;
    }

    /// How often a ruleset was loaded.
    #[must_use]
    pub fn transactions(&self) -> u64 {
        self.kernel().transactions
    }
}

#[async_trait]
impl Firewall for FakeFirewall {
    async fn apply(&self, ruleset: &Ruleset) -> Result<Option<Loaded>, NetError> {
        ruleset.check()?;
        let held = {
            let mut kernel = self.kernel();
            if kernel.refusing {
                return Err(NetError::Refused {
                    what: "ruleset",
                    source: "the fake was told to refuse".into(),
                });
            }
            if kernel.loaded.as_ref() == Some(ruleset) {
                return Ok(Some(Loaded::exactly(ruleset.clone())));
            }
            kernel.transactions += 1;
            kernel.loaded.replace(ruleset.clone())
        };
        self.changed.send_modify(|n| *n += 1);
        Ok(held.map(Loaded::exactly))
    }

    async fn read(&self) -> Result<Option<Loaded>, NetError> {
        Ok(self.kernel().loaded.clone().map(Loaded::exactly))
    }

    async fn remove(&self) -> Result<(), NetError> {
        self.kernel().loaded = None;
        self.changed.send_modify(|n| *n += 1);
        Ok(())
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}
