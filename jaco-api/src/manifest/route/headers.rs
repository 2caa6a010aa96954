//! Headers that a route changes.

use std::collections::BTreeSet;

use crate::{
    manifest::{
        fields::{Schema, Supported, accepted},
        report::{Mark, Report, cut},
        values,
        yaml::{Node, Value},
    },
    model::{HeaderChanges, HeaderRules},
};

/// Most headers that are changed on one way.
const MOST: usize = 100;
/// Longest name.
const LONGEST_NAME: usize = 128;
/// Longest value.
const LONGEST_VALUE: usize = 4096;

/// What frames a message, belongs to one connection or names the host: another value would be a lie.
const FIXED: [&str; 13] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What is a secret in a request.
const SECRET: [&str; 2] = ["authorization", "cookie"];

/// Which way a message goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Request,
    Response,
}

static HEADERS: Schema<HeaderRules> = Schema {
    what: "the headers of a route",
    at: &["routes.headers"],
    extensions: false,
    attributes: &[
        accepted("request", "Changes of the headers that the service sees.", |h, n, r| {
            h.request = changes(n, Way::Request, r);
        }),
        accepted("response", "Changes of the headers that the visitor sees.", |h, n, r| {
            h.response = changes(n, Way::Response, r);
        }),
    ],
};

struct ChangesDraft {
    way: Way,
    changes: HeaderChanges,
}

static CHANGES: Schema<ChangesDraft> = Schema {
    what: "changes of headers",
    at: &["routes.headers.request", "routes.headers.response"],
    extensions: false,
    attributes: &[
        accepted(
            "set",
            "Headers with their values, in place of any of the same name.",
            |c, n, r| {
                set(n, c.way, &mut c.changes, r);
            },
        ),
        accepted("remove", "Names of headers that are taken away.", |c, n, r| {
            remove(n, &mut c.changes, r);
        }),
    ],
};

/// Every key.
pub(super) fn describe() -> impl Iterator<Item = Supported> {
    HEADERS.describe().chain(CHANGES.describe())
}

/// Both ways, or headers of answers by name.
pub(super) fn rules(node: &Node, report: &mut Report<'_>) -> HeaderRules {
    let mut rules = HeaderRules::default();
    let short = match &node.value {
        Value::Map(entries) => {
            !entries.is_empty()
                && entries.iter().all(|e| !matches!(&*e.key, "request" | "response"))
        }
        _ => false,
    };
    match short {
        true => set(node, Way::Response, &mut rules.response, report),
        false => HEADERS.decode(node, &mut rules, report),
    }
    rules
}

fn changes(node: &Node, way: Way, report: &mut Report<'_>) -> HeaderChanges {
    let mut draft = ChangesDraft { way, changes: HeaderChanges::default() };
    CHANGES.decode(node, &mut draft, report);
    draft.changes
}

fn set(node: &Node, way: Way, changes: &mut HeaderChanges, report: &mut Report<'_>) {
    let Value::Map(entries) = &node.value else {
        let message = format!("{} must be a mapping, not {}", report.subject(), node.kind());
        return report.error_hint(node.mark, message, "write `{<name>: <value>}`");
    };
    if entries.len() > MOST {
        let message = format!("{} has more than {MOST} headers", report.subject());
        return report.error(node.mark, message);
    }
    for entry in entries {
        report.within(&entry.key, |report| {
            let name = name(&entry.key, entry.mark, report);
            if let (Way::Request, Some(name)) = (way, &name)
                && SECRET.contains(&name.as_str())
            {
                let message =
                    format!("`{}` is a secret, and headers are kept in the clear", cut(&entry.key));
                let hint = "give the service its secret: `secrets` of the compose file";
                return report.error_hint(entry.mark, message, hint);
            }
            if let (Some(name), Some(value)) = (name, value(&entry.value, report))
                && changes.set.insert(name, value).is_some()
            {
                let message = format!("`{}` is there twice", cut(&entry.key));
                report.error(entry.mark, message);
            }
        });
    }
}

fn remove(node: &Node, changes: &mut HeaderChanges, report: &mut Report<'_>) {
    let mut names = BTreeSet::new();
    let one = |item: &Node, report: &mut Report<'_>| {
        let Some(text) = values::text(item, report) else { return };
        let Some(name) = name(text, item.mark, report) else { return };
        if !names.insert(name) {
            report.error(item.mark, format!("`{}` is there twice", cut(text)));
        }
    };
    match &node.value {
        Value::Scalar(_) => {
            let mut one = one;
            one(node, report);
        }
        _ => values::items(node, report, one),
    }
    changes.remove = names.into_iter().collect();
    values::at_most(&mut changes.remove, MOST, node, report);
}

/// A name in lower case.
fn name(text: &str, mark: Mark, report: &mut Report<'_>) -> Option<String> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if text.is_empty() || text.len() > LONGEST_NAME || !text.bytes().all(legal) {
        let message = format!("`{}` is no name of a header", cut(text));
        report.error_hint(mark, message, "letters, digits and `-`, such as X-Frame-Options");
        return None;
    }
    let name = text.to_ascii_lowercase();
    if FIXED.contains(&name.as_str()) {
        let message = format!("`{}` cannot be changed", cut(text));
        let hint = "it belongs to the connection, frames the message or names the host";
        report.error_hint(mark, message, hint);
        return None;
    }
    Some(name)
}

fn value(node: &Node, report: &mut Report<'_>) -> Option<String> {
    if node.is_null() {
        let message = format!("{} has no value", report.subject());
        report.error_hint(node.mark, message, "name it under `remove` to take it away");
        return None;
    }
    let text = values::text(node, report)?.trim();
    if text.len() > LONGEST_VALUE {
        let message =
            format!("the value of {} has more than {LONGEST_VALUE} characters", report.subject());
        report.error(node.mark, message);
        return None;
    }
    if !text.bytes().all(|b| b == b'\t' || (b' '..=b'~').contains(&b)) {
        let message = format!("the value of {} is no line of plain ASCII", report.subject());
        report.error_hint(
            node.mark,
            message,
            "a value has no line breaks; escape other characters",
        );
        return None;
    }
    Some(text.to_owned())
}
