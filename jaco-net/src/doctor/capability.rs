//! Whether this process may do what the data plane needs.

use jaco_api::model::{Check, Finding};
use rustix::thread::{CapabilitySet, capabilities};

/// What is needed, with what for.
const NEEDED: [(CapabilitySet, &str); 2] = [
    (CapabilitySet::NET_ADMIN, "CAP_NET_ADMIN (rules, interfaces, routes)"),
    (CapabilitySet::NET_BIND_SERVICE, "CAP_NET_BIND_SERVICE (port 53 of the gateways)"),
];

/// Looks at this thread; the daemon gives none of its threads other capabilities.
pub(super) fn look(needed: bool) -> Finding {
    if !needed {
        return Finding::skipped(
            Check::Capability,
            "",
            "this node has neither a firewall nor a mesh",
        );
    }
    match capabilities(None) {
        Ok(sets) => judge(sets.effective),
        Err(error) => {
            let cause = format!("the kernel does not say what this process may do: {error}");
            Finding::failed(
                Check::Capability,
                "",
                cause,
                "look into the log of the kernel (`dmesg`)",
            )
        }
    }
}

fn judge(effective: CapabilitySet) -> Finding {
    let missing: Vec<_> = NEEDED
        .iter()
        .filter(|(needed, _)| !effective.contains(*needed))
        .map(|(_, name)| *name)
        .collect();
    if missing.is_empty() {
        return Finding::ok(Check::Capability, "");
    }
    let cause = format!("jacod runs without {}", missing.join(" and "));
    let fix = "run it as root, or with the capabilities of the unit that is shipped (`systemctl cat jaco`)";
    Finding::failed(Check::Capability, "", cause, fix)
}

#[cfg(test)]
mod tests {
    use jaco_api::model::FindingOutcome;

    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(judge(CapabilitySet::all()).outcome, FindingOutcome::Ok);
        let judged = judge(CapabilitySet::NET_BIND_SERVICE | CapabilitySet::CHOWN);
        let FindingOutcome::Failed { cause, .. } = judged.outcome else { panic!("{judged:?}") };
        assert_eq!(cause, "jacod runs without CAP_NET_ADMIN (rules, interfaces, routes)");
        assert_eq!(
            look(false).outcome,
            FindingOutcome::Skipped { why: "this node has neither a firewall nor a mesh".into() }
        );
    }
}
