//! Names and identifiers. A value of one of these types has already been checked.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Why a name or identifier was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {value:?} {problem}")]
pub struct InvalidName {
    /// The kind of name, for example `deployment name`.
    pub what: &'static str,
    /// The refused text, cut to 80 characters.
    pub value: String,
    /// What is wrong with it, as the end of a sentence.
    pub problem: String,
}

impl InvalidName {
    pub(crate) fn new(what: &'static str, value: &str, problem: impl Into<String>) -> Self {
        Self { what, value: value.chars().take(80).collect(), problem: problem.into() }
    }
}

/// Checks a DNS label (RFC 1123): lowercase letters, digits and inner hyphens.
fn dns_label(what: &'static str, s: &str, max: usize) -> Result<(), InvalidName> {
    let fail = |p: &str| Err(InvalidName::new(what, s, p));
    if s.is_empty() {
        return fail("is empty");
    }
    if s.len() > max {
        return fail(&format!("is longer than {max} characters"));
    }
    if !s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        return fail("may hold only lowercase letters, digits and hyphens");
    }
    if s.starts_with('-') || s.ends_with('-') {
        return fail("must start and end with a letter or digit");
    }
    Ok(())
}

/// Checks a Compose identifier: `[a-zA-Z0-9][a-zA-Z0-9._-]*`.
fn compose_name(what: &'static str, s: &str, max: usize) -> Result<(), InvalidName> {
    let fail = |p: &str| Err(InvalidName::new(what, s, p));
    if s.is_empty() {
        return fail("is empty");
    }
    if s.len() > max {
        return fail(&format!("is longer than {max} characters"));
    }
    if !s.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) {
        return fail("may hold only letters, digits, dots, underscores and hyphens");
    }
    if !s.as_bytes()[0].is_ascii_alphanumeric() {
        return fail("must start with a letter or digit");
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// Checks `value` and makes it a name.
            ///
            /// # Errors
            /// [`InvalidName`] says which rule the text breaks.
            pub fn new(value: impl AsRef<str>) -> Result<Self, InvalidName> {
                let value = value.as_ref();
                let check: fn(&'static str, &str) -> Result<(), InvalidName> = $check;
                check($what, value)?;
                Ok(Self(value.into()))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(s: &str) -> Result<Self, InvalidName> {
                Self::new(s)
            }
        }
        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(s: String) -> Result<Self, InvalidName> {
                Self::new(s)
            }
        }
        impl From<$name> for String {
            fn from(n: $name) -> String {
                n.0.as_ref().to_owned()
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                &*self.0 == other
            }
        }
        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                &*self.0 == *other
            }
        }
    };
}

name! {
    /// Name of a deployment: a DNS label of at most 40 characters, unique in the cluster.
    DeploymentName, "deployment name", |w, s| dns_label(w, s, 40)
}
name! {
    /// Name of a service inside its deployment, as Compose allows it, at most 63 characters.
    ServiceName, "service name", |w, s| compose_name(w, s, 63)
}
name! {
    /// Key of a network in the compose file; `default` is the implicit one.
    NetworkName, "network name", |w, s| compose_name(w, s, 63)
}
name! {
    /// Key of a volume in the compose file.
    VolumeName, "volume name", |w, s| compose_name(w, s, 63)
}
name! {
    /// Name of a secret or config of the cluster, as Compose allows it, at most 64 characters.
    FileName, "name of a secret or config", |w, s| compose_name(w, s, 64)
}
name! {
    /// Name of a node: a DNS label of at most 63 characters that is not a number.
    NodeName, "node name", |w, s| {
        dns_label(w, s, 63)?;
        if s.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidName::new(w, s, "must not be a number"));
        }
        Ok(())
    }
}
name! {
    /// Name of whoever may act on the cluster: of an operator token, or `local`.
    Identity, "identity", |w, s| compose_name(w, s, 63)
}

impl Identity {
    /// The identity of callers on the local unix socket.
    #[must_use]
    pub fn local() -> Self {
        Self("local".into())
    }
    /// The identity of what the cluster does by itself.
    #[must_use]
    pub fn system() -> Self {
        Self("system".into())
    }
}

impl NetworkName {
    /// The network a service joins when it names none.
    #[must_use]
    pub fn default_network() -> Self {
        Self("default".into())
    }
}

