use proptest::prelude::*;

use super::{
    super::{IngressPort, MeshLink, Scope},
    *,
};

/// Rulesets that pass their check: each block belongs to one of three scopes.
fn rulesets() -> impl Strategy<Value = Ruleset> {
    let blocks = prop::collection::vec((0..3_usize, any::<bool>(), any::<[bool; 3]>()), 0..12);
    let ports = prop::collection::btree_set(any::<u16>(), 0..4);
    let replicas = prop::collection::vec((any::<bool>(), 0..90_u16), 0..4);
    (blocks, any::<Option<(u8, u8)>>(), ports, replicas).prop_map(
        |(blocks, mesh, ports, replicas)| {
            let mut rules = Ruleset {
                pools: ["10.244.0.0/14", "fd00:244::/32"].map(|p| p.parse().unwrap()).into(),
                ..Ruleset::default()
            };
            for (n, (scope, v6, [local, internal, host_access])) in blocks.into_iter().enumerate() {
                let scope: Scope = format!("d{scope}/default").parse().unwrap();
                let (block, gateway) = if v6 {
                    (format!("fd00:244:{n:x}::/64"), format!("fd00:244:{n:x}::1"))
                } else {
                    (format!("10.244.{n}.0/24"), format!("10.244.{n}.1"))
                };
                let block: IpNet = block.parse().unwrap();
                rules.scopes.entry(scope.clone()).or_default().insert(block);
                if local {
                    let blocks = [(block, gateway.parse().unwrap())].into();
                    let bridge = Bridge { scope, blocks, internal, host_access };
                    rules.bridges.insert(format!("jaco-{n}").parse().unwrap(), bridge);
                }
            }
            rules.mesh = mesh.map(|(own, member)| MeshLink {
                interface: "jaco0".parse().unwrap(),
                own: [IpAddr::from([10, 243, 0, own])].into(),
                members: [IpAddr::from([10, 243, 1, member])].into(),
            });
            let tcp = |port| IngressPort { protocol: Protocol::Tcp, port };
            rules.ingress = ports.into_iter().map(tcp).collect();
            dwell(&mut rules);
            serve(&mut rules, replicas);
            rules
        },
    )
}

/// A container in every two and one in every three scopes that are next to each other here.
fn dwell(rules: &mut Ruleset) {
    for v4 in [true, false] {
        let mut blocks: BTreeMap<&Scope, &IpAddr> = BTreeMap::new();
        for bridge in rules.bridges.values() {
            let gateway = bridge.blocks.values().find(|gateway| gateway.is_ipv4() == v4);
            gateway.map(|gateway| blocks.entry(&bridge.scope).or_insert(gateway));
        }
        let of = |gateway: &IpAddr, n: u8| match *gateway {
            IpAddr::V4(gateway) => IpAddr::from((u32::from(gateway) + u32::from(n)).to_be_bytes()),
            IpAddr::V6(gateway) => {
                IpAddr::from((u128::from(gateway) + u128::from(n)).to_be_bytes())
            }
        };
        let blocks: Vec<&IpAddr> = blocks.into_values().collect();
        for (n, width) in [(1, 2), (2, 2), (3, 3)] {
            let all = blocks.chunks(width).filter(|some| some.len() > 1);
            rules.homes.extend(all.map(|some| some.iter().map(|g| of(g, n)).collect()));
        }
    }
}

fn serve(rules: &mut Ruleset, replicas: Vec<(bool, u16)>) {
    rules.virtual_pools = ["10.248.0.0/16", "fd00:248::/32"].map(|p| p.parse().unwrap()).into();
    for (n, (v6, count)) in replicas.into_iter().enumerate() {
        let address = |of: u16, m: usize| match v6 {
            true => format!("fd00:{of}::{m:x}").parse::<IpAddr>().unwrap(),
            false => format!("10.{of}.0.{m}").parse().unwrap(),
        };
        let replicas = (0..count.into()).map(|m| address(244, m)).collect();
        rules.virtuals.insert(address(248, n), replicas);
    }
}

#[test]
fn every_replica_has_its_share_of_the_numbers() {
    for count in [0, 1, 2, 7, 64, 65, 200, 1024_u16] {
        let replicas: BTreeSet<IpAddr> =
            (0..count).map(|n| IpAddr::from((0x0af4_0000 + u32::from(n)).to_be_bytes())).collect();
        let address: IpAddr = "10.248.0.1".parse().unwrap();
        let virtuals = [(address, replicas)].into();
        let elements = elements(&Ruleset { virtuals, ..Ruleset::default() });
        let mut shares: BTreeMap<&Part, u32> = BTreeMap::new();
        for element in elements["replicas4"].keys() {
            *shares.entry(&element[2]).or_default() += 1;
        }
        assert_eq!(shares.len(), usize::from(count));
        let (least, most) = (shares.values().min(), shares.values().max());
        let spread = most.copied().unwrap_or_default() - least.copied().unwrap_or_default();
        assert!(spread <= u32::from(count > EXACT), "{count}: {least:?} to {most:?}");
        let picked = elements["services4"].keys().next().unwrap()[1].clone();
        assert!(picks().any(|n| picked == Part::Pick(n)));
    }
}

proptest! {
    #[test]
    fn elements_stand_for_the_ruleset_that_they_were_made_of(rules in rulesets()) {
        rules.check().unwrap();
        prop_assert_eq!(ruleset(&elements(&rules)), rules);
    }

    #[test]
    fn there_are_never_more_pairs_than_local_blocks_times_prefixes(rules in rulesets()) {
        let pairs: usize = ["reach4", "reach6"].iter().map(|s| elements(&rules)[s].len()).sum();
        let prefixes = |bridge: &Bridge| rules.scopes[&bridge.scope].len();
        prop_assert!(pairs <= rules.bridges.values().map(prefixes).sum());
    }
}
