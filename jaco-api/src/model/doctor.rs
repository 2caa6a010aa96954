//! What a node finds when it proves its data plane. Never kept: it is looked at when somebody asks.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{NodeName, Timestamp};

macro_rules! checks {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// What is proved. The text form is stable. In the order in which one rests on another.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Check { $($(#[$doc])* $variant,)* }

        impl Check {
            /// Every check, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The stable snake_case name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
        impl FromStr for Check {
            type Err = UnknownCheck;
            fn from_str(s: &str) -> Result<Self, Self::Err> {
                match s {
                    $($text => Ok(Self::$variant),)*
                    other => Err(UnknownCheck(other.to_owned())),
                }
            }
        }
    };
}

checks! {
    /// The node answers, and knows what it must hold.
    Node = "node",
    /// The daemon may do what it must.
    Capability = "capability",
    /// The kernel can do what the network needs, and passes packets on.
    Kernel = "kernel",
    /// The container engine answers.
    Engine = "engine",
    /// The bridge of a network is there, up, and has its gateway's addresses.
    Bridge = "bridge",
    /// The kernel's rules are those that keep deployments apart.
    Rules = "rules",
    /// The mesh interface is as configured, and a peer has agreed on keys.
    Mesh = "mesh",
    /// The kernel sends what is for a block where the block is.
    Route = "route",
    /// Names are answered on the gateway of a network.
    Names = "names",
    /// Packets get to another node and back, asked from either end.
    Probe = "probe",
    /// Packets of the mesh's full size do.
    PathMtu = "path_mtu",
}

/// A check that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown check {0:?}")]
pub struct UnknownCheck(pub String);

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
impl Serialize for Check {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}
impl<'de> Deserialize<'de> for Check {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What a check came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum FindingOutcome {
    /// It is as it must be.
    Ok,
    /// It was not, and is now.
    Repaired {
        /// What was wrong.
        cause: String,
    },
    /// It is not as it must be.
    Failed {
        /// What is wrong.
        cause: String,
        /// What to do about it.
        fix: String,
    },
    /// It was not looked at.
    Skipped {
        /// Why not.
        why: String,
    },
}

/// One check of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was proved.
    pub check: Check,
    /// Of what: a network (`shop/default`), a node, an interface. Empty for the node itself.
    pub subject: String,
    /// What it came to.
    #[serde(flatten)]
    pub outcome: FindingOutcome,
}

impl Finding {
    /// It is as it must be.
    pub fn ok(check: Check, subject: impl fmt::Display) -> Self {
        Self { check, subject: subject.to_string(), outcome: FindingOutcome::Ok }
    }

    /// It is not as it must be.
    pub fn failed(
        check: Check,
        subject: impl fmt::Display,
        cause: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        let outcome = FindingOutcome::Failed { cause: cause.into(), fix: fix.into() };
        Self { check, subject: subject.to_string(), outcome }
    }

    /// It was not looked at.
    pub fn skipped(check: Check, subject: impl fmt::Display, why: impl Into<String>) -> Self {
        let outcome = FindingOutcome::Skipped { why: why.into() };
        Self { check, subject: subject.to_string(), outcome }
    }

    /// Whether something is not as it must be.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        matches!(self.outcome, FindingOutcome::Failed { .. })
    }
}

/// Everything that one node found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoctorReport {
    /// The node.
    pub node: NodeName,
    /// When it looked, by its own clock, or when it was given up.
    pub made_at: Timestamp,
    /// Every check, in their order.
    pub findings: Vec<Finding>,
}

impl DoctorReport {
    /// A report in the order of the checks.
    #[must_use]
    pub fn new(node: NodeName, made_at: Timestamp, mut findings: Vec<Finding>) -> Self {
        findings.sort_by(|a, b| (a.check, &a.subject).cmp(&(b.check, &b.subject)));
        Self { node, made_at, findings }
    }

    /// How many checks failed.
    #[must_use]
    pub fn failures(&self) -> usize {
        self.findings.iter().filter(|finding| finding.is_failed()).count()
    }
}

/// What was found after a repair, knowing what was found before it: what had failed and is as it must
/// be now was repaired.
#[must_use]
pub fn after_repair(before: &[Finding], mut after: Vec<Finding>) -> Vec<Finding> {
    for finding in &mut after {
        if finding.outcome != FindingOutcome::Ok {
            continue;
        }
        let failure = before.iter().find_map(|earlier| match &earlier.outcome {
            FindingOutcome::Failed { cause, .. }
                if (earlier.check, &earlier.subject) == (finding.check, &finding.subject) =>
            {
                Some(cause)
            }
            _ => None,
        });
        if let Some(cause) = failure {
            finding.outcome = FindingOutcome::Repaired { cause: cause.clone() };
        }
    }
    after
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_round_trips() {
        for check in Check::ALL {
            assert_eq!(check.as_str().parse::<Check>().unwrap(), *check);
        }
        "bridges".parse::<Check>().unwrap_err();
    }

    #[test]
    fn what_is_sound_after_a_failure_was_repaired_and_nothing_else_was() {
        let before = [
            Finding::failed(Check::Bridge, "shop/default", "it is missing", "make it"),
            Finding::failed(Check::Bridge, "shop/back", "it is down", "set it up"),
            Finding::skipped(Check::Names, "shop/default", "there is no gateway"),
            Finding::failed(Check::Rules, "", "a rule is missing", "load it"),
        ];
        let broken = Finding::failed(Check::Bridge, "shop/back", "it is still down", "look");
        let after = vec![
            Finding::ok(Check::Bridge, "shop/default"),
            broken.clone(),
            Finding::ok(Check::Names, "shop/default"),
            Finding::ok(Check::Mesh, "jaco0"),
        ];
        let told = after_repair(&before, after);
        let repaired = FindingOutcome::Repaired { cause: "it is missing".into() };
        assert_eq!(told[0].outcome, repaired);
        assert_eq!(told[1], broken);
        assert_eq!(told[2].outcome, FindingOutcome::Ok, "it had not failed");
        assert_eq!(told[3].outcome, FindingOutcome::Ok);
    }

    #[test]
    fn a_report_is_in_the_order_of_the_checks_and_counts_failures_alone() {
        let findings = vec![
            Finding::skipped(Check::PathMtu, "node-b", "nothing gets through"),
            Finding::failed(Check::Probe, "node-b", "no answer", "look"),
            Finding::ok(Check::Bridge, "shop/default"),
            Finding::ok(Check::Bridge, "blog/default"),
        ];
        let report = DoctorReport::new("node-a".parse().unwrap(), Timestamp(7), findings);
        let order: Vec<_> =
            report.findings.iter().map(|f| (f.check.as_str(), f.subject.as_str())).collect();
        let wanted = [
            ("bridge", "blog/default"),
            ("bridge", "shop/default"),
            ("probe", "node-b"),
            ("path_mtu", "node-b"),
        ];
        assert_eq!(order, wanted);
        assert_eq!(report.failures(), 1);
    }

    #[test]
    fn a_finding_is_flat_for_programs() {
        let finding = Finding::failed(Check::PathMtu, "node-b", "1400 is lost", "allow ICMP");
        let json = serde_json::to_string(&finding).unwrap();
        let wanted = r#"{"check":"path_mtu","subject":"node-b","outcome":"failed","cause":"1400 is lost","fix":"allow ICMP"}"#;
        assert_eq!(json, wanted);
        assert_eq!(serde_json::from_str::<Finding>(&json).unwrap(), finding);
    }
}
