//! What a node says of its end of the mesh.

use std::{fmt, net::SocketAddr, str::FromStr};

use serde::{Deserialize, Serialize};

/// A text that is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a mesh key is 64 hexadecimal digits")]
pub struct InvalidMeshKey;

/// Public half of a member's WireGuard key (Curve25519); its name in the mesh.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct MeshKey(pub [u8; 32]);

impl fmt::Display for MeshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for MeshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MeshKey({self})")
    }
}

impl FromStr for MeshKey {
    type Err = InvalidMeshKey;

    fn from_str(text: &str) -> Result<Self, InvalidMeshKey> {
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(InvalidMeshKey);
        }
        let mut key = [0; 32];
        for (byte, pair) in key.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| InvalidMeshKey)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| InvalidMeshKey)?;
        }
        Ok(Self(key))
    }
}

impl From<MeshKey> for String {
    fn from(key: MeshKey) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for MeshKey {
    type Error = InvalidMeshKey;

    fn try_from(text: String) -> Result<Self, InvalidMeshKey> {
        text.parse()
    }
}

/// How a node makes its tunnels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MeshKind {
    /// By the kernel's WireGuard.
    Kernel,
    /// By the daemon, over a TUN device.
    Userspace,
    /// Not at all: in memory, for tests.
    Fake,
}

impl MeshKind {
    /// As it is written everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Userspace => "userspace",
            Self::Fake => "fake",
        }
    }
}

impl fmt::Display for MeshKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A node's end of the mesh, as it says itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeshFacts {
    /// Its key.
    pub public_key: MeshKey,
    /// Where its tunnels end: the address other members reach it by, and the UDP port.
    pub endpoint: SocketAddr,
    /// How it makes them.
    pub device: MeshKind,
    /// Why it makes them so, where that is not what is usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_shown() {
        let key = MeshKey([0xa7; 32]);
        assert_eq!(key.to_string().parse(), Ok(key));
        assert_eq!("ab".parse::<MeshKey>(), Err(InvalidMeshKey));
        assert_eq!("é".repeat(32).parse::<MeshKey>(), Err(InvalidMeshKey));
    }
}
