//! Whether the bridge of a network is there. Pure.

use ipnet::IpNet;
use jaco_api::model::{Check, Finding};

use super::{SeenLink, few};
use crate::{Bridge, InterfaceName};

/// There, up, and with the addresses of its gateway.
pub(super) fn judge(name: &InterfaceName, wanted: &Bridge, seen: Option<&SeenLink>) -> Finding {
    let failed =
        |cause: String, fix: String| Finding::failed(Check::Bridge, &wanted.scope, cause, fix);
    let Some(seen) = seen else {
        let deployment = &wanted.scope.deployment;
        let fix = format!(
            "if the repair does not help, `jaco stop {deployment}` and `jaco start {deployment}` make its networks anew; \
             `ip monitor link` says who deletes {name}"
        );
        return failed(format!("there is no interface {name}"), fix);
    };
    let mut wrong = Vec::new();
    let mut fix = Vec::new();
    if !seen.up {
        wrong.push(format!("{name} is down"));
        fix.push(format!("`ip link set {name} up`"));
    }
    let gateways = wanted
        .blocks
        .iter()
        .filter_map(|(block, gateway)| IpNet::new(*gateway, block.prefix_len()).ok());
    for gateway in gateways.filter(|gateway| !seen.addresses.contains(gateway)) {
        wrong.push(format!("{name} does not have its gateway's address {gateway}"));
        fix.push(format!("`ip address add {gateway} dev {name}`"));
    }
    if wrong.is_empty() {
        return Finding::ok(Check::Bridge, &wanted.scope);
    }
    failed(few(wrong), format!("{}; `ip monitor` says who changes it", fix.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let name: InterfaceName = "jaco-a".parse().unwrap();
        let bridge = Bridge {
            scope: "shop/default".parse().unwrap(),
            blocks: [("10.244.0.0/24".parse().unwrap(), "10.244.0.1".parse().unwrap())].into(),
            internal: false,
            host_access: false,
        };
        let link = |up, addresses: &[&str]| SeenLink {
            index: 7,
            up,
            addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(),
        };
        let cause = |seen: Option<&SeenLink>| match judge(&name, &bridge, seen).outcome {
            jaco_api::model::FindingOutcome::Failed { cause, fix } => {
                assert!(fix.contains("jaco-a"), "{fix}");
                cause
            }
            other => format!("{other:?}"),
        };
        assert_eq!(cause(Some(&link(true, &["10.244.0.1/24", "fe80::1/64"]))), "Ok");
        assert_eq!(cause(None), "there is no interface jaco-a");
        assert_eq!(cause(Some(&link(false, &["10.244.0.1/24"]))), "jaco-a is down");
        // Another length is another network.
        let without = "jaco-a does not have its gateway's address 10.244.0.1/24";
        assert_eq!(cause(Some(&link(true, &["10.244.0.1/16"]))), without);
        assert_eq!(cause(Some(&link(false, &[]))), format!("jaco-a is down; {without}"));
    }
}
