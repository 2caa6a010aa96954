//! Waiting until a deployment is what it was asked to be.
//!
//! [`Wait::judge`] decides from one consistent view and is pure.

mod node;

use std::{fmt, ops::ControlFlow, time::Duration};

use jaco_api::model::{
    DeploymentName, DeploymentState, DeploymentStatus, ReplicaState, ReplicaStatus, RolloutPhase,
    ServiceName, ServiceStatus,
};

pub use self::node::NodeGoal;
use crate::{ApiError, Client, Error, ErrorCode, StatusQuery, StatusView};

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Every replica is current and runs.
    Running,
    /// No rollout is under way, and the last one succeeded.
    Rollout,
    /// Nothing of it is left.
    Removed,
    /// No replica of it is left; it may still exist.
    Stopped,
}

/// A goal for a deployment or one of its services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// The deployment.
    pub deployment: DeploymentName,
    /// Only this service of it.
    pub service: Option<ServiceName>,
    /// What to wait for.
    pub goal: Goal,
    /// The revision that must be reached; any when absent.
    pub revision: Option<u64>,
    /// How long at most.
    pub timeout: Duration,
}

/// What a view says about a goal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is reached.
    Reached,
    /// Not yet, for these reasons.
    Waiting(Vec<String>),
    /// It will not be reached by waiting, for these reasons.
    Failed(Vec<String>),
}

/// How waiting ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitResult {
    /// The goal was reached.
    Reached,
    /// It cannot be reached, for these reasons.
    Failed(Vec<String>),
    /// It was not reached in time; what is in the way.
    TimedOut(Vec<String>),
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Running => "running",
            Self::Rollout => "rollout",
            Self::Removed => "removed",
            Self::Stopped => "stopped",
        })
    }
}

impl Wait {
    /// What `view` says about this goal.
    #[must_use]
    pub fn judge(&self, view: &StatusView) -> Verdict {
        let Some(deployment) = view.deployment(&self.deployment) else {
            return match self.goal {
                Goal::Removed => Verdict::Reached,
                _ => Verdict::Failed(vec![format!("there is no deployment {}", self.deployment)]),
            };
        };
        match self.goal {
            Goal::Removed | Goal::Stopped => self.judge_gone(view, deployment),
            Goal::Running | Goal::Rollout => self.judge_up(view, deployment),
        }
    }

    /// The service that is asked for, when the deployment has nothing of that name. One that is to
    /// be gone need not be there.
    fn unknown_service(&self, view: &StatusView) -> Option<&ServiceName> {
        let asked = self.service.as_ref().filter(|_| self.goal != Goal::Removed)?;
        let deployment = view.deployment(&self.deployment)?;
        let known = deployment.services.iter().any(|s| s.name == *asked);
        (!known && self.replicas(view).next().is_none()).then_some(asked)
    }

    fn judge_gone(&self, view: &StatusView, deployment: &DeploymentStatus) -> Verdict {
        // A stopped deployment keeps the runs that have ended.
        let stays = |r: &&ReplicaStatus| {
            let ended = matches!(r.state, ReplicaState::Completed | ReplicaState::Failed);
            self.goal == Goal::Stopped && r.tick.is_some() && ended
        };
        let left: Vec<_> = self.replicas(view).filter(|r| !stays(r)).map(describe).collect();
        let gone = match (self.goal, &self.service) {
            (Goal::Removed, None) => false,
            (Goal::Removed, Some(service)) => {
                left.is_empty() && !deployment.services.iter().any(|s| s.name == *service)
            }
            _ => left.is_empty(),
        };
        if gone { Verdict::Reached } else { Verdict::Waiting(left) }
    }

    fn judge_up(&self, view: &StatusView, deployment: &DeploymentStatus) -> Verdict {
        let newer = self.revision.filter(|r| deployment.revision > *r);
        if let Some(revision) = self.revision.filter(|r| deployment.revision < *r) {
            return Verdict::Waiting(vec![format!("revision {revision} is not in force yet")]);
        }
        match deployment.state {
            DeploymentState::Deleting => {
                return Verdict::Failed(vec![format!("{} is being deleted", self.deployment)]);
            }
            DeploymentState::Stopped => {
                return Verdict::Failed(vec![format!("{} is stopped", self.deployment)]);
            }
            _ => {}
        }
        let replaced = |revision: u64| {
            let newer = deployment.revision;
            Verdict::Failed(vec![format!("revision {revision} was replaced by revision {newer}")])
        };
        let phase = deployment.rollout.as_ref().map(|r| &r.phase);
        match (phase, newer) {
            (Some(RolloutPhase::RollingBack), _) | (Some(RolloutPhase::Rolling), None) => {
                Verdict::Waiting(self.reasons(view, deployment))
            }
            // A failed rollout restored an earlier content as a newer revision.
            (Some(RolloutPhase::Failed), Some(revision)) => {
                let why = deployment.rollout.as_ref().and_then(|r| r.reason.clone());
                let end = format!(
                    "revision {revision} was given up, revision {} restores what was before",
                    deployment.revision
                );
                Verdict::Failed(why.into_iter().chain([end]).collect())
            }
            (_, Some(revision)) => replaced(revision),
            (Some(RolloutPhase::Failed | RolloutPhase::Paused), None) => {
                match self.judge_services(view, deployment) {
                    Verdict::Reached if self.goal == Goal::Running => Verdict::Reached,
                    // What a rollout left behind may recover, but the rollout will not go on.
                    Verdict::Waiting(reasons)
                        if self.goal == Goal::Running && self.revision.is_none() =>
                    {
                        Verdict::Waiting(reasons)
                    }
                    _ => Verdict::Failed(self.reasons(view, deployment)),
                }
            }
            (Some(RolloutPhase::Completed) | None, None) => self.judge_services(view, deployment),
        }
    }

