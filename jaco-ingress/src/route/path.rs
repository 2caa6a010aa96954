//! Paths: the form in which they are compared, and prefixes on segment borders.

use std::{borrow::Cow, fmt::Write as _};

/// The form in which a path is compared with prefixes: each character is written in one way, `.` and `..` are followed,
/// slashes are single. Two spellings that a service takes for one path thus have one route, and a rule for `/admin`
/// holds for `/%61dmin` and `//admin`. Costs nothing if the path has this form.
#[must_use]
pub fn normal(path: &str) -> Cow<'_, str> {
    let mut before = 0;
    let odd = path.bytes().any(|byte| {
        let doubled = before == b'/' && matches!(byte, b'/' | b'.');
        before = byte;
        doubled || !is_literal(byte)
    });
    if !odd {
        return Cow::Borrowed(path);
    }
    let path = spelled(path.as_bytes());
    let mut segments: Vec<&str> = Vec::new();
    let mut ends_open = false;
    for segment in path.split('/').skip(1) {
        ends_open = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            name => segments.push(name),
        }
    }
    let mut out = String::with_capacity(path.len());
    for segment in &segments {
        out.push('/');
        out.push_str(segment);
    }
    if ends_open || out.is_empty() {
        out.push('/');
    }
    Cow::Owned(out)
}

/// What means the same with and without an escape.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// What is written without an escape: also what would mean something else with one.
fn is_literal(byte: u8) -> bool {
    is_unreserved(byte) || b"/!$&'()*+,;=:@".contains(&byte)
}

/// Each character in one way: without an escape if that means the same, else with capital digits. A `%` that begins no
/// escape is escaped, so that it cannot become the beginning of one.
fn spelled(mut path: &[u8]) -> String {
    let mut out = String::with_capacity(path.len());
    while let Some((first, rest)) = path.split_first() {
        path = rest;
        let escaped = (*first == b'%').then(|| byte_of(rest)).flatten();
        if escaped.is_some() {
            path = &rest[2..];
        }
        match escaped {
            Some(byte) if is_unreserved(byte) => out.push(char::from(byte)),
            None if is_literal(*first) => out.push(char::from(*first)),
            // Writing to a text cannot fail.
            _ => drop(write!(out, "%{:02X}", escaped.unwrap_or(*first))),
        }
    }
    out
}

/// The byte that two digits tell.
fn byte_of(digits: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*digits.get(at)?).to_digit(16);
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

/// The places where a prefix of `path` may end, longest first, none beyond `longest`: its whole length, and before
/// each of its slashes. Zero stands for `/`.
pub(super) fn borders(path: &str, longest: usize) -> impl Iterator<Item = usize> + '_ {
    let whole = (path.len() <= longest && !path.ends_with('/')).then_some(path.len());
    // A border at `at` is a slash at `at`: it may be just behind the longest prefix.
    let mut head = &path.as_bytes()[..path.len().min(longest + 1)];
    whole.into_iter().chain(std::iter::from_fn(move || {
        let at = head.iter().rposition(|b| *b == b'/')?;
        head = &head[..at];
        Some(at)
    }))
}

/// What is left of a path behind a prefix that matched it: it begins with `/`.
#[must_use]
pub fn without_prefix<'a>(path: &'a str, prefix: &str) -> &'a str {
    match path.strip_prefix(prefix.trim_end_matches('/')) {
        Some("") => "/",
        Some(rest) if rest.starts_with('/') => rest,
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_path_are_one() {
        for (spelled, plain) in [
            ("/a/b", "/a/b"),
            ("/%61/b", "/a/b"),
            ("/a//b", "/a/b"),
            ("/a/./b/", "/a/b/"),
            ("/a/../b", "/b"),
            ("/../..", "/"),
            ("/a/%2e%2E/b", "/b"),
            ("/a/..", "/"),
            ("/.hidden", "/.hidden"),
            ("/a%2fb", "/a%2Fb"),
            ("/a;b%3bc", "/a;b%3Bc"),
            ("/%c3%a9", "/%C3%A9"),
            ("/\u{e9}", "/%C3%A9"),
            ("/a\"b", "/a%22b"),
            ("/", "/"),
        ] {
            assert_eq!(normal(spelled), plain, "{spelled}");
        }
    }

    #[test]
    fn an_escape_is_not_made_of_what_was_none() {
        for (spelled, plain) in [
            ("/%zz%", "/%25zz%25"),
            ("/%%361dmin", "/%2561dmin"),
            ("/%2561dmin", "/%2561dmin"),
            ("/%+6", "/%25+6"),
        ] {
            assert_eq!(normal(spelled), plain, "{spelled}");
        }
    }

    #[test]
    fn a_prefix_is_taken_away_on_a_border() {
        assert_eq!(without_prefix("/api/x", "/api"), "/x");
        assert_eq!(without_prefix("/api", "/api"), "/");
        assert_eq!(without_prefix("/api/", "/api"), "/");
        assert_eq!(without_prefix("/apix", "/api"), "/apix");
        assert_eq!(without_prefix("/x", "/"), "/x");
    }

    #[test]
    fn borders_are_told_longest_first() {
        let all = |path, longest| borders(path, longest).collect::<Vec<_>>();
        assert_eq!(all("/a/bc", 9), [5, 2, 0]);
        assert_eq!(all("/a/bc", 5), [5, 2, 0]);
        assert_eq!(all("/a/bc", 4), [2, 0]);
        assert_eq!(all("/a/", 9), [2, 0]);
        assert_eq!(all("/a/", 0), [0]);
        assert_eq!(all("/", 9), [0]);
    }
}
