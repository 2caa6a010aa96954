//! Dependencies between services: they exist, are not circular, and can be fulfilled.

use std::collections::{BTreeMap, BTreeSet};

use super::{Merge, unknown_service};
use crate::{
    error::ErrorCode,
    manifest::{
        compose::ServiceDraft,
        report::{Mark, cut},
    },
    model::{
        ContainerSpec, DependencyCondition, NetworkName, RestartCondition, ServiceName,
        ServiceSchedule,
    },
};

impl<'a> Merge<'a, '_, '_> {
    /// Services whose completion others wait for: they are jobs.
    pub(super) fn awaited_completions(&mut self) -> BTreeSet<&'a str> {
        let mut out = BTreeSet::new();
        let compose = self.compose;
        for (name, draft) in &compose.services {
            if !self.enabled.contains(name.as_str()) {
                continue;
            }
            for dependency in &draft.depends_on {
                if dependency.condition == DependencyCondition::Completed {
                    out.insert(dependency.service.as_str());
                    self.check_can_complete(name, dependency.mark, &dependency.service);
                }
            }
        }
        out
    }

    fn check_can_complete(&mut self, waiting: &ServiceName, mark: Mark, service: &str) {
        let target = self.compose.services.get(service);
        let condition = target.and_then(|t| t.deploy.restart.condition);
        if let Some((RestartCondition::Any, _)) = condition {
            self.report.within(&format!("services.{waiting}.depends_on"), |report| {
                let message =
                    format!("`{}` never completes: its restart policy is `any`", cut(service));
                let hint = "set its `restart_policy.condition` to on-failure or none";
                report.error_hint(mark, message, hint);
            });
        }
    }

    /// What a service waits for, `links` included.
    pub(super) fn dependencies(
        &self,
        draft: &ServiceDraft,
    ) -> BTreeMap<ServiceName, DependencyCondition> {
        let mut out = BTreeMap::new();
        let links = draft.links.iter().map(|l| (&l.service, DependencyCondition::Started));
        let named = draft.depends_on.iter().map(|d| (&d.service, d.condition));
        for (service, condition) in links.chain(named) {
            if self.enabled.contains(service.as_str())
                && let Ok(service) = ServiceName::new(service)
            {
                out.insert(service, condition);
            }
        }
        out
    }

    /// Unknown services, services left out, services that wait for themselves, circles.
    pub(super) fn check_dependencies(&mut self) {
        let compose = self.compose;
        let mut edges: BTreeMap<&str, BTreeMap<&str, Mark>> = BTreeMap::new();
        for (name, draft) in &compose.services {
            if !self.enabled.contains(name.as_str()) {
                continue;
            }
            let links = draft.links.iter().map(|l| ("links", &l.service, l.mark, true));
            let named =
                draft.depends_on.iter().map(|d| ("depends_on", &d.service, d.mark, d.required));
            for (attribute, target, mark, required) in links.chain(named) {
                if self.check_edge(name, attribute, target, mark, required) {
                    self.check_cron_dependency(name, attribute, target, mark);
                    edges.entry(name.as_str()).or_default().insert(target, mark);
                }
            }
        }
        // A companion's container is made in what its lead's has.
        for (companion, (lead, mark)) in &self.leads {
            edges.entry(companion).or_default().entry(lead.as_str()).or_insert(*mark);
        }
        let edges = edges.into_iter().map(|(k, v)| (k, v.into_iter().collect())).collect();
        self.check_circles(&edges);
    }

    /// Whether the dependency is one that may be part of a circle.
    fn check_edge(
        &mut self,
        name: &ServiceName,
        attribute: &str,
        target: &str,
        mark: Mark,
        required: bool,
    ) -> bool {
        let file = self.report.file();
        self.report.within(&format!("services.{name}.{attribute}"), |report| {
            if target == name.as_str() {
                report.error(mark, format!("the service `{name}` depends on itself"));
                return false;
            }
            if self.enabled.contains(target) {
                return true;
            }
            if !required {
                return false;
            }
            if !self.compose.service_names.contains(target) {
                unknown_service(target, mark, self.compose, file, report);
            } else if self.compose.services.contains_key(target) {
                report.once(format!("left out {target}"), mark, |report| {
                    let message =
                        format!("the service `{}` is left out by its profile", cut(target));
                    let hint = "name it under `services` in jaco.yaml, or set `required: false`";
                    report.error_hint(mark, message, hint);
                });
            }
            false
        })
    }

    /// Reports each circle once, at the edge that closes it.
    fn check_circles(&mut self, edges: &BTreeMap<&str, Vec<(&str, Mark)>>) {
        let mut done: BTreeSet<&str> = BTreeSet::new();
        // Services that share what they wait for are in one circle too many.
        let mut closed: BTreeSet<Mark> = BTreeSet::new();
        for start in edges.keys() {
            // The way from `start` to the present service, with the next edge to try of each.
            let mut way: Vec<(&str, usize)> = vec![(start, 0)];
            let mut on_way = BTreeSet::from([*start]);
            while let Some((service, next)) = way.last_mut() {
                let service = *service;
                let edge = edges.get(service).and_then(|e| e.get(*next)).copied();
                *next += 1;
                let Some((target, mark)) = edge else {
                    done.insert(service);
                    on_way.remove(service);
                    way.pop();
                    continue;
                };
                if done.contains(target) {
                    continue;
                }
                if !on_way.insert(target) {
                    if !closed.insert(mark) {
                        continue;
                    }
                    let from = way.iter().position(|(s, _)| *s == target).unwrap_or(0);
                    let mut names: Vec<String> =
                        way[from..].iter().take(8).map(|(s, _)| cut(s)).collect();
                    names.push(cut(target));
                    let message = format!("services wait for each other: {}", names.join(" → "));
                    self.report.within(&format!("services.{service}.depends_on"), |report| {
                        report.coded(ErrorCode::ValidationFailed, mark, message, None);
                    });
                    continue;
                }
                way.push((target, 0));
            }
        }
    }

    /// `links` give their target a further name on the networks both are on.
    pub(super) fn link_aliases(
        &self,
        services: &mut BTreeMap<ServiceName, (ServiceSchedule, ContainerSpec)>,
    ) {
        let mut more: BTreeMap<&str, Vec<(NetworkName, &str)>> = BTreeMap::new();
        for (name, draft) in &self.compose.services {
            let Some((_, spec)) = services.get(name) else { continue };
            for link in &draft.links {
                let Some(alias) = &link.alias else { continue };
                let common = spec.networks.iter().map(|a| (a.network.clone(), alias.as_str()));
                more.entry(&link.service).or_default().extend(common);
            }
        }
        for (target, names) in more {
            let Some((_, spec)) = services.get_mut(target) else { continue };
            for attachment in &mut spec.networks {
                let here = names.iter().filter(|(n, _)| *n == attachment.network);
                attachment.aliases.extend(here.map(|(_, alias)| (*alias).to_owned()));
                attachment.aliases.sort_unstable();
                attachment.aliases.dedup();
            }
        }
    }
}
