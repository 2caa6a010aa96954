//! Commands that run in a container after its start and before its stop.

use super::ServiceDraft;
use crate::{
    manifest::{
        fields::{Schema, accepted},
        report::{Mark, Report, cut},
        values,
        yaml::{Node, Value},
    },
    model::Hook,
};

/// Most hooks of one list: more is a program's work.
const MOST: usize = 32;

/// A hook and where it asks for all rights.
#[derive(Default)]
pub(super) struct Draft {
    hook: Hook,
    privileged_at: Option<Mark>,
}

pub(super) static HOOK: Schema<Draft> = Schema {
    what: "a hook",
    at: &["services.*.post_start", "services.*.pre_stop"],
    extensions: true,
    attributes: &[
        accepted(
            "command",
            "What runs in the container; a list, or a text that is split like a shell does. Needed.",
            |d, n, r| d.hook.command = command(n, r),
        ),
        accepted("user", "As whom; without it as the container's user.", |d, n, r| {
            d.hook.user = values::some_text(n, r)
        }),
        accepted(
            "privileged",
            "true: with all the rights of the host. Needs the label that allows it.",
            |d, n, r| {
                d.hook.privileged = values::boolean(n, r).unwrap_or_default();
                d.privileged_at = Some(n.mark).filter(|_| d.hook.privileged);
            },
        ),
        accepted("working_dir", "Where; without it in the container's directory.", |d, n, r| {
            d.hook.working_dir = values::some_text(n, r)
        }),
        accepted(
            "environment",
            "With which variables besides the container's; a mapping or a list of `KEY=value`. A key without a value takes that of the variable of jaco.yaml's `environment`, else the container's.",
            environment,
        ),
    ],
};

/// Decodes `post_start`.
pub(super) fn post_start(draft: &mut ServiceDraft, node: &Node, report: &mut Report<'_>) {
    draft.spec.post_start = hooks(&mut draft.privileged_at, node, report);
}

/// Decodes `pre_stop`.
pub(super) fn pre_stop(draft: &mut ServiceDraft, node: &Node, report: &mut Report<'_>) {
    draft.spec.pre_stop = hooks(&mut draft.privileged_at, node, report);
}

fn hooks(privileged_at: &mut Vec<Mark>, node: &Node, report: &mut Report<'_>) -> Vec<Hook> {
    let mut out = Vec::new();
    values::items(node, report, |item, report| {
        let mut draft = Draft::default();
        HOOK.decode(item, &mut draft, report);
        if let Value::Map(_) = item.value
            && HOOK.lacks(item, "command")
        {
            report.error_hint(item.mark, "the hook has no `command`", "write `command: [...]`");
        }
        privileged_at.extend(draft.privileged_at);
        out.push(draft.hook);
    });
    values::at_most(&mut out, MOST, node, report);
    out
}

fn command(node: &Node, report: &mut Report<'_>) -> Vec<String> {
    let words = values::command(node, report);
    if words.as_ref().is_some_and(|words| words.first().is_none_or(String::is_empty)) {
        report.error(node.mark, "the command of the hook names no program");
    }
    words.unwrap_or_default()
}

fn environment(draft: &mut Draft, node: &Node, report: &mut Report<'_>) {
    let pairs = values::pairs(node, report).unwrap_or_default();
    for name in pairs.keys().filter(|name| name.is_empty() || name.contains('=')) {
        report.error(node.mark, format!("`{}` is no name of a variable", cut(name)));
    }
    draft.hook.environment =
        pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
}
