//! The doctor of this node: what its agents want its network to hold, against what is there.
//!
//! In: what the agents publish as [`DataPlane`], and the seams. Out: findings. It decides nothing about
//! what must be there, and repairs by asking the agents to apply what they want once more.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jaco_api::model::{Check, Finding, after_repair};
use jaco_net::{
    Firewall, MeshDevice,
    doctor::{Handles, Wanted, examine},
};
use jaco_runtime::ContainerRuntime;
use tokio::{sync::watch, time::Instant};

use crate::{node::seams::Seams, rpc::Doctor};

/// How long the container engine may take to answer.
const ENGINE: Duration = Duration::from_secs(2);
/// How long a repair may take, and how long after it everything may still be coming up: a peer of the
/// mesh answers once the other end has been heard.
const REPAIR: Duration = Duration::from_secs(8);
const SETTLING: Duration = Duration::from_secs(3);
/// Pause between two looks meanwhile.
const AGAIN: Duration = Duration::from_millis(250);

/// What the agents of a member keep in the kernel.
#[async_trait]
pub(crate) trait DataPlane: Send + Sync {
    /// What this node must hold now; `None` until it has caught up.
    fn wanted(&self) -> Option<Wanted>;
    /// Has all of it applied once more, as after a start. It may return before that is done: whoever
    /// repairs looks again for a while.
    async fn restore(&self);
}

/// Where the agents of a member publish what they keep; empty while there is no membership.
pub(crate) type PlaneSlot = watch::Receiver<Option<Arc<dyn DataPlane>>>;

/// Looks at this node.
pub(crate) struct NodeDoctor {
    pub(crate) runtime: Arc<dyn ContainerRuntime>,
    pub(crate) firewall: Arc<dyn Firewall>,
    pub(crate) mesh: Option<Arc<dyn MeshDevice>>,
    pub(crate) plane: PlaneSlot,
}

