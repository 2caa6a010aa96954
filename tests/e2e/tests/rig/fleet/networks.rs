//! Containers of one network reach each other on whatever hosts they are, and nobody else does.
//!
//! The witnesses are the containers themselves: what they reach by address and by name.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    process::{Child, Command},
    time::{Duration, Instant},
};

use jaco_e2e::{Fleet, Outcome};
use jaco_harness::{Container, Engine, Patience, Run as _};

use crate::stacks::{QUIET, named, pages};

/// A container, where it is and which address it has in one network.
pub(super) struct Place {
    /// The number of its host.
    pub(super) host: usize,
    pub(super) engine: Engine,
    pub(super) container: Container,
    pub(super) address: String,
}

impl Place {
    /// Runs a program in it and returns what that printed.
    pub(super) fn run(&self, program: &[&str]) -> Result<String, String> {
        let arguments = [&["exec", self.container.name.as_str()], program].concat();
        self.engine.docker(&arguments).map_err(|error| error.to_string())
    }

    /// Whether another answers over ICMP.
    pub(super) fn pings(&self, address: &str) -> bool {
        self.run(&["ping", "-c", "1", "-W", "1", address]).is_ok()
    }

    /// What is served at an address or name, on the port of the pages.
    pub(super) fn page(&self, host: &str) -> Result<String, String> {
        let url = format!("http://{host}:8080/index.html");
        self.run(&["timeout", "2", "wget", "-q", "-O", "-", &url])
    }
}

