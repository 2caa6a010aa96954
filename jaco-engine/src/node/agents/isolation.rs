//! Loads the firewall's rules and keeps them loaded.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use jaco_api::model::{Actor, AuditKind, Fabric};
use jaco_net::{EngineChains, Firewall, NetError, Ruleset};
use jaco_runtime::reconcile::EngineStatus;
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::Looks;
use crate::{
    command::{Command, RecordAudit},
    node::{
        metrics::Counters,
        plane::{Mesh, rules},
    },
    retry::Backoff,
    rpc::Membership,
    state::payload,
};

/// What comes within this time after rules were loaded is loaded together: replicas start and end in bursts, and
/// what was loaded is announced as a change itself.
const GATHERING: Duration = Duration::from_millis(200);
/// So many differences are told; how many there were is told in any case.
const TOLD: usize = 20;

/// Whether deployments are kept apart on this node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// Not known yet.
    #[default]
    Unproven,
    /// The rules are loaded, or this node has no firewall on purpose; the gateways of the bridges that
    /// they speak of.
    Loaded(BTreeSet<IpAddr>),
    /// They are not, and why.
    Unavailable(String),
}

/// What the rules are made from and with.
pub(crate) struct Isolating {
    pub(crate) firewall: Arc<dyn Firewall>,
    /// Where the engine may drop what the rules let pass.
    pub(crate) chains: Option<EngineChains>,
    pub(crate) mesh: Option<Mesh>,
    pub(crate) fabric: watch::Receiver<Option<Arc<Fabric>>>,
    pub(crate) engine: watch::Receiver<EngineStatus>,
    pub(crate) looks: Looks,
    pub(crate) counters: Arc<Counters>,
}

/// Applies the rules whenever they change or the kernel may hold others, until the node stops.
pub(crate) async fn isolate(
    membership: Arc<Membership>,
    mut isolating: Isolating,
    isolation: watch::Sender<Isolation>,
) {
    let mut drift = isolating.firewall.watch();
    let mut pauses = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
    let mut applied: Option<Ruleset> = None;
    let mut rested = Instant::now();
    loop {
        sleep_until(rested).await;
        drift.borrow_and_update();
        isolating.engine.borrow_and_update();
        let mends = isolating.looks.begin();
        let fabric = isolating.fabric.borrow_and_update().clone();
        let wanted = fabric.as_ref().map(|f| rules(f, isolating.mesh.as_ref()));
        let loaded = match &applied {
            // What others made of it stays, for somebody to look at.
            Some(applied) if !mends && wanted.as_ref() == Some(applied) => Ok(Vec::new()),
            applied => isolating.load(wanted.as_ref(), applied.as_ref()).await,
        };
        rested = Instant::now() + GATHERING;
        match loaded {
            Ok(differences) => {
                pauses.reset();
                if !differences.is_empty() {
                    isolating.counters.repairs.fetch_add(1, Ordering::Relaxed);
                    tell(&membership, &differences).await;
                }
                let gateways = wanted.iter().flat_map(|rules| rules.bridges.values());
                let gateways = gateways.flat_map(|b| b.blocks.values().copied()).collect();
                applied = wanted.or(applied);
                isolation.send_if_modified(|i| replace(i, Isolation::Loaded(gateways)));
                if drift.has_changed().is_err() {
                    // Nobody announces anything: this firewall holds nothing.
                    if isolating.fabric.changed().await.is_err() {
                        isolation.closed().await;
                        return;
                    }
                    continue;
                }
                tokio::select! {
                    () = isolating.looks.next(&mut drift) => {}
                    changed = isolating.fabric.changed() => if changed.is_err() { return },
                    Ok(()) = isolating.engine.changed() => {}
                }
            }
            Err(error) => {
                let why = words(&error);
                tracing::error!(error = why, "deployments cannot be kept apart on this node");
                isolation.send_if_modified(|i| replace(i, Isolation::Unavailable(why)));
                tokio::select! {
                    () = sleep(pauses.pause()) => {}
                    () = isolating.looks.asked() => {}
                }
            }
        }
    }
}

impl Isolating {
    /// Loads the rules unless the kernel holds exactly these. What it says it held instead of what was
    /// loaded before, in words: somebody changed it. Before this node knows what they are to be, what
    /// an earlier daemon loaded stands, and a firewall that cannot even load rules about nothing
    /// cannot be trusted with containers.
    async fn load(
        &self,
        wanted: Option<&Ruleset>,
        applied: Option<&Ruleset>,
    ) -> Result<Vec<String>, NetError> {
        let firewall = &*self.firewall;
        let held = match wanted {
            Some(wanted) => firewall.apply(wanted).await?,
            None => match firewall.read().await? {
                None => firewall.apply(&Ruleset::default()).await?,
                held => held,
            },
        };
        let differs = |applied: &Ruleset| match held {
            Some(held) => held.drift(applied),
            None => vec!["the whole table was missing".to_owned()],
        };
        let applied = applied.filter(|_| firewall.enforces());
        let differences = applied.map(differs).unwrap_or_default();
        if let (Some(chains), Some(wanted)) = (&self.chains, wanted) {
            chains.pin(wanted).await?;
        }
        Ok(differences)
    }
}

/// Tells the audit log what somebody else had changed.
async fn tell(membership: &Membership, differences: &[String]) {
    tracing::warn!(?differences, "the firewall's rules were changed by others and are restored");
    let told: Vec<_> = differences.iter().take(TOLD).map(String::as_str).collect();
    let facts = payload([
        ("node", membership.name.to_string()),
        ("count", differences.len().to_string()),
        ("differences", told.join("; ")),
    ]);
    let audit = RecordAudit { kind: AuditKind::IsolationRulesetReconciled, payload: facts };
    let actor = Actor::system(Some(membership.name.clone()));
    let submitted = membership.submitter.submit(actor, None, Command::RecordAudit(audit)).await;
    if let Err(error) = submitted {
        tracing::warn!(%error, "the audit log could not be told of it");
    }
}

fn words(error: &NetError) -> String {
    let mut why = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        why = format!("{why}: {source}");
        cause = source.source();
    }
    why
}

fn replace(present: &mut Isolation, next: Isolation) -> bool {
    let differs = *present != next;
    *present = next;
    differs
}
