//! What a service waits for, and the names it gives to others.

use super::named;
use crate::{
    manifest::{
        fields::{Schema, accepted},
        report::{Mark, Report},
        values,
        yaml::{Node, Value},
    },
    model::DependencyCondition,
};

/// Another service that must come first.
pub(in crate::manifest) struct DependencyDraft {
    pub(in crate::manifest) mark: Mark,
    pub(in crate::manifest) service: String,
    pub(in crate::manifest) condition: DependencyCondition,
    /// False when the service may be absent.
    pub(in crate::manifest) required: bool,
}

/// Another name for another service.
pub(in crate::manifest) struct LinkDraft {
    pub(in crate::manifest) mark: Mark,
    pub(in crate::manifest) service: String,
    pub(in crate::manifest) alias: Option<String>,
}

pub(super) static LONG: Schema<DependencyDraft> = Schema {
    what: "a dependency",
    at: &["services.*.depends_on.*"],
    extensions: true,
    attributes: &[
        accepted(
            "condition",
            "`service_started` (the default), `service_healthy` or `service_completed_successfully`.",
            |d, n, r| {
                let words = [
                    ("service_started", DependencyCondition::Started),
                    ("service_healthy", DependencyCondition::Healthy),
                    ("service_completed_successfully", DependencyCondition::Completed),
                ];
                d.condition = values::one_of(n, &words, r).unwrap_or(d.condition);
            },
        ),
        accepted("required", "false when the other service may be left out.", |d, n, r| {
            d.required = values::boolean(n, r).unwrap_or(true)
        }),
        accepted(
            "restart",
            "Accepted with a notice: a service is not restarted when another one is replaced.",
            |_, n, r| {
                if values::boolean(n, r) == Some(true) {
                    let reason = "a service is not restarted when another one is replaced";
                    r.notice(n.mark, "depends_on.restart", reason);
                }
            },
        ),
    ],
};

/// Decodes `depends_on`: names, or names with conditions.
pub(super) fn decode(node: &Node, report: &mut Report<'_>) -> Vec<DependencyDraft> {
    let mut out = Vec::new();
    let draft = |mark, service: &str| DependencyDraft {
        mark,
        service: service.to_owned(),
        condition: DependencyCondition::Started,
        required: true,
    };
    if let Value::List(_) = node.value {
        values::items(node, report, |item, report| {
            out.extend(values::text(item, report).map(|name| draft(item.mark, name)));
        });
    } else {
        named(node, report, |key, mark, value, report| {
            let mut dependency = draft(mark, key);
            if !value.is_null() {
                LONG.decode(value, &mut dependency, report);
            }
            out.push(dependency);
        });
    }
    out
}

/// Decodes `links`: `service` or `service:alias`.
pub(super) fn links(node: &Node, report: &mut Report<'_>) -> Vec<LinkDraft> {
    let mut out = Vec::new();
    values::items(node, report, |item, report| {
        let Some(text) = values::text(item, report) else { return };
        let (service, alias) = text.split_once(':').map_or((text, None), |(s, a)| (s, Some(a)));
        if alias == Some("") {
            return report.error(item.mark, "the alias after `:` is missing");
        }
        let alias = alias.filter(|a| *a != service).map(str::to_owned);
        out.push(LinkDraft { mark: item.mark, service: service.to_owned(), alias });
    });
    values::at_most(&mut out, 256, node, report);
    out
}
