//! Brings both files together: follows every reference, applies the overrides and the defaults.
//!
//! Input: the drafts of both files. Output: the [`ManifestDocument`], meaningful only when neither
//! report holds an error.

mod companions;
mod cron;
mod files;
mod graph;
mod networks;
mod routes;
mod schedule;
mod storage;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    compose::{ComposeDraft, ServiceDraft},
    jaco::{JacoDraft, OverrideDraft},
    privilege::{LABEL, privileges},
    report::{Mark, Report, cut},
    suggest,
};
use crate::{
    error::ErrorCode,
    model::{
        BindAllowlist, ContainerSpec, DeploymentName, Digest, ManifestDocument, MountSource,
        NetworkName, NetworkSpec, ServiceName, VolumeName, VolumeSpec,
    },
};

/// Both files and where their problems go.
pub(super) struct Merge<'a, 'j, 'c> {
    deployment: DeploymentName,
    compose: &'a ComposeDraft,
    jaco: &'a JacoDraft,
    overrides: BTreeMap<&'a str, &'a OverrideDraft>,
    /// Services that are deployed: all but those of a profile that nobody names.
    enabled: BTreeSet<&'a str>,
    /// The services beside whose containers those of others live, by companion, and where that is said.
    leads: BTreeMap<&'a str, (&'a ServiceName, Mark)>,
    /// Networks and volumes that can be referenced, with their digests: worked out once, however
    /// often they are.
    networks: BTreeMap<NetworkName, (NetworkSpec, Digest)>,
    volumes: BTreeMap<VolumeName, (VolumeSpec, Digest)>,
    /// What any service may mount.
    allowed: &'a BindAllowlist,
    jaco_report: &'a mut Report<'j>,
    report: &'a mut Report<'c>,
}

/// Merges the drafts; `None` when an error was found in any file.
pub(super) fn merge<'a>(
    jaco: &'a JacoDraft,
    compose: &'a ComposeDraft,
    allowed: &'a BindAllowlist,
    jaco_report: &'a mut Report<'_>,
    report: &'a mut Report<'_>,
) -> Option<ManifestDocument> {
    // A missing name is reported already; any name serves to find what else is wrong.
    let deployment = match &jaco.deployment {
        Some(name) => name.clone(),
        None => DeploymentName::new("unnamed").ok()?,
    };
    let mut merge = Merge {
        networks: networks::declared(compose),
        volumes: storage::declared(&deployment, compose),
        overrides: BTreeMap::new(),
        enabled: BTreeSet::new(),
        leads: BTreeMap::new(),
        deployment,
        compose,
        jaco,
        allowed,
        jaco_report,
        report,
    };
    merge.overrides = merge.overrides();
    merge.enabled = merge.enabled();
    merge.leads = merge.leads();
    let document = merge.document();
    let failed = merge.jaco_report.failed() || merge.report.failed();
    (!failed).then_some(document)
}

impl<'a> Merge<'a, '_, '_> {
    /// The overrides by service; reports unknown services and repetitions.
    fn overrides(&mut self) -> BTreeMap<&'a str, &'a OverrideDraft> {
        let mut out: BTreeMap<&str, &OverrideDraft> = BTreeMap::new();
        for (index, service) in self.jaco.services.iter().enumerate() {
            let Some((name, mark)) = &service.name else { continue };
            self.jaco_report.within(&format!("services[{index}].name"), |report| {
                if !self.compose.service_names.contains(name) {
                    unknown_service(name, *mark, self.compose, self.report.file(), report);
                } else if out.insert(name, service).is_some() {
                    report.error(*mark, format!("the service `{}` is there twice", cut(name)));
                }
            });
        }
        out
    }

