//! The networks of a service.

use std::collections::BTreeSet;

use super::{ServiceDraft, named};
use crate::manifest::{
    fields::{Schema, accepted, planned, rejected},
    report::{Mark, Report, cut},
    values,
    yaml::{Node, Value},
};

/// A network that a service names.
#[derive(Default)]
pub(in crate::manifest) struct AttachmentDraft {
    pub(in crate::manifest) mark: Mark,
    pub(in crate::manifest) network: String,
    pub(in crate::manifest) aliases: Vec<String>,
    pub(in crate::manifest) priority: i32,
}

const ASSIGNED: &str = "is not supported: addresses are assigned by the cluster";

pub(super) static ATTACHMENT: Schema<AttachmentDraft> = Schema {
    what: "a network of a service",
    extensions: true,
    attributes: &[
        accepted("aliases", |a, n, r| {
            a.aliases = values::string_list(n, r).unwrap_or_default();
        }),
        accepted("priority", |a, n, r| {
            a.priority = values::integer(n, i64::from(i32::MIN)..=i64::from(i32::MAX), r)
                .and_then(|p| i32::try_from(p).ok())
                .unwrap_or_default();
        }),
        rejected("ipv4_address", ASSIGNED, "use the service's name as host name"),
        rejected("ipv6_address", ASSIGNED, "use the service's name as host name"),
        rejected("link_local_ips", ASSIGNED, "remove it"),
        rejected("mac_address", ASSIGNED, "remove it"),
        planned("driver_opts"),
        planned("gw_priority"),
        planned("interface_name"),
    ],
};

/// Decodes `networks` of a service: names, or names with options.
pub(super) fn decode(node: &Node, report: &mut Report<'_>) -> Option<Vec<AttachmentDraft>> {
    let mut out: Vec<AttachmentDraft> = Vec::new();
    let mut names = BTreeSet::new();
    if let Value::List(_) = node.value {
        values::items(node, report, |item, report| {
            let Some(name) = values::text(item, report) else { return };
            if !names.insert(name.to_owned()) {
                return report.error(item.mark, format!("`{}` is there twice", cut(name)));
            }
            let network = name.to_owned();
            out.push(AttachmentDraft { mark: item.mark, network, ..AttachmentDraft::default() });
        });
    } else {
        named(node, report, |key, mark, value, report| {
            let network = key.to_owned();
            let mut attachment = AttachmentDraft { mark, network, ..AttachmentDraft::default() };
            if !value.is_null() {
                ATTACHMENT.decode(value, &mut attachment, report);
            }
            out.push(attachment);
        });
    }
    values::at_most(&mut out, 64, node, report);
    Some(out)
}

/// Decodes `network_mode`.
pub(super) fn network_mode(draft: &mut ServiceDraft, node: &Node, report: &mut Report<'_>) {
    let Some(mode) = values::some_text(node, report) else { return };
    match mode.as_str() {
        "none" => {
            draft.network_mode = Some(node.mark);
            draft.spec.network_mode = Some(mode);
        }
        "bridge" | "default" => report.notice(
            node.mark,
            "network_mode: bridge",
            "a service joins the networks of its deployment",
        ),
        "host" => report.error_hint(
            node.mark,
            "`network_mode: host` is not supported: it would leave the deployment's networks",
            "publish the ports, or declare a route in jaco.yaml",
        ),
        m if m.starts_with("service:") => {
            report.error(node.mark, "`network_mode: service:…` is not supported yet");
        }
        m if m.starts_with("container:") => report.error_hint(
            node.mark,
            "`network_mode: container:…` is not supported: containers have no fixed name",
            "join a common network",
        ),
        _ => drop(values::wrong::<()>(node, "none, or left out", report)),
    }
}
