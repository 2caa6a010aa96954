//! `deploy`: how many, where, how they are replaced and what they may use.

use std::collections::BTreeMap;

use super::{
    devices, rollout,
    rollout::{RestartDraft, UpdateDraft},
    toplevel::texts,
    wishes::Wishes,
};
use crate::{
    manifest::{
        fields::{Schema, Supported, accepted, rejected},
        report::{Mark, Report, cut},
        values,
        yaml::Node,
    },
    model::{DeviceRequest, EndpointMode},
};

/// Most replicas of a service.
pub(super) const MOST_REPLICAS: u32 = 10_000;
/// Most labels replicas are spread over.
const MOST_PREFERENCES: usize = 8;
/// Most processors of a container, in thousandths.
const MOST_CPU_MILLIS: u64 = 100_000_000;

/// `deploy` as the file describes it.
#[derive(Default)]
pub(in crate::manifest) struct DeployDraft {
    pub(in crate::manifest) replicas: Option<(u32, Mark)>,
    /// The service attribute `scale`, which counts where `replicas` says nothing.
    pub(in crate::manifest) scale: Option<(u32, Mark)>,
    pub(in crate::manifest) global: Option<Mark>,
    pub(in crate::manifest) job: bool,
    pub(in crate::manifest) labels: BTreeMap<String, String>,
    /// What the labels ask of the scheduler, those of the service itself included.
    pub(in crate::manifest) wishes: Wishes,
    pub(in crate::manifest) limits: Amounts,
    pub(in crate::manifest) reservations: Amounts,
    pub(in crate::manifest) update: UpdateDraft,
    /// What is said of the way back.
    pub(in crate::manifest) rollback: Option<UpdateDraft>,
    pub(in crate::manifest) restart: RestartDraft,
    pub(in crate::manifest) constraints: Vec<String>,
    pub(in crate::manifest) max_replicas_per_node: u32,
    /// Node labels over whose values replicas are spread, the first one first.
    pub(in crate::manifest) spread_over: Vec<String>,
    /// What the name leads to.
    pub(in crate::manifest) endpoint: Option<(EndpointMode, Mark)>,
}

#[derive(Default)]
pub(in crate::manifest) struct Amounts {
    pub(in crate::manifest) cpu_millis: u64,
    pub(in crate::manifest) memory_bytes: u64,
    pub(in crate::manifest) pids: i64,
    pub(in crate::manifest) devices: Vec<DeviceRequest>,
}

static DEPLOY: Schema<DeployDraft> = Schema {
    what: "`deploy`",
    at: &["services.*.deploy"],
    extensions: true,
    attributes: &[
        accepted(
            "mode",
            "`replicated` (the default), `global` (one on every eligible node), `replicated-job` or `global-job` (ends when it exits well).",
            mode,
        ),
        accepted(
            "replicas",
            "How many; jaco.yaml's `replicas` wins. 0 keeps everything and runs nothing.",
            |d, n, r| d.replicas = replicas(n, r),
        ),
        accepted(
            "labels",
            "Labels of the service, not of its containers. Some that begin with `jaco.io/` are read by the cluster.",
            |d, n, r| {
                d.labels = texts(n, r);
                d.wishes.read(n, r);
            },
        ),
        accepted(
            "resources",
            "What a replica may use at most, and what is kept for it.",
            |d, n, r| RESOURCES.decode(n, d, r),
        ),
        accepted("update_config", "How a change is rolled out.", |d, n, r| {
            rollout::UPDATE.decode(n, &mut d.update, r)
        }),
        accepted(
            "restart_policy",
            "When and how often an exited container is started again on its node.",
            |d, n, r| rollout::RESTART.decode(n, &mut d.restart, r),
        ),
        accepted("placement", "On which nodes.", |d, n, r| PLACEMENT.decode(n, d, r)),
        accepted(
            "endpoint_mode",
            "What the name of the service leads to: `vip` (the default), one address of the service itself, or `dnsrr`, the addresses of its replicas. Jobs have no address of their own.",
            |d, n, r| {
                let words = [("vip", EndpointMode::Vip), ("dnsrr", EndpointMode::Dnsrr)];
                d.endpoint = values::one_of(n, &words, r).map(|mode| (mode, n.mark));
            },
        ),
        accepted(
            "rollback_config",
            "How the way back to an earlier revision is gone; without it as `update_config`.",
            |d, n, r| {
                rollout::ROLLBACK.decode(n, d.rollback.get_or_insert_default(), r);
            },
        ),
    ],
};

