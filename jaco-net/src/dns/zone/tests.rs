use std::{collections::BTreeSet, net::IpAddr, time::Instant};

use hickory_proto::rr::Record;
use jaco_api::model::Protocol;
use proptest::prelude::*;

use super::*;
use crate::{
    Scope,
    dns::names::{Bridge, Container, Endpoint, NamedPort, NamedReplica, NamedService},
};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn scope(text: &str) -> Scope {
    let (deployment, network) = text.split_once('/').unwrap();
    Scope { deployment: deployment.parse().unwrap(), network: network.parse().unwrap() }
}

fn service(name: &str) -> NamedService {
    NamedService {
        name: name.parse().unwrap(),
        endpoint: Endpoint::Dnsrr,
        aliases: Vec::new(),
        ports: Vec::new(),
        replicas: Vec::new(),
    }
}

/// `1 10.244.0.2 node-a`, with `!` before what is not healthy.
fn replica(text: &str) -> NamedReplica {
    let (healthy, text) = text.strip_prefix('!').map_or((true, text), |rest| (false, rest));
    let [slot, addresses, node] = text.split(' ').collect::<Vec<_>>()[..] else { panic!("{text}") };
    let slot = match slot.parse() {
        Ok(index) => Slot::Index(index),
        Err(_) => Slot::Node(slot.parse().unwrap()),
    };
    let addresses = addresses.split(',').map(ip).collect();
    NamedReplica { slot, addresses, node: node.parse().unwrap(), healthy, hostname: None }
}

fn with(mut service: NamedService, replicas: &[&str]) -> NamedService {
    service.replicas = replicas.iter().map(|text| replica(text)).collect();
    service
}

/// A shop in two networks, a blog beside it, and node-a on which they are looked at.
fn names() -> Names {
    let mut names = Names::of("node-a".parse().unwrap());
    names.pools = vec!["10.244.0.0/14".parse().unwrap(), "fd00:1::/32".parse().unwrap()];
    let mut web = with(
        service("Web"),
        &["1 10.244.0.2 node-a", "2 10.244.5.2,fd00:1:5::2 node-b", "!3 10.244.5.3 node-b"],
    );
    web.aliases = vec!["www".into(), "front.example.com".into(), "bad..name".into()];
    web.ports = vec![
        NamedPort { name: Some("http".into()), number: 8080, protocol: Protocol::Tcp },
        NamedPort { name: None, number: 53, protocol: Protocol::Udp },
    ];
    web.replicas[0].hostname = Some("web-host".into());
    let mut api = with(service("api"), &["1 10.244.0.9 node-a"]);
    api.endpoint = Endpoint::Vip(vec![ip("10.244.200.1")]);
    api.ports =
        vec![NamedPort { name: Some("grpc".into()), number: 50051, protocol: Protocol::Tcp }];
    let down = with(service("down"), &["!1 10.244.0.7 node-a"]);
    let agent = with(service("agent"), &["node-a 10.244.0.20 node-a", "node-b 10.244.5.20 node-b"]);
    let dotted = with(service("my.svc"), &["1 10.244.0.30 node-a"]);
    names.scopes.insert(scope("shop/default"), vec![web, api, down, agent, dotted]);
    let db = with(service("db"), &["1 10.244.1.2 node-a"]);
    let web = with(service("Web"), &["1 10.244.1.3 node-a"]);
    names.scopes.insert(scope("shop/back"), vec![db, web]);
    let secret = with(service("secret"), &["1 10.244.2.2 node-a"]);
    let web = with(service("web"), &["1 10.244.2.3 node-a"]);
    names.scopes.insert(scope("blog/default"), vec![secret, web]);
    for (gateway, block, network) in [
        ("10.244.0.1", "10.244.0.0/24", "shop/default"),
        ("10.244.1.1", "10.244.1.0/24", "shop/back"),
        ("10.244.2.1", "10.244.2.0/24", "blog/default"),
    ] {
        let bridge = Bridge { block: block.parse().unwrap(), scope: scope(network) };
        names.bridges.insert(ip(gateway), bridge);
    }
    // The first web container is in both networks of the shop.
    names.containers.push(Container {
        addresses: vec![
            (scope("shop/default"), ip("10.244.0.2")),
            (scope("shop/back"), ip("10.244.1.3")),
        ],
    });
    names
}

