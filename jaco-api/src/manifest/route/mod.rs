//! `routes[]` of jaco.yaml: a domain and a path, the service, and what is asked on the way.
//!
//! Input: one item of the list. Output: a [`RouteDraft`], and every problem of it. Whether its service exists is
//! looked at when both files are merged.

mod access;
mod headers;
mod place;
mod rate;
mod redirect;

use super::{
    fields::{Schema, Supported, accepted},
    report::{Mark, Report},
    values,
    yaml::{Node, Value},
};
use crate::model::{Password, RouteOptions, RouteProtocol, Span, Stickiness, TlsMode};

/// Longest time that a visitor is let wait for an answer.
const LONGEST_WAIT: Span = Span::secs(86_400);

/// A route before its service is looked up.
#[derive(Default)]
pub(super) struct RouteDraft {
    pub(super) mark: Mark,
    pub(super) domain: Option<(String, Mark)>,
    pub(super) service: Option<(String, Mark)>,
    pub(super) port: Option<u16>,
    pub(super) path: Option<String>,
    pub(super) tls: Option<(TlsMode, Mark)>,
    pub(super) options: RouteOptions<Password>,
    /// A part could not be read: what depends on it is not checked.
    pub(super) broken: bool,
}

static ROUTE: Schema<RouteDraft> = Schema {
    what: "a route",
    at: &["routes"],
    extensions: false,
    attributes: &[
        accepted("domain", "The domain. Without it, or with `*`: every domain.", |o, n, r| {
            o.domain = place::domain(n, r).map(|d| (d, n.mark));
            o.broken |= o.domain.is_none();
        }),
        accepted("service", "The service of the compose file. Needed.", |o, n, r| {
            o.service = values::some_text(n, r).map(|s| (s, n.mark))
        }),
        accepted("port", "Port in the container. Needed.", |o, n, r| {
            o.port = values::integer(n, 1..=65_535, r).and_then(|p| u16::try_from(p).ok());
        }),
        accepted(
            "path",
            "Prefix of the path on segment borders; default `/`. The longest prefix wins.",
            |o, n, r| {
                o.path = place::path(n, r);
                o.broken |= o.path.is_none();
            },
        ),
        accepted(
            "tls",
            "`auto` (a certificate is obtained), `off`, or the name of an imported certificate.",
            |o, n, r| o.tls = place::tls(n, r).map(|t| (t, n.mark)),
        ),
        accepted(
            "protocol",
            "What the service speaks: `http` (the default), or `h2c`, also written `grpc`: HTTP/2 without TLS.",
            |o, n, r| {
                let words = [
                    ("http", RouteProtocol::Http),
                    ("h2c", RouteProtocol::H2c),
                    ("grpc", RouteProtocol::H2c),
                ];
                o.options.protocol = values::one_of(n, &words, r).unwrap_or_default();
            },
        ),
        accepted(
            "strip_path",
            "`true`: the path of the route is taken away before the request goes on.",
            |o, n, r| o.options.strip_path = values::boolean(n, r).unwrap_or_default(),
        ),
        accepted(
            "redirect_to",
            "An address that visitors are sent to instead, or `{url, permanent, keep_path}`.",
            |o, n, r| o.options.redirect_to = redirect::redirect(n, r),
        ),
        accepted(
            "headers",
            "Headers of answers, by name, or `{request, response}` with `{set, remove}` each.",
            |o, n, r| o.options.headers = headers::rules(n, r),
        ),
        accepted(
            "timeout",
            "Most time until the service answers, such as 30s; default 60s, at most 24h.",
            |o, n, r| o.options.timeout = timeout(n, r),
        ),
        accepted(
            "max_body",
            "Largest body of a request, such as 10m; without it there is no limit.",
            |o, n, r| o.options.max_body = max_body(n, r),
        ),
        accepted(
            "sticky",
            "Keeps visitors on one replica: by a `cookie`, or by their address (`ip`).",
            |o, n, r| {
                let words = [("cookie", Stickiness::Cookie), ("ip", Stickiness::Ip)];
                o.options.sticky = values::one_of(n, &words, r);
            },
        ),
        accepted(
            "basic_auth",
            "Names and passwords of those who may come, as `{name: password}`; kept sealed.",
            |o, n, r| o.options.basic_auth = access::users(n, r),
        ),
        accepted(
            "rate_limit",
            "Most requests of one visitor on each node, such as 10/s, or `{requests, per, burst}`.",
            |o, n, r| o.options.rate_limit = rate::rate(n, r),
        ),
        accepted(
            "allow",
            "Addresses and blocks, such as 10.0.0.0/8, that may come; nobody else may.",
            |o, n, r| o.options.allow = access::blocks(n, r),
        ),
        accepted(
            "deny",
            "Addresses and blocks that may not come, also if they are in `allow`.",
            |o, n, r| o.options.deny = access::blocks(n, r),
        ),
        accepted("compress", "`true`: answers are compressed for those who take it.", |o, n, r| {
            o.options.compress = values::boolean(n, r).unwrap_or_default();
        }),
    ],
};

/// Every key of a route.
pub(super) fn describe() -> impl Iterator<Item = Supported> {
    ROUTE
        .describe()
        .chain(redirect::REDIRECT.describe())
        .chain(headers::describe())
        .chain(rate::RATE.describe())
}

/// Decodes a route.
pub(super) fn route(node: &Node, report: &mut Report<'_>) -> RouteDraft {
    let mut route = RouteDraft { mark: node.mark, ..RouteDraft::default() };
    ROUTE.decode(node, &mut route, report);
    route.broken |= !matches!(node.value, Value::Map(_));
    for key in ["service", "port"] {
        if ROUTE.lacks(node, key) {
            report.error(node.mark, format!("the route has no `{key}`"));
        }
    }
    tell_idle(node, &route, report);
    route
}

/// Options that can have no effect are probably meant otherwise.
fn tell_idle(node: &Node, route: &RouteDraft, report: &mut Report<'_>) {
    let written = |key: &str| node.get(key).filter(|n| !n.is_null()).map(|n| n.mark);
    if route.options.redirect_to.is_some() {
        for key in ["strip_path", "timeout", "max_body", "sticky", "compress", "protocol"] {
            if let Some(mark) = written(key) {
                let message =
                    format!("`{key}` has no effect beside `redirect_to`: nothing is sent on");
                report.within(key, |report| report.warn(mark, message, None));
            }
        }
    } else if route.options.strip_path
        && route.path.as_deref().is_none_or(|path| path == "/")
        && let Some(mark) = written("strip_path").filter(|_| !route.broken)
    {
        let message = "`strip_path` has no effect: the path of the route is `/`";
        report.within("strip_path", |report| report.warn(mark, message, None));
    }
}

fn timeout(node: &Node, report: &mut Report<'_>) -> Option<Span> {
    let span = values::duration(node, report)?;
    if !(Span(1)..=LONGEST_WAIT).contains(&span) {
        return values::wrong(node, "a time from 1ms to 24h", report);
    }
    Some(span)
}

fn max_body(node: &Node, report: &mut Report<'_>) -> Option<u64> {
    let size = values::size(node, report)?;
    if size == 0 {
        let message = "`max_body` of 0 lets no request with a body through";
        report.error_hint(node.mark, message, "leave it out for no limit");
        return None;
    }
    Some(size)
}
