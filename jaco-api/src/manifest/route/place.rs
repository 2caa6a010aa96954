//! Where a route is: its domain, its path and its TLS.

use crate::{
    manifest::{
        report::{Report, cut},
        values,
        yaml::Node,
    },
    model::TlsMode,
};

/// Longest name of a host.
const LONGEST_DOMAIN: usize = 253;
/// Longest prefix of a path.
const LONGEST_PATH: usize = 1024;

/// A domain in lower case; empty and `*` match every domain.
pub(super) fn domain(node: &Node, report: &mut Report<'_>) -> Option<String> {
    let text = values::text(node, report)?;
    let domain = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    if domain.is_empty() || domain == "*" {
        return Some(String::new());
    }
    if let Some(scheme) = domain.find("://") {
        let rest = &domain[scheme + 3..];
        let host = rest.split(['/', ':']).next().unwrap_or(rest);
        let message = format!("`{}` is an address, not a domain", cut(text));
        report.error_hint(node.mark, message, format!("write `{}`", cut(host)));
        return None;
    }
    if domain.len() > LONGEST_DOMAIN {
        let message = format!(
            "{} has {} characters; a domain has at most {LONGEST_DOMAIN}",
            report.subject(),
            domain.chars().count()
        );
        report.error(node.mark, message);
        return None;
    }
    if !is_name(&domain, b"-_") {
        return values::wrong(node, "a domain such as shop.example", report);
    }
    Some(domain)
}

/// Whether it is a name of a host, or of all that are one label below it. `also` may be in labels beside letters and
/// digits.
fn is_name(domain: &str, also: &[u8]) -> bool {
    let fits = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || also.contains(&b))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let labels = domain.strip_prefix("*.").unwrap_or(domain);
    domain.len() <= LONGEST_DOMAIN && labels.split('.').all(fits)
}

/// A path prefix without a slash at its end.
pub(super) fn path(node: &Node, report: &mut Report<'_>) -> Option<String> {
    let path = values::text(node, report)?;
    if let Some(prefix) = pattern(path) {
        let message =
            format!("{} is a prefix, not a pattern such as `{}`", report.subject(), cut(path));
        let hint = match &*prefix {
            "/" => "write `/`, or leave it out: it matches every path".to_owned(),
            prefix => format!("write `{0}`: it matches `{0}` and everything below it", cut(prefix)),
        };
        report.error_hint(node.mark, message, hint);
        return None;
    }
    let fits = path.starts_with('/')
        && path.len() <= LONGEST_PATH
        && !path.contains("//")
        && !path.split('/').any(|s| s == "." || s == "..")
        && path.bytes().all(|b| b.is_ascii_graphic() && !b"?#\\".contains(&b));
    if !fits {
        return values::wrong(node, "a path that begins with `/`, such as /api", report);
    }
    let trimmed = path.trim_end_matches('/');
    Some(if trimmed.is_empty() { "/".to_owned() } else { trimmed.to_owned() })
}

/// The plain prefix of what other proxies take for a pattern: `^/api/.*`, `/a/*`, `~ ^/x$`, `/users/{id}`.
fn pattern(path: &str) -> Option<String> {
    let from = path.trim_start_matches(['^', '~', '=', '*', ' ']);
    let marked = from.len() < path.len() && !path.is_empty();
    let special = |c: char| "*^[]{}|<>".contains(c);
    let end = from.find(|c: char| special(c) || "($".contains(c)).unwrap_or(from.len());
    let is_pattern = marked
        || from.contains(special)
        || from.ends_with('$')
        || ["(.", "(?", ".+", ")?"].iter().any(|part| from.contains(part));
    if !is_pattern || !from.is_empty() && !from.starts_with('/') {
        return None;
    }
    let plain = from[..end].trim_end_matches(['.', '+', '?', '\\']);
    // Only whole segments are sure to be meant.
    let whole = match end < from.len() && !plain.ends_with('/') && !from[end..].starts_with('$') {
        true => &plain[..plain.rfind('/').unwrap_or(0)],
        false => plain,
    };
    let prefix = whole.trim_end_matches('/');
    Some(if prefix.is_empty() { "/".to_owned() } else { prefix.to_owned() })
}

/// How a route is secured. A certificate is named by the domain that it was imported for.
pub(super) fn tls(node: &Node, report: &mut Report<'_>) -> Option<TlsMode> {
    let text = values::text(node, report)?;
    match text {
        "auto" => Some(TlsMode::Auto),
        "off" | "false" => Some(TlsMode::Off),
        other if is_name(other, b"-") => Some(TlsMode::Imported(other.to_ascii_lowercase())),
        _ => values::wrong(node, "auto, off or the name of an imported certificate", report),
    }
}

#[cfg(test)]
mod tests {
    use super::pattern;

    #[test]
    fn patterns_of_other_proxies_are_known() {
        for (text, prefix) in [
            ("^/api/.*", "/api"),
            ("/a/*", "/a"),
            ("/*", "/"),
            ("*", "/"),
            ("~ ^/x$", "/x"),
            ("= /exact", "/exact"),
            ("/users/{id}", "/users"),
            ("/api(/|$)(.*)", "/"),
            ("/v1/api(/.*)?", "/v1"),
            ("/a/b$", "/a/b"),
            ("/img/.+", "/img"),
            ("/[a-z]+/x", "/"),
        ] {
            assert_eq!(pattern(text).as_deref(), Some(prefix), "{text}");
        }
        for text in
            ["/", "/api", "/a.b/c+d", "/a(b)", "/$x", "api", "api/*", "", "/a~b", "/.well-known"]
        {
            assert_eq!(pattern(text), None, "{text}");
        }
    }
}
