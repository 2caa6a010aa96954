//! What the kernel does with packets is what the model says, whatever the ruleset.

use std::{collections::BTreeSet, time::Instant};

use jaco_net::{Firewall, NftFirewall, Ruleset, Seen, Verdict, testing::firewall_suite};
use proptest::{prelude::*, test_runner::TestRunner};

use crate::{
    flows::BOUND,
    lab::{self, Lab},
    volley::{self, Range},
};

#[test]
fn the_firewall_of_the_kernel_conforms() {
    if !lab::possible() {
        return;
    }
    Lab::new().on_node(async || firewall_suite(&NftFirewall::new()).await);
}

/// The control: what is dropped later arrives while nothing is loaded. Whoever has just come up is
/// not found by his neighbours at once.
fn all_arrive(lab: &Lab, shots: &[volley::Shot]) -> Range {
    let range = Range::new(lab, shots);
    let since = Instant::now();
    loop {
        let nothing = volley::mistakes(&Ruleset::default(), shots, &range.fire(shots));
        if nothing.is_empty() {
            return range;
        }
        assert!(since.elapsed() < BOUND, "the lab itself loses packets: {nothing:#?}");
    }
}

#[test]
fn every_packet_fares_as_the_model_says() {
    if !lab::possible() {
        return;
    }
    let lab = Lab::new();
    let shots = volley::shots();
    let range = all_arrive(&lab, &shots);
    let firewall = NftFirewall::new();
    lab.on_node(async || firewall.apply(&Ruleset::default()).await).unwrap();
    let empty = volley::mistakes(&Ruleset::default(), &shots, &range.fire(&shots));
    assert_eq!(empty, [""; 0], "a node without pools polices nothing");

    let rules = lab::rules();
    lab.on_node(async || firewall.apply(&rules).await).unwrap();
    // New sockets: the kernel goes on as it began with the flows that it knows.
    drop(range);
    let range = Range::new(&lab, &shots);
    let wrong = volley::mistakes(&rules, &shots, &range.fire(&shots));
    assert_eq!(wrong, [""; 0]);
    let fates: Vec<_> = shots.iter().map(|shot| volley::fate(&rules, shot)).collect();
    let count = |wanted| fates.iter().filter(|(.., verdict)| *verdict == wanted).count();
    let (drops, refusals) = (count(Verdict::Drop), count(Verdict::Refuse));
    let translated = |(_, packet, verdict): &&(_, jaco_net::Packet, Verdict)| {
        packet.translated && *verdict == Verdict::Accept
    };
    let translated = fates.iter().filter(translated).count();
    let rewritten = |(_, packet, _): &&(_, jaco_net::Packet, _)| rules.seen(packet) != Seen::Kept;
    let rewritten = fates.iter().filter(rewritten).count();
    eprintln!(
        "{} packets, {drops} of them dropped, {refusals} refused, {translated} translated, \
         {rewritten} seen with another source",
        shots.len()
    );
    let passed = shots.len() - drops - refusals;
    assert!(drops > 100 && refusals > 20 && passed > 100, "every verdict is tried");
    assert!(translated > 20 && rewritten > 20, "and every translation");
}

