//! Names of network interfaces, checked.

use std::{fmt, str::FromStr};

/// The name of a network interface of this node: one that the kernel takes and that means nothing
/// else to anybody who reads it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceName(Box<str>);

/// A text that is no interface name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no interface name: 1 to 15 letters, digits, dots, underscores and hyphens")]
pub struct InvalidInterfaceName(String);

/// `IFNAMSIZ` less its closing zero.
const LONGEST: usize = 15;

impl InterfaceName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InterfaceName {
    type Err = InvalidInterfaceName;

    fn from_str(text: &str) -> Result<Self, InvalidInterfaceName> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let fits = (1..=LONGEST).contains(&text.len()) && text.bytes().all(plain);
        // The kernel refuses these two: they are directories of its listing.
        if fits && text != "." && text != ".." {
            Ok(Self(text.into()))
        } else {
            Err(InvalidInterfaceName(text.chars().take(40).collect()))
        }
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_more_than_a_name_is_refused() {
        for name in ["jaco0", "jaco-0123456789", "eth0.100", "br_1"] {
            assert_eq!(name.parse::<InterfaceName>().unwrap().as_str(), name);
        }
        for text in ["", ".", "..", "jaco*", "a b", "a\"", "a;b", "a/b", "äb", "0123456789abcdef"]
        {
            text.parse::<InterfaceName>().unwrap_err();
        }
    }
}
