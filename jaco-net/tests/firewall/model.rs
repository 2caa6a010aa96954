//! What the kernel does with packets is what the model says, whatever the ruleset.

use std::collections::BTreeSet;

use jaco_net::{Firewall, NftFirewall, Ruleset, Verdict, testing::firewall_suite};
use proptest::{prelude::*, test_runner::TestRunner};

use crate::{
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

#[test]
fn every_packet_fares_as_the_model_says() {
    if !lab::possible() {
        return;
    }
    let lab = Lab::new();
    let shots = volley::shots();
    let range = Range::new(&lab, &shots);
    // The control: what is dropped later arrives while nothing is loaded.
    let nothing = volley::mistakes(&Ruleset::default(), &shots, &range.fire(&shots));
    assert_eq!(nothing, [""; 0], "the lab itself loses packets");
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
    let dropped = |shot: &&volley::Shot| rules.verdict(&shot.packet) == Verdict::Drop;
    let drops = shots.iter().filter(dropped).count();
    eprintln!("{} packets, {drops} of them dropped", shots.len());
    assert!(drops > 100 && shots.len() - drops > 100, "both verdicts are tried");
}

#[test]
fn every_packet_fares_as_the_model_says_for_any_ruleset() {
    if !lab::possible() {
        return;
    }
    let lab = Lab::new();
    let shots = volley::shots();
    Range::new(&lab, &shots).fire(&shots);
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
            rules.check().unwrap();
            rules
        },
    )
}
