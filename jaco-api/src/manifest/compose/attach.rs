//! The networks of a service.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    ServiceDraft,
    join::{self, Shared},
    named,
    toplevel::texts,
};
use crate::manifest::{
    fields::{Schema, accepted, rejected},
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
    pub(in crate::manifest) gw_priority: i32,
    pub(in crate::manifest) interface_name: Option<String>,
    pub(in crate::manifest) driver_opts: BTreeMap<String, String>,
}

const ASSIGNED: &str = "is not supported: addresses are assigned by the cluster";
/// Why a hardware address cannot be given.
pub(super) const ONE_MAC: &str = "is not supported: every replica would have the same address";

pub(super) static ATTACHMENT: Schema<AttachmentDraft> = Schema {
    what: "a network of a service",
    at: &["services.*.networks.*"],
    extensions: true,
    attributes: &[
        accepted("aliases", "Further names of the service on this network.", |a, n, r| {
            a.aliases = values::string_list(n, r).unwrap_or_default();
        }),
        accepted(
            "priority",
            "Order in which networks are joined, the highest first; that one provides the default gateway.",
            |a, n, r| {
                a.priority = priority(n, r);
            },
        ),
        accepted(
            "gw_priority",
            "The network with the highest provides the default gateway, whatever the order. Needs Docker 28.",
            |a, n, r| a.gw_priority = priority(n, r),
        ),
        accepted(
            "interface_name",
            "Name of the interface in the container, at most 15 characters. Needs Docker 28.1.",
            |a, n, r| a.interface_name = interface_name(n, r),
        ),
        accepted(
            "driver_opts",
            "Options of the engine's bridge driver for this container.",
            |a, n, r| a.driver_opts = texts(n, r),
        ),
        rejected(
            "ipv4_address",
            "A fixed address.",
            ASSIGNED,
            "use the service's name as host name",
        ),
        rejected(
            "ipv6_address",
            "A fixed address.",
            ASSIGNED,
            "use the service's name as host name",
        ),
        rejected("link_local_ips", "Further addresses.", ASSIGNED, "remove it"),
        rejected("mac_address", "Hardware address.", ONE_MAC, "remove it"),
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

fn priority(node: &Node, report: &mut Report<'_>) -> i32 {
    values::integer(node, i64::from(i32::MIN)..=i64::from(i32::MAX), report)
        .and_then(|p| i32::try_from(p).ok())
        .unwrap_or_default()
}

/// A name the kernel takes for an interface.
fn interface_name(node: &Node, report: &mut Report<'_>) -> Option<String> {
    let name = values::some_text(node, report)?;
    let fits = name.len() <= 15
        && !["lo", ".", ".."].contains(&name.as_str())
        && name.bytes().all(|b| b.is_ascii_graphic() && !b"/:%".contains(&b));
    if fits {
        return Some(name);
    }
    values::wrong(node, "a name of an interface of at most 15 characters", report)
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
        m if m.starts_with("container:") => report.error_hint(
            node.mark,
            "`network_mode: container:…` is not supported: containers have no fixed name",
            "name a service: `service:<name>`",
        ),
        m => match m.strip_prefix("service:") {
            Some(name) => {
                draft.network_mode = Some(node.mark);
                join::service(draft, name, Shared::Network, node.mark, report);
            }
            None => {
                values::wrong::<()>(node, "none, service:<name>, or left out", report);
            }
        },
    }
}