/// Asks as somebody of whom nothing is known, behind the gateway of `shop/default`.
fn ask(zone: &Zone, name: &str, kind: RecordType) -> Answer {
    ask_as(zone, "10.244.0.1", "10.244.0.99", name, kind)
}

fn ask_as(zone: &Zone, gateway: &str, source: &str, name: &str, kind: RecordType) -> Answer {
    let view = zone.view(ip(gateway), ip(source)).unwrap();
    zone.ask(view, &Labels::of(&Name::from_ascii(name).unwrap()), kind, 7)
}

fn addresses(answer: &Answer) -> BTreeSet<IpAddr> {
    match answer {
        Answer::Records { data, .. } => data.iter().filter_map(RData::ip_addr).collect(),
        _ => BTreeSet::new(),
    }
}

fn set(addresses: &[&str]) -> BTreeSet<IpAddr> {
    addresses.iter().map(|text| ip(text)).collect()
}

#[test]
fn every_form_of_a_name_leads_to_the_healthy_replicas() {
    let zone = Zone::new(&names());
    for (name, expected) in [
        ("web", &["10.244.0.2", "10.244.5.2"][..]),
        ("WEB", &["10.244.0.2", "10.244.5.2"]),
        ("web.shop", &["10.244.0.2", "10.244.5.2"]),
        ("web.shop.JACO.internal", &["10.244.0.2", "10.244.5.2"]),
        ("www", &["10.244.0.2", "10.244.5.2"]),
        ("www.shop.jaco.internal", &["10.244.0.2", "10.244.5.2"]),
        ("front.example.com", &["10.244.0.2", "10.244.5.2"]),
        ("web-host", &["10.244.0.2"]),
        ("2.web", &["10.244.5.2"]),
        ("2.web.shop", &["10.244.5.2"]),
        ("2.web.shop.jaco.internal", &["10.244.5.2"]),
        ("api", &["10.244.200.1"]),
        ("1.api", &["10.244.0.9"]),
        ("node-b.agent", &["10.244.5.20"]),
        ("node-b.agent.shop.jaco.internal", &["10.244.5.20"]),
        ("my.svc", &["10.244.0.30"]),
        ("1.my.svc.shop.jaco.internal", &["10.244.0.30"]),
        ("ns.jaco.internal", &["10.244.0.1"]),
        ("localhost", &["127.0.0.1"]),
        ("x.localhost", &["127.0.0.1"]),
    ] {
        let answer = ask(&zone, name, RecordType::A);
        assert_eq!(addresses(&answer), set(expected), "{name}: {answer:?}");
    }
    assert_eq!(zone.left_out(), ["bad..name"]);
}

#[test]
fn the_nodes_own_replicas_come_first_and_the_rest_in_any_order() {
    let mut names = names();
    let many = ["1 10.244.5.1 node-b", "2 10.244.0.2 node-a", "3 10.244.6.1 node-c"];
    names.scopes.insert(scope("shop/default"), vec![with(service("web"), &many)]);
    let zone = Zone::new(&names);
    let view = zone.view(ip("10.244.0.1"), ip("10.244.0.99")).unwrap();
    let mut orders = BTreeSet::new();
    for seed in 0..32 {
        let labels = Labels::of(&Name::from_ascii("web.").unwrap());
        let Answer::Records { data, .. } = zone.ask(view, &labels, RecordType::A, seed) else {
            panic!("records")
        };
        assert_eq!(data[0].ip_addr(), Some(ip("10.244.0.2")));
        orders.insert(data.iter().filter_map(RData::ip_addr).collect::<Vec<_>>());
    }
    assert_eq!(orders.len(), 2);
}