    /// The services that are deployed. As with Compose, a service of a profile is left out unless
    /// it is named; `services` and `routes` of jaco.yaml name it.
    fn enabled(&mut self) -> BTreeSet<&'a str> {
        let routed: BTreeSet<&str> =
            self.jaco.routes.iter().filter_map(|r| Some(r.service.as_ref()?.0.as_str())).collect();
        let mut out = BTreeSet::new();
        for (name, draft) in &self.compose.services {
            let named =
                self.overrides.contains_key(name.as_str()) || routed.contains(name.as_str());
            if draft.profiles.is_empty() || named {
                out.insert(name.as_str());
                continue;
            }
            self.report.within(&format!("services.{name}.profiles"), |report| {
                let profiles = cut(&draft.profiles.join(", "));
                let message = format!(
                    "the service `{name}` is left out: it belongs to the profile {profiles}"
                );
                let hint = "to deploy it, name it under `services` in jaco.yaml".to_owned();
                report.warn(draft.mark, message, Some(hint));
            });
        }
        out
    }

    fn document(&mut self) -> ManifestDocument {
        let mut document = ManifestDocument {
            deployment: self.deployment.clone(),
            services: BTreeMap::new(),
            networks: BTreeMap::new(),
            volumes: BTreeMap::new(),
            routes: Vec::new(),
            acme_email: self.jaco.acme_email.clone(),
        };
        let compose = self.compose;
        let completed = self.awaited_completions();
        for (name, draft) in &compose.services {
            if !self.enabled.contains(name.as_str()) {
                continue;
            }
            let path = format!("services.{name}");
            let mut spec = draft.spec.clone();
            self.attachments(name, draft, &path, &mut spec, &mut document.networks);
            let volumes = self.mounts(name, draft, &path, &mut spec, &mut document.volumes);
            spec.resources = schedule::resources(draft);
            let mut schedule =
                self.schedule(name, draft, &path, volumes, completed.contains(name.as_str()));
            schedule.networks = spec.networks.iter().map(|a| a.network.clone()).collect();
            schedule.endpoint = self.endpoint(name, draft, &path, &schedule);
            self.files(name, draft, &path, &mut spec, &mut schedule);
            self.check_privileges(draft, &path, &spec);
            document.services.insert(name.clone(), (schedule, spec));
        }
        self.link_aliases(&mut document.services);
        self.join_leads(&mut document.services);
        self.check_dependencies();
        self.check_published();
        document.routes = self.routes();
        document
    }

    /// Rights that equal access to the host need the label that says somebody meant it.
    fn check_privileges(&mut self, draft: &ServiceDraft, path: &str, spec: &ContainerSpec) {
        let reasons = privileges(spec, self.allowed);
        let labelled = [&spec.labels, &draft.deploy.labels]
            .iter()
            .any(|labels| labels.get(LABEL).is_some_and(|v| v == "true"));
        if reasons.is_empty() || labelled {
            return;
        }
        let mark = self.privileged_at(draft);
        self.report.within(path, |report| {
            let message = format!("this equals access to the host: {}", reasons.join("; "));
            let hint = format!("if it is meant, add the label `{LABEL}: \"true\"` to the service");
            report.coded(ErrorCode::PrivilegeDenied, mark, cut_long(&message), Some(hint));
        });
    }

    /// The first place that asks for rights, mounts that are allowed left out.
    fn privileged_at(&self, draft: &ServiceDraft) -> Mark {
        let harmless: BTreeSet<u32> = draft
            .mounts
            .iter()
            .filter(|m| matches!(&m.mount.source, MountSource::Bind { path, .. } if self.allowed.covers(path)))
            .map(|m| m.mark.start)
            .collect();
        let mut places = draft.privileged_at.iter().filter(|mark| !harmless.contains(&mark.start));
        places.next().copied().unwrap_or(draft.mark)
    }
}

/// The digest of a network or volume, so that its change is a change of who references it.
fn digest(value: &impl Serialize) -> Digest {
    let json = serde_json::to_vec(value);
    Digest::of(&json.expect("networks and volumes have only string keys and no numbers"))
}

/// Reports a service that the compose file does not define.
fn unknown_service(
    name: &str,
    mark: Mark,
    compose: &ComposeDraft,
    file: &str,
    report: &mut Report<'_>,
) {
    // Without any service there is one mistake, and it is told; a file that is missing may define it.
    if compose.partial || compose.service_names.is_empty() {
        return;
    }
    report.once(format!("unknown service {name}"), mark, |report| {
        let known = compose.service_names.iter().map(String::as_str);
        let hint = suggest::hint(report, name, &format!("the services of {file}"), known);
        let message = format!("the service `{}` is not defined in {file}", cut(name));
        report.coded(ErrorCode::UnknownService, mark, message, hint);
    });
}

fn cut_long(text: &str) -> String {
    text.chars().take(300).collect()
}

/// The override of a service.
fn override_of<'a>(merge: &Merge<'a, '_, '_>, name: &ServiceName) -> Option<&'a OverrideDraft> {
    merge.overrides.get(name.as_str()).copied()
}
