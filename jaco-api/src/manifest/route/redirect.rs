//! Where a route sends its visitors.

use std::net::Ipv6Addr;

use crate::{
    manifest::{
        fields::{Schema, accepted},
        report::{Mark, Report, cut},
        values,
        yaml::{Node, Value},
    },
    model::RedirectSpec,
};

/// Longest address.
const LONGEST: usize = 2048;

#[derive(Default)]
pub(super) struct RedirectDraft {
    url: Option<(Url, Mark)>,
    permanent: bool,
    keep_path: Option<(bool, Mark)>,
}

/// An address in the parts that matter here.
struct Url {
    /// All of it.
    text: String,
    /// Whether there is more than scheme and host.
    leads_somewhere: bool,
    /// Whether there is a query or a fragment.
    ends: bool,
}

pub(super) static REDIRECT: Schema<RedirectDraft> = Schema {
    what: "a redirect",
    at: &["routes.redirect_to"],
    extensions: false,
    attributes: &[
        accepted("url", "The address, or the start of it. Needed.", |d, n, r| {
            d.url = url(n, r).map(|url| (url, n.mark));
        }),
        accepted(
            "permanent",
            "`true`: browsers may remember it (308); default `false` (307).",
            |d, n, r| {
                d.permanent = values::boolean(n, r).unwrap_or_default();
            },
        ),
        accepted(
            "keep_path",
            "Whether path and query are put behind it; default `true` for an address without a path.",
            |d, n, r| d.keep_path = values::boolean(n, r).map(|keep| (keep, n.mark)),
        ),
    ],
};

/// An address, or a mapping with one.
pub(super) fn redirect(node: &Node, report: &mut Report<'_>) -> Option<RedirectSpec> {
    let mut draft = RedirectDraft::default();
    match &node.value {
        Value::Map(_) => {
            REDIRECT.decode(node, &mut draft, report);
            if REDIRECT.lacks(node, "url") {
                let hint = "add `url: https://…`";
                report.error_hint(node.mark, "the redirect has no `url`", hint);
            }
        }
        _ => draft.url = url(node, report).map(|url| (url, node.mark)),
    }
    let (url, _) = draft.url?;
    let keep_path = draft.keep_path.map_or(!url.leads_somewhere, |(keep, _)| keep);
    if let Some((true, mark)) = draft.keep_path
        && url.ends
    {
        let message = "no path can be put behind an address with a query or fragment";
        report.within("keep_path", |report| {
            report.error_hint(mark, message, "take `?` or `#` out of `url`, or write `false`");
        });
        return None;
    }
    // The path that comes behind it begins with a slash.
    let text = match keep_path {
        true => url.text.trim_end_matches('/').to_owned(),
        false => url.text,
    };
    Some(RedirectSpec { url: text, permanent: draft.permanent, keep_path })
}

fn url(node: &Node, report: &mut Report<'_>) -> Option<Url> {
    let text = values::text(node, report)?.trim();
    match parse(text) {
        Ok(url) => Some(url),
        Err((problem, hint)) => {
            // What is before an `@` may be a password.
            let message = match text.contains('@') {
                true => format!("{} {problem}", report.subject()),
                false => format!("{} {problem}: `{}`", report.subject(), cut(text)),
            };
            match hint {
                Some(hint) => report.error_hint(node.mark, message, hint),
                None => report.error(node.mark, message),
            }
            None
        }
    }
}

fn parse(text: &str) -> Result<Url, (&'static str, Option<String>)> {
    let hint = |text: &str| Some(text.to_owned());
    if text.is_empty() || text.len() > LONGEST {
        return Err(("must be an address such as https://shop.example", None));
    }
    if text.contains(['{', '}', '$']) {
        let keeps = "path and query of the request are kept with `keep_path: true`";
        return Err(("knows no placeholders", hint(keeps)));
    }
    let legal = |b: u8| b.is_ascii_graphic() && !b"\"<>\\^`|".contains(&b);
    if !text.bytes().all(legal) {
        return Err(("holds a character that no address has", hint("escape it, such as %20")));
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        let host = text.split(['/', '?', '#']).next().unwrap_or(text);
        let hint = match text.starts_with('/') {
            true => Some("write scheme and host, too, as in https://shop.example/new".to_owned()),
            false => is_authority(host).then(|| format!("write `https://{}`", cut(text))),
        };
        return Err(("must begin with https:// or http://", hint));
    };
    if !(scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http")) {
        return Err(("must begin with https:// or http://", None));
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if authority.contains('@') {
        return Err(("must not hold a name or password", hint("leave out what is before the `@`")));
    }
    if !is_authority(authority) {
        return Err(("has no host that can be asked", None));
    }
    Ok(Url {
        text: text.to_owned(),
        leads_somewhere: !matches!(path, "" | "/"),
        ends: path.contains(['?', '#']),
    })
}

fn is_authority(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let Some((address, port)) = rest.split_once(']') else { return false };
            if address.parse::<Ipv6Addr>().is_err() {
                return false;
            }
            ("v6", port.strip_prefix(':').or((!port.is_empty()).then_some("none")))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let is_port = |p: &str| {
        p.bytes().all(|b| b.is_ascii_digit()) && p.parse::<u16>().is_ok_and(|port| port > 0)
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    host.len() <= 253 && host.split('.').all(label) && port.is_none_or(is_port)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn addresses_are_known_by_their_scheme_and_host() {
        for (text, leads_somewhere) in [
            ("https://shop.example", false),
            ("HTTP://shop.example:8080/", false),
            ("https://[2001:db8::1]:8443/x", true),
            ("https://10.0.0.1?x=1", true),
        ] {
            let url = parse(text).unwrap_or_else(|(problem, _)| panic!("{text} {problem}"));
            assert_eq!(url.leads_somewhere, leads_somewhere, "{text}");
        }
        for text in [
            "",
            "x",
            "/new",
            "//shop.example",
            "ftp://shop.example",
            "https://",
            "https:///x",
            "https://a:b@shop.example",
            "https://shop.example:0",
            "https://shop.example:http",
            "https://sho p.example",
            "https://[::1",
            "https://[::1]x",
            "https://[x]",
            "https://shop.example/$1",
            "https://a..b",
            "javascript://x",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
