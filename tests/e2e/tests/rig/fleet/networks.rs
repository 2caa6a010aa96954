//! Containers of one network reach each other on whatever hosts they are, and nobody else does.
//!
//! The witnesses are sockets in the containers' own networks, and the containers themselves.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr, UdpSocket},
    process::Command,
    time::{Duration, Instant},
};

use jaco_e2e::{Fleet, Outcome};
use jaco_harness::{Patience, Run as _, Trickle, Vantage, until};

use super::places::{Place, places, places_in};
use crate::stacks::{QUIET, named, pages};

/// A port that nothing of a stack uses.
const PORT: u16 = 7777;

pub(crate) fn a_network_spans_hosts_and_ends_at_its_deployment(fleet: &mut Fleet) -> Outcome {
    fleet.form()?;
    let began = Instant::now();
    for deployment in ["alpha", "beta"] {
        let stack = fleet.stack(&named(deployment), &pages(deployment, 3, ""))?;
        fleet.cli(0).run(&["apply", &stack.manifest(), "--wait=90s"])?;
    }
    fleet.measured("two stacks on three hosts", format!("{:.1?}", began.elapsed()));
    let (alpha, beta) = (places(fleet, "alpha", "app")?, places(fleet, "beta", "app")?);
    assert_eq!((alpha.len(), beta.len()), (3, 3));
    each_reaches_its_own(fleet, &[&alpha, &beta])?;
    for from in &alpha {
        for name in ["app", "app.alpha", "app.alpha.jaco.internal", "1.app", "2.app", "3.app"] {
            let page = fleet.cluster().until(Patience::NORMAL, name, || from.page(name))?;
            assert_eq!(page, "alpha", "{name}");
        }
    }
    for from in [&alpha[0], &beta[0]] {
        for name in ["app.alpha", "app.beta"] {
            let own = from.container.labels["jaco.deployment"].as_str();
            assert_eq!(from.page(name).is_ok(), name.ends_with(own), "{name} in {own}");
        }
    }
    large_transfers_arrive(&alpha)?;
    forged_sources_are_dropped(&alpha, &beta)?;
    hosts_are_out_of_reach(fleet, &alpha)?;
    for deployment in ["alpha", "beta"] {
        fleet.cli(1).run(&["delete", deployment, "--wait=60s"])?;
    }
    Ok(())
}

/// Two networks of one deployment: who is in one reaches nobody who is in the other only.
pub(crate) fn networks_of_one_deployment_are_apart(fleet: &mut Fleet) -> Outcome {
    fleet.form()?;
    let service = |name: &str, networks: &str| {
        // The very first thing that a container does on a host that has seen none.
        let script = format!("nslookup {name} && touch /tmp/resolved; {QUIET}");
        format!(
            "  {name}:\n    image: busybox:rig\n    pull_policy: never\n    stop_grace_period: 1s\n    \
             command: [\"sh\", \"-c\", {script:?}]\n    networks: [{networks}]\n    \
             deploy: {{replicas: 3}}\n"
        )
    };
    let compose = format!(
        "services:\n{}{}{}networks: {{front: {{}}, back: {{internal: true}}}}\n",
        service("web", "front"),
        service("db", "back"),
        service("api", "front, back")
    );
    let stack = fleet.stack(&named("shop"), &compose)?;
    fleet.cli(0).run(&["apply", &stack.manifest(), "--wait=90s"])?;
    let group = |network: &str, services: [&str; 2]| -> Outcome<Vec<Place>> {
        let all = services.map(|service| places_in(fleet, "shop", service, network));
        Ok(all.into_iter().collect::<Outcome<Vec<_>>>()?.concat())
    };
    let (front, back) = (group("front", ["web", "api"])?, group("back", ["db", "api"])?);
    assert_eq!((front.len(), back.len()), (6, 6));
    for place in front.iter().chain(&back) {
        place.run(&["ls", "/tmp/resolved"])?;
    }
    each_reaches_its_own(fleet, &[&front, &back])
}

