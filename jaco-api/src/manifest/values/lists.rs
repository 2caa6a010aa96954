//! Lists of texts, and mappings that may also be written as `KEY=value` lists.

use std::collections::BTreeMap;

use super::{Node, Report, text};
use crate::manifest::{report::cut, yaml::Value};

/// Calls `f` for every item of a list.
pub(in crate::manifest) fn items(
    node: &Node,
    report: &mut Report<'_>,
    mut f: impl FnMut(&Node, &mut Report<'_>),
) {
    let Value::List(items) = &node.value else {
        let message = format!("{} must be a list, not {}", report.subject(), node.kind());
        return match node.value {
            Value::Map(_) => report.error_hint(node.mark, message, "begin each entry with `- `"),
            _ => report.error(node.mark, message),
        };
    };
    for (index, item) in items.iter().enumerate() {
        report.item(index, |report| f(item, report));
    }
}

/// Refuses a list that is longer than anybody needs: what it leads to is bounded with it.
pub(in crate::manifest) fn at_most<T>(
    list: &mut Vec<T>,
    most: usize,
    node: &Node,
    report: &mut Report<'_>,
) {
    if list.len() > most {
        let message =
            format!("{} has {} entries; the most are {most}", report.subject(), list.len());
        report.error(node.mark, message);
        list.truncate(most);
    }
}

/// A list of texts.
pub(in crate::manifest) fn string_list(
    node: &Node,
    report: &mut Report<'_>,
) -> Option<Vec<String>> {
    let Value::List(all) = &node.value else {
        items(node, report, |_, _| {});
        return None;
    };
    let mut out = Vec::with_capacity(all.len());
    items(node, report, |item, report| out.extend(text(item, report).map(str::to_owned)));
    (out.len() == all.len()).then_some(out)
}

/// One text or a list of them.
pub(in crate::manifest) fn string_or_list(
    node: &Node,
    report: &mut Report<'_>,
) -> Option<Vec<String>> {
    match &node.value {
        Value::List(_) => string_list(node, report),
        _ => text(node, report).map(|t| vec![t.to_owned()]),
    }
}

/// A mapping, or a list of `KEY=value` and `KEY`. The last of two equal keys wins.
pub(in crate::manifest) fn pairs(
    node: &Node,
    report: &mut Report<'_>,
) -> Option<BTreeMap<String, Option<String>>> {
    let mut out = BTreeMap::new();
    match &node.value {
        Value::Map(entries) => {
            for entry in entries {
                report.within(&entry.key, |report| {
                    let value = if entry.value.is_null() {
                        None
                    } else {
                        let Some(value) = text(&entry.value, report) else { return };
                        Some(value.to_owned())
                    };
                    out.insert(entry.key.clone(), value);
                });
            }
        }
        Value::List(_) => items(node, report, |item, report| {
            let Some(item_text) = text(item, report) else { return };
            let (key, value) = match item_text.split_once('=') {
                Some((key, value)) => (key, Some(value.to_owned())),
                None => (item_text, None),
            };
            if key.is_empty() {
                return report.error(item.mark, "the name before `=` is missing");
            }
            if out.insert(key.to_owned(), value).is_some() {
                let message = format!("`{}` is set twice; the last one counts", cut(key));
                report.warn(item.mark, message, None);
            }
        }),
        Value::Scalar(_) => {
            let message =
                format!("{} must be a mapping or a list, not {}", report.subject(), node.kind());
            report.error(node.mark, message);
            return None;
        }
    }
    Some(out)
}