#[test]
fn an_existing_name_without_that_type_is_nodata_and_never_nxdomain() {
    let zone = Zone::new(&names());
    for (name, kind) in [
        ("api", RecordType::AAAA),
        ("1.web", RecordType::AAAA),
        ("web", RecordType::TXT),
        ("web", RecordType::HTTPS),
        ("web", RecordType::CNAME),
        ("web", RecordType::SRV),
        ("down", RecordType::A),
        ("1.down", RecordType::A),
        ("_http._tcp.web", RecordType::A),
        ("_tcp.web", RecordType::SRV),
        ("svc.shop.jaco.internal", RecordType::A),
        ("shop.jaco.internal", RecordType::A),
        ("jaco.internal", RecordType::A),
    ] {
        let answer = ask(&zone, name, kind);
        assert!(matches!(answer, Answer::NoData { .. }), "{name} {kind}: {answer:?}");
    }
    assert_eq!(addresses(&ask(&zone, "web", RecordType::AAAA)), set(&["fd00:1:5::2"]));
}

#[test]
fn what_is_not_there_is_nxdomain_and_what_is_not_ours_is_forwarded() {
    let zone = Zone::new(&names());
    for name in [
        "nope",
        "nope.shop",
        "nope.jaco.internal",
        "nope.shop.jaco.internal",
        "9.web",
        "9.web.shop",
        "01.web.shop",
        "web.blog",
        "secret.blog",
        "1.secret.blog",
        "secret.blog.jaco.internal",
        "web.other.jaco.internal",
        "_http._udp.web.shop",
        "svc",
    ] {
        let answer = ask(&zone, name, RecordType::A);
        assert!(matches!(answer, Answer::NxDomain { .. }), "{name}: {answer:?}");
    }
    for (name, kind) in [
        ("example.com", RecordType::A),
        ("nope.blog", RecordType::A),
        ("node-z.web", RecordType::A),
        ("other.example.com", RecordType::TXT),
        ("internal", RecordType::NS),
        ("com", RecordType::DS),
        (".", RecordType::NS),
        ("x.internal", RecordType::A),
    ] {
        let answer = ask(&zone, name, kind);
        assert!(matches!(answer, Answer::Forward), "{name} {kind}: {answer:?}");
    }
}

#[test]
fn a_container_sees_every_network_it_is_in_and_nobody_sees_others() {
    let zone = Zone::new(&names());
    let known = |name| ask_as(&zone, "10.244.0.1", "10.244.0.2", name, RecordType::A);
    assert_eq!(addresses(&known("db")), set(&["10.244.1.2"]));
    // Each replica once, in the network that is asked: the first is in both.
    assert_eq!(addresses(&known("web")), set(&["10.244.0.2", "10.244.5.2"]));
    let from_back = ask_as(&zone, "10.244.1.1", "10.244.1.3", "web.shop", RecordType::A);
    assert_eq!(addresses(&from_back), set(&["10.244.1.3", "10.244.5.2"]));
    assert!(matches!(ask(&zone, "db", RecordType::A), Answer::NxDomain { .. }));
    let blog = ask_as(&zone, "10.244.2.1", "10.244.2.9", "web", RecordType::A);
    assert_eq!(addresses(&blog), set(&["10.244.2.3"]));
    // Nobody outside the block of a gateway is answered at all.
    assert!(zone.view(ip("10.244.0.1"), ip("10.244.1.3")).is_none());
    assert!(zone.view(ip("10.244.0.1"), ip("198.51.100.1")).is_none());
    assert!(zone.view(ip("10.244.9.1"), ip("10.244.9.2")).is_none());
}

