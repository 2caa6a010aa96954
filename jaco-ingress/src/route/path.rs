//! Paths: the form in which they are compared, and prefixes on segment borders.

use std::borrow::Cow;

/// The form in which a path is compared with prefixes: what need not be escaped is not, `.` and `..` are followed,
/// slashes are single. Two spellings that a service takes for one path thus have one route, and a rule for `/admin`
/// holds for `/%61dmin` and `//admin`. Costs nothing if the path has this form.
#[must_use]
pub fn normal(path: &str) -> Cow<'_, str> {
    let odd = path.contains('%') || path.contains("//") || path.contains("/.");
    if !odd {
        return Cow::Borrowed(path);
    }
    let path = unescaped(path);
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

/// Decodes the escapes of characters that mean the same without.
fn unescaped(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let decoded = rest
            .get(at + 1..at + 3)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok())
            .filter(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~'));
        match decoded {
            Some(byte) => {
                out.push(char::from(byte));
                rest = &rest[at + 3..];
            }
            None => {
                out.push('%');
                rest = &rest[at + 1..];
            }
        }
    }
    out.push_str(rest);
    out
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
            ("/a%2Fb%zz%", "/a%2Fb%zz%"),
            ("/%c3%a9", "/%c3%a9"),
            ("/", "/"),
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
