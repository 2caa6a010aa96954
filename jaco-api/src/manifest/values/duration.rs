//! Lengths of time: `1m30s`, `500ms`, `1.5h`.

use super::{Node, Report, decimal, wrong};
use crate::{manifest::report::cut, model::Span};

/// Longest time that makes sense anywhere: 100 years.
const LONGEST_MS: u64 = 100 * 365 * 86_400_000;

/// A length of time. Less than a millisecond counts as one.
pub(in crate::manifest) fn duration(node: &Node, report: &mut Report<'_>) -> Option<Span> {
    let text = node.as_text().unwrap_or("").trim();
    if let Some(ms) = parse(text) {
        return Some(Span(ms));
    }
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        let message = format!("{} has no unit", report.subject());
        report.error_hint(node.mark, message, format!("write `{}s` for seconds", cut(text)));
        return None;
    }
    wrong(node, "a length of time such as 30s or 1m30s", report)
}

/// A number of microseconds, or a length of time; at most `most`.
pub(in crate::manifest) fn micros(node: &Node, most: i64, report: &mut Report<'_>) -> Option<i64> {
    let text = node.as_text().unwrap_or("").trim();
    let plain = || text.parse::<i64>().ok();
    let parsed = plain().or_else(|| microseconds(text).and_then(|us| us.try_into().ok()));
    let expected = || match most {
        i64::MAX => "a number of microseconds, or a time such as 50ms".to_owned(),
        most => format!("a number of microseconds, or a time such as 50ms, up to {most}"),
    };
    parsed.filter(|us| (0..=most).contains(us)).or_else(|| wrong(node, &expected(), report))
}

/// A length of time in a text.
pub(in crate::manifest) fn span(text: &str) -> Option<Span> {
    parse(text).map(Span)
}

fn parse(text: &str) -> Option<u64> {
    microseconds(text).map(|us| us.div_ceil(1000)).filter(|ms| *ms <= LONGEST_MS)
}

fn microseconds(text: &str) -> Option<u64> {
    if text == "0" {
        return Some(0);
    }
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(end);
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let micros = match unit {
            "ns" => decimal(number, 1)?.div_ceil(1000),
            "us" | "µs" | "μs" => decimal(number, 1)?,
            "ms" => decimal(number, 1_000)?,
            "s" => decimal(number, 1_000_000)?,
            "m" => decimal(number, 60_000_000)?,
            "h" => decimal(number, 3_600_000_000)?,
            "d" => decimal(number, 86_400_000_000)?,
            "w" => decimal(number, 604_800_000_000)?,
            _ => return None,
        };
        total = total.checked_add(micros)?;
        rest = tail;
    }
    Some(total).filter(|_| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn durations_are_read_as_compose_reads_them() {
        for (text, ms) in [
            ("1m30s", 90_000),
            ("500ms", 500),
            ("1.5h", 5_400_000),
            ("10us", 1),
            ("1d", 86_400_000),
            ("0", 0),
            ("0s", 0),
            ("1h0m2.25s", 3_602_250),
        ] {
            assert_eq!(parse(text), Some(ms), "{text}");
        }
        for text in ["", "1", "s", "-1s", "1 s", "1x", "1..2s", "99999999999w", "1s2"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