#[test]
fn addresses_of_the_pools_have_names_here_or_none_at_all() {
    let zone = Zone::new(&names());
    let pointer = |name: &str| match ask(&zone, name, RecordType::PTR) {
        Answer::Records { data, .. } => data[0].to_string(),
        other => format!("{other:?}"),
    };
    assert_eq!(pointer("2.5.244.10.in-addr.arpa"), "2.web.shop.jaco.internal.");
    assert_eq!(pointer("20.0.244.10.in-addr.arpa"), "node-a.agent.shop.jaco.internal.");
    assert_eq!(pointer("1.200.244.10.in-addr.arpa"), "api.shop.jaco.internal.");
    let nibbles = format!("2.{}5.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa", "0.".repeat(19));
    assert_eq!(pointer(&nibbles), "2.web.shop.jaco.internal.");
    for hidden in [
        "2.1.244.10.in-addr.arpa",
        "2.2.244.10.in-addr.arpa",
        "1.9.247.10.in-addr.arpa",
        "x.2.5.244.10.in-addr.arpa",
        "02.5.244.10.in-addr.arpa",
    ] {
        assert!(pointer(hidden).starts_with("NxDomain"), "{hidden}: {}", pointer(hidden));
    }
    assert!(pointer("5.244.10.in-addr.arpa").starts_with("NoData"));
    for others in ["1.0.248.10.in-addr.arpa", "10.in-addr.arpa", "8.8.8.8.in-addr.arpa", "ip6.arpa"]
    {
        assert_eq!(pointer(others), "Forward", "{others}");
    }
}

#[test]
fn declared_ports_are_services_by_name_and_by_number() {
    let zone = Zone::new(&names());
    let services = |name: &str| match ask(&zone, name, RecordType::SRV) {
        Answer::Records { data, additional } => {
            let all: BTreeSet<String> = data.iter().map(ToString::to_string).collect();
            let at: BTreeSet<IpAddr> = additional.into_iter().map(|(_, address)| address).collect();
            (all, at)
        }
        other => panic!("{name}: {other:?}"),
    };
    let replicas: BTreeSet<String> = [
        "0 1 8080 1.web.shop.jaco.internal.".to_owned(),
        "0 1 8080 2.web.shop.jaco.internal.".to_owned(),
    ]
    .into();
    for name in ["_http._tcp.web", "_8080._TCP.www.shop", "_HTTP._tcp.web.shop.jaco.internal"] {
        let (found, additional) = services(name);
        assert_eq!(found, replicas, "{name}");
        assert_eq!(additional, set(&["10.244.0.2", "10.244.5.2", "fd00:1:5::2"]));
    }
    assert_eq!(services("_53._udp.web").0.len(), 2);
    let (vip, at) = services("_grpc._tcp.api");
    assert_eq!(vip, ["0 1 50051 api.shop.jaco.internal.".to_owned()].into());
    assert_eq!(at, set(&["10.244.200.1"]));
}

#[test]
fn any_and_the_zone_itself_are_answered_briefly() {
    let zone = Zone::new(&names());
    let one = |name, kind| match ask(&zone, name, kind) {
        Answer::Records { data, .. } if data.len() == 1 => data[0].record_type(),
        other => panic!("{name} {kind}: {other:?}"),
    };
    assert_eq!(one("web", RecordType::ANY), RecordType::HINFO);
    assert_eq!(one("down.shop", RecordType::ANY), RecordType::HINFO);
    assert_eq!(one("jaco.internal", RecordType::SOA), RecordType::SOA);
    assert_eq!(one("jaco.internal", RecordType::NS), RecordType::NS);
}

#[test]
fn ten_thousand_replicas_are_worked_out_at_once() {
    let mut names = Names::of("node-a".parse().unwrap());
    for n in 0..10_000_u32 {
        let [_, b, c, d] = (0x0af4_0000 + n).to_be_bytes();
        let name = format!("deployment-{}/default", n / 100);
        let services = names.scopes.entry(scope(&name)).or_insert_with(|| {
            (0..10).map(|service_number| service(&format!("service-{service_number}"))).collect()
        });
        let replica = replica(&format!("{} 10.{b}.{c}.{d} node-{}", n / 10 % 10 + 1, n % 50));
        services[(n % 10) as usize].replicas.push(replica);
    }
    let best = (0..5).map(|_| {
        let started = Instant::now();
        let zone = Zone::new(&names);
        assert_eq!(zone.networks.len(), 100);
        started.elapsed()
    });
    let best = best.min().unwrap();
    // On a busy machine an unoptimised build takes longer; what must not be is that it grows with the square.
    let most = if cfg!(debug_assertions) { 400 } else { 20 };
    assert!(best.as_millis() < most, "{best:?}");
    eprintln!("10,000 replicas: {best:?}");
}

