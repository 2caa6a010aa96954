//! What a store holds.

use std::{fmt, str::FromStr};

use zeroize::Zeroizing;

/// A text that is no domain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a domain name: labels of letters, digits and hyphens, joined by dots")]
pub struct InvalidDomain(pub String);

/// A domain name in lower case, or a wildcard such as `*.example.com`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(String);

impl Domain {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Domain {
    type Err = InvalidDomain;

    fn from_str(text: &str) -> Result<Self, InvalidDomain> {
        let name = text.to_ascii_lowercase();
        let labels = name.strip_prefix("*.").unwrap_or(&name);
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if name.len() > 253 || !labels.split('.').all(label) {
            return Err(InvalidDomain(text.chars().take(80).collect()));
        }
        Ok(Self(name))
    }
}

/// A certificate chain and its private key, both as PEM. The key is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The leaf certificate and what leads to its root, leaf first.
    pub chain: String,
    /// The private key of the leaf; wiped when dropped.
    pub key: Zeroizing<String>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("chain", &self.chain).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_checked_and_cannot_leave_a_directory() {
        for good in ["example.com", "*.example.com", "a.b-c.d1", "localhost"] {
            assert_eq!(good.parse::<Domain>().unwrap().as_str(), good);
        }
        assert_eq!("Example.COM".parse::<Domain>().unwrap().as_str(), "example.com");
        for bad in ["", ".", "a..b", "../etc", "a/b", "*", "*.*.a", "-a.b", "a.*", "a b"] {
            assert!(bad.parse::<Domain>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_key_does_not_show() {
        let key = Zeroizing::new("very private".to_owned());
        let shown = format!("{:?}", Certificate { chain: "leaf".to_owned(), key });
        assert!(shown.contains("leaf") && !shown.contains("private"), "{shown}");
    }
}
