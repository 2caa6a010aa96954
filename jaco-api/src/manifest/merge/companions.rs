//! Services whose containers live beside those of another one: which that is, what does not go with it,
//! and what follows for both.

use std::collections::BTreeMap;

use super::{Merge, override_of, unknown_service};
use crate::{
    manifest::{
        compose::{JoinDraft, ServiceDraft, Shared},
        report::{Mark, cut},
    },
    model::{
        Borrowed, ContainerSpec, DependencyCondition, IpcMode, Mode, ServiceName, ServiceSchedule,
        Sharing, UpdateOrder,
    },
};

type Services = BTreeMap<ServiceName, (ServiceSchedule, ContainerSpec)>;

impl<'a> Merge<'a, '_, '_> {
    /// The lead of each companion; reports leads that cannot be.
    pub(super) fn leads(&mut self) -> BTreeMap<&'a str, (&'a ServiceName, Mark)> {
        let compose = self.compose;
        let mut leads: BTreeMap<&str, (&ServiceName, Mark)> = BTreeMap::new();
        for (name, draft) in &compose.services {
            if !self.enabled.contains(name.as_str()) {
                continue;
            }
            for join in &draft.joins {
                let Some(lead) = self.lead(name, join) else { continue };
                let (first, _) = *leads.entry(name.as_str()).or_insert((lead, join.mark));
                if first != lead {
                    let path = format!("services.{name}.{}", join.shared.attribute());
                    self.report.within(&path, |report| {
                        let message = format!(
                            "`{name}` lives beside `{first}` already and cannot live beside `{lead}` too"
                        );
                        let hint = format!("name `{first}` here as well, or remove one of them");
                        report.error_hint(join.mark, message, hint);
                    });
                }
            }
        }
        let chained: Vec<_> = leads
            .iter()
            .filter_map(|(name, (lead, mark))| {
                Some((*name, *lead, leads.get(lead.as_str())?.0, *mark))
            })
            .collect();
        for (name, lead, first, mark) in chained {
            leads.remove(name);
            if first.as_str() == name {
                if lead.as_str() < name {
                    // It was told of the other one.
                    continue;
                }
                self.report.within(&format!("services.{name}"), |report| {
                    let message = format!("`{first}` and `{lead}` each live beside the other");
                    report.error_hint(mark, message, "let one of them live by itself");
                });
                continue;
            }
            self.report.within(&format!("services.{name}"), |report| {
                let message = format!(
                    "`{}` cannot live beside `{lead}`, which lives beside `{first}`",
                    cut(name)
                );
                report.error_hint(mark, message, format!("name `{first}` here as well"));
            });
        }
        leads
    }

    /// The service that is named; nothing when it cannot be one's lead, which is reported.
    fn lead(&mut self, name: &ServiceName, join: &JoinDraft) -> Option<&'a ServiceName> {
        let (target, mark, compose) = (join.service.as_str(), join.mark, self.compose);
        let file = self.report.file();
        let path = format!("services.{name}.{}", join.shared.attribute());
        let cron = self.cron_of(target).is_some();
        let enabled = self.enabled.contains(target);
        self.report.within(&path, |report| {
            if target == name.as_str() {
                report.error_hint(mark, format!("`{name}` cannot live beside itself"), "remove it");
                return None;
            }
            if !compose.service_names.contains(target) {
                unknown_service(target, mark, compose, file, report);
                return None;
            }
            let (lead, _) = compose.services.get_key_value(target)?;
            if !enabled {
                report.once(format!("left out {target}"), mark, |report| {
                    let message = format!("the service `{lead}` is left out by its profile");
                    report.error_hint(mark, message, "name it under `services` in jaco.yaml");
                });
                return None;
            }
            if cron {
                let message =
                    format!("`{name}` cannot live beside `{lead}`: it runs only at its times");
                report.error_hint(mark, message, "remove the `schedule` in jaco.yaml");
                return None;
            }
            Some(lead)
        })
    }

    /// Refuses what a container without a network of its own cannot have.
    pub(super) fn check_shared_network(&mut self, name: &ServiceName, draft: &ServiceDraft) {
        let shares = |j: &&JoinDraft| j.shared == Shared::Network;
        let Some(join) = draft.joins.iter().find(shares) else { return };
        let lead = cut(&join.service);
        for (key, mark) in &draft.of_network {
            let nothing = "it has the network of another service";
            self.report.within(&format!("services.{name}.{key}"), |report| match *key {
                "expose" => report.notice(*mark, "expose", nothing),
                "container_name" => report.notice(*mark, "container_name", nothing),
                "networks" => {
                    let message = "`networks` and `network_mode` exclude each other";
                    report.error_hint(*mark, message, format!("put it on `{lead}`"));
                }
                key => {
                    let message =
                        format!("`{key}` does not go with `network_mode: service:{lead}`");
                    report.error_hint(*mark, message, format!("put it on `{lead}`"));
                }
            });
        }
    }

    /// Refuses what is decided for a companion by its lead.
    fn check_companion(&mut self, name: &ServiceName, lead: &ServiceName, services: &Services) {
        let Some(draft) = self.compose.services.get(name) else { return };
        let (Some((own, _)), Some((of_lead, _))) = (services.get(name), services.get(lead)) else {
            return;
        };
        let path = format!("services.{name}");
        let given = override_of(self, name);
        let beside = format!("`{name}` lives beside `{lead}`");
        let there = format!("put it on `{lead}`");
        let placed = format!("{beside} and is placed with it");
        if let Some((_, mark)) = given.and_then(|o| o.cron.as_ref()) {
            let message = format!("{beside} and cannot have a schedule of its own");
            self.jaco_report.within("services", |r| r.error_hint(*mark, message, "remove it"));
        }
        let global = |o: &ServiceSchedule| o.is_global() && of_lead.is_global();
        let at = given.and_then(|o| {
            let placement = o.placement.map(|p| p.1).filter(|_| !global(own));
            let constraints = o.constraints.as_ref().and(o.name.as_ref()).map(|n| n.1);
            placement.or(o.hosts.as_ref().map(|h| h.1)).or(constraints)
        });
        if let Some(mark) = at {
            self.jaco_report.within("services", |r| r.error_hint(mark, &*placed, &*there));
        }
        let (deploy, others) = (&draft.deploy, self.compose.services.get(lead).map(|d| &d.deploy));
        if let Some(mark) = deploy.global.filter(|_| !of_lead.is_global()) {
            self.report.within(&format!("{path}.deploy.mode"), |r| {
                r.error_hint(mark, &*placed, &*there);
            });
        }
        let same = others.is_some_and(|o| {
            (&deploy.constraints, &deploy.spread_over, deploy.max_replicas_per_node)
                == (&o.constraints, &o.spread_over, o.max_replicas_per_node)
        });
        if let Some(mark) = draft.placement_at.filter(|_| !same) {
            self.report.within(&format!("{path}.deploy.placement"), |r| {
                r.error_hint(mark, &*placed, &*there);
            });
        }
        if let Some((true, mark)) = deploy.wishes.singleton.filter(|_| !of_lead.singleton) {
            let message = format!("{beside}: only both can be singletons");
            let hint = format!("put the label `jaco.io/singleton` on `{lead}`");
            self.report.within(&path, |r| r.error_hint(mark, message, hint));
        }
        if let Some((_, mark)) = deploy.wishes.reschedule_after {
            let message = format!("`jaco.io/reschedule-after` of `{name}` has no effect: {placed}");
            self.report.within(&path, |r| r.warn(mark, message, Some(there.clone())));
        }
        if let Some((UpdateOrder::StartFirst, mark)) = deploy.update.order {
            self.report.within(&format!("{path}.deploy.update_config.order"), |r| {
                let message = format!("{beside}: two of it cannot be beside one of `{lead}`");
                r.error_hint(mark, message, "write `order: stop-first`, or remove it");
            });
        }
        self.check_companion_count(name, lead, of_lead);
    }

    /// A companion has as many replicas as its lead, so another number is a mistake.
    fn check_companion_count(
        &mut self,
        name: &ServiceName,
        lead: &ServiceName,
        of_lead: &ServiceSchedule,
    ) {
        let Some(draft) = self.compose.services.get(name) else { return };
        let own = override_of(self, name).and_then(|o| o.replicas);
        let deploy = draft.deploy.replicas.or(draft.deploy.scale);
        let Some((count, mark)) = own.or(deploy) else { return };
        if count == of_lead.replicas && !of_lead.is_global() {
            return;
        }
        let (message, hint) = if of_lead.is_global() {
            let message = format!("`{name}` is on every node that `{lead}` is on, beside it");
            (message, "remove `replicas`".to_owned())
        } else {
            let wanted = of_lead.replicas;
            let message =
                format!("`{name}` has one replica beside each of `{lead}`, which has {wanted}");
            (message, format!("remove `replicas`, or write {wanted}"))
        };
        if own.is_some() {
            self.jaco_report.within("services", |r| r.error_hint(mark, message, hint));
        } else {
            self.report.within(&format!("services.{name}.deploy.replicas"), |r| {
                r.error_hint(mark, message, hint);
            });
        }
    }

    /// Joins each companion with its lead: the lead asks for what both need of a node, the companion
    /// follows.
    pub(super) fn join_leads(&mut self, services: &mut Services) {
        let leads = self.leads.clone();
        for (name, (lead, mark)) in &leads {
            let Some((name, draft)) = self.compose.services.get_key_value(*name) else { continue };
            self.check_companion(name, lead, services);
            let Some((of_lead, lead_spec)) = services.get(*lead) else { continue };
            if of_lead.mode == Mode::Job {
                self.report.within(&format!("services.{name}"), |report| {
                    let message = format!("`{name}` cannot live beside `{lead}`, which is a job");
                    let hint =
                        "its container ends and takes the namespaces with it: let it run for ever";
                    report.error_hint(*mark, message, hint);
                });
            }
            let shared_ipc = draft.joins.iter().find(|j| j.shared == Shared::Ipc);
            if let (Some(join), Some(mode)) =
                (shared_ipc, lead_spec.ipc.filter(|m| *m != IpcMode::Shareable))
            {
                let (word, hint) = match mode {
                    IpcMode::Host => ("host", "write `ipc: host` here as well".to_owned()),
                    IpcMode::None => ("none", format!("let `{lead}` have `ipc: shareable`")),
                    _ => ("private", format!("let `{lead}` have `ipc: shareable`")),
                };
                self.report.within(&format!("services.{name}.ipc"), |report| {
                    let message = format!("the `ipc` of `{lead}` is {word}: nobody can join it");
                    report.error_hint(join.mark, message, hint);
                });
            }
            let given = self.compose.services.get(*lead).and_then(|d| d.deploy.update.order);
            pair(services, (name, draft), lead, given.is_some());
        }
    }
}

