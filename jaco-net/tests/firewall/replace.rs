//! Changing the rules under load: nothing forbidden passes and nothing allowed is lost.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::atomic::{AtomicBool, Ordering},
};

use jaco_net::{Firewall, NftFirewall};

use crate::lab::{self, Lab};

const CHANGES: usize = 12;

/// Sends without a pause until told to stop; how many were sent and how many arrived.
fn flood(from: &UdpSocket, to: &UdpSocket, at: SocketAddr, stop: &AtomicBool) -> (usize, usize) {
    let (mut sent, mut arrived, mut buffer) = (0, 0, [0; 8]);
    let mut drain = || {
        while to.recv_from(&mut buffer).is_ok() {
            arrived += 1;
        }
    };
    while !stop.load(Ordering::Relaxed) {
        sent += usize::from(from.send_to(b"x", at).is_ok());
        drain();
    }
    // A packet crosses the lab within the call that sends it.
    drain();
    (sent, arrived)
}

#[test]
fn changing_the_rules_lets_nothing_through_and_loses_nothing() {
    if !lab::possible() {
        return;
    }
    let lab = Lab::new();
    let rules = lab::rules();
    let mut other = rules.clone();
    other.ingress.clear();
    let more = other.scopes.get_mut(&"a/default".parse().unwrap()).unwrap();
    more.extend(["10.244.12.0/24", "10.244.13.0/24"].map(|p| p.parse::<ipnet::IpNet>().unwrap()));
    let quiet = "jaco-c".parse().unwrap();
    other.bridges.remove(&quiet);
    let near = || lab.udp("a1", "10.244.0.2:0".parse().unwrap());
    let open = |name, at: &str| {
        let socket = lab.udp(name, at.parse().unwrap());
        socket.set_nonblocking(true).unwrap();
        (socket, at.parse::<SocketAddr>().unwrap())
    };
    let (allowed, allowed_at) = open("a2", "10.244.0.3:7777");
    let (routed, routed_at) = open("peer", "10.244.10.2:7777");
    let (forbidden, forbidden_at) = open("b1", "10.244.1.2:7777");
    let load = async |rules| NftFirewall::new().apply(rules).await.unwrap();
    lab.on_node(async || load(&rules).await);
    let stop = AtomicBool::new(false);
    let (bridged, routed, leaked) = std::thread::scope(|scope| {
        let flood = |to, at| {
            let (from, stop) = (near(), &stop);
            scope.spawn(move || flood(&from, to, at, stop))
        };
        let threads = [
            flood(&allowed, allowed_at),
            flood(&routed, routed_at),
            flood(&forbidden, forbidden_at),
        ];
        lab.on_node(async || {
            for n in 0..CHANGES {
                load(if n % 2 == 0 { &other } else { &rules }).await;
            }
        });
        stop.store(true, Ordering::SeqCst);
        let [bridged, routed, leaked] = threads.map(|thread| thread.join().unwrap());
        (bridged, routed, leaked)
    });
    eprintln!("sent and arrived: bridged {bridged:?}, routed {routed:?}, forbidden {leaked:?}");
    assert!(bridged.0 > 1000 && routed.0 > 1000 && leaked.0 > 1000, "they were under load");
    assert_eq!(leaked.1, 0, "forbidden packets arrived");
    assert_eq!((bridged.0, routed.0), (bridged.1, routed.1), "allowed packets were lost");
}
