//! How many requests of one visitor a route lets through.

use crate::{
    manifest::{
        fields::{Schema, accepted},
        report::{Report, cut},
        values,
        yaml::{Node, Value},
    },
    model::{RequestRate, Span},
};

/// Most requests, in a time or at once.
const MOST: u32 = 1_000_000;
/// Longest time.
const LONGEST: Span = Span::secs(86_400);

/// What is hinted at when nothing would pass.
const NO_LIMIT: &str = "leave `rate_limit` out for no limit";

#[derive(Default)]
pub(super) struct RateDraft {
    requests: Option<u32>,
    per: Option<Span>,
    burst: Option<u32>,
    broken: bool,
}

pub(super) static RATE: Schema<RateDraft> = Schema {
    what: "a rate limit",
    at: &["routes.rate_limit"],
    extensions: false,
    attributes: &[
        accepted("requests", "So many in the time `per`, on average. Needed.", |d, n, r| {
            d.requests = number(n, r);
            d.broken |= d.requests.is_none();
        }),
        accepted("per", "The time; default 1s, at most 24h.", |d, n, r| {
            d.per = values::duration(n, r).and_then(|span| bounded(span, n, r));
            d.broken |= d.per.is_none();
        }),
        accepted("burst", "So many at once; default: as many as `requests`.", |d, n, r| {
            d.burst = number(n, r);
            d.broken |= d.burst.is_none();
        }),
    ],
};

/// `10/s`, or a mapping that says more.
pub(super) fn rate(node: &Node, report: &mut Report<'_>) -> Option<RequestRate> {
    if !matches!(node.value, Value::Map(_)) {
        return short(node, report);
    }
    let mut draft = RateDraft::default();
    RATE.decode(node, &mut draft, report);
    if RATE.lacks(node, "requests") {
        let hint = "add `requests: <number>`";
        report.error_hint(node.mark, "the rate limit has no `requests`", hint);
    }
    let requests = draft.requests.filter(|_| !draft.broken)?;
    let per = draft.per.unwrap_or(Span::secs(1));
    Some(RequestRate { requests, per, burst: draft.burst.unwrap_or(requests) })
}

fn short(node: &Node, report: &mut Report<'_>) -> Option<RequestRate> {
    let text = values::text(node, report)?.trim();
    let (number, unit) = match text.split_once('/') {
        Some((number, unit)) => (number.trim(), Some(unit.trim())),
        None => (text, None),
    };
    // nginx counts requests with an `r`.
    let digits = number.strip_suffix('r').unwrap_or(number).trim_end();
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let expected = "a number of requests in a time, such as 10/s or 600/m";
    if !is_number {
        return values::wrong(node, expected, report);
    }
    let requests = digits.parse::<u32>().ok().filter(|n| *n <= MOST);
    let Some(requests) = requests else {
        let message = format!("{} is at most {MOST} requests", report.subject());
        report.error(node.mark, message);
        return None;
    };
    if requests == 0 {
        let message = format!("{} of 0 lets no request through", report.subject());
        report.error_hint(node.mark, message, NO_LIMIT);
        return None;
    }
    let Some(unit) = unit else {
        let message = format!("{} has no time", report.subject());
        report.error_hint(node.mark, message, format!("write `{}/s` for seconds", cut(digits)));
        return None;
    };
    let per = match unit {
        "s" | "sec" | "second" => Some(Span::secs(1)),
        "m" | "min" | "minute" => Some(Span::secs(60)),
        "h" | "hour" => Some(Span::secs(3600)),
        "d" | "day" => Some(Span::secs(86_400)),
        other => values::span(other),
    };
    let Some(per) = per else { return values::wrong(node, expected, report) };
    bounded(per, node, report).map(|per| RequestRate { requests, per, burst: requests })
}

fn bounded(per: Span, node: &Node, report: &mut Report<'_>) -> Option<Span> {
    if !(Span(1)..=LONGEST).contains(&per) {
        let message = format!("the time of {} is from 1ms to 24h", report.subject());
        report.error(node.mark, message);
        return None;
    }
    Some(per)
}

fn number(node: &Node, report: &mut Report<'_>) -> Option<u32> {
    if node.as_text().map(str::trim) == Some("0") {
        let message = format!("{} of 0 lets no request through", report.subject());
        report.error_hint(node.mark, message, NO_LIMIT);
        return None;
    }
    values::integer(node, 1..=i64::from(MOST), report).and_then(|n| u32::try_from(n).ok())
}