/// Number of a node in the raft group: assigned once, never reused.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct NodeId(pub u64);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Identity of a cluster, chosen at init.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClusterId(pub uuid::Uuid);

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ClusterId {
    type Err = InvalidName;
    fn from_str(s: &str) -> Result<Self, InvalidName> {
        uuid::Uuid::parse_str(s)
            .map(Self)
            .map_err(|_| InvalidName::new("cluster id", s, "is not a UUID"))
    }
}

/// Position of a replica in its service: a number that is never reused, or, for a `global`
/// service, the node it runs on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// The n-th replica the service ever had, from 1.
    Index(u32),
    /// The replica of a global service on this node.
    Node(NodeName),
}

impl Slot {
    /// The number of a numbered replica.
    #[must_use]
    pub fn index(&self) -> Option<u32> {
        match self {
            Self::Index(index) => Some(*index),
            Self::Node(_) => None,
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(i) => i.fmt(f),
            Self::Node(n) => n.fmt(f),
        }
    }
}

/// Identifier of a replica, written `<deployment>.<service>.<index or node>`.
///
/// Neither deployment nor slot can hold a dot, so the text form is unambiguous even when the
/// service name has dots.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReplicaId {
    /// The deployment.
    pub deployment: DeploymentName,
    /// The service in it.
    pub service: ServiceName,
    /// Which of the service's replicas.
    pub slot: Slot,
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{}.{}", self.deployment, self.service, self.slot))
    }
}
impl fmt::Debug for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl FromStr for ReplicaId {
    type Err = InvalidName;
    fn from_str(s: &str) -> Result<Self, InvalidName> {
        let bad = || {
            InvalidName::new("replica id", s, "is not of the form <deployment>.<service>.<index>")
        };
        let (deployment, rest) = s.split_once('.').ok_or_else(bad)?;
        let (service, slot) = rest.rsplit_once('.').ok_or_else(bad)?;
        let slot = match slot.parse::<u32>() {
            Ok(i) if i > 0 && !slot.starts_with('+') && !slot.starts_with('0') => Slot::Index(i),
            _ => Slot::Node(slot.parse()?),
        };
        Ok(Self { deployment: deployment.parse()?, service: service.parse()?, slot })
    }
}
impl TryFrom<String> for ReplicaId {
    type Error = InvalidName;
    fn try_from(s: String) -> Result<Self, InvalidName> {
        s.parse()
    }
}
impl From<ReplicaId> for String {
    fn from(id: ReplicaId) -> String {
        id.to_string()
    }
}

/// SHA-256 of a canonical document; two equal documents have the same digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(bytes).into())
    }
    /// The first 12 hexadecimal digits, for people.
    #[must_use]
    pub fn short(&self) -> String {
        hex::encode(&self.0[..6])
    }
}
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}
impl FromStr for Digest {
    type Err = InvalidName;
    fn from_str(s: &str) -> Result<Self, InvalidName> {
        let mut out = [0; 32];
        hex::decode_to_slice(s, &mut out)
            .map_err(|_| InvalidName::new("digest", s, "is not 64 hexadecimal digits"))?;
        Ok(Self(out))
    }
}
impl TryFrom<String> for Digest {
    type Error = InvalidName;
    fn try_from(s: String) -> Result<Self, InvalidName> {
        s.parse()
    }
}
impl From<Digest> for String {
    fn from(d: Digest) -> String {
        d.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replica_ids_round_trip_with_dots_in_the_service() {
        for text in ["shop.web.1", "shop.my.svc.12", "shop.agent.node-a", "a.b.7b"] {
            assert_eq!(text.parse::<ReplicaId>().unwrap().to_string(), text);
        }
        for text in ["shop", "shop.web", "shop.web.0", "shop.web.01", "shop..1", "Shop.web.1"] {
            assert!(text.parse::<ReplicaId>().is_err(), "{text}");
        }
    }

    #[test]
    fn names_refuse_what_dns_and_compose_refuse() {
        assert!(DeploymentName::new("a".repeat(40)).is_ok());
        assert!(DeploymentName::new("a".repeat(41)).is_err());
        assert!(DeploymentName::new("-a").is_err());
        assert!(NodeName::new("42").is_err());
        assert!(ServiceName::new("My_svc.1").is_ok());
        assert!(ServiceName::new(".x").is_err());
    }
}