/// What follows from living beside each other.
fn pair(
    services: &mut Services,
    (name, draft): (&ServiceName, &ServiceDraft),
    lead: &ServiceName,
    order_is_given: bool,
) {
    let Some((mut own, mut spec)) = services.remove(name) else { return };
    if let Some((of_lead, lead_spec)) = services.get_mut(lead) {
        share(&mut spec, draft, lead, lead_spec);
        of_lead.volumes.extend(own.volumes.iter().cloned());
        of_lead.volumes.sort_unstable();
        of_lead.volumes.dedup();
        of_lead.stateful |= own.stateful;
        if of_lead.stateful && !order_is_given {
            of_lead.update.order = UpdateOrder::StopFirst;
            of_lead.rollback.iter_mut().for_each(|r| r.order = UpdateOrder::StopFirst);
        }
        if of_lead.platform.is_none() {
            of_lead.platform.clone_from(&own.platform);
        }
        let beside = own.networks.difference(&of_lead.networks).cloned();
        of_lead.networks_beside.extend(beside);
        of_lead.networks.extend(own.networks.iter().cloned());
        of_lead.reserved_cpu_millis += std::mem::take(&mut own.reserved_cpu_millis);
        of_lead.reserved_memory_bytes += std::mem::take(&mut own.reserved_memory_bytes);
        own.replicas = of_lead.replicas;
        own.singleton = of_lead.singleton;
        own.depends_on.entry(lead.clone()).or_insert(DependencyCondition::Started);
    }
    own.beside = Some(lead.clone());
    (own.placement, own.max_replicas_per_node, own.reschedule_after) = (None, 0, None);
    own.constraints.clear();
    own.spread_over.clear();
    own.update.order = UpdateOrder::StopFirst;
    own.rollback.iter_mut().for_each(|r| r.order = UpdateOrder::StopFirst);
    services.insert(name.clone(), (own, spec));
}

/// What the container of a companion shares, and what that needs of the other.
fn share(
    spec: &mut ContainerSpec,
    draft: &ServiceDraft,
    lead: &ServiceName,
    of_lead: &mut ContainerSpec,
) {
    let mut sharing = Sharing::with(lead.clone());
    for join in &draft.joins {
        match join.shared {
            Shared::Network => {
                sharing.network = true;
                spec.expose.clear();
            }
            Shared::Ipc => {
                sharing.ipc = true;
                of_lead.ipc.get_or_insert(IpcMode::Shareable);
            }
            Shared::Pid => sharing.pid = true,
            Shared::Volumes(true) => sharing.volumes = Some(Borrowed::ReadOnly),
            Shared::Volumes(false) => sharing.volumes = Some(Borrowed::AsMounted),
        }
    }
    spec.beside = Some(sharing);
}
