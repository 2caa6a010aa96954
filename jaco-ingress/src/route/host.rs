//! Names of hosts, as routes and requests write them.

use std::borrow::Cow;

/// A domain of a route that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no domain, no wildcard such as `*.example.com`, and not empty")]
pub struct InvalidHost(pub String);

/// What the domain of a route matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pattern {
    /// Every name.
    Any,
    /// This name.
    Exact(String),
    /// Every name with one label before this one.
    Wildcard(String),
}

impl Pattern {
    pub(super) fn parse(domain: &str) -> Result<Self, InvalidHost> {
        if domain.is_empty() {
            return Ok(Self::Any);
        }
        let invalid = || InvalidHost(domain.chars().take(80).collect());
        let name = domain.to_ascii_lowercase();
        let (name, wildcard) = match name.strip_prefix("*.") {
            Some(parent) => (parent.to_owned(), true),
            None => (name, false),
        };
        // An address is a name too: a cluster without DNS is served by it.
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        let label = |l: &str| (1..=63).contains(&l.len()) && l.bytes().all(legal);
        if name.len() > 253 || !name.split('.').all(label) {
            return Err(invalid());
        }
        Ok(if wildcard { Self::Wildcard(name) } else { Self::Exact(name) })
    }
}

/// The name in an authority such as `Shop.Example.com:8080`: lower case, without port and final dot. `None` if it
/// is no authority of HTTP: user information, spaces, an empty name.
#[must_use]
pub fn host_of(authority: &str) -> Option<Cow<'_, str>> {
    let name = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            let _: std::net::Ipv6Addr = address.parse().ok()?;
            if !(port.is_empty() || port.strip_prefix(':').is_some_and(is_port)) {
                return None;
            }
            address
        }
        None => match authority.split_once(':') {
            Some((name, port)) => is_port(port).then_some(name)?,
            None => authority,
        },
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    let (mut before, mut capitals) = (b'.', false);
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b':' => {}
            b'A'..=b'Z' => capitals = true,
            b'.' if before != b'.' => {}
            // A name with an empty label is nobody's.
            _ => return None,
        }
        before = byte;
    }
    if name.len() > 253 || before == b'.' {
        return None;
    }
    Some(if capitals { Cow::Owned(name.to_ascii_lowercase()) } else { Cow::Borrowed(name) })
}

fn is_port(text: &str) -> bool {
    text.len() <= 5 && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_brought_to_its_name() {
        assert_eq!(host_of("Shop.Example.com:8080").as_deref(), Some("shop.example.com"));
        assert_eq!(host_of("shop.example.com.").as_deref(), Some("shop.example.com"));
        assert_eq!(host_of("[::1]:80").as_deref(), Some("::1"));
        assert_eq!(host_of("127.0.0.1").as_deref(), Some("127.0.0.1"));
        for bad in [
            "", ":80", "a b", "user@a", "a:b", "a/b", "[::1", "[x]", "[::1]x", "a:1:2", ".", "a..",
            ".a", "a..b",
        ] {
            assert_eq!(host_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_wildcard_is_only_the_first_label() {
        assert_eq!(Pattern::parse("*.A.test"), Ok(Pattern::Wildcard("a.test".into())));
        for bad in ["*", "a.*.test", "*.*.test", "*a.test", "a..test", "a b"] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }
}
