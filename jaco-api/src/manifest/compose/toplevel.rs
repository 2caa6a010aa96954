//! The top level: services, networks, volumes.

use std::collections::BTreeMap;

use super::{
    ComposeDraft, MOST_SERVICES, files, named, service,
    undecoded::{MODELS, NO_MODELS},
    unresolved,
};
use crate::{
    manifest::{
        fields::{Schema, Supported, accepted, ignored, rejected},
        report::Report,
        values,
        yaml::{Node, Value},
    },
    model::{FileKind, NetworkName, NetworkSpec, ServiceName, VolumeName},
};

/// The keys of the file.
pub(super) static COMPOSE: Schema<ComposeDraft> = Schema {
    what: "a compose file",
    at: &[""],
    extensions: true,
    attributes: &[
        ignored(
            "version",
            "Version of the old file formats.",
            "the format is the current Compose Specification",
        ),
        ignored(
            "name",
            "Name of the project, as `docker compose` uses it.",
            "the deployment is named in jaco.yaml",
        ),
        accepted("services", "The services by name. What a service can say: see there.", services),
        accepted(
            "networks",
            "The networks of the deployment by name. `default` needs no entry.",
            networks,
        ),
        accepted(
            "volumes",
            "The volumes by name. An empty entry is a volume of the engine's `local` driver.",
            volumes,
        ),
        accepted(
            "secrets",
            "The secrets by name: files in memory that services find below `/run/secrets`.",
            |c, n, r| files::decode(c, FileKind::Secret, n, r),
        ),
        accepted(
            "configs",
            "The configs by name: files in memory that services find where they say.",
            |c, n, r| files::decode(c, FileKind::Config, n, r),
        ),
        accepted(
            "include",
            "Further compose files that are part of this one: paths, or mappings with `path`, `project_directory` and `env_file`. Read by the client.",
            |_, n, r| unresolved(n, r),
        ),
        rejected("models", "Models of machine learning by name.", MODELS, NO_MODELS),
    ],
};

const ALONE: &str = "is not supported: a deployment is on its own";
const PUBLISH: &str = "publish ports or declare routes instead";

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
    at: &["networks.*"],
    extensions: true,
    attributes: &[
        accepted(
            "internal",
            "true: its replicas reach each other and nothing outside of the network.",
            |n, v, r| n.internal = values::boolean(v, r).unwrap_or_default(),
        ),
        accepted(
            "labels",
            "Labels of the network in each engine; a mapping or a list of `key=value`.",
            |n, v, r| n.labels = texts(v, r),
        ),
        accepted(
            "driver",
            "`bridge`, the only one. `overlay` is accepted with a notice: every network of a deployment reaches all hosts.",
            network_driver,
        ),
        accepted("driver_opts", "Options of the engine's bridge driver.", |n, v, r| {
            n.driver_opts = texts(v, r)
        }),
        ignored(
            "name",
            "Name of the network in the engine.",
            "networks are named after their deployment",
        ),
        ignored(
            "attachable",
            "Whether containers from outside may join.",
            "only containers of the deployment join its networks",
        ),
        accepted("enable_ipv4", "true, which is how it is.", |_, v, r| enable(v, true, r)),
        accepted("enable_ipv6", "false, which is how it is.", |_, v, r| enable(v, false, r)),
        rejected("ipam", "Subnets and addresses of the network.", ASSIGNED, REMOVE),
        accepted("external", "false. A network of somebody else cannot be joined.", |_, v, r| {
            let named = matches!(v.value, Value::Map(_));
            if named || values::boolean(v, r) == Some(true) {
                r.error_hint(v.mark, format!("an external network {ALONE}"), PUBLISH);
            }
        }),
    ],
};

const ASSIGNED: &str = "is not supported: addresses are assigned by the cluster";
const REMOVE: &str = "remove it";

