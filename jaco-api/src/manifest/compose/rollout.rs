//! How a service is replaced and restarted: parts of `deploy`.

use super::deploy::MOST_REPLICAS;
use crate::{
    manifest::{
        fields::{Schema, accepted, ignored},
        report::{Mark, Report},
        values,
        yaml::Node,
    },
    model::{FailureAction, RestartCondition, Span, UpdateOrder},
};

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

pub(super) static UPDATE: Schema<UpdateDraft> = Schema {
    what: "`update_config`",
    at: &["services.*.deploy.update_config"],
    extensions: true,
    attributes: &[
        accepted(
            "parallelism",
            "How many replicas are replaced at a time; default 1, 0 is all.",
            |u, n, r| u.parallelism = values::count(n, MOST_REPLICAS, r),
        ),
        accepted("delay", "Pause between two steps, as `10s`; default none.", |u, n, r| {
            u.delay = values::duration(n, r)
        }),
        accepted(
            "monitor",
            "How long a new replica must stay healthy before it counts, as `30s`; default 0.",
            |u, n, r| u.monitor = values::duration(n, r),
        ),
        accepted(
            "max_failure_ratio",
            "Share of replicas that may fail, from 0 to 1; default 0.",
            max_failure_ratio,
        ),
        accepted(
            "order",
            "`start-first`, or `stop-first`, which is the default of services with volumes.",
            order,
        ),
        accepted(
            "failure_action",
            "What happens when more fail: `rollback` (the default), `pause` or `continue`.",
            |u, n, r| {
                let words = [
                    ("rollback", FailureAction::Rollback),
                    ("pause", FailureAction::Pause),
                    ("continue", FailureAction::Continue),
                ];
                u.failure_action = values::one_of(n, &words, r);
            },
        ),
    ],
};

pub(super) static ROLLBACK: Schema<UpdateDraft> = Schema {
    what: "`rollback_config`",
    at: &["services.*.deploy.rollback_config"],
    extensions: true,
    attributes: &[
        accepted(
            "parallelism",
            "How many replicas are replaced at a time; default 1, 0 is all.",
            |u, n, r| u.parallelism = values::count(n, MOST_REPLICAS, r),
        ),
        accepted("delay", "Pause between two steps, as `10s`; default none.", |u, n, r| {
            u.delay = values::duration(n, r);
        }),
        accepted(
            "monitor",
            "How long a restored replica must stay healthy before it counts, as `30s`; default 0.",
            |u, n, r| u.monitor = values::duration(n, r),
        ),
        accepted(
            "max_failure_ratio",
            "Share of replicas that may fail on the way back, from 0 to 1; default 0.",
            max_failure_ratio,
        ),
        accepted("order", "The order of `update_config`; it cannot differ from it.", order),
        accepted(
            "failure_action",
            "What happens when more fail: `pause` (the default) gives up, `continue` goes on.",
            |u, n, r| {
                let words =
                    [("pause", FailureAction::Pause), ("continue", FailureAction::Continue)];
                u.failure_action = values::one_of(n, &words, r);
            },
        ),
    ],
};

pub(super) static RESTART: Schema<RestartDraft> = Schema {
    what: "`restart_policy`",
    at: &["services.*.deploy.restart_policy"],
    extensions: true,
    attributes: &[
        accepted(
            "condition",
            "`any` (the default), `on-failure` or `none`; the last two make the service a job, which is `completed` when it exits well.",
            |p, n, r| {
                let words = [
                    ("any", RestartCondition::Any),
                    ("on-failure", RestartCondition::OnFailure),
                    ("none", RestartCondition::None),
                ];
                p.condition = values::one_of(n, &words, r).map(|c| (c, n.mark));
            },
        ),
        accepted(
            "delay",
            "First pause, as `5s`; it doubles up to a minute. Default 1s.",
            |p, n, r| p.delay = values::duration(n, r),
        ),
        accepted(
            "max_attempts",
            "Failures in a row after which the replica is `failed`; default 3.",
            |p, n, r| p.max_attempts = values::count(n, 1_000_000, r),
        ),
        ignored(
            "window",
            "How long a container must run before the restart counts as good.",
            "10 s of healthy running end a row of failures",
        ),
    ],
};

fn max_failure_ratio(draft: &mut UpdateDraft, node: &Node, report: &mut Report<'_>) {
    let ratio = values::thousandths(node, 1000, report);
    draft.max_failure_permille = ratio.and_then(|r| u32::try_from(r).ok());
}

fn order(draft: &mut UpdateDraft, node: &Node, report: &mut Report<'_>) {
    let words = [("start-first", UpdateOrder::StartFirst), ("stop-first", UpdateOrder::StopFirst)];
    draft.order = values::one_of(node, &words, report).map(|order| (order, node.mark));
}
