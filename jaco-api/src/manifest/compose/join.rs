//! What a service shares with another one: a namespace or its mounts, by the other's name.

use super::ServiceDraft;
use crate::manifest::{
    report::{Mark, Report, cut},
    values,
    yaml::Node,
};

/// What is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::manifest) enum Shared {
    /// `network_mode`.
    Network,
    /// `ipc`.
    Ipc,
    /// `pid`.
    Pid,
    /// `volumes_from`; true when nothing is written to them.
    Volumes(bool),
}

impl Shared {
    /// The attribute that says so.
    pub(in crate::manifest) fn attribute(self) -> &'static str {
        match self {
            Self::Network => "network_mode",
            Self::Ipc => "ipc",
            Self::Pid => "pid",
            Self::Volumes(_) => "volumes_from",
        }
    }
}

/// Another service that a service shares something with.
pub(in crate::manifest) struct JoinDraft {
    pub(in crate::manifest) mark: Mark,
    pub(in crate::manifest) service: String,
    pub(in crate::manifest) shared: Shared,
}

/// What is set for the network that a container has by itself: it has none of its own beside another
/// one.
pub(in crate::manifest) const OF_NETWORK: [&str; 11] = [
    "networks",
    "ports",
    "expose",
    "container_name",
    "hostname",
    "domainname",
    "extra_hosts",
    "dns",
    "dns_search",
    "dns_opt",
    "links",
];

/// Takes `service:<name>`; nothing is taken when the name is missing, which is reported.
pub(super) fn service(
    draft: &mut ServiceDraft,
    name: &str,
    shared: Shared,
    mark: Mark,
    report: &mut Report<'_>,
) {
    if name.is_empty() {
        let message = "the name of a service after `service:` is missing";
        return report.error(mark, message);
    }
    draft.joins.push(JoinDraft { mark, service: name.to_owned(), shared });
}

/// Decodes `volumes_from`: `name`, `name:ro` or `name:rw`.
pub(super) fn volumes_from(draft: &mut ServiceDraft, node: &Node, report: &mut Report<'_>) {
    values::items(node, report, |item, report| {
        let Some(text) = values::text(item, report) else { return };
        if text.starts_with("container:") {
            let message = "`volumes_from` cannot name a container: containers have no fixed name";
            return report.error_hint(
                item.mark,
                message,
                "name a service: `<name>` or `<name>:ro`",
            );
        }
        // An older way to write the same; a service may have the name `service`.
        let old = text.strip_prefix("service:").filter(|rest| !["ro", "rw"].contains(rest));
        let text = old.unwrap_or(text);
        let (name, mode) = text.split_once(':').unwrap_or((text, "rw"));
        let read_only = match mode {
            "ro" => true,
            "rw" => false,
            _ => {
                let message = format!("`{}` is neither `ro` nor `rw`", cut(mode));
                return report.error_hint(item.mark, message, format!("write `{}:ro`", cut(name)));
            }
        };
        if name.is_empty() {
            return report.error(item.mark, "the name of the service is missing");
        }
        let twice = |j: &JoinDraft| matches!(j.shared, Shared::Volumes(_)) && j.service == name;
        if draft.joins.iter().any(twice) {
            return report.error(item.mark, format!("`{}` is there twice", cut(name)));
        }
        let shared = Shared::Volumes(read_only);
        draft.joins.push(JoinDraft { mark: item.mark, service: name.to_owned(), shared });
    });
    values::at_most(&mut draft.joins, 16, node, report);
}