/// The containers of a service that run, with their addresses in a network of its deployment, in order of hosts.
pub(super) fn places(fleet: &Fleet, deployment: &str, service: &str) -> Outcome<Vec<Place>> {
    let mut places = Vec::new();
    let network = format!("jaco_{deployment}_default");
    for (host, engine) in fleet.engines().into_iter().enumerate() {
        let label = format!("jaco.deployment={deployment}");
        for container in engine.containers(Some(&label))? {
            let named = container.labels.get("jaco.service").map(String::as_str) == Some(service);
            if !named || container.status != "running" {
                continue;
            }
            let address = container.addresses.get(&network).cloned().unwrap_or_default();
            assert!(address.parse::<Ipv4Addr>().is_ok(), "{} has no address", container.name);
            places.push(Place { host, engine: engine.clone(), container, address });
        }
    }
    Ok(places)
}

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
    for from in &alpha {
        for to in &alpha {
            fleet
                .cluster()
                .until(Patience::NORMAL, "the page of another host", || from.page(&to.address))?;
            assert!(from.pings(&to.address), "{} pings {}", from.container.name, to.address);
        }
        for name in ["app", "app.alpha", "app.alpha.jaco.internal", "1.app", "2.app", "3.app"] {
            let page = fleet.cluster().until(Patience::NORMAL, name, || from.page(name))?;
            assert_eq!(page, "alpha", "{name}");
        }
    }
    for (from, others) in [(&alpha, &beta), (&beta, &alpha)] {
        for (from, to) in from.iter().flat_map(|from| others.iter().map(move |to| (from, to))) {
            assert!(!from.pings(&to.address), "{} pings {}", from.container.name, to.address);
            let page = from.page(&to.address);
            assert!(page.is_err(), "{} is served {page:?}", from.container.name);
        }
        for name in ["app.alpha", "app.beta"] {
            let own = from[0].container.labels["jaco.deployment"].as_str();
            assert_eq!(from[0].page(name).is_ok(), name.ends_with(own), "{name} in {own}");
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
    for source in [stolen.address.as_str(), "10.247.255.7", "192.0.2.7"] {
        as_root(&format!("ip addr add {source}/32 dev eth0"))?;
        let targets = [&neighbour.address, &stolen.address];
        for target in targets.into_iter().filter(|target| *target != source) {
            let forged = as_root(&format!("ping -c 1 -W 1 -I {source} {target}"));
            assert!(forged.is_err(), "{source} reaches {target}");
        }
        as_root(&format!("ip addr del {source}/32 dev eth0"))?;
        assert!(forger.pings(&neighbour.address), "with its own address");
    }
    Ok(())
}

/// A host's own services are out of reach for its containers, and those of other hosts by way of the mesh;
/// somebody else's containers reach them as ever.
fn hosts_are_out_of_reach(fleet: &Fleet, places: &[Place]) -> Outcome {
    let hosts = fleet.cluster().rig().hosts();
    let listeners: Vec<_> = hosts
        .iter()
        .map(|host| {
            let mut listener = host.command("busybox");
            listener.args(["httpd", "-f", "-p", "2222", "-h", "/tmp"]);
            listener.spawn().map(Listener)
        })
        .collect::<Result<_, _>>()?;
    for host in hosts {
        let address = host.address().to_string();
        let ask = format!("busybox nc -w 1 {address} 2222 </dev/null");
        fleet.cluster().until(Patience::SHORT, "the listener of a host", || {
            let mut near = fleet.cluster().rig().host(0).command("sh");
            near.args(["-c", &ask]).text().map_err(|error| error.to_string())
        })?;
    }
    for place in places {
        let gateway = gateway_of(place)?;
        // Its own host by all of its addresses, and every host by its address in the mesh.
        let own = hosts[place.host].address().to_string();
        let mesh = (1..=hosts.len()).map(|n| format!("10.243.0.{n}"));
        let all: Vec<String> = mesh.chain([own, gateway.clone()]).collect();
        for (address, port) in all.iter().flat_map(|a| [2222, 7000, 7001].map(|p| (a, p))) {
            let ask = format!("nc -w 1 {address} {port} </dev/null");
            let said = place.run(&["timeout", "2", "sh", "-c", &ask]);
            assert!(said.is_err(), "{} reaches {address}:{port}: {said:?}", place.container.name);
        }
        place.run(&["nslookup", "app", &gateway])?;
    }
    // An unrelated network of the engine is no business of ours.
    let engine = fleet.engine(0);
    engine.docker(&["network", "create", "unrelated"])?;
    let ask = format!("nc -w 1 {} 2222 </dev/null", fleet.cluster().rig().host(0).address());
    let run = ["run", "--rm", "--network", "unrelated", "busybox:rig", "sh", "-c", &ask];
    engine.docker(&run)?;
    engine.docker(&["network", "rm", "unrelated"])?;
    drop(listeners);
    Ok(())
}

fn gateway_of(place: &Place) -> Result<String, String> {
    let routes = place.run(&["ip", "route"])?;
    let default = routes.lines().find_map(|line| line.strip_prefix("default via "));
    let gateway = default.and_then(|rest| rest.split(' ').next());
    gateway.map(str::to_owned).ok_or(routes)
}

/// A process of the test on a host, which ends with it.
struct Listener(Child);

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
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
        let began = Instant::now();
        fleet.cluster().rig().host(0).command("sh").args(["-c", damage]).text()?;
        fleet.cluster().until(Patience::SHORT, what, || match rules(fleet)? {
            now if now == whole => Ok(()),
            now => Err(format!("{} of {} words", now.len(), whole.len())),
        })?;
        let took = began.elapsed();
        fleet.measured(what, format!("{took:.2?} until it was restored"));
        assert!(took < Duration::from_secs(2), "{what}: {took:?}");
        fleet.cluster().until(Patience::SHORT, "the audit of it", || match reconciled(fleet)? {
            n if n > number => Ok(()),
            n => Err(format!("{n} of {}", number + 1)),
        })?;
        for (from, to) in alpha.iter().flat_map(|from| alpha.iter().map(move |to| (from, to))) {
            assert!(from.pings(&to.address), "after {what}");
        }
        assert!(!alpha[0].pings(&beta[0].address) && !beta[0].pings(&alpha[1].address), "{what}");
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
    assert!(!replicas.iter().any(|r| resolved.contains(&r.address)), "{resolved}");
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