    /// The rollout's reason, then what is in the way.
    fn reasons(&self, view: &StatusView, deployment: &DeploymentStatus) -> Vec<String> {
        let rollout = deployment.rollout.as_ref().and_then(|r| r.reason.clone());
        rollout.into_iter().chain(self.obstacles(view, deployment)).collect()
    }

    fn judge_services(&self, view: &StatusView, deployment: &DeploymentStatus) -> Verdict {
        let mut services = deployment
            .services
            .iter()
            .filter(|s| self.service.as_ref().is_none_or(|name| s.name == *name));
        if services.all(is_up) {
            return Verdict::Reached;
        }
        let obstacles = self.obstacles(view, deployment);
        if self.replicas(view).any(|r| r.state == ReplicaState::Failed && r.tick.is_none()) {
            Verdict::Failed(obstacles)
        } else {
            Verdict::Waiting(obstacles)
        }
    }

    fn replicas<'a>(&'a self, view: &'a StatusView) -> impl Iterator<Item = &'a ReplicaStatus> {
        view.replicas_of(&self.deployment, self.service.as_ref())
    }

    /// What is in the way: services that say why, then replicas that do not run.
    fn obstacles(&self, view: &StatusView, deployment: &DeploymentStatus) -> Vec<String> {
        let services = deployment
            .services
            .iter()
            .filter(|s| self.service.as_ref().is_none_or(|name| s.name == *name))
            .filter(|s| !is_up(s))
            .filter_map(|s| s.reason.as_ref().map(|why| format!("{}: {why}", s.name)));
        let replicas = self
            .replicas(view)
            .filter(|r| !matches!(r.state, ReplicaState::Running | ReplicaState::Completed))
            .filter(|r| r.tick.is_none())
            .map(describe);
        services.chain(replicas).collect()
    }
}

/// Whether nothing is missing of a service. What became of the runs of one that runs at times says
/// nothing about that.
fn is_up(service: &ServiceStatus) -> bool {
    matches!(service.state, DeploymentState::Active | DeploymentState::Scheduled)
}

fn describe(replica: &ReplicaStatus) -> String {
    match &replica.reason {
        Some(reason) => {
            format!("{} on {} is {}: {reason}", replica.id, replica.node, replica.state)
        }
        None => format!("{} on {} is {}", replica.id, replica.node, replica.state),
    }
}

impl Client {
    /// Waits for a goal; `progress` sees every consistent view on the way.
    ///
    /// # Errors
    /// When the cluster cannot be asked. Not reaching the goal is a [`WaitResult`].
    pub async fn wait(
        &self,
        wait: &Wait,
        mut progress: impl FnMut(&StatusView) + Send,
    ) -> Result<WaitResult, Error> {
        let query =
            StatusQuery { deployment: Some(wait.deployment.clone()), ..StatusQuery::default() };
        let mut last = Vec::new();
        let following = self.follow(&query, |view| {
            progress(view);
            if let Some(service) = wait.unknown_service(view) {
                return ControlFlow::Break(Err(service.clone()));
            }
            match wait.judge(view) {
                Verdict::Reached => ControlFlow::Break(Ok(WaitResult::Reached)),
                Verdict::Failed(reasons) => ControlFlow::Break(Ok(WaitResult::Failed(reasons))),
                Verdict::Waiting(reasons) => {
                    last = reasons;
                    ControlFlow::Continue(())
                }
            }
        });
        match tokio::time::timeout(wait.timeout, following).await {
            Ok(Err(Error::Api(e))) if e.code == ErrorCode::DeploymentNotFound => {
                // The view of a deployment that is gone.
                match wait.judge(&StatusView::default()) {
                    Verdict::Reached => Ok(WaitResult::Reached),
                    _ => Err(Error::Api(e)),
                }
            }
            Ok(Ok(Err(service))) => {
                let message = format!("deployment {} has no service {service}", wait.deployment);
                Err(Error::Api(ApiError::new(ErrorCode::ServiceNotFound, message)))
            }
            Ok(Ok(Ok(result))) => Ok(result),
            Ok(Err(error)) => Err(error),
            Err(_) => Ok(WaitResult::TimedOut(last)),
        }
    }
}
