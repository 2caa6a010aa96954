//! Placement constraints as Compose and Swarm write them: `node.labels.disk == ssd`.

use std::fmt;

use jaco_api::model::Node;

/// What of a node a constraint looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject<'a> {
    /// A label.
    Label(&'a str),
    /// The node's name.
    Hostname,
    /// The node's number.
    Id,
    /// Operating system of its engine.
    Os,
    /// Architecture of its engine.
    Arch,
}

/// A constraint that could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Constraint<'a> {
    /// What it looks at.
    pub subject: Subject<'a>,
    /// True for `==`, false for `!=`.
    pub equal: bool,
    /// The value it compares with.
    pub value: &'a str,
}

impl<'a> Constraint<'a> {
    /// Reads a constraint; absent when it is none that is known.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let (left, equal, value) = match (text.split_once("=="), text.split_once("!=")) {
            (Some((left, value)), _) => (left, true, value),
            (None, Some((left, value))) => (left, false, value),
            (None, None) => return None,
        };
        let (left, value) = (left.trim(), value.trim());
        let subject = match left {
            "node.hostname" => Subject::Hostname,
            "node.id" => Subject::Id,
            "node.platform.os" => Subject::Os,
            "node.platform.arch" => Subject::Arch,
            _ => Subject::Label(left.strip_prefix("node.labels.").filter(|l| !l.is_empty())?),
        };
        (!value.is_empty()).then_some(Self { subject, equal, value })
    }

    /// Whether a node satisfies it. A label that is absent equals nothing.
    #[must_use]
    pub fn holds(&self, node: &Node) -> bool {
        let (os, arch) = platform(&node.facts.platform);
        let same = match self.subject {
            Subject::Label(key) => node.labels.get(key).is_some_and(|v| v == self.value),
            Subject::Hostname => node.name == self.value,
            Subject::Id => self.value.parse() == Ok(node.id.0),
            Subject::Os => os.eq_ignore_ascii_case(self.value),
            Subject::Arch => canonical_arch(arch) == canonical_arch(self.value),
        };
        same == self.equal
    }
}

impl fmt::Display for Constraint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.subject {
            Subject::Label(key) => write!(f, "node.labels.{key}"),
            Subject::Hostname => f.write_str("node.hostname"),
            Subject::Id => f.write_str("node.id"),
            Subject::Os => f.write_str("node.platform.os"),
            Subject::Arch => f.write_str("node.platform.arch"),
        }?;
        write!(f, " {} {}", if self.equal { "==" } else { "!=" }, self.value)
    }
}

/// Whether an image for `wanted` (`linux/arm64`, `linux/arm/v7`) runs on a node of `platform`. What
/// a node does not say is not held against it.
#[must_use]
pub fn runs_on(wanted: &str, node_platform: &str) -> bool {
    if node_platform.is_empty() {
        return true;
    }
    let ((want_os, want_arch), (os, arch)) = (platform(wanted), platform(node_platform));
    want_os.eq_ignore_ascii_case(os)
        && (want_arch.is_empty() || canonical_arch(want_arch) == canonical_arch(arch))
}

/// Operating system and architecture of `linux/arm64/v8`.
fn platform(text: &str) -> (&str, &str) {
    let mut parts = text.split('/');
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

/// Docker's name of an architecture, also when the kernel's was written.
fn canonical_arch(arch: &str) -> &str {
    match arch {
        "x86_64" | "x86-64" => "amd64",
        "aarch64" => "arm64",
        "armv7l" | "armv6l" | "armhf" => "arm",
        "i386" | "i686" | "x86" => "386",
        other => other,
    }
}
