//! Which networks a service is on.

use std::collections::BTreeMap;

use super::{Merge, digest, override_of};
use crate::{
    error::ErrorCode,
    manifest::{
        compose::{AttachmentDraft, ComposeDraft, ServiceDraft, Shared},
        report::{Mark, Report, cut},
        suggest,
    },
    model::{Attachment, ContainerSpec, Digest, NetworkName, NetworkSpec, ServiceName},
};

impl Merge<'_, '_, '_> {
    /// Fills `spec.networks`: those of jaco.yaml, else those of the compose file, else
    /// `default`. Adds them to the networks in use.
    pub(super) fn attachments(
        &mut self,
        name: &ServiceName,
        draft: &ServiceDraft,
        path: &str,
        spec: &mut ContainerSpec,
        used: &mut BTreeMap<NetworkName, NetworkSpec>,
    ) {
        let replaced = override_of(self, name).and_then(|o| o.networks.as_ref());
        if draft.joins.iter().any(|j| j.shared == Shared::Network) {
            self.check_shared_network(name, draft);
            if let Some((_, mark)) = replaced.and_then(|all| all.first()) {
                self.jaco_report.within("services", |report| {
                    let message = format!("`{name}` has the network of another service");
                    report.error_hint(*mark, message, "put `networks` on that one");
                });
            }
            return;
        }
        if let Some(mode) = draft.network_mode {
            let mut refuse = |mark| {
                self.report.within(path, |report| {
                    report.error(mark, "`networks` and `network_mode` exclude each other");
                });
            };
            if draft.networks.is_some() || replaced.is_some() {
                refuse(mode);
            }
            return;
        }
        let aliases: Vec<String> = draft.container_name.iter().cloned().collect();
        let mut add = |network: &str,
                       mark: Mark,
                       draft: Option<&AttachmentDraft>,
                       report: &mut Report<'_>| {
            let Some((network, (network_spec, digest))) = self.networks.get_key_value(network)
            else {
                return unknown(self.compose, network, mark, report);
            };
            let mut aliases = aliases.clone();
            aliases.extend(draft.into_iter().flat_map(|a| a.aliases.iter().cloned()));
            aliases.retain(|a| a != name.as_str());
            aliases.sort_unstable();
            aliases.dedup();
            used.entry(network.clone()).or_insert_with(|| network_spec.clone());
            spec.references.insert(format!("network:{network}"), *digest);
            let plain = Attachment { aliases, ..Attachment::to(network.clone()) };
            spec.networks.push(match draft {
                None => plain,
                Some(a) => Attachment {
                    priority: a.priority,
                    gw_priority: a.gw_priority,
                    interface_name: a.interface_name.clone(),
                    driver_opts: a.driver_opts.clone(),
                    ..plain
                },
            });
        };
        match (replaced, &draft.networks) {
            (Some(names), compose) => {
                let known: BTreeMap<&str, &AttachmentDraft> =
                    compose.iter().flatten().map(|a| (a.network.as_str(), a)).collect();
                for (network, mark) in names {
                    let same = known.get(network.as_str()).copied();
                    add(network, *mark, same, self.jaco_report);
                }
            }
            (None, Some(list)) => {
                for a in list {
                    self.report.within(&format!("{path}.networks"), |report| {
                        add(&a.network, a.mark, Some(a), report);
                    });
                }
            }
            (None, None) => add("default", draft.mark, None, self.report),
        }
        spec.networks.sort_by(|a, b| a.network.cmp(&b.network));
    }
}

/// The networks of the file, and `default`, which needs no declaration.
pub(super) fn declared(compose: &ComposeDraft) -> BTreeMap<NetworkName, (NetworkSpec, Digest)> {
    let with_digest =
        |name: &NetworkName, spec: &NetworkSpec| (name.clone(), (spec.clone(), digest(spec)));
    let implicit = with_digest(&NetworkName::default_network(), &NetworkSpec::default());
    let named = compose.networks.iter().map(|(name, (spec, _))| with_digest(name, spec));
    std::iter::once(implicit).chain(named).collect()
}

fn unknown(compose: &ComposeDraft, name: &str, mark: Mark, report: &mut Report<'_>) {
    if compose.partial || compose.other_names.contains(&("network", name.to_owned())) {
        return;
    }
    report.once(format!("unknown network {name}"), mark, |report| {
        let known = compose.networks.keys().map(NetworkName::as_str);
        let hint = suggest::hint(report, name, "the networks", known).unwrap_or_else(|| {
            format!("declare it under the top-level `networks`: `{}:`", cut(name))
        });
        let message = format!("the network `{}` is not defined", cut(name));
        report.coded(ErrorCode::UnknownNetwork, mark, message, Some(hint));
    });
}