/// In every direction between all containers of these networks: TCP, UDP and ICMP reach those that share a
/// network, with the sender's own address, and nobody else.
fn each_reaches_its_own(fleet: &Fleet, networks: &[&[Place]]) -> Outcome {
    let mut containers: BTreeMap<&str, (Vantage, BTreeSet<usize>)> = BTreeMap::new();
    for (network, places) in networks.iter().enumerate() {
        for place in *places {
            let vantage = || (Vantage::of(&place.container), BTreeSet::new());
            let known = containers.entry(&place.container.name).or_insert_with(vantage);
            known.1.insert(network);
        }
    }
    let targets = || {
        let all = networks.iter().enumerate();
        all.flat_map(|(network, places)| places.iter().map(move |place| (network, place)))
    };
    // Each address that a container may reach, with the network it is in.
    let allowed = |name: &str| -> BTreeSet<IpAddr> {
        let own = &containers[name].1;
        targets().filter(|(network, _)| own.contains(network)).map(|(_, p)| p.address).collect()
    };
    let all: Vec<IpAddr> = targets().map(|(_, place)| place.address).collect();
    let ports: Vec<_> = all.iter().map(|address| SocketAddr::new(*address, PORT)).collect();
    let _listeners: Vec<_> =
        containers.values().map(|(vantage, _)| vantage.listen(PORT)).collect::<Result<_, _>>()?;
    for (name, (vantage, _)) in &containers {
        let allowed = allowed(name);
        // A tunnel may have to be opened first.
        fleet.cluster().until(Patience::NORMAL, "all of its own", || {
            let found = vantage.pings(&all).map_err(|error| error.to_string())?;
            let missing: Vec<_> = allowed.difference(&found).collect();
            if missing.is_empty() { Ok(()) } else { Err(format!("{name} misses {missing:?}")) }
        })?;
        assert_eq!(vantage.pings(&all)?, allowed, "{name} pings");
        let connects: BTreeSet<_> = vantage.connects(&ports)?.iter().map(SocketAddr::ip).collect();
        assert_eq!(connects, allowed, "{name} connects to");
    }
    let sockets: BTreeMap<&str, UdpSocket> = containers
        .iter()
        .map(|(name, (vantage, _))| Ok((*name, vantage.udp(PORT)?)))
        .collect::<Outcome<_>>()?;
    for (name, socket) in &sockets {
        for target in &ports {
            // What is refused may be told at once; what was not sent does not arrive.
            let _ = socket.send_to(format!("{name} {}", target.ip()).as_bytes(), target);
        }
    }
    let mut expected = BTreeSet::new();
    for name in containers.keys() {
        expected.extend(allowed(name).iter().map(|target| format!("{name} {target}")));
    }
    let mut received = BTreeSet::new();
    until(Patience::SHORT, "every datagram", || {
        for socket in sockets.values() {
            received.extend(datagrams(socket));
        }
        let told: BTreeSet<_> = received.iter().map(|(text, _)| text.clone()).collect();
        if told.is_superset(&expected) { Ok(()) } else { Err(format!("{} came", told.len())) }
    })?;
    let own: BTreeSet<_> = targets().map(|(_, p)| (p.container.name.as_str(), p.address)).collect();
    for (text, from) in &received {
        assert!(expected.contains(text), "{text} came through");
        let sender = text.split(' ').next().unwrap_or_default();
        assert!(own.contains(&(sender, from.ip())), "{text} came from {from}");
    }
    Ok(())
}

/// What has come to a socket, and from where.
fn datagrams(socket: &UdpSocket) -> Vec<(String, SocketAddr)> {
    let mut bytes = [0; 256];
    let next = || socket.recv_from(&mut bytes).ok().map(|(n, from)| (n, from, bytes));
    std::iter::from_fn(next)
        .map(|(n, from, bytes)| (String::from_utf8_lossy(&bytes[..n]).into_owned(), from))
        .collect()
}

