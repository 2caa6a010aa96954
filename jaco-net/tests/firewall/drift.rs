//! Somebody changes the rules behind our back.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use jaco_net::{Firewall, Loaded, NftFirewall, Ruleset};

use crate::lab::{self, Lab};

/// The longest that a change of the rules may stand.
const BOUND: Duration = Duration::from_secs(2);

/// What an administrator, or somebody worse, may do to the rules.
const TAMPERINGS: &[(&str, &str)] = &[
    ("flush the table", "flush table inet jaco"),
    ("flush a chain", "flush chain inet jaco departing"),
    ("delete the table", "delete table inet jaco"),
    ("let everything pass", "insert rule inet jaco forward accept"),
    ("let everything pass, later", "add rule inet jaco world accept"),
    ("forget a pool", "delete element inet jaco pools4 { 10.244.0.0/14 }"),
    ("forget a bridge", "delete element inet jaco bridges { \"jaco-a\" }"),
    ("add a way between scopes", "add element inet jaco reach4 { 10.244.0.0/24 . 10.244.1.0/24 }"),
    ("add to a scope", "add element inet jaco scoped4 { 10.244.99.0/24 comment \"a/default\" }"),
    ("open a port", "add element inet jaco ingress { tcp . 22 }"),
    (
        "lead a service elsewhere",
        "delete element inet jaco replicas4 { 10.248.0.1 . 0 : 10.244.0.3 }; add element inet jaco replicas4 { 10.248.0.1 . 0 : 10.244.0.2 }",
    ),
    ("forget a replica", "delete element inet jaco replicas4 { 10.248.0.1 . 0 : 10.244.0.3 }"),
    (
        "pick among others",
        "delete element inet jaco services4 { 10.248.0.5 }; add element inet jaco services4 { 10.248.0.5 : jump one_of_3 }",
    ),
    ("let services out", "delete element inet jaco virtual4 { 10.248.0.0/16 }"),
    (
        "another address for a container",
        "add element inet jaco homed4 { \"jaco-c\" . 10.244.0.9 comment \"10.244.2.9\" }",
    ),
    (
        "another network for a container",
        "add element inet jaco across4 { 10.244.0.9 . 10.244.2.0/24 }",
    ),
    (
        "show a container as another",
        "add element inet jaco homes4 { 10.244.0.9 . 10.244.2.0/24 : 10.244.2.2 }",
    ),
    ("pick unfairly", "add rule inet jaco one_of_2 dnat ip to 10.244.0.2"),
    ("change the policy", "chain inet jaco forward { policy drop; }"),
    ("put the table to sleep", "add table inet jaco { flags dormant; }"),
    ("add a chain", "add chain inet jaco extra { type filter hook forward priority -500; }"),
    ("add a set", "add set inet jaco extra { type ipv4_addr; }"),
    ("add a map", "add map inet jaco extra { type ipv4_addr : verdict; }"),
    (
        "a map in the place of a set",
        "delete table inet jaco; table inet jaco { map pools4 { type ipv4_addr : verdict; }; }",
    ),
    ("add a counter", "add counter inet jaco extra"),
    (
        "the same table with other hooks",
        "delete table inet jaco; table inet jaco { chain forward { type filter hook input priority 0; }; }",
    ),
];

#[test]
fn whatever_is_changed_is_seen_in_words() {
    if !lab::possible() {
        return;
    }
    let lab = Lab::new();
    let rules = lab::rules();
    let firewall = NftFirewall::new();
    let read = || lab.on_node(async || firewall.read().await).unwrap();
    assert_eq!(read(), None, "nothing is loaded yet");
    for (what, script) in TAMPERINGS {
        lab.on_node(async || firewall.apply(&rules).await).unwrap();
        assert_eq!(read(), Some(Loaded::exactly(rules.clone())));
        lab.nft(script);
        let held = read().unwrap_or_default();
        assert!(!held.is(&rules), "{what} was not seen");
        let words = held.drift(&rules);
        assert!(!words.is_empty());
        eprintln!("{what}: {}", words[0].chars().take(160).collect::<String>());
    }
    // A changed verdict in a rule that else is the same.
    lab.on_node(async || firewall.apply(&rules).await).unwrap();
    let listing = lab.run("host", || {
        std::process::Command::new("nft")
            .args(["-a", "list", "chain", "inet", "jaco", "arriving"])
            .output()
    });
    let listing = String::from_utf8(listing.unwrap().stdout).unwrap();
    let last = listing.lines().rev().find(|line| line.contains("handle")).unwrap();
    let handle = last.rsplit(' ').next().unwrap();
    let rule = "counter accept comment \"from the world to a container\"";
    lab.nft(&format!("replace rule inet jaco arriving handle {handle} {rule}"));
    let words = read().unwrap().drift(&rules);
    assert_eq!(words.len(), 2, "one rule is missing and one was added: {words:#?}");
    assert!(words[0].contains("drop") && words[1].contains("accept"), "{words:#?}");

    lab.on_node(async || firewall.remove().await).unwrap();
    assert_eq!(read(), None, "nothing is left");
    lab.on_node(async || firewall.remove().await).unwrap();
}

