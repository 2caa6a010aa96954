//! When the network of a node counts as proved. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jaco_api::model::{Check, Finding, FindingOutcome, NodeName};

/// What of these findings keeps the node from being ready, in words; nothing when its network is proved.
///
/// What is on the node itself must hold, all of it. Of the ways to other members, those to a majority of
/// the cluster must: one member that nobody reaches must not keep those from coming back that restart.
/// `peers` are the other members, and whether they are heard of; nobody waits for a dead one.
pub(crate) fn outstanding(
    findings: &[Finding],
    peers: &BTreeMap<NodeName, bool>,
) -> Option<String> {
    let peer = |finding: &Finding| {
        let between_nodes = matches!(finding.check, Check::Mesh | Check::Probe | Check::PathMtu);
        let name = NodeName::new(&finding.subject).ok().filter(|_| between_nodes)?;
        peers.get_key_value(&name).map(|(name, heard_of)| (name, *heard_of))
    };
    let failed = || findings.iter().filter(|finding| finding.is_failed());
    if let Some(own) = failed().find(|finding| peer(finding).is_none()) {
        return Some(words(own));
    }
    let members = 1 + peers.values().filter(|heard_of| **heard_of).count();
    let missed: BTreeSet<_> =
        failed().filter_map(peer).filter(|(_, heard_of)| *heard_of).map(|(name, _)| name).collect();
    if 2 * (members - missed.len()) > members {
        return None;
    }
    failed().find(|finding| peer(finding).is_some_and(|(_, heard_of)| heard_of)).map(words)
}

fn words(finding: &Finding) -> String {
    let FindingOutcome::Failed { cause, fix } = &finding.outcome else { return String::new() };
    let of = if finding.subject.is_empty() { "" } else { " of " };
    format!("{}{of}{}: {cause}; {fix}", finding.check.as_str(), finding.subject)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(all: &[(&str, bool)]) -> BTreeMap<NodeName, bool> {
        all.iter().map(|(name, heard_of)| (name.parse().unwrap(), *heard_of)).collect()
    }

    fn failed(check: Check, subject: &str) -> Finding {
        Finding::failed(check, subject, "it is gone", "look for it")
    }

    #[test]
    fn everything_on_the_node_itself_must_hold() {
        let none = peers(&[]);
        let sound = [Finding::ok(Check::Rules, ""), Finding::skipped(Check::Names, "", "none")];
        assert_eq!(outstanding(&sound, &none), None);
        for (finding, expected) in [
            (failed(Check::Rules, ""), "rules: it is gone; look for it"),
            (failed(Check::Bridge, "a/default"), "bridge of a/default: it is gone; look for it"),
            (failed(Check::Mesh, "jaco0"), "mesh of jaco0: it is gone; look for it"),
            (failed(Check::Route, "b"), "route of b: it is gone; look for it"),
        ] {
            let found = [Finding::ok(Check::Kernel, ""), finding];
            let three = peers(&[("b", true), ("c", true)]);
            assert_eq!(outstanding(&found, &three).as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_majority_of_those_that_live_must_be_reached() {
        let (probe, mtu) = (|name| failed(Check::Probe, name), |name| failed(Check::PathMtu, name));
        for (peers, findings, proved) in [
            (peers(&[("b", true)]), vec![probe("b")], false),
            (peers(&[("b", false)]), vec![probe("b")], true),
            (peers(&[("b", true), ("c", true)]), vec![probe("b")], true),
            (peers(&[("b", true), ("c", true)]), vec![probe("b"), mtu("b")], true),
            (peers(&[("b", true), ("c", true)]), vec![probe("b"), mtu("c")], false),
            (peers(&[("b", true), ("c", false)]), vec![probe("b")], false),
            (peers(&[("b", true), ("c", true), ("d", true)]), vec![probe("b"), mtu("c")], false),
        ] {
            let found = outstanding(&findings, &peers);
            assert_eq!(found.is_none(), proved, "{findings:?} of {peers:?}: {found:?}");
        }
    }
}