/// Ten megabytes from each to each, by the digest of what came.
fn large_transfers_arrive(places: &[Place]) -> Outcome {
    let made = "dd if=/dev/zero of=/tmp/big bs=1M count=10 2>/dev/null; sha256sum </tmp/big";
    for to in places {
        let digest = to.run(&["sh", "-c", made])?;
        for from in places {
            let fetched = format!("wget -q -O - http://{}:8080/big | sha256sum", to.address);
            let got = from.run(&["timeout", "20", "sh", "-c", &fetched])?;
            assert_eq!(got, digest, "{} from {}", from.container.name, to.container.name);
        }
    }
    Ok(())
}

/// A container that takes another's address reaches nobody with it, and itself is still reached.
fn forged_sources_are_dropped(alpha: &[Place], beta: &[Place]) -> Outcome {
    let (forger, neighbour) = (&alpha[0], &alpha[1]);
    let network = format!("--net=/proc/{}/ns/net", forger.container.pid);
    let as_root = |script: &str| {
        let mut inside = Command::new("nsenter");
        inside.args([network.as_str(), "sh", "-c", script]).text()
    };
    // Of the network of beta on the same host, of nobody, of the world.
    let stolen = beta.iter().find(|place| place.host == forger.host).ok_or("nobody beside it")?;
    let (stolen, neighbour_address) = (stolen.address.to_string(), neighbour.address.to_string());
    for source in [stolen.as_str(), "10.247.255.7", "192.0.2.7"] {
        as_root(&format!("ip addr add {source}/32 dev eth0"))?;
        let targets = [neighbour_address.as_str(), stolen.as_str()];
        for target in targets.into_iter().filter(|target| *target != source) {
            let forged = as_root(&format!("ping -c 1 -W 1 -I {source} {target}"));
            assert!(forged.is_err(), "{source} reaches {target}");
        }
        as_root(&format!("ip addr del {source}/32 dev eth0"))?;
        assert!(forger.pings(neighbour.address), "with its own address");
    }
    Ok(())
}

/// A host's own services are out of reach for its containers, and those of other hosts by way of the mesh;
/// somebody else's containers reach them as ever.
fn hosts_are_out_of_reach(fleet: &mut Fleet, places: &[Place]) -> Outcome {
    let hosts = fleet.cluster().rig().hosts();
    let _services: Vec<_> =
        hosts.iter().map(|host| Vantage::of_host(host).listen(2222)).collect::<Result<_, _>>()?;
    let near: Vec<_> =
        hosts.iter().map(|host| SocketAddr::new(host.address().into(), 2222)).collect();
    assert_eq!(Vantage::of_host(&hosts[0]).connects(&near)?.len(), 3, "hosts reach each other");
    for place in places {
        let gateway = gateway_of(place)?;
        // Its own host by all of its addresses, and every host by its address in the mesh.
        let own = hosts[place.host].address().to_string();
        let mesh = (1..=hosts.len()).map(|n| format!("10.243.0.{n}"));
        let all = mesh.chain([own, gateway.clone()]).map(|address| address.parse());
        let all: Vec<IpAddr> = all.collect::<Result<_, _>>()?;
        let ports = all.iter().flat_map(|a| [2222, 7000, 7001].map(|p| SocketAddr::new(*a, p)));
        let reached = Vantage::of(&place.container).connects(&ports.collect::<Vec<_>>())?;
        assert!(reached.is_empty(), "{} reaches {reached:?}", place.container.name);
        place.run(&["nslookup", "app", &gateway])?;
    }
    // An unrelated network of the engine is no business of ours.
    let engine = fleet.engine(0);
    engine.docker(&["network", "create", "unrelated"])?;
    let run = ["run", "-d", "--name", "stranger", "--network", "unrelated", "busybox:rig"];
    engine.docker(&[&run[..], &["sleep", "60"]].concat())?;
    let all = engine.containers(None)?;
    let stranger =
        all.iter().find(|container| container.name == "stranger").ok_or("no stranger")?;
    let reached = Vantage::of(stranger).connects(&near[..1])?;
    assert_eq!(reached.len(), 1, "a container of somebody else reaches its host");
    engine.docker(&["rm", "-f", "stranger"])?;
    engine.docker(&["network", "rm", "unrelated"])?;
    // Who is allowed to, reaches its host.
    let open =
        pages("open", 1, "") + "networks: {default: {labels: {jaco.io/host-access: \"true\"}}}\n";
    let stack = fleet.stack(&named("open"), &open)?;
    fleet.cli(0).run(&["apply", &stack.manifest(), "--wait=90s"])?;
    let place = places_of_one(fleet, "open")?;
    let at = SocketAddr::new(gateway_of(&place)?.parse()?, 2222);
    let reached = Vantage::of(&place.container).connects(&[at])?;
    assert!(reached.contains(&at), "with host access, {at} is reached");
    fleet.cli(0).run(&["delete", "open", "--wait=60s"])?;
    Ok(())
}

