//! Which networks a service is on.

use std::collections::BTreeMap;

use super::{Merge, override_of};
use crate::{
    error::ErrorCode,
    manifest::{
        compose::{ComposeDraft, ServiceDraft},
        report::{Mark, Report, cut},
        suggest,
    },
    model::{Attachment, NetworkName, NetworkSpec, ServiceName},
};

impl Merge<'_, '_, '_> {
    /// The networks of a service: those of jaco.yaml, else those of the compose file, else
    /// `default`. Adds them to the networks in use.
    pub(super) fn attachments(
        &mut self,
        name: &ServiceName,
        draft: &ServiceDraft,
        path: &str,
        used: &mut BTreeMap<NetworkName, NetworkSpec>,
    ) -> Vec<Attachment> {
        let replaced = override_of(self, name).and_then(|o| o.networks.as_ref());
        if let Some(mode) = draft.network_mode {
            let mut refuse = |mark| {
                self.report.within(path, |report| {
                    report.error(mark, "`networks` and `network_mode` exclude each other");
                });
            };
            if draft.networks.is_some() || replaced.is_some() {
                refuse(mode);
            }
            return Vec::new();
        }
        let mut out = Vec::new();
        let aliases: Vec<String> = draft.container_name.iter().cloned().collect();
        let mut add =
            |network: &str, mark: Mark, more: &[String], priority, report: &mut Report<'_>| {
                let Some((network, spec)) = find(self.compose, network, mark, report) else {
                    return;
                };
                let mut aliases = aliases.clone();
                aliases.extend_from_slice(more);
                aliases.retain(|a| a != name.as_str());
                aliases.sort_unstable();
                aliases.dedup();
                used.insert(network.clone(), spec);
                out.push(Attachment { network, aliases, priority });
            };
        match (replaced, &draft.networks) {
            (Some(names), compose) => {
                for (network, mark) in names {
                    let same = compose.iter().flatten().find(|a| a.network == *network);
                    let more = same.map_or(&[][..], |a| &a.aliases);
                    let priority = same.map_or(0, |a| a.priority);
                    add(network, *mark, more, priority, self.jaco_report);
                }
            }
            (None, Some(list)) => {
                for a in list {
                    self.report.within(&format!("{path}.networks"), |report| {
                        add(&a.network, a.mark, &a.aliases, a.priority, report);
                    });
                }
            }
            (None, None) => add("default", draft.mark, &[], 0, self.report),
        }
        out.sort_by(|a, b| a.network.cmp(&b.network));
        out
    }
}

fn find(
    compose: &ComposeDraft,
    name: &str,
    mark: Mark,
    report: &mut Report<'_>,
) -> Option<(NetworkName, NetworkSpec)> {
    let network = NetworkName::new(name).ok();
    if let Some(network) = network {
        if let Some((spec, _)) = compose.networks.get(&network) {
            return Some((network, spec.clone()));
        }
        if name == "default" {
            return Some((network, NetworkSpec::default()));
        }
    }
    if !compose.other_names.contains(&("network", name.to_owned())) {
        let known = compose.networks.keys().map(NetworkName::as_str);
        let hint = suggest::hint(name, "the networks", known).unwrap_or_else(|| {
            format!("declare it under the top-level `networks`: `{}:`", cut(name))
        });
        let message = format!("the network `{}` is not defined", cut(name));
        report.coded(ErrorCode::UnknownNetwork, mark, message, Some(hint));
    }
    None
}
