//! The top level: services, networks, volumes.

use std::collections::BTreeMap;

use super::{ComposeDraft, MOST_SERVICES, files, named, service, unresolved};
use crate::{
    manifest::{
        fields::{Schema, Supported, accepted, ignored, planned, rejected},
        report::Report,
        values,
        yaml::{Node, Value},
    },
    model::{FileKind, NetworkName, NetworkSpec, ServiceName, VolumeName},
};

/// The keys of the file.
pub(super) static COMPOSE: Schema<ComposeDraft> = Schema {
    what: "a compose file",
    extensions: true,
    attributes: &[
        ignored("version", "the format is the current Compose Specification"),
        ignored("name", "the deployment is named in jaco.yaml"),
        accepted("services", services),
        accepted("networks", networks),
        accepted("volumes", volumes),
        accepted("secrets", |c, n, r| files::decode(c, FileKind::Secret, n, r)),
        accepted("configs", |c, n, r| files::decode(c, FileKind::Config, n, r)),
        accepted("include", |_, n, r| unresolved(n, r)),
        planned("models"),
    ],
};

/// A volume as the file describes it.
#[derive(Default)]
pub(in crate::manifest) struct VolumeDraft {
    /// The name in the engine, when the file gives it.
    pub(in crate::manifest) name: Option<String>,
    pub(in crate::manifest) external: bool,
    pub(in crate::manifest) driver: String,
    pub(in crate::manifest) driver_opts: BTreeMap<String, String>,
    pub(in crate::manifest) labels: BTreeMap<String, String>,
}

static NETWORK: Schema<NetworkSpec> = Schema {
    what: "a network",
    extensions: true,
    attributes: &[
        accepted("internal", |n, v, r| n.internal = values::boolean(v, r).unwrap_or_default()),
        accepted("labels", |n, v, r| n.labels = texts(v, r)),
        accepted("driver", network_driver),
        accepted("driver_opts", |n, v, r| n.driver_opts = texts(v, r)),
        ignored("name", "networks are named after their deployment"),
        ignored("attachable", "only containers of the deployment join its networks"),
        accepted("enable_ipv4", |_, v, r| enable(v, true, r)),
        accepted("enable_ipv6", |_, v, r| enable(v, false, r)),
        rejected("ipam", "is not supported: addresses are assigned by the cluster", "remove it"),
        accepted("external", |_, v, r| {
            if values::boolean(v, r) == Some(true) {
                let message = "external networks are not supported: a deployment is on its own";
                r.error_hint(v.mark, message, "publish ports or declare routes instead");
            }
        }),
    ],
};

static VOLUME: Schema<VolumeDraft> = Schema {
    what: "a volume",
    extensions: true,
    attributes: &[
        accepted("name", |v, n, r| v.name = volume_name(n, r)),
        accepted("external", external_volume),
        accepted("driver", |v, n, r| v.driver = values::some_text(n, r).unwrap_or_default()),
        accepted("driver_opts", |v, n, r| v.driver_opts = driver_opts(n, r)),
        accepted("labels", |v, n, r| v.labels = texts(n, r)),
    ],
};

/// Every key of a network and of a volume at the top level.
pub(super) fn describe() -> Vec<Supported> {
    NETWORK.describe().chain(VOLUME.describe()).collect()
}

fn services(draft: &mut ComposeDraft, node: &Node, report: &mut Report<'_>) {
    let mut seen = 0;
    named(node, report, |key, mark, value, report| {
        seen += 1;
        draft.service_names.insert(key.to_owned());
        if seen > MOST_SERVICES {
            if seen == MOST_SERVICES + 1 {
                let message = format!("a deployment has at most {MOST_SERVICES} services");
                report.error(mark, message);
            }
            return;
        }
        let name = ServiceName::new(key).map_err(|e| report.error(mark, e.to_string()));
        if value.is_null() {
            return report.error(mark, "the service is empty; it needs at least `image`");
        }
        let decoded = service::decode(mark, value, report);
        if let (Ok(name), Some(decoded)) = (name, decoded) {
            draft.services.insert(name, decoded);
        }
    });
    if seen == 0 && matches!(node.value, Value::Map(_)) {
        report.error(node.mark, "`services` names no service");
    }
}

fn networks(draft: &mut ComposeDraft, node: &Node, report: &mut Report<'_>) {
    named(node, report, |key, mark, value, report| {
        draft.other_names.insert(("network", key.to_owned()));
        let mut spec = NetworkSpec::default();
        if !value.is_null() {
            NETWORK.decode(value, &mut spec, report);
        }
        match NetworkName::new(key) {
            Ok(name) => drop(draft.networks.insert(name, (spec, mark))),
            Err(error) => report.error(mark, error.to_string()),
        }
    });
}

fn volumes(draft: &mut ComposeDraft, node: &Node, report: &mut Report<'_>) {
    named(node, report, |key, mark, value, report| {
        draft.other_names.insert(("volume", key.to_owned()));
        let mut volume = VolumeDraft::default();
        if !value.is_null() {
            VOLUME.decode(value, &mut volume, report);
        }
        match VolumeName::new(key) {
            Ok(name) => drop(draft.volumes.insert(name, volume)),
            Err(error) => report.error(mark, error.to_string()),
        }
    });
}

fn network_driver(_: &mut NetworkSpec, node: &Node, report: &mut Report<'_>) {
    match values::text(node, report) {
        None | Some("" | "bridge" | "default") => {}
        Some("overlay") => report.notice(
            node.mark,
            "driver: overlay",
            "every network of a deployment reaches all hosts",
        ),
        Some(_) => drop(values::wrong::<()>(node, "bridge", report)),
    }
}

fn enable(node: &Node, supported: bool, report: &mut Report<'_>) {
    if values::boolean(node, report).is_some_and(|b| b != supported) {
        let message = format!("{} can only be {supported} yet", report.subject());
        report.error(node.mark, message);
    }
}

fn external_volume(draft: &mut VolumeDraft, node: &Node, report: &mut Report<'_>) {
    let Value::Map(_) = node.value else {
        draft.external = values::boolean(node, report).unwrap_or_default();
        return;
    };
    draft.external = true;
    static OLD: Schema<VolumeDraft> = Schema {
        what: "an external volume",
        extensions: false,
        attributes: &[accepted("name", |v, n, r| v.name = volume_name(n, r))],
    };
    OLD.decode(node, draft, report);
}

/// A name the engine takes: letters, digits, `_`, `.`, `-`, at least two characters.
fn volume_name(node: &Node, report: &mut Report<'_>) -> Option<String> {
    let name = values::some_text(node, report)?;
    match VolumeName::new(&name) {
        Ok(_) => Some(name),
        Err(error) => {
            report.error(node.mark, error.to_string());
            None
        }
    }
}

/// Options of a volume driver. The kernel takes 4 KiB of them, and every mount repeats them.
fn driver_opts(node: &Node, report: &mut Report<'_>) -> BTreeMap<String, String> {
    let options = texts(node, report);
    if options.iter().map(|(k, v)| k.len() + v.len()).sum::<usize>() > 4096 {
        report.error(node.mark, "the options of a driver have at most 4 KiB");
        return BTreeMap::new();
    }
    options
}

/// Texts by name; no value is the empty text.
pub(super) fn texts(node: &Node, report: &mut Report<'_>) -> BTreeMap<String, String> {
    values::pairs(node, report)
        .unwrap_or_default()
        .into_iter()
        .map(|(k, v)| (k, v.unwrap_or_default()))
        .collect()
}