/// Who may be answered, worked out by looking through everything.
fn allowed(names: &Names, source: IpAddr, gateway: IpAddr) -> BTreeSet<IpAddr> {
    let container = names.containers.iter().find(|c| c.addresses.iter().any(|(_, a)| *a == source));
    let scopes: Vec<&Scope> = match container {
        Some(container) => container.addresses.iter().map(|(scope, _)| scope).collect(),
        None => vec![&names.bridges[&gateway].scope],
    };
    let services =
        scopes.into_iter().flat_map(|scope| names.scopes.get(scope).into_iter().flatten());
    services
        .flat_map(|service| {
            let healthy = service.replicas.iter().filter(|replica| replica.healthy);
            let vip = match &service.endpoint {
                Endpoint::Vip(addresses) => addresses.clone(),
                Endpoint::Dnsrr => Vec::new(),
            };
            healthy.flat_map(|replica| replica.addresses.clone()).chain(vip).collect::<Vec<_>>()
        })
        .chain([gateway])
        .collect()
}

/// A small world: few names, so that questions meet them, of three deployments with two networks each.
fn worlds() -> impl Strategy<Value = Names> {
    let member = (1_u32..4, any::<bool>(), 0_u8..3, prop::option::of(0_usize..4));
    let replicas = prop::collection::vec(member, 0..4);
    let one = (0_usize..4, replicas, any::<bool>(), prop::option::of(0_usize..4));
    let network = prop::collection::vec(one, 0..4);
    (prop::collection::vec(network, 6), any::<[bool; 6]>()).prop_map(|(networks, both)| {
        const TEXTS: [&str; 4] = ["web", "db", "a", "web.b"];
        let mut names = Names::of("node-0".parse().unwrap());
        names.pools = vec!["10.244.0.0/16".parse().unwrap()];
        let of = |n: usize| scope(&format!("{}/{}", ["a", "b", "web"][n / 2], ["x", "y"][n % 2]));
        for (n, services) in networks.into_iter().enumerate() {
            let mut host = 9;
            let mut next = || {
                host += 1;
                ip(&format!("10.244.{n}.{host}"))
            };
            let services = services.into_iter().map(|(name, replicas, vip, alias)| {
                let mut service = service(TEXTS[name]);
                service.aliases = alias.map(|alias| TEXTS[alias].to_owned()).into_iter().collect();
                if vip {
                    service.endpoint = Endpoint::Vip(vec![next()]);
                }
                let replicas = replicas.into_iter().map(|(slot, healthy, node, hostname)| {
                    let sign = if healthy { "" } else { "!" };
                    let text = format!("{sign}{slot} {} node-{node}", next());
                    let hostname = hostname.map(|hostname| TEXTS[hostname].into());
                    NamedReplica { hostname, ..replica(&text) }
                });
                service.replicas = replicas.collect();
                service
            });
            let services = services.collect();
            names.scopes.insert(of(n), services);
            let block = format!("10.244.{n}.0/24").parse().unwrap();
            names.bridges.insert(ip(&format!("10.244.{n}.1")), Bridge { block, scope: of(n) });
            if both[n] {
                let pair = [n, n ^ 1].map(|m| (of(m), ip(&format!("10.244.{m}.{}", 200 + n))));
                names.containers.push(Container { addresses: pair.into() });
            }
        }
        names
    })
}

