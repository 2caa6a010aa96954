//! `services[].schedule` of jaco.yaml: an expression, or a mapping with one.

use super::{
    fields::{Schema, Supported, accepted},
    report::{Mark, Report},
    values,
    yaml::{Node, Value},
};
use crate::model::{
    Concurrency, CronSchedule, InvalidCron, Span, check_expression, check_timezone,
};

/// Most runs of each kind that may be kept.
const MOST_KEPT: u32 = 100;
/// Shortest time within which a run may start.
const SHORTEST_DEADLINE: Span = Span::secs(10);

/// A schedule as the file describes it.
#[derive(Default)]
struct CronDraft {
    expression: Option<String>,
    timezone: Option<String>,
    concurrency: Option<Concurrency>,
    history: HistoryDraft,
    starting_deadline: Option<Span>,
}

#[derive(Default)]
struct HistoryDraft {
    succeeded: Option<u32>,
    failed: Option<u32>,
}

static SCHEDULE: Schema<CronDraft> = Schema {
    what: "a schedule",
    at: &["services.schedule"],
    extensions: false,
    attributes: &[
        accepted(
            "cron",
            "The ticks: five fields (six with seconds in front), or `@hourly`, `@daily`, … Quote it when it begins with `*`.",
            |c, n, r| c.expression = expression(n, r),
        ),
        accepted("timezone", "Whose clock counts, as `Europe/Berlin`; default UTC.", timezone),
        accepted(
            "concurrency",
            "What a tick means while a run goes on: `forbid` (the default) skips it, `replace` ends the run, `allow` starts another.",
            |c, n, r| {
                let words = [
                    ("forbid", Concurrency::Forbid),
                    ("replace", Concurrency::Replace),
                    ("allow", Concurrency::Allow),
                ];
                c.concurrency = values::one_of(n, &words, r);
            },
        ),
        accepted(
            "history",
            "How many ended runs are kept, with their output: a number, or `{succeeded, failed}`.",
            |c, n, r| match &n.value {
                Value::Map(_) => HISTORY.decode(n, &mut c.history, r),
                _ => {
                    let kept = kept(n, r);
                    c.history = HistoryDraft { succeeded: kept, failed: kept };
                }
            },
        ),
        accepted(
            "starting_deadline",
            "How late a tick that was missed may still run.",
            |c, n, r| {
                c.starting_deadline = deadline(n, r);
            },
        ),
    ],
};

static HISTORY: Schema<HistoryDraft> = Schema {
    what: "the history of a schedule",
    at: &["services.schedule.history"],
    extensions: false,
    attributes: &[
        accepted("succeeded", "How many runs that ended well are kept.", |h, n, r| {
            h.succeeded = kept(n, r);
        }),
        accepted("failed", "How many runs that failed are kept.", |h, n, r| {
            h.failed = kept(n, r);
        }),
    ],
};

fn timezone(draft: &mut CronDraft, node: &Node, report: &mut Report<'_>) {
    let Some(text) = values::text(node, report) else { return };
    match check_timezone(text) {
        Ok(name) => draft.timezone = Some(name),
        Err(problem) => refuse(node, text, problem, report),
    }
}

/// Every key of a schedule.
pub(super) fn describe() -> impl Iterator<Item = Supported> {
    SCHEDULE.describe().chain(HISTORY.describe())
}

/// Decodes a schedule.
pub(super) fn schedule(node: &Node, report: &mut Report<'_>) -> Option<CronSchedule> {
    let mut draft = CronDraft::default();
    match &node.value {
        Value::List(_) => {
            let message = format!("{} must be one cron expression, not a list", report.subject());
            report.error_hint(
                node.mark,
                message,
                "a list of times is one expression: 0 9,17 * * *",
            );
        }
        Value::Map(_) => {
            SCHEDULE.decode(node, &mut draft, report);
            if node.get("cron").is_none_or(Node::is_null) {
                let hint = "add `cron: \"<minute> <hour> <day> <month> <weekday>\"`";
                report.error_hint(node.mark, "the schedule has no `cron`", hint);
            }
        }
        Value::Scalar(_) => draft.expression = expression(node, report),
    }
    let unset = CronSchedule::new(draft.expression?);
    Some(CronSchedule {
        timezone: draft.timezone.unwrap_or_else(|| unset.timezone.clone()),
        concurrency: draft.concurrency.unwrap_or(unset.concurrency),
        keep_succeeded: draft.history.succeeded.unwrap_or(unset.keep_succeeded),
        keep_failed: draft.history.failed.unwrap_or(unset.keep_failed),
        starting_deadline: draft.starting_deadline.unwrap_or(unset.starting_deadline),
        ..unset
    })
}

fn kept(node: &Node, report: &mut Report<'_>) -> Option<u32> {
    values::count(node, MOST_KEPT, report)
}

fn deadline(node: &Node, report: &mut Report<'_>) -> Option<Span> {
    let span = values::duration(node, report)?;
    if span < SHORTEST_DEADLINE {
        let message = format!("{} must be at least {SHORTEST_DEADLINE}", report.subject());
        let hint = "a cluster may need that long to find another leader";
        report.error_hint(node.mark, message, hint);
        return None;
    }
    Some(span)
}

/// An expression, with single blanks: how it is spaced means nothing.
fn expression(node: &Node, report: &mut Report<'_>) -> Option<String> {
    let text = values::text(node, report)?;
    match check_expression(text) {
        Ok(()) => Some(text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")),
        Err(problem) => {
            refuse(node, text, problem, report);
            None
        }
    }
}

/// Points at the part of a value that is wrong, as far as the file has it in plain sight.
fn refuse(node: &Node, text: &str, problem: InvalidCron, report: &mut Report<'_>) {
    let InvalidCron { start, end, message, hint } = problem;
    let mark = part(report, node.mark, text, start, end);
    let message = format!("{} {message}", report.subject());
    match hint {
        Some(hint) => report.error_hint(mark, message, hint),
        None => report.error(mark, message),
    }
}

/// The place of some bytes of a value; all of it when it is written otherwise than it reads.
fn part(report: &Report<'_>, whole: Mark, text: &str, start: usize, end: usize) -> Mark {
    match report.slice(whole).find(text) {
        Some(offset) if end > start => {
            let from = whole.start as usize + offset;
            report.mark_at(whole.file, from + start, from + end)
        }
        _ => whole,
    }
}
