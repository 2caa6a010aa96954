//! The health check.

use crate::{
    manifest::{
        fields::{Schema, accepted},
        report::Report,
        values,
        yaml::{Node, Value},
    },
    model::{Healthcheck, Span},
};

#[derive(Default)]
pub(super) struct Draft {
    disabled: bool,
    test: Vec<String>,
    interval: Option<Span>,
    timeout: Option<Span>,
    start_period: Option<Span>,
    start_interval: Option<Span>,
    retries: Option<u32>,
}

pub(super) static HEALTHCHECK: Schema<Draft> = Schema {
    what: "a health check",
    at: &["services.*.healthcheck"],
    extensions: true,
    attributes: &[
        accepted(
            "test",
            "`[CMD, …]`, `[CMD-SHELL, …]`, a text for the shell, or `NONE`; without it the image's command.",
            test,
        ),
        accepted("disable", "true: no check, not even the image's.", |d, n, r| {
            d.disabled |= values::boolean(n, r).unwrap_or_default()
        }),
        accepted("interval", "Pause between checks, as `30s`.", |d, n, r| {
            d.interval = values::duration(n, r)
        }),
        accepted("timeout", "Most time one check may take, as `5s`.", |d, n, r| {
            d.timeout = values::duration(n, r)
        }),
        accepted(
            "start_period",
            "Failures do not count for so long after the start.",
            |d, n, r| d.start_period = values::duration(n, r),
        ),
        accepted("retries", "Failures in a row that make the replica unhealthy.", |d, n, r| {
            d.retries = values::count(n, 1000, r)
        }),
        accepted(
            "start_interval",
            "Pause between checks in that time. Needs Docker 25.",
            |d, n, r| d.start_interval = values::duration(n, r),
        ),
    ],
};

/// Decodes `healthcheck`.
pub(super) fn decode(node: &Node, report: &mut Report<'_>) -> Option<Healthcheck> {
    let mut d = Draft::default();
    HEALTHCHECK.decode(node, &mut d, report);
    if d.disabled {
        return Some(Healthcheck::Disabled);
    }
    Some(Healthcheck::Check {
        test: d.test,
        interval: d.interval,
        timeout: d.timeout,
        start_period: d.start_period,
        start_interval: d.start_interval,
        retries: d.retries,
    })
}

fn test(draft: &mut Draft, node: &Node, report: &mut Report<'_>) {
    let Value::List(_) = node.value else {
        match values::text(node, report) {
            Some("") | None => {}
            Some("NONE") => draft.disabled = true,
            Some(line) => draft.test = vec!["CMD-SHELL".to_owned(), line.to_owned()],
        }
        return;
    };
    let Some(words) = values::string_list(node, report) else { return };
    match words.first().map(String::as_str) {
        None => {}
        Some("NONE") => draft.disabled = true,
        Some("CMD") if words.len() > 1 => draft.test = words,
        Some("CMD-SHELL") if words.len() == 2 => draft.test = words,
        Some("CMD") => report.error(node.mark, "`CMD` needs a command after it"),
        Some("CMD-SHELL") => {
            report.error(node.mark, "`CMD-SHELL` takes exactly one command line after it");
        }
        Some(_) => report.error_hint(
            node.mark,
            "the list of `test` must begin with CMD, CMD-SHELL or NONE",
            "write [\"CMD\", …], or the command as one text",
        ),
    }
}
