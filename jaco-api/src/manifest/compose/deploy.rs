//! `deploy`: how many, where, how they are replaced and what they may use.

use std::collections::BTreeMap;

use super::{toplevel::texts, wishes::Wishes};
use crate::{
    manifest::{
        fields::{Schema, Supported, accepted, ignored, planned},
        report::{Mark, Report, cut},
        values,
        yaml::Node,
    },
    model::{FailureAction, RestartCondition, Span, UpdateOrder},
};

/// Most replicas of a service.
const MOST_REPLICAS: u32 = 10_000;
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
    pub(in crate::manifest) restart: RestartDraft,
    pub(in crate::manifest) constraints: Vec<String>,
    pub(in crate::manifest) max_replicas_per_node: u32,
    /// Node labels over whose values replicas are spread, the first one first.
    pub(in crate::manifest) spread_over: Vec<String>,
}

#[derive(Default)]
pub(in crate::manifest) struct Amounts {
    pub(in crate::manifest) cpu_millis: u64,
    pub(in crate::manifest) memory_bytes: u64,
    pub(in crate::manifest) pids: i64,
}

#[derive(Default)]
pub(in crate::manifest) struct UpdateDraft {
    pub(in crate::manifest) parallelism: Option<u32>,
    pub(in crate::manifest) delay: Option<Span>,
    pub(in crate::manifest) order: Option<(UpdateOrder, Mark)>,
    pub(in crate::manifest) monitor: Option<Span>,
    pub(in crate::manifest) max_failure_permille: Option<u32>,
    pub(in crate::manifest) failure_action: Option<FailureAction>,
}

#[derive(Default)]
pub(in crate::manifest) struct RestartDraft {
    pub(in crate::manifest) condition: Option<(RestartCondition, Mark)>,
    pub(in crate::manifest) max_attempts: Option<u32>,
    pub(in crate::manifest) delay: Option<Span>,
}

static DEPLOY: Schema<DeployDraft> = Schema {
    what: "`deploy`",
    extensions: true,
    attributes: &[
        accepted("mode", mode),
        accepted("replicas", |d, n, r| d.replicas = replicas(n, r)),
        accepted("labels", |d, n, r| {
            d.labels = texts(n, r);
            d.wishes.read(n, r);
        }),
        accepted("resources", |d, n, r| RESOURCES.decode(n, d, r)),
        accepted("update_config", |d, n, r| UPDATE.decode(n, &mut d.update, r)),
        accepted("restart_policy", |d, n, r| RESTART.decode(n, &mut d.restart, r)),
        accepted("placement", |d, n, r| PLACEMENT.decode(n, d, r)),
        accepted("endpoint_mode", |_, n, r| {
            if values::one_of(n, &[("vip", ()), ("dnsrr", ())], r).is_some() {
                r.notice(n.mark, "endpoint_mode", "names lead to the healthy replicas directly");
            }
        }),
        planned("rollback_config"),
    ],
};

static RESOURCES: Schema<DeployDraft> = Schema {
    what: "`resources`",
    extensions: true,
    attributes: &[
        accepted("limits", |d, n, r| LIMITS.decode(n, &mut d.limits, r)),
        accepted("reservations", |d, n, r| RESERVATIONS.decode(n, &mut d.reservations, r)),
    ],
};

static LIMITS: Schema<Amounts> = Schema {
    what: "`limits`",
    extensions: true,
    attributes: &[
        accepted("cpus", |a, n, r| a.cpu_millis = cpus(n, r).unwrap_or_default()),
        accepted("memory", |a, n, r| a.memory_bytes = values::bytes(n, r).unwrap_or_default()),
        accepted("pids", |a, n, r| {
            a.pids = values::integer(n, -1..=i64::MAX, r).unwrap_or_default();
        }),
    ],
};

static RESERVATIONS: Schema<Amounts> = Schema {
    what: "`reservations`",
    extensions: true,
    attributes: &[
        accepted("cpus", |a, n, r| a.cpu_millis = cpus(n, r).unwrap_or_default()),
        accepted("memory", |a, n, r| a.memory_bytes = values::bytes(n, r).unwrap_or_default()),
        planned("generic_resources"),
        planned("devices"),
    ],
};

static UPDATE: Schema<UpdateDraft> = Schema {
    what: "`update_config`",
    extensions: true,
    attributes: &[
        accepted("parallelism", |u, n, r| u.parallelism = values::count(n, MOST_REPLICAS, r)),
        accepted("delay", |u, n, r| u.delay = values::duration(n, r)),
        accepted("monitor", |u, n, r| u.monitor = values::duration(n, r)),
        accepted("max_failure_ratio", |u, n, r| {
            u.max_failure_permille =
                values::thousandths(n, 1000, r).and_then(|v| u32::try_from(v).ok());
        }),
        accepted("order", |u, n, r| {
            let words =
                [("start-first", UpdateOrder::StartFirst), ("stop-first", UpdateOrder::StopFirst)];
            u.order = values::one_of(n, &words, r).map(|order| (order, n.mark));
        }),
        accepted("failure_action", |u, n, r| {
            let words = [
                ("rollback", FailureAction::Rollback),
                ("pause", FailureAction::Pause),
                ("continue", FailureAction::Continue),
            ];
            u.failure_action = values::one_of(n, &words, r);
        }),
    ],
};

static RESTART: Schema<RestartDraft> = Schema {
    what: "`restart_policy`",
    extensions: true,
    attributes: &[
        accepted("condition", |p, n, r| {
            let words = [
                ("any", RestartCondition::Any),
                ("on-failure", RestartCondition::OnFailure),
                ("none", RestartCondition::None),
            ];
            p.condition = values::one_of(n, &words, r).map(|c| (c, n.mark));
        }),
        accepted("delay", |p, n, r| p.delay = values::duration(n, r)),
        accepted("max_attempts", |p, n, r| p.max_attempts = values::count(n, 1_000_000, r)),
        ignored("window", "10 s of healthy running end a row of failures"),
    ],
};

static PLACEMENT: Schema<DeployDraft> = Schema {
    what: "`placement`",
    extensions: true,
    attributes: &[
        accepted("constraints", |d, n, r| d.constraints = constraints(n, r)),
        accepted("max_replicas_per_node", |d, n, r| {
            d.max_replicas_per_node = values::count(n, MOST_REPLICAS, r).unwrap_or_default();
        }),
        accepted("preferences", |d, n, r| d.spread_over = preferences(n, r)),
    ],
};

static PREFERENCE: Schema<Option<String>> = Schema {
    what: "a preference",
    extensions: true,
    attributes: &[accepted("spread", |p, n, r| *p = spread(n, r))],
};

/// Every key below `deploy`.
pub(super) fn describe() -> Vec<Supported> {
    let mut out: Vec<Supported> = DEPLOY.describe().collect();
    out.extend(RESOURCES.describe());
    out.extend(LIMITS.describe());
    out.extend(RESERVATIONS.describe());
    out.extend(UPDATE.describe());
    out.extend(RESTART.describe());
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
