//! Loads the firewall's rules and keeps them loaded.

use std::{sync::Arc, time::Duration};

use jaco_net::{Firewall, Ruleset};
use tokio::sync::watch;

use crate::retry::Backoff;

/// Whether deployments are kept apart on this node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// Not known yet.
    #[default]
    Unproven,
    /// The rules are loaded, or this node has no firewall on purpose.
    Loaded,
    /// They are not, and why.
    Unavailable(String),
}

/// Applies the rules whenever the kernel may hold others, until the node stops. There are no
/// subnets to keep apart yet: the ruleset is empty, and a firewall that cannot even load that one
/// cannot be trusted with containers.
pub(crate) async fn isolate(firewall: Arc<dyn Firewall>, isolation: watch::Sender<Isolation>) {
    let mut drift = firewall.watch();
    let mut pauses = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
    let rules = Ruleset::default();
    loop {
        drift.borrow_and_update();
        match load(&*firewall, &rules).await {
            Ok(()) => {
                pauses.reset();
                isolation.send_if_modified(|i| replace(i, Isolation::Loaded));
                if drift.changed().await.is_err() {
                    isolation.closed().await;
                    return;
                }
            }
            Err(error) => {
                let mut why = error.to_string();
                if let Some(cause) = std::error::Error::source(&error) {
                    why = format!("{why}: {cause}");
                }
                tracing::error!(error = why, "deployments cannot be kept apart on this node");
                isolation.send_if_modified(|i| replace(i, Isolation::Unavailable(why)));
                tokio::time::sleep(pauses.pause()).await;
            }
        }
    }
}

/// Applies the rules unless the kernel holds exactly these.
async fn load(firewall: &dyn Firewall, rules: &Ruleset) -> Result<(), jaco_net::NetError> {
    if firewall.enforces() && firewall.read().await?.is_some_and(|loaded| loaded.is(rules)) {
        return Ok(());
    }
    firewall.apply(rules).await
}

fn replace(present: &mut Isolation, next: Isolation) -> bool {
    let differs = *present != next;
    *present = next;
    differs
}