#[test]
fn every_packet_fares_as_the_model_says_for_any_ruleset() {
    if !lab::possible() {
        return;
    }
    let lab = Lab::new();
    let shots = volley::shots();
    all_arrive(&lab, &shots);
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        max_shrink_iters: 64,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(&any_rules(), |rules| {
        let firewall = NftFirewall::new();
        lab.on_node(async || firewall.apply(&rules).await).unwrap();
        let range = Range::new(&lab, &shots);
        let wrong = volley::mistakes(&rules, &shots, &range.fire(&shots));
        prop_assert!(wrong.is_empty(), "{wrong:#?}");
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

/// Rulesets of the lab: each part of the right one may be missing or be something else.
fn any_rules() -> impl Strategy<Value = Ruleset> {
    let flags = || prop::collection::vec(prop::bool::weighted(0.3), 8);
    (flags(), flags(), prop::bool::weighted(0.2), prop::bool::weighted(0.3)).prop_map(
        |(drop, flip, unmeshed, unpooled)| {
            let mut rules = lab::rules();
            let scopes: Vec<_> = rules.scopes.keys().cloned().collect();
            // Prefixes move to the next scope, or to none.
            let all: Vec<_> =
                rules.scopes.iter().flat_map(|(s, p)| p.iter().map(|p| (s.clone(), *p))).collect();
            rules.scopes.clear();
            for (n, (scope, prefix)) in all.into_iter().enumerate() {
                if drop[n % 8] && n % 3 == 0 {
                    continue;
                }
                let at = scopes.iter().position(|s| *s == scope).unwrap();
                let to = if flip[n % 8] { (at + 1) % scopes.len() } else { at };
                rules.scopes.entry(scopes[to].clone()).or_default().insert(prefix);
            }
            for (n, bridge) in rules.bridges.values_mut().enumerate() {
                bridge.internal ^= flip[n];
                bridge.host_access ^= drop[n + 3];
                // Every block is where its scope is; what has none is behind no bridge of ours.
                let of = |block: &ipnet::IpNet| {
                    rules.scopes.iter().find(|(_, p)| p.contains(block)).map(|(s, _)| s.clone())
                };
                let scope = bridge.blocks.keys().find_map(of);
                bridge.blocks.retain(|block, _| of(block).is_some() && of(block) == scope);
                bridge.scope = scope.unwrap_or_else(|| bridge.scope.clone());
            }
            rules.bridges.retain(|_, bridge| !bridge.blocks.is_empty());
            if unmeshed {
                rules.mesh = None;
            }
            if unpooled {
                rules.pools.retain(|pool| pool.addr().is_ipv4());
                let pools: BTreeSet<_> = rules.pools.clone();
                let within = |p: &ipnet::IpNet| pools.iter().any(|pool| pool.contains(p));
                rules.scopes.values_mut().for_each(|prefixes| prefixes.retain(within));
                rules.scopes.retain(|_, prefixes| !prefixes.is_empty());
                rules.bridges.values_mut().for_each(|b| b.blocks.retain(|block, _| within(block)));
                rules.bridges.retain(|_, bridge| !bridge.blocks.is_empty());
            }
            if flip[7] {
                rules.ingress.clear();
            }
            serve(&mut rules, &drop, &flip);
            rules.check().unwrap();
            rules
        },
    )
}

/// Virtual addresses get other replicas, or none, or are no longer there; of a container in several
/// networks stays what lies behind bridges.
fn serve(rules: &mut Ruleset, drop: &[bool], flip: &[bool]) {
    let all: Vec<_> = rules.virtuals.values().cloned().collect();
    for (n, replicas) in rules.virtuals.values_mut().enumerate() {
        if drop[n % 8] {
            replicas.clone_from(&all[(n + 1) % 8]);
        }
    }
    if flip[5] {
        rules.virtual_pools.clear();
    }
    let (pools, virtual_pools) = (rules.pools.clone(), rules.virtual_pools.clone());
    let within = |pools: &BTreeSet<ipnet::IpNet>, a| pools.iter().any(|pool| pool.contains(&a));
    rules.virtuals.retain(|address, _| within(&virtual_pools, *address));
    for (address, replicas) in &mut rules.virtuals {
        replicas.retain(|r| r.is_ipv4() == address.is_ipv4() && within(&pools, *r));
    }
    if flip[6] {
        rules.homes.clear();
    }
    let bridges = &rules.bridges;
    let scope = |address: &std::net::IpAddr| {
        let of = |b: &&jaco_net::Bridge| b.blocks.keys().any(|block| block.contains(address));
        bridges.values().find(of).map(|bridge| &bridge.scope)
    };
    let homes = rules.homes.iter().filter(|home| {
        let scopes: BTreeSet<_> = home.iter().filter_map(scope).collect();
        scopes.len() == home.len()
    });
    rules.homes = homes.cloned().collect();
}
