//! How many replicas, where, and how they are replaced.

use std::collections::{BTreeMap, BTreeSet};

use super::{Merge, override_of, storage::Storage};
use crate::{
    error::ErrorCode,
    manifest::{
        compose::{DeployDraft, ServiceDraft, Shared, UpdateDraft},
        jaco::{Kind, OverrideDraft},
        report::Mark,
    },
    model::{
        EndpointMode, FailureAction, Mode, Placement, Resources, RestartCondition, RestartPolicy,
        ServiceName, ServiceSchedule, UpdateConfig, UpdateOrder,
    },
};

impl Merge<'_, '_, '_> {
    pub(super) fn schedule(
        &mut self,
        name: &ServiceName,
        draft: &ServiceDraft,
        path: &str,
        storage: Storage,
        awaited: bool,
    ) -> ServiceSchedule {
        let deploy = &draft.deploy;
        let own = override_of(self, name);
        let placement = self.placement(name, deploy, own);
        let (replicas, mark) = replicas(deploy, own);
        self.check_counts(name, path, placement.as_ref(), deploy, own);
        self.check_cron(name, draft, path, placement.as_ref());
        let cron = own.and_then(|o| o.cron.as_ref()).map(|(cron, _)| cron.clone());
        if let Some(Placement::Hosts(hosts)) = &placement
            && replicas as usize > hosts.len()
            && !hosts.is_empty()
        {
            let message = format!(
                "{replicas} replicas of `{name}` are more than the {} pinned hosts",
                hosts.len()
            );
            let at = own.and_then(|o| o.replicas.map(|r| r.1).or(o.hosts.as_ref().map(|h| h.1)));
            let mark = at.or(mark).unwrap_or_default();
            let code = ErrorCode::ReplicasExceedPinnedHosts;
            let hint = Some("add hosts, or want fewer replicas".to_owned());
            self.jaco_report.within("services", |r| r.coded(code, mark, message, hint));
        }
        let singleton = self.singleton(name, path, placement.as_ref(), deploy, own);
        self.check_reschedule(name, path, placement.as_ref(), deploy, storage.stateful);
        let update = update_config(&deploy.update, storage.stateful || singleton);
        let rollback = self.rollback_config(path, deploy, &update);
        let ends = deploy.job || awaited || cron.is_some();
        let restart = restart_policy(deploy, ends);
        let job = ends || restart.condition != RestartCondition::Any;
        ServiceSchedule {
            image: draft.spec.image.clone(),
            replicas,
            placement,
            constraints: own
                .and_then(|o| o.constraints.clone())
                .unwrap_or_else(|| deploy.constraints.clone()),
            max_replicas_per_node: deploy.max_replicas_per_node,
            mode: if job { Mode::Job } else { Mode::Service },
            restart,
            update,
            rollback,
            depends_on: self.dependencies(draft),
            volumes: storage.volumes,
            stateful: storage.stateful,
            files: BTreeSet::new(),
            networks: BTreeSet::new(),
            networks_beside: BTreeSet::new(),
            endpoint: deploy.endpoint.map(|(mode, _)| mode).unwrap_or_default(),
            ports: draft.ports.iter().map(|(p, _)| p.clone()).collect(),
            platform: draft.spec.platform.clone(),
            singleton,
            reschedule_after: deploy.wishes.reschedule_after.map(|(after, _)| after),
            spread_over: deploy.spread_over.clone(),
            service_labels: deploy.labels.clone(),
            reserved_cpu_millis: deploy.reservations.cpu_millis,
            reserved_memory_bytes: match deploy.reservations.memory_bytes {
                0 => draft.old_resources.memory_reservation_bytes,
                n => n,
            },
            cron,
            beside: None,
        }
    }

    /// What the name of a service leads to; one that ends by itself or has no network of its own has no
    /// address that it could lead to.
    pub(super) fn endpoint(
        &mut self,
        name: &ServiceName,
        draft: &ServiceDraft,
        path: &str,
        schedule: &ServiceSchedule,
    ) -> EndpointMode {
        let why = if schedule.mode == Mode::Job {
            "it runs to its end"
        } else if schedule.networks.is_empty() {
            "it has no network of its own"
        } else {
            return schedule.endpoint;
        };
        if let Some((EndpointMode::Vip, mark)) = draft.deploy.endpoint {
            self.report.within(&format!("{path}.deploy.endpoint_mode"), |r| {
                let message = format!("`{name}` has no virtual address: {why}");
                r.warn(
                    mark,
                    message,
                    Some("write `endpoint_mode: dnsrr`, or remove it".to_owned()),
                );
            });
        }
        EndpointMode::Dnsrr
    }

    /// How the way back is gone, if that is said apart. Its order is that of the way there: what
    /// replaces in place has no room to do otherwise.
    fn rollback_config(
        &mut self,
        path: &str,
        deploy: &DeployDraft,
        update: &UpdateConfig,
    ) -> Option<UpdateConfig> {
        let given = deploy.rollback.as_ref()?;
        if let Some((order, mark)) = given.order
            && order != update.order
        {
            self.report.within(&format!("{path}.deploy.rollback_config.order"), |r| {
                let message = "`order` of the way back must be the one of `update_config`";
                r.error_hint(mark, message, "remove it, or set `update_config.order`");
            });
        }
        let failure_action = given.failure_action.unwrap_or(FailureAction::Pause);
        let order = update.order;
        Some(UpdateConfig { order, failure_action, ..update_config(given, false) })
    }

    /// What jaco.yaml says, else `deploy.mode`, else the cluster's default.
    fn placement(
        &mut self,
        name: &ServiceName,
        deploy: &DeployDraft,
        own: Option<&OverrideDraft>,
    ) -> Option<Placement> {
        let hosts = own.and_then(|o| o.hosts.as_ref());
        let kind = own.and_then(|o| o.placement);
        if let Some((hosts, mark)) = hosts {
            let message = match kind {
                Some((Kind::Hosts, _)) if !hosts.is_empty() => None,
                Some((Kind::Hosts, _)) => Some("`hosts` names no host".to_owned()),
                _ => Some(format!("`hosts` of `{name}` counts only with `placement: hosts`")),
            };
            if let Some(message) = message {
                self.jaco_report.within("services", |r| r.error(*mark, message));
            }
        }
        match kind {
            None => deploy.global.map(|_| Placement::Global),
            Some((Kind::Spread, _)) => Some(Placement::Spread),
            Some((Kind::Pack, _)) => Some(Placement::Pack),
            Some((Kind::Global, _)) => Some(Placement::Global),
            Some((Kind::Hosts, mark)) => {
                if hosts.is_none() {
                    self.jaco_report.within("services", |r| {
                        let message = format!("`placement: hosts` of `{name}` needs `hosts`");
                        r.error_hint(mark, message, "add `hosts: [<node>, …]`");
                    });
                }
                Some(Placement::Hosts(hosts.map(|(h, _)| h.clone()).unwrap_or_default()))
            }
        }
    }

    /// Whether two copies may never run. Then there is at most one replica, and the old one stops
    /// before the new one starts.
    fn singleton(
        &mut self,
        name: &ServiceName,
        path: &str,
        placement: Option<&Placement>,
        deploy: &DeployDraft,
        own: Option<&OverrideDraft>,
    ) -> bool {
        let Some((true, mark)) = deploy.wishes.singleton else { return false };
        let hint = "remove the label `jaco.io/singleton`";
        if placement == Some(&Placement::Global) {
            let message = format!("`{name}` is a singleton and cannot be global");
            self.report.within(path, |r| r.error_hint(mark, message, hint));
        }
        let many = format!("`{name}` is a singleton: it has at most one replica");
        match (own.and_then(|o| o.replicas), deploy.replicas.or(deploy.scale)) {
            (Some((n, at)), _) if n > 1 => {
                let hint = format!("write `replicas: 1`, or {hint}");
                self.jaco_report.within("services", |r| r.error_hint(at, many, hint));
            }
            (None, Some((n, at))) if n > 1 => {
                let hint = format!("write `replicas: 1`, or {hint}");
                self.report.within(&format!("{path}.deploy.replicas"), |r| {
                    r.error_hint(at, many, hint);
                });
            }
            _ => {}
        }
        if let Some((UpdateOrder::StartFirst, at)) = deploy.update.order {
            let message = format!("`{name}` is a singleton: the new one cannot start first");
            self.report.within(&format!("{path}.deploy.update_config.order"), |r| {
                r.error_hint(at, message, "write `order: stop-first`, or remove it");
            });
        }
        true
    }

    /// Says when a replica that is lost is placed elsewhere by nobody.
    fn check_reschedule(
        &mut self,
        name: &ServiceName,
        path: &str,
        placement: Option<&Placement>,
        deploy: &DeployDraft,
        stateful: bool,
    ) {
        let Some((_, mark)) = deploy.wishes.reschedule_after else { return };
        let why = match placement {
            Some(Placement::Global) => "it has one replica on every node",
            Some(Placement::Hosts(_)) => "it is pinned to its hosts",
            _ if stateful => "it stays where its data is",
            _ => return,
        };
        let message = format!("`jaco.io/reschedule-after` of `{name}` has no effect: {why}");
        self.report.within(path, |r| r.warn(mark, message, None));
    }

    /// A global service has no number of replicas.
    fn check_counts(
        &mut self,
        name: &ServiceName,
        path: &str,
        placement: Option<&Placement>,
        deploy: &DeployDraft,
        own: Option<&OverrideDraft>,
    ) {
        if placement != Some(&Placement::Global) {
            return;
        }
        let message = format!("`{name}` is global: one replica on every node, so no `replicas`");
        if let Some((_, mark)) = own.and_then(|o| o.replicas) {
            self.jaco_report.within("services", |r| r.error(mark, message));
        } else if let Some((_, mark)) = deploy.replicas.or(deploy.scale) {
            self.report.within(&format!("{path}.deploy.replicas"), |r| r.error(mark, message));
        }
    }

    /// One port of the hosts leads to one service.
    pub(super) fn check_published(&mut self) {
        let mut owners: BTreeMap<(u16, crate::model::Protocol), (&ServiceName, Mark)> =
            BTreeMap::new();
        let compose = self.compose;
        // Entries of which a port is told: the others of a range have the same cause.
        let mut told = BTreeSet::new();
        for (name, draft) in &compose.services {
            // That a companion publishes none of its own is told already.
            let shared = draft.joins.iter().any(|j| j.shared == Shared::Network);
            if shared || !self.enabled.contains(name.as_str()) {
                continue;
            }
            for (port, mark) in &draft.ports {
                let Some(published) = port.published else { continue };
                let key = (published, port.protocol);
                let Some((owner, first)) = owners.insert(key, (name, *mark)) else {
                    continue;
                };
                // Within a service the ports are in order of their numbers, not of their lines.
                let (first, mark) = (first.min(*mark), first.max(*mark));
                if !told.insert((mark.file, mark.start)) {
                    continue;
                }
                self.report.within(&format!("services.{name}.ports"), |report| {
                    let there = format!("{}:{}", report.file_of(first), first.line);
                    let message =
                        format!("port {published} is published by `{owner}` already, at {there}");
                    let hint = Some("choose another port".to_owned());
                    report.coded(ErrorCode::PortConflict, mark, message, hint);
                });
            }
        }
    }
}

