//! The doctor between two real hosts: everything is sound, and each breakage is named. Needs root, `ip`, `nft` and
//! /dev/net/tun; without them it is skipped loudly.
#![cfg(all(feature = "doctor", feature = "userspace"))]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod lab;

use jaco_api::model::{Check::*, FindingOutcome, after_repair};

use self::lab::{Lab, PROBE_PORT, possible};

const NETWORK: &str = "shop/default";

/// Two sound hosts, or nothing where there can be none.
fn lab() -> Option<Lab> {
    possible().then(|| Lab::new(|_, _| {}))
}

#[test]
fn sound_hosts_are_found_sound_from_either_end() {
    let Some(lab) = lab() else { return };
    for (host, peer) in [(&lab.a, "node-b"), (&lab.b, "node-a")] {
        let found = host.examine();
        found.are(&[], &[]);
        let checks: Vec<_> = found.0.iter().map(|f| (f.check, f.subject.as_str())).collect();
        for wanted in [
            (Capability, ""),
            (Kernel, ""),
            (Rules, ""),
            (Bridge, NETWORK),
            (Route, NETWORK),
            (Names, NETWORK),
            (Mesh, "jaco0"),
            (Mesh, peer),
            (Route, peer),
            (Probe, peer),
            (PathMtu, peer),
        ] {
            assert_eq!(checks.iter().filter(|c| **c == wanted).count(), 1, "{wanted:?} {checks:?}");
        }
    }
}

#[test]
fn a_kernel_that_passes_nothing_on() {
    let Some(lab) = lab() else { return };
    lab.a.forwards(false);
    let found = lab.a.examine();
    found.are(&[(Kernel, "")], &[]);
    assert!(found.cause(Kernel, "").starts_with("net.ipv4.ip_forward is 0"));
}

#[test]
fn a_bridge_that_was_deleted() {
    let Some(lab) = lab() else { return };
    lab.a.ip(&["link", "del", "jaco-a"]);
    let found = lab.a.examine();
    found.are(&[(Bridge, NETWORK)], &[(Route, NETWORK), (Names, NETWORK)]);
    assert_eq!(found.cause(Bridge, NETWORK), "there is no interface jaco-a");
}

#[test]
fn a_bridge_whose_addresses_were_flushed() {
    let Some(lab) = lab() else { return };
    lab.a.ip(&["address", "flush", "dev", "jaco-a"]);
    let found = lab.a.examine();
    // The kernel's route goes with the address.
    found.are(&[(Bridge, NETWORK), (Route, NETWORK)], &[(Names, NETWORK)]);
    let cause = "jaco-a does not have its gateway's address 10.244.1.1/24";
    assert_eq!(found.cause(Bridge, NETWORK), cause);
    assert_eq!(found.cause(Route, NETWORK), "there is no route to 10.244.1.0/24");
}

#[test]
fn routes_that_were_deleted_or_taken() {
    let Some(lab) = lab() else { return };
    lab.a.ip(&["route", "del", "10.244.2.0/24", "dev", "jaco0"]);
    let found = lab.a.examine();
    found.are(&[(Route, "node-b")], &[]);
    assert_eq!(found.cause(Route, "node-b"), "there is no route to 10.244.2.0/24");
    lab.a.ip(&["route", "add", "10.244.2.0/24", "via", "10.99.0.2"]);
    let found = lab.a.examine();
    found.are(&[(Route, "node-b")], &[]);
    let cause = "10.244.2.0/24 leads through eth0 instead of jaco0";
    assert_eq!(found.cause(Route, "node-b"), cause);

    lab.a.ip(&["route", "del", "10.244.2.0/24", "via", "10.99.0.2"]);
    lab.a.repair();
    let repaired = after_repair(&found.0, lab.a.examine().0);
    let outcomes: Vec<_> = repaired.iter().filter(|f| f.outcome != FindingOutcome::Ok).collect();
    let [repaired] = outcomes.as_slice() else { panic!("{outcomes:#?}") };
    assert_eq!(repaired.outcome, FindingOutcome::Repaired { cause: cause.into() });
}

#[test]
fn rules_that_were_changed_and_that_are_gone() {
    let Some(lab) = lab() else { return };
    lab.a.nft("flush chain inet jaco departing");
    let found = lab.a.examine();
    found.are(&[(Rules, "")], &[]);
    assert!(found.cause(Rules, "").contains("departing"), "{found:#?}");
    lab.a.nft("delete table inet jaco");
    let found = lab.a.examine();
    found.are(&[(Rules, "")], &[]);
    assert!(found.cause(Rules, "").contains("not loaded"), "{found:#?}");
}