fn places_of_one(fleet: &Fleet, deployment: &str) -> Outcome<Place> {
    places(fleet, deployment, "app")?.pop().ok_or_else(|| format!("no {deployment} runs").into())
}

fn gateway_of(place: &Place) -> Result<String, String> {
    let routes = place.run(&["ip", "route"])?;
    let default = routes.lines().find_map(|line| line.strip_prefix("default via "));
    let gateway = default.and_then(|rest| rest.split(' ').next());
    gateway.map(str::to_owned).ok_or(routes)
}

/// How the rules of a host are damaged, in `nft`'s words.
const DAMAGES: [(&str, &str); 4] = [
    ("a table that was flushed", "nft flush table inet jaco"),
    ("a table that was deleted", "nft delete table inet jaco"),
    (
        "a rule that was deleted",
        "nft delete rule inet jaco forward handle \
         $(nft -a list chain inet jaco forward | sed -n 's/.* # handle //p' | tail -1)",
    ),
    (
        "an element that was deleted",
        "nft delete element inet jaco pools4 { $(nft list set inet jaco pools4 | \
         sed -n 's/.*elements = { *\\([^,} ]*\\).*/\\1/p') }",
    ),
];

/// Datagrams from one container to another.
fn trickle(from: &Place, to: &Place) -> Outcome<Trickle> {
    let (from, vantage) = (Vantage::of(&from.container), Vantage::of(&to.container));
    Ok(Trickle::begin(&from, &vantage, SocketAddr::new(to.address, PORT))?)
}

pub(crate) fn damaged_rules_are_restored_at_once(fleet: &mut Fleet) -> Outcome {
    fleet.form()?;
    for deployment in ["alpha", "beta"] {
        let stack = fleet.stack(&named(deployment), &pages(deployment, 3, ""))?;
        fleet.cli(0).run(&["apply", &stack.manifest(), "--wait=90s"])?;
    }
    let (alpha, beta) = (places(fleet, "alpha", "app")?, places(fleet, "beta", "app")?);
    // The order of elements means nothing, and counters count on.
    let rules = |fleet: &Fleet| -> Result<Vec<String>, String> {
        let mut list = fleet.cluster().rig().host(0).command("nft");
        let list = list.args(["-s", "list", "table", "inet", "jaco"]).text();
        let list = list.map_err(|error| error.to_string())?;
        let mut words: Vec<_> = list.split([' ', ',', '\n', '\t']).map(str::to_owned).collect();
        words.sort_unstable();
        Ok(words)
    };
    let reconciled = |fleet: &Fleet| -> Result<usize, String> {
        let audit = fleet.cli(0).json(&["audit"]).map_err(|error| error.to_string())?;
        let all = audit.as_array().into_iter().flatten();
        Ok(all.filter(|event| event["type"] == "isolation_ruleset_reconciled").count())
    };
    let whole = rules(fleet)?;
    for (number, (what, damage)) in DAMAGES.into_iter().enumerate() {
        // Both on the damaged host, so that no other host's rules keep them apart.
        let refused = trickle(&alpha[0], &beta[0])?;
        let began = Instant::now();
        fleet.cluster().rig().host(0).command("sh").args(["-c", damage]).text()?;
        fleet.cluster().until(Patience::SHORT, what, || match rules(fleet)? {
            now if now == whole => Ok(()),
            now => Err(format!("{} of {} words", now.len(), whole.len())),
        })?;
        let took = began.elapsed();
        let (restored, refused) = (Instant::now(), refused.end()?);
        let late = refused.came.iter().filter(|came| **came > restored).count();
        let (came, sent) = (refused.came.len(), refused.sent);
        fleet.measured(
            what,
            format!("{took:.2?} until it was restored, {came} of {sent} forbidden datagrams came"),
        );
        assert_eq!(late, 0, "forbidden datagrams came after {what} was restored");
        let all = trickle(&alpha[1], &alpha[0])?;
        assert!(took < Duration::from_secs(2), "{what}: {took:?}");
        fleet.cluster().until(Patience::SHORT, "the audit of it", || match reconciled(fleet)? {
            n if n > number => Ok(()),
            n => Err(format!("{n} of {}", number + 1)),
        })?;
        for (from, to) in alpha.iter().flat_map(|from| alpha.iter().map(move |to| (from, to))) {
            assert!(from.pings(to.address), "after {what}");
        }
        let all = all.end()?;
        assert_eq!(all.sent as usize, all.came.len(), "allowed datagrams after {what}");
        assert!(!alpha[0].pings(beta[0].address) && !beta[0].pings(alpha[1].address), "{what}");
    }
    Ok(())
}

