//! Readers of single values, as Compose reads them. Each reports what is wrong and returns `None`.

mod bytes;
mod duration;
mod lists;
mod mode;
mod port;
mod words;

use std::ops::RangeInclusive;

pub(super) use bytes::{bytes, bytes_or_unlimited, size};
pub(super) use duration::{duration, micros, span};
pub(super) use lists::{at_most, items, pairs, string_list, string_or_list};
pub(super) use mode::file_mode;
pub(super) use port::{PortRange, port_range};
pub(super) use words::command;

use super::{
    report::{Report, cut},
    suggest,
    yaml::Node,
};

/// Any single value, as text.
pub(super) fn text<'n>(node: &'n Node, report: &mut Report<'_>) -> Option<&'n str> {
    let text = node.as_text();
    if text.is_none() {
        let message = format!("{} must be a text, not {}", report.subject(), node.kind());
        report.error(node.mark, message);
    }
    text
}

/// A text that says something; an empty one counts as absent.
pub(super) fn some_text(node: &Node, report: &mut Report<'_>) -> Option<String> {
    text(node, report).filter(|t| !t.is_empty()).map(str::to_owned)
}

/// A boolean, in any spelling of YAML 1.1.
pub(super) fn boolean(node: &Node, report: &mut Report<'_>) -> Option<bool> {
    match node.as_text()? {
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "y" | "Y" => {
            Some(true)
        }
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "n" | "N" => {
            Some(false)
        }
        _ => None,
    }
    .or_else(|| wrong(node, "true or false", report))
}

/// A whole number in a range.
pub(super) fn integer(
    node: &Node,
    range: RangeInclusive<i64>,
    report: &mut Report<'_>,
) -> Option<i64> {
    let number = node.as_text().and_then(|t| t.trim().parse::<i64>().ok());
    match number {
        Some(n) if range.contains(&n) => Some(n),
        _ => {
            let (low, high) = (*range.start(), *range.end());
            let expected = match (low, high) {
                (i64::MIN, i64::MAX) => "a whole number".to_owned(),
                (low, i64::MAX) => format!("a whole number of at least {low}"),
                (low, high) => format!("a whole number from {low} to {high}"),
            };
            wrong(node, &expected, report)
        }
    }
}

/// A whole number that fits `u32`.
pub(super) fn count(node: &Node, most: u32, report: &mut Report<'_>) -> Option<u32> {
    integer(node, 0..=i64::from(most), report).and_then(|n| u32::try_from(n).ok())
}

/// A decimal number that is not negative, in thousandths, rounded up.
pub(super) fn thousandths(node: &Node, most: u64, report: &mut Report<'_>) -> Option<u64> {
    let parsed = node.as_text().and_then(|t| decimal(t.trim(), 1000));
    match parsed {
        Some(n) if n <= most => Some(n),
        _ => wrong(node, &format!("a number from 0 to {}", most / 1000), report),
    }
}

/// `text` as a decimal number times `scale`, rounded up. Exact: no binary fractions.
pub(super) fn decimal(text: &str, scale: u64) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? };
    let shown = &fraction[..fraction.len().min(15)];
    let unit = 10_u128.pow(u32::try_from(shown.len()).ok()?);
    let part = if shown.is_empty() { 0 } else { shown.parse::<u128>().ok()? };
    let part = (part * u128::from(scale)).div_ceil(unit);
    whole.checked_mul(scale)?.checked_add(u64::try_from(part).ok()?)
}

/// One of a few words.
pub(super) fn one_of<T: Copy>(
    node: &Node,
    words: &[(&'static str, T)],
    report: &mut Report<'_>,
) -> Option<T> {
    let given = text(node, report)?;
    if let Some((_, value)) = words.iter().find(|(w, _)| *w == given) {
        return Some(*value);
    }
    let names = || words.iter().map(|(w, _)| *w);
    let message = format!(
        "{} must be one of {}, not `{}`",
        report.subject(),
        names().collect::<Vec<_>>().join(", "),
        cut(given)
    );
    match suggest::nearest(given, names()) {
        Some(near) => report.error_hint(node.mark, message, format!("did you mean `{near}`?")),
        None => report.error(node.mark, message),
    }
    None
}

/// Reports that a value is not what is expected.
pub(super) fn wrong<T>(node: &Node, expected: &str, report: &mut Report<'_>) -> Option<T> {
    let found = match node.as_text() {
        Some(text) => format!("`{}`", cut(text)),
        None => node.kind().to_owned(),
    };
    let message = format!("{} must be {expected}, not {found}", report.subject());
    report.error(node.mark, message);
    None
}