/// Names made of the same few words.
fn questions() -> impl Strategy<Value = String> {
    let label = prop::sample::select(vec![
        "web", "db", "a", "b", "1", "2", "_tcp", "x", "jaco", "internal", "arpa", "in-addr", "10",
        "244", "ns",
    ]);
    let suffix =
        prop::sample::select(vec!["", "jaco.internal", "a.jaco.internal", "244.10.in-addr.arpa"]);
    (prop::collection::vec(label, 0..5), suffix).prop_map(|(labels, suffix)| {
        let mut labels: Vec<&str> = labels;
        labels.extend(suffix.split('.').filter(|label| !label.is_empty()));
        format!("{}.", labels.join("."))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 2000 } else { 20_000 }))]

    #[test]
    fn nobody_is_answered_with_what_is_not_healthy_or_not_theirs(
        names in worlds(),
        question in questions(),
        at in 0_usize..6,
        host in prop::sample::select(vec![10_u8, 11, 99, 200, 201, 202, 203, 204, 205]),
        seed: u64,
    ) {
        let zone = Zone::new(&names);
        let (gateway, source) = (ip(&format!("10.244.{at}.1")), ip(&format!("10.244.{at}.{host}")));
        let view = zone.view(gateway, source).unwrap();
        let labels = Labels::of(&Name::from_ascii(&question).unwrap());
        let allowed = allowed(&names, source, gateway);
        let kinds = [
            RecordType::A, RecordType::AAAA, RecordType::SRV, RecordType::PTR, RecordType::TXT, RecordType::ANY,
        ];
        let answers = kinds.map(|kind| (kind, zone.ask(view, &labels, kind, seed)));
        for (kind, answer) in &answers {
            if let Answer::Records { data, additional } = answer {
                let all: Vec<_> = data.iter().filter_map(RData::ip_addr).collect();
                for address in all.iter().chain(additional.iter().map(|(_, address)| address)) {
                    prop_assert!(allowed.contains(address), "{question} {kind}: {address}");
                }
                let once: BTreeSet<_> = all.iter().collect();
                prop_assert_eq!(once.len(), all.len(), "twice the same");
                prop_assert!(!data.is_empty());
                for one in data {
                    let owned = matches!(kind, RecordType::ANY) || one.record_type() == *kind;
                    prop_assert!(owned, "{} for {}", one.record_type(), kind);
                }
            }
        }
        // A name is there for all types or for none, and ours for all or for none.
        let nx = |answer: &Answer| matches!(answer, Answer::NxDomain { .. });
        let forward = |answer: &Answer| matches!(answer, Answer::Forward);
        for (_, answer) in &answers[1..] {
            prop_assert_eq!(nx(answer), nx(&answers[0].1), "{}", question);
            prop_assert_eq!(forward(answer), forward(&answers[0].1), "{}", question);
        }
        // What only this cluster can know never leaves it.
        if question.ends_with("jaco.internal.") || question.ends_with("244.10.in-addr.arpa.") || labels.count() == 1 {
            prop_assert!(!forward(&answers[0].1), "{} is sent outside", question);
        }
    }
}

#[test]
fn records_of_ours_are_good_for_a_second() {
    let record = Record::from_rdata(Name::root(), TTL, SOA_DATA.clone());
    assert_eq!(record.ttl, 1);
    assert!(matches!(&record.data, RData::SOA(soa) if soa.minimum == 1));
}

#[test]
fn programs_of_the_host_know_full_names_and_are_told_of_replicas() {
    let mut all = names();
    all.host.insert(ip("127.0.0.54"));
    let zone = Zone::new(&all);
    assert!(zone.view(ip("127.0.0.54"), ip("10.244.0.2")).is_none(), "it is for the host alone");
    let view = zone.view(ip("127.0.0.54"), ip("127.0.0.1")).unwrap();
    let ask = |name: &str| {
        let name = Labels::of(&Name::from_ascii(name).unwrap());
        match zone.ask(view, &name, RecordType::A, 0) {
            Answer::Records { data, .. } => {
                let mut found: Vec<_> = data.iter().map(ToString::to_string).collect();
                found.sort();
                found.join(" ")
            }
            other => format!("{other:?}"),
        }
    };
    // Of every deployment and network, and of a service with an address of its own its replicas.
    assert_eq!(ask("api.shop.jaco.internal."), "10.244.0.9");
    assert_eq!(ask("db.shop.jaco.internal."), "10.244.1.2");
    assert_eq!(ask("secret.blog.jaco.internal."), "10.244.2.2");
    assert_eq!(ask("2.web.shop.jaco.internal."), "10.244.5.2");
    assert!(ask("nobody.shop.jaco.internal.").starts_with("NxDomain"));
    for other in ["web.", "web.shop.", "example.com.", "localhost."] {
        assert_eq!(ask(other), "Forward", "{other}");
    }
}