/// jaco.yaml, else `deploy.replicas`, else `scale`, else one.
fn replicas(deploy: &DeployDraft, own: Option<&OverrideDraft>) -> (u32, Option<Mark>) {
    let given = own.and_then(|o| o.replicas).or(deploy.replicas).or(deploy.scale);
    given.map_or((1, None), |(n, mark)| (n, Some(mark)))
}

fn restart_policy(deploy: &DeployDraft, job: bool) -> RestartPolicy {
    let default = RestartPolicy::default();
    let unset = if job { RestartCondition::OnFailure } else { RestartCondition::Any };
    RestartPolicy {
        condition: deploy.restart.condition.map_or(unset, |(c, _)| c),
        max_attempts: deploy.restart.max_attempts.unwrap_or(default.max_attempts),
        delay: deploy.restart.delay.unwrap_or(default.delay),
    }
}

/// What the manifest says; what it does not say follows from whether two replicas of the same may
/// be there at once.
fn update_config(given: &UpdateDraft, alone: bool) -> UpdateConfig {
    let default = UpdateConfig::default_for(alone);
    UpdateConfig {
        parallelism: given.parallelism.unwrap_or(default.parallelism),
        delay: given.delay.unwrap_or(default.delay),
        order: given.order.map_or(default.order, |(order, _)| order),
        monitor: given.monitor.unwrap_or(default.monitor),
        max_failure_permille: given.max_failure_permille.unwrap_or(default.max_failure_permille),
        failure_action: given.failure_action.unwrap_or(default.failure_action),
    }
}

/// `deploy.resources`, and the keys of old formats where it says nothing.
pub(super) fn resources(draft: &ServiceDraft) -> Resources {
    let mut out = draft.old_resources.clone();
    let (limits, reservations) = (&draft.deploy.limits, &draft.deploy.reservations);
    if limits.cpu_millis > 0 {
        out.cpu_millis = limits.cpu_millis;
    }
    if limits.memory_bytes > 0 {
        out.memory_bytes = limits.memory_bytes;
    }
    if limits.pids != 0 {
        out.pids = limits.pids;
    }
    if reservations.memory_bytes > 0 {
        out.memory_reservation_bytes = reservations.memory_bytes;
    }
    out
}