#[test]
fn names_that_are_not_answered() {
    let Some(mut lab) = lab() else { return };
    lab.a.stop_names();
    let found = lab.a.examine();
    found.are(&[(Names, NETWORK)], &[]);
    let cause =
        "nobody listens at 10.244.1.1:53 over UDP; nobody listens at 10.244.1.1:53 over TCP";
    assert_eq!(found.cause(Names, NETWORK), cause);
}

#[test]
fn a_mesh_port_that_is_closed() {
    if !possible() {
        return;
    }
    let drop = "add table inet closed\n\
                add chain inet closed in { type filter hook input priority -10; }\n\
                add rule inet closed in udp dport 51820 drop\n";
    let lab = Lab::new(|_, b| b.nft(drop));
    // What goes from the closed one to the open one still makes keys, so both are closed.
    lab.a.nft(drop);
    let found = lab.a.examine();
    found.are(&[(Mesh, "node-b"), (Probe, "node-b")], &[(PathMtu, "node-b")]);
    let cause = found.cause(Mesh, "node-b");
    assert!(cause.starts_with("no keys were ever agreed on with node-b"), "{cause}");
    assert!(cause.ends_with("10.99.0.2:51820"), "{cause}");
}

#[test]
fn a_path_that_drops_large_packets() {
    let Some(lab) = lab() else { return };
    // Each packet by itself, as on a real cable: else the kernel hands over a burst as one large packet.
    for host in [&lab.a, &lab.b] {
        host.ip(&["link", "set", "eth0", "gso_max_segs", "1"]);
    }
    lab.b.nft(
        "add table inet hole\n\
         add chain inet hole in { type filter hook prerouting priority -400; }\n\
         add rule inet hole in iifname \"eth0\" udp dport 51820 meta length > 1400 drop\n",
    );
    let (there, back) = (lab.a.examine(), lab.b.examine());
    there.are(&[(PathMtu, "node-b")], &[]);
    back.are(&[(PathMtu, "node-a")], &[]);
    let cause = there.cause(PathMtu, "node-b");
    assert!(
        cause.starts_with("packets of 1420 bytes are lost on the way to node-b; 13"),
        "{cause}"
    );
    let cause = back.cause(PathMtu, "node-a");
    assert!(
        cause.starts_with("packets of 1420 bytes get to node-a and are lost on the way back; 13"),
        "{cause}"
    );
}

#[test]
fn a_node_whose_process_is_gone() {
    let Some(mut lab) = lab() else { return };
    lab.a.examine().are(&[], &[]);
    lab.b.end();
    // The keys of before are still good.
    let found = lab.a.examine();
    found.are(&[(Probe, "node-b")], &[(PathMtu, "node-b")]);
    let cause = format!("nothing comes back from 10.243.0.2:{PROBE_PORT}");
    assert_eq!(found.cause(Probe, "node-b"), cause);
}

#[test]
fn a_mesh_interface_that_was_deleted() {
    let Some(lab) = lab() else { return };
    lab.a.ip(&["link", "del", "jaco0"]);
    let found = lab.a.examine();
    let skipped = [(Mesh, "node-b"), (Route, "node-b"), (Probe, "node-b"), (PathMtu, "node-b")];
    found.are(&[(Mesh, "jaco0")], &skipped);
    lab.a.repair();
    lab.a.examine().are(&[], &[]);
}

#[test]
fn a_node_that_is_reached_and_does_not_reach_back() {
    let Some(lab) = lab() else { return };
    lab.a.nft(&format!(
        "add table inet oneway\n\
         add chain inet oneway in {{ type filter hook input priority -10; }}\n\
         add rule inet oneway in iifname \"jaco0\" udp dport {PROBE_PORT} drop\n"
    ));
    let found = lab.a.examine();
    found.are(&[(Probe, "node-b")], &[]);
    let cause = found.cause(Probe, "node-b");
    assert_eq!(
        cause,
        "node-b is reached and answers, but gets no answer to what it asks this node"
    );
}

#[test]
fn a_responder_that_is_not_there_and_one_that_knows_nobody() {
    let Some(mut lab) = lab() else { return };
    lab.b.know(Default::default());
    let found = lab.a.examine();
    found.are(&[(Probe, "node-b")], &[(PathMtu, "node-b")]);
    lab.b.stop_probes();
    let found = lab.a.examine();
    found.are(&[(Probe, "node-b")], &[(PathMtu, "node-b")]);
    let cause = format!("node-b is reached, but nobody listens at 10.243.0.2:{PROBE_PORT} there");
    assert_eq!(found.cause(Probe, "node-b"), cause);
}

#[test]
fn containers_do_not_reach_the_responder() {
    let Some(lab) = lab() else { return };
    assert!(!lab.a.container_is_answered(), "the firewall keeps containers away from it");
    // It is the firewall that does: without it, this container would be answered.
    lab.a.nft("delete table inet jaco");
    assert!(lab.a.container_is_answered());
}