static RESOURCES: Schema<DeployDraft> = Schema {
    what: "`resources`",
    at: &["services.*.deploy.resources"],
    extensions: true,
    attributes: &[
        accepted("limits", "What a replica may use at most.", |d, n, r| {
            LIMITS.decode(n, &mut d.limits, r)
        }),
        accepted(
            "reservations",
            "What is kept for a replica: a node without it is not chosen.",
            |d, n, r| RESERVATIONS.decode(n, &mut d.reservations, r),
        ),
    ],
};

static LIMITS: Schema<Amounts> = Schema {
    what: "`limits`",
    at: &["services.*.deploy.resources.limits"],
    extensions: true,
    attributes: &[
        accepted("cpus", "Processors, as `0.5`.", |a, n, r| {
            a.cpu_millis = cpus(n, r).unwrap_or_default()
        }),
        accepted("memory", "Memory, as `512M`; beyond it the container is killed.", |a, n, r| {
            a.memory_bytes = values::bytes(n, r).unwrap_or_default()
        }),
        accepted("pids", "Processes; -1 is unlimited.", |a, n, r| {
            a.pids = values::integer(n, -1..=i64::MAX, r).unwrap_or_default();
        }),
    ],
};

static RESERVATIONS: Schema<Amounts> = Schema {
    what: "`reservations`",
    at: &["services.*.deploy.resources.reservations"],
    extensions: true,
    attributes: &[
        accepted("cpus", "Processors, as `0.25`.", |a, n, r| {
            a.cpu_millis = cpus(n, r).unwrap_or_default()
        }),
        accepted("memory", "Memory, as `128M`.", |a, n, r| {
            a.memory_bytes = values::bytes(n, r).unwrap_or_default()
        }),
        accepted(
            "devices",
            "Devices that a driver of the engine chooses, GPUs above all. They choose no node: label those that have them and set a constraint.",
            |a, n, r| a.devices = devices::reserved(n, r),
        ),
        rejected(
            "generic_resources",
            "Amounts of things that nodes are configured to have.",
            NO_GENERIC,
            LABEL_NODES,
        ),
    ],
};

const NO_GENERIC: &str = "are not supported: nodes tell no resources of their own kind";
const LABEL_NODES: &str = "label the nodes that have them and set `placement.constraints`";

static GENERIC: Schema<()> = Schema {
    what: "a generic resource",
    at: &["services.*.deploy.resources.reservations.generic_resources"],
    extensions: true,
    attributes: &[rejected(
        "discrete_resource_spec",
        "A whole number of a thing.",
        NO_GENERIC,
        LABEL_NODES,
    )],
};

static DISCRETE: Schema<()> = Schema {
    what: "`discrete_resource_spec`",
    at: &["services.*.deploy.resources.reservations.generic_resources.discrete_resource_spec"],
    extensions: true,
    attributes: &[
        rejected("kind", "The thing.", NO_GENERIC, LABEL_NODES),
        rejected("value", "How many.", NO_GENERIC, LABEL_NODES),
    ],
};

static PLACEMENT: Schema<DeployDraft> = Schema {
    what: "`placement`",
    at: &["services.*.deploy.placement"],
    extensions: true,
    attributes: &[
        accepted(
            "constraints",
            "What must hold of a node: `node.labels.<name>`, `node.id`, `node.hostname`, `node.platform.os` or `.arch`, with `==` or `!=`.",
            |d, n, r| d.constraints = constraints(n, r),
        ),
        accepted(
            "max_replicas_per_node",
            "Most replicas on one node; 0 is no limit.",
            |d, n, r| {
                d.max_replicas_per_node = values::count(n, MOST_REPLICAS, r).unwrap_or_default();
            },
        ),
        accepted(
            "preferences",
            "Labels of nodes over whose values replicas are spread, the first one first.",
            |d, n, r| d.spread_over = preferences(n, r),
        ),
    ],
};

static PREFERENCE: Schema<Option<String>> = Schema {
    what: "a preference",
    at: &["services.*.deploy.placement.preferences"],
    extensions: true,
    attributes: &[accepted("spread", "A label of nodes, as `node.labels.zone`.", |p, n, r| {
        *p = spread(n, r)
    })],
};

