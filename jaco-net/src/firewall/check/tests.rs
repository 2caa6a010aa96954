use super::*;
use crate::{Bridge, MeshLink};

fn ruleset(scopes: &[(&str, &str)]) -> Ruleset {
    let mut rules =
        Ruleset { pools: ["10.244.0.0/14".parse().unwrap()].into(), ..Ruleset::default() };
    for (scope, prefix) in scopes {
        let prefixes = rules.scopes.entry(scope.parse().unwrap()).or_default();
        prefixes.insert(prefix.parse().unwrap());
    }
    rules
}

fn bridge(rules: &mut Ruleset, name: &str, scope: &str, block: &str, gateway: &str) {
    let blocks = [(block.parse().unwrap(), gateway.parse().unwrap())].into();
    let scope = scope.parse().unwrap();
    let bridge = Bridge { scope, blocks, internal: false, host_access: false };
    rules.bridges.insert(name.parse().unwrap(), bridge);
}

fn contradiction(rules: &Ruleset) -> Contradiction {
    match rules.check() {
        Err(NetError::Contradictory(contradiction)) => contradiction,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_prefix_of_two_scopes_and_one_outside_the_pools_are_refused() {
    let nested = ruleset(&[("a/default", "10.244.0.0/16"), ("b/default", "10.244.200.0/24")]);
    assert!(matches!(nested.check(), Err(NetError::OverlappingScopes { .. })));
    let outside = ruleset(&[("a/default", "192.168.0.0/24")]);
    assert!(matches!(outside.check(), Err(NetError::OutsidePools { .. })));
    ruleset(&[("a/x", "10.244.0.0/24"), ("b/x", "10.244.1.0/24")]).check().unwrap();
    Ruleset::default().check().unwrap();
}

#[test]
fn there_is_one_way_to_write_a_prefix() {
    let twice = ruleset(&[("a/x", "10.244.0.0/16"), ("a/x", "10.244.3.0/24")]);
    assert!(matches!(contradiction(&twice), Contradiction::Nested { .. }));
    let bits = ruleset(&[("a/x", "10.244.0.1/24")]);
    assert!(matches!(contradiction(&bits), Contradiction::HostBits { .. }));
    let mut pools = ruleset(&[]);
    pools.pools.insert("10.245.0.0/16".parse().unwrap());
    assert!(matches!(contradiction(&pools), Contradiction::Nested { .. }));
    let mut empty = ruleset(&[]);
    empty.scopes.insert("a/x".parse().unwrap(), [].into());
    assert!(matches!(contradiction(&empty), Contradiction::EmptyScope { .. }));
}

#[test]
fn a_bridge_has_a_block_of_its_own_inside_its_scope() {
    let fine = || {
        let mut rules = ruleset(&[("a/x", "10.244.0.0/24"), ("b/x", "10.244.1.0/24")]);
        bridge(&mut rules, "jaco-a", "a/x", "10.244.0.0/24", "10.244.0.1");
        rules
    };
    fine().check().unwrap();

    let mut shared = fine();
    bridge(&mut shared, "jaco-b", "a/x", "10.244.0.0/24", "10.244.0.1");
    assert!(matches!(contradiction(&shared), Contradiction::SharedBlock { .. }));
    let mut other_scope = fine();
    bridge(&mut other_scope, "jaco-b", "b/x", "10.244.0.128/25", "10.244.0.129");
    assert!(matches!(contradiction(&other_scope), Contradiction::OutsideScope { .. }));
    let mut no_scope = fine();
    bridge(&mut no_scope, "jaco-b", "c/x", "10.244.2.0/24", "10.244.2.1");
    assert!(matches!(contradiction(&no_scope), Contradiction::OutsideScope { .. }));
    let mut no_gateway = fine();
    bridge(&mut no_gateway, "jaco-b", "b/x", "10.244.1.0/24", "10.244.0.1");
    assert!(matches!(contradiction(&no_gateway), Contradiction::OutsideBlock { .. }));
    let mut bare = fine();
    bare.bridges.values_mut().for_each(|bridge| bridge.blocks.clear());
    assert!(matches!(contradiction(&bare), Contradiction::NoBlock { .. }));
}

#[test]
fn hosts_and_containers_have_different_addresses_and_interfaces() {
    let meshed = |interface: &str, own: &str, member: &str| {
        let mut rules = ruleset(&[("a/x", "10.244.0.0/24")]);
        bridge(&mut rules, "jaco-a", "a/x", "10.244.0.0/24", "10.244.0.1");
        rules.mesh = Some(MeshLink {
            interface: interface.parse().unwrap(),
            own: [own.parse().unwrap()].into(),
            members: [member.parse().unwrap()].into(),
        });
        rules
    };
    meshed("jaco0", "10.243.0.1", "10.243.0.2").check().unwrap();
    let pooled = meshed("jaco0", "10.243.0.1", "10.244.9.2");
    assert!(matches!(contradiction(&pooled), Contradiction::MeshInPool { .. }));
    let shared = meshed("jaco0", "10.243.0.1", "10.243.0.1");
    assert!(matches!(contradiction(&shared), Contradiction::SharedAddress { .. }));
    let bridged = meshed("jaco-a", "10.243.0.1", "10.243.0.2");
    assert!(matches!(contradiction(&bridged), Contradiction::MeshIsBridge { .. }));
}

#[test]
fn virtual_addresses_are_nobodys_and_stand_for_what_they_can_be_translated_to() {
    let serving = |pool: &str, service: &str, replica: &str| {
        let mut rules = ruleset(&[("a/x", "10.244.0.0/24")]);
        rules.virtual_pools.insert(pool.parse().unwrap());
        rules.virtuals.insert(service.parse().unwrap(), [replica.parse().unwrap()].into());
        rules
    };
    serving("10.248.0.0/16", "10.248.0.1", "10.244.0.2").check().unwrap();
    let inside = serving("10.245.0.0/16", "10.245.0.1", "10.244.0.2");
    assert!(matches!(contradiction(&inside), Contradiction::VirtualInPool { .. }));
    let around = serving("10.0.0.0/8", "10.1.0.1", "10.244.0.2");
    assert!(matches!(contradiction(&around), Contradiction::VirtualInPool { .. }));
    let outside = serving("10.248.0.0/16", "10.249.0.1", "10.244.0.2");
    assert!(matches!(contradiction(&outside), Contradiction::OutsideVirtualPools { .. }));
    for replica in ["192.0.2.1", "fd00::1", "10.248.0.2"] {
        let foreign = serving("10.248.0.0/16", "10.248.0.1", replica);
        assert!(matches!(contradiction(&foreign), Contradiction::NoReplica { .. }), "{replica}");
    }
    let bits = serving("10.248.0.1/16", "10.248.0.1", "10.244.0.2");
    assert!(matches!(contradiction(&bits), Contradiction::HostBits { .. }));
    let mut nested = serving("10.248.0.0/16", "10.248.0.1", "10.244.0.2");
    nested.virtual_pools.insert("10.248.1.0/24".parse().unwrap());
    assert!(matches!(contradiction(&nested), Contradiction::Nested { .. }));
    let mut many = serving("10.248.0.0/16", "10.248.0.1", "10.244.0.2");
    let all = |most: u32| (0..most).map(|n| std::net::Ipv4Addr::from(0x0af4_0000 + n).into());
    let most = u32::try_from(Ruleset::MOST_REPLICAS).unwrap();
    many.virtuals.insert("10.248.0.1".parse().unwrap(), all(most).collect());
    many.check().unwrap();
    many.virtuals.insert("10.248.0.1".parse().unwrap(), all(most + 1).collect());
    assert!(matches!(contradiction(&many), Contradiction::TooManyReplicas { .. }));
    let mut meshed = serving("10.248.0.0/16", "10.248.0.1", "10.244.0.2");
    meshed.mesh = Some(MeshLink {
        interface: "jaco0".parse().unwrap(),
        own: ["10.248.0.9".parse().unwrap()].into(),
        members: [].into(),
    });
    assert!(matches!(contradiction(&meshed), Contradiction::MeshIsVirtual { .. }));
}

#[test]
fn a_container_in_several_networks_has_one_address_of_its_own_in_each() {
    let homes = |homes: &[&[&str]]| {
        let mut rules = ruleset(&[("a/x", "10.244.0.0/24"), ("b/x", "10.244.1.0/24")]);
        bridge(&mut rules, "jaco-a", "a/x", "10.244.0.0/24", "10.244.0.1");
        bridge(&mut rules, "jaco-b", "b/x", "10.244.1.0/24", "10.244.1.1");
        let home = |home: &&[&str]| home.iter().map(|a| a.parse().unwrap()).collect();
        rules.homes = homes.iter().map(home).collect();
        rules
    };
    homes(&[&["10.244.0.2", "10.244.1.2"], &["10.244.0.3", "10.244.1.3"]]).check().unwrap();
    for wrong in [
        &[&["10.244.0.2", "10.244.0.3"] as &[&str]] as &[&[&str]],
        &[&["10.244.0.2", "10.244.1.1"]],
        &[&["10.244.0.2", "10.244.2.2"]],
        &[&["10.244.0.2", "fd00::2"]],
        &[&["10.244.0.2", "10.244.1.2"], &["10.244.0.2", "10.244.1.3"]],
    ] {
        let wrong = homes(wrong);
        assert!(matches!(contradiction(&wrong), Contradiction::NoHome { .. }), "{wrong:?}");
    }
    for few in [&["10.244.0.2"] as &[&str], &[]] {
        assert_eq!(contradiction(&homes(&[few])), Contradiction::SingleHome);
    }
}