/// Sends forbidden packets without a pause, and counts those that arrive.
fn leak(
    sender: &UdpSocket,
    receiver: &UdpSocket,
    to: SocketAddr,
    stop: &AtomicBool,
    leaked: &AtomicUsize,
) {
    let mut nothing = [0; 8];
    while !stop.load(Ordering::Relaxed) {
        let _ = sender.send_to(b"leak", to);
        while receiver.recv_from(&mut nothing).is_ok() {
            leaked.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What the node's agent does: at every wake, look and repair.
async fn guard(firewall: &NftFirewall, rules: &Ruleset, stop: &AtomicBool, repaired: &AtomicUsize) {
    let mut wakes = firewall.watch();
    firewall.apply(rules).await.unwrap();
    repaired.fetch_add(1, Ordering::SeqCst);
    while !stop.load(Ordering::Relaxed) {
        let woken = tokio::time::timeout(Duration::from_millis(100), wakes.changed()).await;
        if woken.is_err() {
            continue;
        }
        if !firewall.read().await.unwrap().is_some_and(|loaded| loaded.is(rules)) {
            firewall.apply(rules).await.unwrap();
            repaired.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[test]
fn whatever_is_changed_is_repaired_at_once() {
    if !lab::possible() {
        return;
    }
    let lab = Lab::new();
    let rules = lab::rules();
    let (stop, repaired, leaked) =
        (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let sender = lab.udp("a1", "10.244.0.2:0".parse().unwrap());
    let to: SocketAddr = "10.244.1.2:7777".parse().unwrap();
    let receiver = lab.udp("b1", to);
    receiver.set_nonblocking(true).unwrap();
    let until = |count: usize, what: &str| {
        let since = Instant::now();
        while repaired.load(Ordering::SeqCst) < count {
            assert!(since.elapsed() < BOUND, "{what} was not repaired");
            std::thread::yield_now();
        }
        since.elapsed()
    };
    let outcome = std::panic::AssertUnwindSafe(|| {
        until(1, "nothing loaded");
        // Let those arrive that were on their way before the rules.
        let mut report = Vec::new();
        for (n, (what, script)) in TAMPERINGS.iter().enumerate() {
            let before = leaked.load(Ordering::Relaxed);
            let loaded = Instant::now();
            lab.nft(script);
            let took = loaded.elapsed() + until(n + 2, what);
            report.push((*what, took, leaked.load(Ordering::Relaxed) - before));
        }
        report
    });
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            lab.on_node(async || guard(&NftFirewall::new(), &rules, &stop, &repaired).await);
        });
        scope.spawn(|| leak(&sender, &receiver, to, &stop, &leaked));
        let report = std::panic::catch_unwind(outcome);
        stop.store(true, Ordering::SeqCst);
        report
    });
    let report = report.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    for (what, took, leaked) in report {
        eprintln!("{what}: {leaked} forbidden packets in {} ms", took.as_millis());
    }
}

/// Whether a wake comes in time.
async fn woken(wakes: &mut tokio::sync::watch::Receiver<u64>, bound: Duration) -> bool {
    tokio::time::timeout(bound, wakes.changed()).await.is_ok_and(|changed| changed.is_ok())
}

#[test]
fn only_what_concerns_our_table_wakes() {
    if !lab::possible() {
        return;
    }
    let lab = Lab::new();
    lab.on_node(async || {
        let firewall = NftFirewall::new();
        let mut wakes = firewall.watch();
        firewall.apply(&lab::rules()).await.unwrap();
        assert!(woken(&mut wakes, BOUND).await, "our own load");
        // The rest of our own burst.
        while woken(&mut wakes, Duration::from_millis(300)).await {}
        lab.nft("table inet other { set s { type ipv4_addr; elements = { 192.0.2.1 }; }; }");
        assert!(!woken(&mut wakes, Duration::from_millis(300)).await, "a table of somebody else");
        lab.nft("delete element inet jaco bridges { \"jaco-a\" }");
        assert!(woken(&mut wakes, BOUND).await, "a table of ours");
    });
}

#[test]
fn notifications_that_were_lost_are_a_wake() {
    if !lab::possible() {
        return;
    }
    let lab = Lab::new();
    lab.on_node(async || {
        let firewall = NftFirewall::new();
        lab.nft("table inet other { set s { type ipv4_addr; }; }");
        let mut wakes = firewall.watch();
        // Nobody listens while this thread is busy here, and there is more than a socket holds. None
        // of it is about our table: it is the loss that wakes.
        let all = (0..40_000_u32).map(|n| std::net::Ipv4Addr::from(0x0a00_0000 + n).to_string());
        let all = all.collect::<Vec<_>>().join(",");
        lab.nft(&format!("add element inet other s {{ {all} }}"));
        assert!(woken(&mut wakes, BOUND).await, "the loss was not noticed");
        while woken(&mut wakes, Duration::from_millis(300)).await {}
        lab.nft("add table inet jaco");
        assert!(woken(&mut wakes, BOUND).await, "it listens again");
    });
}
