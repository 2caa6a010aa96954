//! What a node says of its end of the mesh.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use super::NodeName;

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

/// A node's end of the mesh, as it is at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeshStatus {
    /// How it makes its tunnels.
    pub device: MeshKind,
    /// Why it makes them so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What its interface is called.
    pub interface: String,
    /// Its key.
    pub public_key: MeshKey,
    /// The UDP port where its tunnels end.
    pub listen_port: u16,
    /// Its address among the nodes; absent until it has been given one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// The other members that have an end of the mesh, by name.
    pub peers: Vec<MeshPeerStatus>,
}

/// How the tunnel to one other member is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeshPeerStatus {
    /// The member.
    pub node: NodeName,
    /// Its key, as the cluster knows it.
    pub public_key: MeshKey,
    /// Where its packets go now; absent until that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<SocketAddr>,
    /// Milliseconds since keys were last agreed on; absent if never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handshake_ms: Option<u64>,
    /// Bytes that came from it, with WireGuard's own.
    pub received: u64,
    /// Bytes that went to it, with WireGuard's own.
    pub sent: u64,
}

/// A node has another key in the mesh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeshKeyRotation {
    /// The node.
    pub node: NodeName,
    /// The key that it had.
    pub former: MeshKey,
    /// The key that it has now.
    pub public_key: MeshKey,
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
