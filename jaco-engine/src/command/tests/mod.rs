mod address;
mod certificate;
mod codec;
mod cron;
mod deployment;
mod files;
mod membership;
mod properties;
mod reconcile;
mod report;
mod rollout;
mod subnet;
mod token;

use jaco_api::{
    error::ErrorCode,
    model::{AuditKind, Deployment, Rollout},
};

use super::Outcome;
use crate::{
    state::State,
    testing::builders::{Scenario, name},
};

fn refused(outcome: &Outcome) -> ErrorCode {
    match outcome {
        Outcome::Rejected(error) => error.code,
        other => panic!("was not refused: {other:?}"),
    }
}

fn changed(number: u64) -> Outcome {
    Outcome::Revision { number, changed: true }
}

fn unchanged(number: u64) -> Outcome {
    Outcome::Revision { number, changed: false }
}

fn deployment(scenario: &Scenario, deployment: &str) -> Deployment {
    Deployment::clone(scenario.state.deployment(&name(deployment)).expect("it exists"))
}

fn rollout(scenario: &Scenario, of: &str) -> Rollout {
    deployment(scenario, of).rollout.expect("there is a rollout")
}

fn audited(state: &State, kind: AuditKind) -> usize {
    state.audit_after(0).filter(|e| e.kind == kind).count()
}
