//! What differs between the bridges that are wanted and those that there are. Pure.

use std::collections::BTreeMap;

use rtnetlink::packet_route::link::InfoKind;

use super::{
    BridgeChange, BridgeLink,
    seen::{Seen, View},
};
use crate::InterfaceName;

/// Reverse path filtering that takes a source which any interface leads to.
pub(super) const LOOSE: &str = "2";

/// What the engine had made and is not there, in the order in which it is put right: a bridge comes up
/// when it has everything, so that what it tells its neighbours then is whole.
pub(super) fn damage(wanted: &[BridgeLink], view: &View) -> Vec<(InterfaceName, BridgeChange)> {
    wanted.iter().flat_map(|b| of(b, view).into_iter().map(|c| (b.name.clone(), c))).collect()
}

fn of(bridge: &BridgeLink, view: &View) -> Vec<BridgeChange> {
    let there = view.named(bridge.name.as_str());
    if there.is_some_and(|seen| seen.kind != Some(InfoKind::Bridge)) {
        return Vec::new();
    }
    let has = there.and_then(|seen| view.addresses.get(&seen.index));
    let missing = bridge.addresses.iter().filter(|a| !has.is_some_and(|has| has.contains(*a)));
    let mut changes: Vec<_> =
        there.is_none().then_some(BridgeChange::Missing).into_iter().collect();
    changes.extend(missing.copied().map(BridgeChange::Address));
    let belongs = |stray: &&Seen| {
        let behind = view.behind.get(&stray.index);
        let within = |block: &ipnet::IpNet| {
            behind.is_some_and(|held| held.iter().any(|own| block.contains(&own.addr())))
        };
        bridge.addresses.iter().any(within)
    };
    let ports = view.strays().filter(belongs).map(|stray| BridgeChange::Port(stray.name.clone()));
    changes.extend(ports);
    changes.extend((!there.is_some_and(|seen| seen.up)).then_some(BridgeChange::Down));
    changes
}

/// Bridges that were made here, have no ports and are not wanted, by their numbers.
pub(super) fn orphans(wanted: &[BridgeLink], view: &View) -> Vec<u32> {
    let kept = |link: &Seen| wanted.iter().any(|bridge| bridge.name.as_str() == link.name);
    let used = |link: &Seen| view.links.iter().any(|port| port.master == Some(link.index));
    let made = view.links.iter().filter(|l| l.marked && l.kind == Some(InfoKind::Bridge));
    made.filter(|link| !kept(link) && !used(link)).map(|link| link.index).collect()
}

/// What the engine does not set. `filters` holds the reverse path filtering of each bridge that has one.
pub(super) fn unsettled(
    wanted: &[BridgeLink],
    view: &View,
    filters: &BTreeMap<InterfaceName, String>,
) -> Vec<(InterfaceName, BridgeChange)> {
    let mut changes = Vec::new();
    for bridge in wanted {
        let there = view.named(bridge.name.as_str());
        let Some(there) = there.filter(|seen| seen.kind == Some(InfoKind::Bridge)) else {
            continue;
        };
        if filters.get(&bridge.name).is_some_and(|filter| filter != LOOSE) {
            changes.push((bridge.name.clone(), BridgeChange::Filter));
        }
        let ports = view.links.iter().filter(|l| l.master == Some(there.index));
        let off = ports.filter(|port| port.hairpin == Some(false));
        changes.extend(off.map(|p| (bridge.name.clone(), BridgeChange::Hairpin(p.name.clone()))));
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(name: &str, address: &str) -> BridgeLink {
        let addresses = [address.parse().unwrap()].into();
        BridgeLink { name: name.parse().unwrap(), addresses }
    }

    fn bridge(index: u32, name: &str) -> Seen {
        let kind = Some(InfoKind::Bridge);
        Seen { index, name: name.to_owned(), kind, up: true, ..Seen::default() }
    }

    fn veth(index: u32, master: Option<u32>) -> Seen {
        Seen {
            index,
            name: format!("veth{index}"),
            kind: Some(InfoKind::Veth),
            up: true,
            marked: false,
            master,
            hairpin: master.map(|_| false),
            peer: Some((2, 0)),
        }
    }

    /// Of `a` everything is there, of `b` nothing but its containers, one of which is `other`'s.
    fn view() -> View {
        let links = vec![
            bridge(3, "jaco-a"),
            veth(4, Some(3)),
            veth(5, None),
            veth(6, None),
            bridge(7, "other"),
            veth(8, Some(7)),
            veth(9, None),
        ];
        let mut view = View { links, ..View::default() };
        view.addresses.insert(3, ["10.244.0.1/24".parse().unwrap()].into());
        let behind =
            [(4, "10.244.0.2/24"), (5, "10.244.1.2/24"), (8, "10.244.1.3/24"), (9, "10.99.0.2/24")];
        for (index, address) in behind {
            view.behind.insert(index, [address.parse().unwrap()].into());
        }
        view
    }

    fn said(changes: &[(InterfaceName, BridgeChange)]) -> Vec<String> {
        changes.iter().map(|(name, change)| format!("{name}: {change}")).collect()
    }

    #[test]
    fn a_bridge_that_is_gone_gets_back_what_belongs_to_it_and_nothing_else() {
        let all = [wanted("jaco-a", "10.244.0.1/24"), wanted("jaco-b", "10.244.1.1/24")];
        let expected = [
            "jaco-b: it was missing",
            "jaco-b: it had no address 10.244.1.1/24",
            "jaco-b: veth5 was not its port",
            "jaco-b: it was down",
        ];
        assert_eq!(said(&damage(&all, &view())), expected);
    }

    #[test]
    fn a_bridge_without_address_or_down_is_damaged_and_another_interface_of_its_name_is_not_ours() {
        let mut view = view();
        view.addresses.clear();
        view.links[0].up = false;
        let all = [wanted("jaco-a", "10.244.0.1/24")];
        let expected = ["jaco-a: it had no address 10.244.0.1/24", "jaco-a: it was down"];
        assert_eq!(said(&damage(&all, &view)), expected);
        view.links[0].kind = Some(InfoKind::Dummy);
        assert!(damage(&all, &view).is_empty());
    }

    #[test]
    fn only_what_differs_is_settled() {
        let all = [wanted("jaco-a", "10.244.0.1/24"), wanted("jaco-b", "10.244.1.1/24")];
        let mut filters = BTreeMap::from([("jaco-a".parse().unwrap(), "1".to_owned())]);
        let mut view = view();
        let expected = ["jaco-a: its rp_filter was not 2", "jaco-a: hairpin of veth4 was off"];
        assert_eq!(said(&unsettled(&all, &view, &filters)), expected);
        filters.insert("jaco-a".parse().unwrap(), "2".to_owned());
        view.links[1].hairpin = Some(true);
        assert!(unsettled(&all, &view, &filters).is_empty());
    }
}
