//! Whether the kernel sends packets where their blocks are.

use std::net::IpAddr;

use ipnet::IpNet;
use jaco_api::model::{Check, Finding};

use super::{Seen, Wanted, few};
use crate::{InterfaceName, NetError};

/// Where the kernel sends what is for one prefix.
struct Way {
    prefix: IpNet,
    /// The interface; `None` if it sends it nowhere.
    through: Option<String>,
}

/// Asks the kernel for every block of this node and every prefix of every peer.
pub(super) async fn look(wanted: &Wanted, seen: &Seen) -> Result<Vec<Finding>, NetError> {
    let mut findings = Vec::new();
    for (name, bridge) in &wanted.bridges {
        if !seen.links.contains_key(name) {
            let why = format!("its bridge {name} is missing");
            findings.push(Finding::skipped(Check::Route, &bridge.scope, why));
            continue;
        }
        let samples =
            bridge.blocks.iter().map(|(block, gateway)| (*block, sample(*block, Some(*gateway))));
        let ways = ways(seen, samples).await?;
        findings.push(judge(&bridge.scope, name, &ways));
    }
    let Some(mesh) = &wanted.mesh else { return Ok(findings) };
    for (key, peer) in &mesh.peers {
        if !seen.links.contains_key(&mesh.interface) {
            let why = format!("the mesh interface {} is missing", mesh.interface);
            findings.push(Finding::skipped(Check::Route, &peer.name, why));
            continue;
        }
        let allowed = mesh.config.peers.get(key).into_iter().flat_map(|peer| &peer.allowed);
        let ways = ways(seen, allowed.map(|prefix| (*prefix, sample(*prefix, None)))).await?;
        findings.push(judge(&peer.name, &mesh.interface, &ways));
    }
    Ok(findings)
}

async fn ways(
    seen: &Seen,
    samples: impl Iterator<Item = (IpNet, IpAddr)>,
) -> Result<Vec<Way>, NetError> {
    let mut ways = Vec::new();
    for (prefix, address) in samples {
        let through = match seen.kernel.way(address).await? {
            Some(index) => seen.kernel.at(index).await?.map(|link| link.name),
            None => None,
        };
        ways.push(Way { prefix, through });
    }
    Ok(ways)
}

/// An address of the prefix that a container may have.
fn sample(prefix: IpNet, gateway: Option<IpAddr>) -> IpAddr {
    prefix.hosts().find(|address| Some(*address) != gateway).unwrap_or(prefix.network())
}

/// All of them must lead through `interface`.
fn judge(subject: impl std::fmt::Display, interface: &InterfaceName, ways: &[Way]) -> Finding {
    let wrong: Vec<_> =
        ways.iter().filter(|way| way.through.as_deref() != Some(interface.as_str())).collect();
    let Some(first) = wrong.first() else { return Finding::ok(Check::Route, subject) };
    let words = wrong.iter().map(|way| match &way.through {
        None => format!("there is no route to {}", way.prefix),
        Some(other) => format!("{} leads through {other} instead of {interface}", way.prefix),
    });
    let fix = match &first.through {
        None => format!(
            "the repair makes it again; if it goes again, `ip monitor route` says who removes it. By hand: \
             `ip route add {} dev {interface}`",
            first.prefix
        ),
        Some(other) => format!(
            "remove the route of {other} that takes these packets (`ip route get {}`), or give the cluster other \
             `address_pools`",
            sample(first.prefix, None)
        ),
    };
    Finding::failed(Check::Route, subject, few(words.collect()), fix)
}

#[cfg(test)]
mod tests {
    use jaco_api::model::FindingOutcome;

    use super::*;

    #[test]
    fn a_sample_is_an_address_of_a_container() {
        let of = |prefix: &str, gateway: Option<&str>| {
            sample(prefix.parse().unwrap(), gateway.map(|g| g.parse().unwrap())).to_string()
        };
        assert_eq!(of("10.244.0.0/24", Some("10.244.0.1")), "10.244.0.2");
        assert_eq!(of("10.244.0.0/24", None), "10.244.0.1");
        assert_eq!(of("10.243.0.2/32", None), "10.243.0.2");
        assert_eq!(of("fd00:1::/64", Some("fd00:1::")), "fd00:1::1");
    }

    #[test]
    fn a_way_that_is_missing_and_one_that_leads_elsewhere_are_told_apart() {
        let way = |prefix: &str, through: Option<&str>| Way {
            prefix: prefix.parse().unwrap(),
            through: through.map(str::to_owned),
        };
        let mesh = "jaco0".parse().unwrap();
        let judged = |ways: &[Way]| judge("node-b", &mesh, ways).outcome;
        assert_eq!(judged(&[way("10.244.1.0/24", Some("jaco0"))]), FindingOutcome::Ok);
        assert_eq!(judged(&[]), FindingOutcome::Ok);
        let FindingOutcome::Failed { cause, fix } =
            judged(&[way("10.243.0.2/32", Some("jaco0")), way("10.244.1.0/24", Some("eth0"))])
        else {
            panic!("it leads elsewhere");
        };
        assert_eq!(cause, "10.244.1.0/24 leads through eth0 instead of jaco0");
        assert!(fix.contains("eth0") && fix.contains("10.244.1.1"), "{fix}");
        let FindingOutcome::Failed { cause, fix } = judged(&[way("10.244.1.0/24", None)]) else {
            panic!("there is no way");
        };
        assert_eq!(cause, "there is no route to 10.244.1.0/24");
        assert!(fix.contains("ip route add 10.244.1.0/24 dev jaco0"), "{fix}");
    }
}