pub(crate) fn a_service_has_one_address_that_leads_to_healthy_replicas(
    fleet: &mut Fleet,
) -> Outcome {
    fleet.form()?;
    let mut compose = pages("$$HOSTNAME", 3, "");
    compose += &format!(
        "  client:\n    image: busybox:rig\n    pull_policy: never\n    stop_grace_period: 1s\n    \
         command: [\"sh\", \"-c\", {QUIET:?}]\n"
    );
    let stack = fleet.stack(&named("virtual"), &compose)?;
    fleet.cli(0).run(&["apply", &stack.manifest(), "--wait=90s"])?;
    let client = places(fleet, "virtual", "client")?.remove(0);
    let replicas = places(fleet, "virtual", "app")?;
    let resolved =
        fleet.cluster().until(Patience::NORMAL, "the name", || client.run(&["nslookup", "app"]))?;
    assert!(resolved.contains("10.242."), "an address of the service: {resolved}");
    assert!(!replicas.iter().any(|r| resolved.contains(&r.address.to_string())), "{resolved}");
    let ask =
        "i=0; while [ $i -lt 300 ]; do wget -q -O - http://app:8080/index.html; i=$((i+1)); done";
    let pages = client.run(&["timeout", "60", "sh", "-c", ask])?;
    let mut counts: BTreeMap<&str, f64> = BTreeMap::new();
    pages.lines().for_each(|page| *counts.entry(page).or_default() += 1.0);
    let (answers, expected) = (counts.values().sum::<f64>(), 100.0);
    let chi: f64 = counts.values().map(|n| (n - expected).powi(2) / expected).sum();
    fleet.measured("300 requests by three replicas", format!("{counts:?}, chi-square {chi:.2}"));
    assert_eq!((answers as u32, counts.len()), (300, 3), "{counts:?}");
    // Two degrees of freedom: one run in ten thousand is worse by chance.
    assert!(chi < 18.4, "{counts:?}");

    let victim = &replicas[0];
    victim.engine.docker(&["kill", &victim.container.name])?;
    let killed = Instant::now();
    let (mut last, mut failures) = (None, 0);
    while killed.elapsed() < Duration::from_secs(6) {
        if client.page("app").is_err() {
            failures += 1;
            last = Some(killed.elapsed());
        }
    }
    let last = last.unwrap_or_default();
    fleet.measured(
        "a replica killed",
        format!("{failures} requests failed, the last after {last:.2?}"),
    );
    assert!(last < Duration::from_secs(3), "requests still fail {last:?} after");
    Ok(())
}
