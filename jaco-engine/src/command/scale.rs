//! Other replica counts: a new revision that restarts nothing.

use std::collections::BTreeMap;

use jaco_api::{
    error::ErrorCode,
    model::{
        AuditKind, Deployment, DeploymentName, Placement, RevisionOrigin, ServiceName,
        ServiceSchedule,
    },
};

use super::{Outcome, content, rejection::Rejection};
use crate::state::{Content, Transaction, payload};

/// Other replica counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScaleDeployment {
    /// The deployment.
    pub deployment: DeploymentName,
    /// New counts by service.
    pub replicas: BTreeMap<ServiceName, u32>,
}

impl ScaleDeployment {
    pub(super) fn apply(&self, tx: &mut Transaction<'_>) -> Result<Outcome, Rejection> {
        let deployment = content::existing(tx.view(), &self.deployment)?;
        content::refuse_deleting(&deployment)?;
        let in_force = content::in_force(tx.view(), &deployment)?;
        let mut wanted = Content::of(&in_force);
        for (name, count) in &self.replicas {
            let service = wanted
                .services
                .get_mut(name)
                .ok_or_else(|| content::no_service(&self.deployment, name))?;
            refuse_count(name, &service.schedule, *count)?;
            service.schedule.replicas = *count;
        }
        follow_leads(&mut wanted);
        let number = deployment.revision;
        if wanted == Content::of(&in_force) {
            return Ok(Outcome::Revision { number, changed: false });
        }
        let row = Deployment::clone(&deployment);
        let number = content::put_in_force(tx, row, wanted, RevisionOrigin::Scale);
        let mut facts = payload([
            ("deployment", self.deployment.to_string()),
            ("revision", number.to_string()),
        ]);
        facts.extend(self.replicas.iter().map(|(s, n)| (format!("service {s}"), n.to_string())));
        tx.audit(AuditKind::Scale, facts);
        Ok(Outcome::Revision { number, changed: true })
    }
}

/// There are as many companions as there are of what they live beside.
fn follow_leads(content: &mut Content) {
    let counts: BTreeMap<ServiceName, u32> =
        content.services.iter().map(|(n, s)| (n.clone(), s.schedule.replicas)).collect();
    for service in content.services.values_mut() {
        if let Some(count) = service.schedule.beside.as_ref().and_then(|lead| counts.get(lead)) {
            service.schedule.replicas = *count;
        }
    }
}

fn refuse_count(
    name: &ServiceName,
    schedule: &ServiceSchedule,
    count: u32,
) -> Result<(), Rejection> {
    if let Some(lead) = &schedule.beside {
        return Err(Rejection::new(
            ErrorCode::ValidationFailed,
            format!("service {name} has one replica beside each of {lead}"),
        )
        .hint(format!("scale {lead}: {name} follows")));
    }
    match &schedule.placement {
        _ if schedule.cron.is_some() && count > 1 => Err(Rejection::new(
            ErrorCode::ValidationFailed,
            format!("service {name} has a schedule: each tick is one run, and 0 suspends it"),
        )),
        _ if schedule.singleton && count > 1 => Err(Rejection::new(
            ErrorCode::ValidationFailed,
            format!("service {name} is a singleton: it has at most one replica"),
        )),
        Some(Placement::Global) => Err(Rejection::new(
            ErrorCode::ValidationFailed,
            format!("service {name} is global: it has one replica on every eligible node"),
        )),
        Some(Placement::Hosts(hosts)) if count as usize > hosts.len() => Err(Rejection::new(
            ErrorCode::ReplicasExceedPinnedHosts,
            format!("service {name} is pinned to {} hosts, fewer than {count}", hosts.len()),
        )),
        _ => Ok(()),
    }
}