static IPAM: Schema<()> = Schema {
    what: "`ipam`",
    at: &["networks.*.ipam"],
    extensions: true,
    attributes: &[
        rejected("driver", "What gives out addresses.", ASSIGNED, REMOVE),
        rejected("config", "Subnets.", ASSIGNED, REMOVE),
        rejected("options", "Options of the driver.", ASSIGNED, REMOVE),
    ],
};

static IPAM_CONFIG: Schema<()> = Schema {
    what: "a subnet of `ipam`",
    at: &["networks.*.ipam.config"],
    extensions: true,
    attributes: &[
        rejected("subnet", "The subnet.", ASSIGNED, REMOVE),
        rejected("ip_range", "The part of it that is given out.", ASSIGNED, REMOVE),
        rejected("gateway", "The gateway.", ASSIGNED, REMOVE),
        rejected("aux_addresses", "Addresses that are not given out.", ASSIGNED, REMOVE),
    ],
};

static EXTERNAL_NETWORK: Schema<()> = Schema {
    what: "an external network",
    at: &["networks.*.external"],
    extensions: false,
    attributes: &[rejected("name", "Name of the network in the engine.", ALONE, PUBLISH)],
};

static EXTERNAL_VOLUME: Schema<VolumeDraft> = Schema {
    what: "an external volume",
    at: &["volumes.*.external"],
    extensions: false,
    attributes: &[accepted(
        "name",
        "Name of the volume in the engine: the old form of `name` with `external: true`.",
        |v, n, r| v.name = volume_name(n, r),
    )],
};

static VOLUME: Schema<VolumeDraft> = Schema {
    what: "a volume",
    at: &["volumes.*"],
    extensions: true,
    attributes: &[
        accepted(
            "name",
            "Its name in the engine, as it stands; without it `jaco_<deployment>_<volume>`.",
            |v, n, r| v.name = volume_name(n, r),
        ),
        accepted(
            "external",
            "true: the engine must have it already; it is never made nor removed.",
            external_volume,
        ),
        accepted("driver", "The engine's volume driver; without it `local`.", |v, n, r| {
            v.driver = values::some_text(n, r).unwrap_or_default()
        }),
        accepted(
            "driver_opts",
            "Options of the driver, 4 KiB at most. With `device` it counts as access to the host.",
            |v, n, r| v.driver_opts = driver_opts(n, r),
        ),
        accepted(
            "labels",
            "Labels of the volume in the engine; a mapping or a list of `key=value`.",
            |v, n, r| v.labels = texts(n, r),
        ),
    ],
};

/// Every key of a network and of a volume at the top level.
pub(super) fn describe() -> Vec<Supported> {
    let mut out: Vec<Supported> = NETWORK.describe().collect();
    out.extend(IPAM.describe().chain(IPAM_CONFIG.describe()).chain(EXTERNAL_NETWORK.describe()));
    out.extend(VOLUME.describe().chain(EXTERNAL_VOLUME.describe()));
    out
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
        Some("host" | "none" | "macvlan" | "ipvlan") => report.error_hint(
            node.mark,
            format!(
                "`driver: {}` is not supported: it would leave the cluster's networks",
                node.as_text().unwrap_or_default()
            ),
            "remove it: every network of a deployment reaches all hosts",
        ),
        Some(_) => drop(values::wrong::<()>(node, "bridge", report)),
    }
}

fn enable(node: &Node, supported: bool, report: &mut Report<'_>) {
    if values::boolean(node, report).is_some_and(|b| b != supported) {
        let message = format!("{} can only be {supported}", report.subject());
        let hint = "the cluster gives its replicas IPv4 addresses";
        report.error_hint(node.mark, message, hint);
    }
}

fn external_volume(draft: &mut VolumeDraft, node: &Node, report: &mut Report<'_>) {
    let Value::Map(_) = node.value else {
        draft.external = values::boolean(node, report).unwrap_or_default();
        return;
    };
    draft.external = true;
    EXTERNAL_VOLUME.decode(node, draft, report);
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