/// Every key below `deploy`.
pub(super) fn describe() -> Vec<Supported> {
    let mut out: Vec<Supported> = DEPLOY.describe().collect();
    out.extend(RESOURCES.describe());
    out.extend(LIMITS.describe());
    out.extend(RESERVATIONS.describe());
    out.extend(GENERIC.describe());
    out.extend(DISCRETE.describe());
    out.extend(rollout::UPDATE.describe());
    out.extend(rollout::ROLLBACK.describe());
    out.extend(rollout::RESTART.describe());
    out.extend(PLACEMENT.describe());
    out.extend(PREFERENCE.describe());
    out
}

/// Decodes `deploy`.
pub(super) fn decode(draft: &mut DeployDraft, node: &Node, report: &mut Report<'_>) {
    DEPLOY.decode(node, draft, report);
}

fn mode(draft: &mut DeployDraft, node: &Node, report: &mut Report<'_>) {
    let words = [
        ("replicated", (false, false)),
        ("global", (true, false)),
        ("replicated-job", (false, true)),
        ("global-job", (true, true)),
    ];
    if let Some((global, job)) = values::one_of(node, &words, report) {
        draft.global = global.then_some(node.mark);
        draft.job = job;
    }
}

/// A number of replicas with its place.
pub(in crate::manifest) fn replicas(node: &Node, report: &mut Report<'_>) -> Option<(u32, Mark)> {
    values::count(node, MOST_REPLICAS, report).map(|n| (n, node.mark))
}

/// Processors in thousandths.
pub(super) fn cpus(node: &Node, report: &mut Report<'_>) -> Option<u64> {
    values::thousandths(node, MOST_CPU_MILLIS, report)
}

/// The labels replicas are spread over, in order.
fn preferences(node: &Node, report: &mut Report<'_>) -> Vec<String> {
    let mut out = Vec::new();
    values::items(node, report, |item, report| {
        let mut label = None;
        PREFERENCE.decode(item, &mut label, report);
        match label {
            Some(label) if out.contains(&label) => {
                let message = format!("replicas are spread over `{}` already", cut(&label));
                report.warn(item.mark, message, Some("remove it".to_owned()));
            }
            other => out.extend(other),
        }
    });
    values::at_most(&mut out, MOST_PREFERENCES, node, report);
    out
}

/// The label of `spread: node.labels.zone`.
fn spread(node: &Node, report: &mut Report<'_>) -> Option<String> {
    let text = values::text(node, report)?;
    let label = text.trim().strip_prefix("node.labels.");
    let label = label.filter(|l| !l.is_empty() && !l.contains(char::is_whitespace));
    if label.is_none() {
        let message = format!("`{}` is no label of nodes", cut(text));
        report.error_hint(node.mark, message, "write for example `spread: node.labels.zone`");
    }
    label.map(str::to_owned)
}

/// Placement constraints as a set.
pub(in crate::manifest) fn constraints(node: &Node, report: &mut Report<'_>) -> Vec<String> {
    let mut out = Vec::new();
    values::items(node, report, |item, report| {
        let Some(text) = values::text(item, report) else { return };
        match constraint(text) {
            Ok(constraint) => out.push(constraint),
            Err(problem) => report.error_hint(
                item.mark,
                problem,
                "write for example `node.labels.disk == ssd` or `node.hostname != a`",
            ),
        }
    });
    out.sort_unstable();
    out.dedup();
    out
}

/// A constraint in its one spelling: `node.labels.disk == ssd`.
pub(in crate::manifest) fn constraint(text: &str) -> Result<String, String> {
    let (key, operator, value) = text
        .split_once("==")
        .map(|(k, v)| (k, "==", v))
        .or_else(|| text.split_once("!=").map(|(k, v)| (k, "!=", v)))
        .ok_or_else(|| format!("the constraint `{}` has neither == nor !=", cut(text)))?;
    let (key, value) = (key.trim(), value.trim());
    let label = key.strip_prefix("node.labels.").is_some_and(|l| !l.is_empty());
    let known = ["node.id", "node.hostname", "node.platform.os", "node.platform.arch"];
    if !label && !known.contains(&key) {
        return Err(format!(
            "unknown attribute `{}` in a constraint; there are node.labels.<name>, {}",
            cut(key),
            known.join(", ")
        ));
    }
    if value.is_empty() || value.contains(char::is_whitespace) {
        return Err(format!("the constraint `{}` has no value", cut(text)));
    }
    Ok(format!("{key} {operator} {value}"))
}