#[async_trait]
impl Doctor for NodeDoctor {
    async fn diagnose(&self, repair: bool) -> Vec<Finding> {
        let before = self.look().await;
        let plane = self.plane.borrow().clone();
        let (true, true, Some(plane)) = (repair, before.iter().any(Finding::is_failed), plane)
        else {
            return before;
        };
        if tokio::time::timeout(REPAIR, plane.restore()).await.is_err() {
            tracing::warn!("the repair that the doctor asked for did not end in time");
        }
        let given_up = Instant::now() + SETTLING;
        loop {
            let after = self.look().await;
            if !after.iter().any(Finding::is_failed) || Instant::now() >= given_up {
                return after_repair(&before, after);
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}

impl NodeDoctor {
    /// A doctor of the node that stands on these.
    pub(crate) fn new(seams: &Seams, plane: PlaneSlot) -> Self {
        Self {
            runtime: Arc::clone(&seams.runtime),
            firewall: Arc::clone(&seams.firewall),
            mesh: seams.mesh.as_ref().map(|mesh| Arc::clone(&mesh.device)),
            plane,
        }
    }

    async fn look(&self) -> Vec<Finding> {
        let (engine, mut network) = tokio::join!(self.engine(), self.network());
        network.push(engine);
        network
    }

    async fn engine(&self) -> Finding {
        let cause = match tokio::time::timeout(ENGINE, self.runtime.ping()).await {
            Ok(Ok(())) => return Finding::ok(Check::Engine, ""),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("it has not answered within {} s", ENGINE.as_secs()),
        };
        let fix = "start the container engine (`systemctl start docker`); jacod finds it at `engine_socket` \
                   of jacod.yaml";
        Finding::failed(Check::Engine, "", cause, fix)
    }

    /// Everything but the container engine.
    pub(crate) async fn network(&self) -> Vec<Finding> {
        if !self.firewall.enforces() && self.mesh.is_none() {
            let without = |check, what| {
                Finding::skipped(check, "", format!("the node was built without {what}"))
            };
            return vec![without(Check::Rules, "a firewall"), without(Check::Mesh, "a mesh")];
        }
        let plane = self.plane.borrow().clone();
        let Some(wanted) = plane.and_then(|plane| plane.wanted()) else {
            let cause = "the node does not know yet what its network must hold";
            let fix = "try again once `jaco node list` shows it as ready; `jaco node inspect` says what it waits for";
            return vec![Finding::failed(Check::Node, "", cause, fix)];
        };
        let handles =
            Handles { firewall: Some(Arc::clone(&self.firewall)), mesh: self.mesh.clone() };
        examine(&wanted, &handles).await
    }
}

#[cfg(test)]
mod tests {
    use jaco_api::model::FindingOutcome;
    use jaco_net::{NoFirewall, Ruleset, testing::FakeFirewall};
    use jaco_runtime::testing::FakeRuntime;

    use super::*;

    /// Agents that want one ruleset.
    struct Rules {
        firewall: Arc<FakeFirewall>,
        caught_up: bool,
    }

    fn rules() -> Ruleset {
        Ruleset { pools: ["10.244.0.0/14".parse().unwrap()].into(), ..Ruleset::default() }
    }

    #[async_trait]
    impl DataPlane for Rules {
        fn wanted(&self) -> Option<Wanted> {
            let wanted = Wanted {
                bridges: Default::default(),
                names: false,
                rules: Some(rules()),
                mesh: None,
            };
            self.caught_up.then_some(wanted)
        }
        async fn restore(&self) {
            // What is refused shows when it is looked at again.
            let _ = self.firewall.apply(&rules()).await;
        }
    }

    struct Patient {
        runtime: FakeRuntime,
        firewall: Arc<FakeFirewall>,
        plane: watch::Sender<Option<Arc<dyn DataPlane>>>,
        doctor: NodeDoctor,
    }

    /// A node whose agents have loaded what they want.
    async fn patient() -> Patient {
        let (runtime, firewall) = (FakeRuntime::new(), Arc::new(FakeFirewall::default()));
        firewall.apply(&rules()).await.unwrap();
        let keeps: Arc<dyn DataPlane> =
            Arc::new(Rules { firewall: Arc::clone(&firewall), caught_up: true });
        let (plane, published) = watch::channel(Some(keeps));
        let doctor = NodeDoctor {
            runtime: Arc::new(runtime.clone()),
            firewall: Arc::<FakeFirewall>::clone(&firewall),
            mesh: None,
            plane: published,
        };
        Patient { runtime, firewall, plane, doctor }
    }

    fn of(findings: &[Finding], check: Check) -> FindingOutcome {
        let found: Vec<_> = findings.iter().filter(|finding| finding.check == check).collect();
        let [finding] = found.as_slice() else { panic!("{check}: {findings:#?}") };
        finding.outcome.clone()
    }

    #[tokio::test]
    async fn what_the_agents_put_right_is_told_as_repaired() {
        let Patient { firewall, doctor, .. } = patient().await;
        assert_eq!(of(&doctor.diagnose(true).await, Check::Rules), FindingOutcome::Ok);
        assert_eq!(firewall.transactions(), 1, "nothing was wrong, nothing was done");

        firewall.tamper(|loaded| *loaded = None);
        let told = of(&doctor.diagnose(true).await, Check::Rules);
        let FindingOutcome::Repaired { cause } = told else { panic!("{told:?}") };
        assert!(cause.contains("not loaded"), "{cause}");
        assert_eq!(of(&doctor.diagnose(true).await, Check::Rules), FindingOutcome::Ok);
    }

    #[tokio::test]
    async fn looking_alone_changes_nothing() {
        let Patient { firewall, doctor, .. } = patient().await;
        firewall.tamper(|loaded| *loaded = None);
        let told = of(&doctor.diagnose(false).await, Check::Rules);
        assert!(matches!(told, FindingOutcome::Failed { .. }), "{told:?}");
        assert_eq!(firewall.transactions(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_put_right_stays_a_failure() {
        let Patient { firewall, doctor, runtime, .. } = patient().await;
        firewall.tamper(|loaded| *loaded = None);
        firewall.refuse(true);
        runtime.disconnect();
        let findings = doctor.diagnose(true).await;
        for check in [Check::Rules, Check::Engine] {
            let told = of(&findings, check);
            assert!(matches!(told, FindingOutcome::Failed { .. }), "{told:?}");
        }
    }

    #[tokio::test]
    async fn a_node_that_has_not_caught_up_says_so() {
        let Patient { firewall, doctor, plane, .. } = patient().await;
        plane.send_replace(Some(Arc::new(Rules { firewall, caught_up: false })));
        let behind = of(&doctor.look().await, Check::Node);
        assert!(matches!(behind, FindingOutcome::Failed { .. }), "{behind:?}");
        plane.send_replace(None);
        assert_eq!(of(&doctor.look().await, Check::Node), behind);
    }

    #[tokio::test]
    async fn a_node_without_firewall_and_mesh_says_what_was_not_looked_at() {
        let Patient { mut doctor, .. } = patient().await;
        doctor.firewall = Arc::new(NoFirewall::new());
        let findings = doctor.diagnose(true).await;
        for check in [Check::Rules, Check::Mesh] {
            let told = of(&findings, check);
            assert!(matches!(told, FindingOutcome::Skipped { .. }), "{told:?}");
        }
        assert!(!findings.iter().any(Finding::is_failed), "{findings:#?}");
    }
}
