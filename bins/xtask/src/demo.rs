//! `demo`: a cluster of three hosts with real engines, in one command.

use clap::Args;
use jaco_harness::{
    Authority, AuthorityOptions, Cluster, NodeOptions, Patience, Rig, RigOptions, Stack, https_get,
    until,
};

use crate::{
    build,
    error::{Result, TaskError},
    machine::{is_root, workspace},
    rig::{kept, prepared},
    say, setup,
};

const NAME: &str = "jdemo";
const HOSTS: u8 = 3;
/// What the demo adds to the jaco.yaml of `hello`.
const HELLO: &str = "services:\n  - { name: web, replicas: 3 }\nroutes:\n  - { domain: hello.example, service: web, port: 8080 }\n";

#[derive(Args)]
pub(crate) struct Demo {
    /// Removes the demo
    #[arg(long)]
    down: bool,
    /// Runs it unattended, checks what it sees, and removes it
    #[arg(long, conflicts_with = "down")]
    check: bool,
}

impl Demo {
    pub(crate) fn run(&self) -> Result<()> {
        if !is_root() {
            return Err(TaskError::NotRoot { what: "the demo" });
        }
        if self.down {
            return Ok(Rig::open(NAME)?.down()?);
        }
        setup::install_for_tests()?;
        let (_, binaries) = build::binaries()?;
        if self.check {
            say::step(&format!("Starting {HOSTS} hosts, each with its own engine"));
            let name = Some("jdcheck".to_owned());
            let options = RigOptions { hosts: HOSTS, name, keep: false };
            let mut cluster = prepared(&options, binaries)?;
            let checked = show(&mut cluster).and_then(|()| removal(&cluster));
            if checked.is_err() {
                say::note(&cluster.report());
            }
            cluster.down()?;
            checked?;
            say::note("demo: every check passed");
            return Ok(());
        }
        let mut cluster = kept(NAME, HOSTS, binaries)?;
        show(&mut cluster).inspect_err(|_| say::note(&cluster.report()))?;
        cluster.detach();
        farewell(&cluster);
        Ok(())
    }
}

/// From nothing to two stacks that answer, and one of them surviving the loss of a host.
fn show(cluster: &mut Cluster) -> Result<()> {
    let authority = authority(cluster)?;
    form(cluster)?;
    shop(cluster)?;
    hello(cluster)?;
    secured(cluster, authority.as_ref())?;
    every_view(cluster)?;
    loss(cluster)
}

/// A CA on this machine, which the nodes are told of; none where its programs could not be installed.
fn authority(cluster: &mut Cluster) -> Result<Option<Authority>> {
    if !Authority::is_installed() {
        say::note("demo: pebble or bind9 is not installed: no certificate is obtained");
        return Ok(None);
    }
    say::step("Starting a certificate authority beside the hosts");
    let directory = cluster.rig().directory().join("authority");
    let authority = Authority::start(cluster.rig(), &directory, &AuthorityOptions::default())?;
    let options = NodeOptions { config: authority.config(), ..NodeOptions::default() };
    cluster.prepare(&options)?;
    Ok(Some(authority))
}

fn form(cluster: &mut Cluster) -> Result<()> {
    say::step("Starting jacod on every host and forming a cluster on the first");
    cluster.start()?;
    say::data(&cluster.cli(0).run(&["cluster", "init"])?.stdout);
    for n in 1..cluster.nodes().len() {
        say::step(&format!("Joining {}", cluster.node(n).name()));
        let joined = cluster.join(n, 0)?;
        say::note(&format!("ready after {:.1} s", joined.took.as_secs_f32()));
    }
    Ok(cluster.ready(Patience::NORMAL)?)
}

/// Copies an example stack to where the demo may add to its jaco.yaml.
fn stack(cluster: &Cluster, name: &str, services: &str) -> Result<Stack> {
    let from = workspace().join("examples/stacks").join(name);
    let stack = Stack::copy(&from, cluster.rig().directory().join(name))?;
    let path = stack.directory().join("jaco.yaml");
    let text = std::fs::read_to_string(&path).map_err(|source| TaskError::File {
        operation: "read",
        path: path.display().to_string(),
        source,
    })?;
    stack.put("jaco.yaml", format!("{text}{services}"))?;
    Ok(stack)
}

/// Services that talk to each other by name, each on a host of its own.
fn shop(cluster: &Cluster) -> Result<()> {
    say::step("Applying examples/stacks/shop through node2, its services on three hosts");
    let apart = [("web", 1), ("api", 2), ("worker", 2), ("db", 3)].map(|(name, n)| {
        format!("  - {{ name: {name}, constraints: [node.hostname == node{n}] }}\n")
    });
    let stack = stack(cluster, "shop", &format!("services:\n{}", apart.concat()))?;
    say::data(&cluster.cli(1).run(&["apply", &stack.manifest(), "--wait=90s"])?.stdout);

    say::step("Ordering a teapot: web on node1, api on node2, database on node3");
    let host = cluster.rig().host(0);
    let web = addresses(cluster, 0, "web")?.remove(0);
    let page = until(Patience::NORMAL, "the page to answer", || {
        host.http_get(&format!("http://{web}:8080/")).map_err(|error| error.to_string())
    })?;
    if !page.contains("Welcome to the shop") {
        return Err(TaskError::Check { what: format!("the page does not greet:\n{page}") });
    }
    host.http_post(&format!("http://{web}:8080/orders"), "teapot")?;
    let page = until(Patience::NORMAL, "the worker to pack the teapot", || {
        let page = host.http_get(&format!("http://{web}:8080/")).map_err(|e| e.to_string())?;
        if page.contains("packed teapot") { Ok(page) } else { Err(page) }
    })?;
    say::data(&page);

    say::step("Visiting http://shop.localhost through every node");
    for (node, served_by) in cluster.nodes().iter().zip(cluster.rig().hosts()) {
        let url = format!("http://{}:80/", served_by.address());
        let page = until(Patience::NORMAL, "the route to answer", || {
            host.http_get_of("shop.localhost", &url).map_err(|error| error.to_string())
        })?;
        let greeting = page.lines().find(|line| line.contains("<h1>")).unwrap_or_default();
        say::data(&format!("{}: {greeting}", node.name()));
    }
    Ok(())
}

/// A service that stands alone, on every host.
fn hello(cluster: &Cluster) -> Result<()> {
    say::step("Applying examples/stacks/hello with three replicas, spread over the hosts");
    let stack = stack(cluster, "hello", HELLO)?;
    say::data(&cluster.cli(2).run(&["apply", &stack.manifest(), "--wait=90s"])?.stdout);
    for n in 0..cluster.nodes().len() {
        greeted(cluster, n)?;
    }
    Ok(())
}

/// The domain of `hello` comes to a certificate, which every node shows.
fn secured(cluster: &Cluster, authority: Option<&Authority>) -> Result<()> {
    let Some(authority) = authority else { return Ok(()) };
    say::step(
        "Visiting https://hello.example through every node, with a certificate from the authority",
    );
    let root = authority.root()?;
    for (node, host) in cluster.nodes().iter().zip(cluster.rig().hosts()) {
        let page = cluster.until(Patience::LONG, "a certificate", || {
            let at = (host.address(), 443);
            let shown = https_get(at, "hello.example", "/", Some(&root));
            let shown = shown.map_err(|error| error.to_string())?;
            if shown.status == 200 { Ok(shown.body) } else { Err(shown.head) }
        })?;
        let greeting = page.lines().find(|line| line.contains("<h1>")).unwrap_or_default();
        say::data(&format!("{}: {greeting}", node.name()));
    }
    Ok(())
}

/// Asks the replicas of `hello` on a host, at the addresses their engine gave them.
fn greeted(cluster: &Cluster, n: usize) -> Result<()> {
    let (host, node) = (cluster.rig().host(n), cluster.node(n));
    let ours = addresses(cluster, n, "web")?.into_iter();
    // Of the two services called `web`, the shop's has another greeting.
    let page = until(Patience::NORMAL, "hello to answer", || {
        let pages = ours.clone().map(|a| host.http_get(&format!("http://{a}:8080/")));
        let pages: Vec<String> = pages.map(|p| p.unwrap_or_else(|e| e.to_string())).collect();
        let hello = pages.iter().find(|page| page.contains("Hello from JACO"));
        hello.cloned().ok_or_else(|| pages.join("\n"))
    })?;
    let greeting = page.lines().find(|line| line.contains("<h1>")).unwrap_or_default();
    say::data(&format!("{}: {greeting}", node.name()));
    Ok(())
}

/// The addresses of a service's running containers on a host, as its engine knows them.
fn addresses(cluster: &Cluster, n: usize, service: &str) -> Result<Vec<String>> {
    let label = format!("jaco.service={service}");
    let containers = cluster.rig().host(n).engine().containers(Some(&label))?;
    let running = containers.iter().filter(|container| container.status == "running");
    let all = running.flat_map(|container| container.addresses.values());
    let all: Vec<String> = all.filter(|address| !address.is_empty()).cloned().collect();
    if all.is_empty() {
        let what = format!("no {service} container has an address: {containers:?}");
        return Err(TaskError::Check { what });
    }
    Ok(all)
}

/// What each node says: the same, whichever is asked.
fn every_view(cluster: &Cluster) -> Result<()> {
    for node in cluster.nodes() {
        say::step(&format!("What {} sees", node.name()));
        say::data(&node.cli().run(&["node", "list"])?.stdout);
        say::data(&node.cli().run(&["status"])?.stdout);
    }
    Ok(())
}

/// The third host's cable is cut, and mended.
fn loss(cluster: &Cluster) -> Result<()> {
    let lost = cluster.nodes().len() - 1;
    let name = cluster.node(lost).name();
    say::step(&format!("Cutting the cable of {name}"));
    let cut = std::time::Instant::now();
    cluster.rig().host(lost).cut()?;
    let list = ["get", "replicas", "hello"];
    let moved = cluster.until(Patience::NORMAL, "three replicas on two hosts", || {
        let replicas = cluster.cli(0).json(&list).map_err(|error| error.to_string())?;
        let rows = replicas.as_array().cloned().unwrap_or_default();
        let running = rows.iter().filter(|r| r["state"] == "running" && r["node"] != name);
        if running.count() == 3 { Ok(()) } else { Err(replicas.to_string()) }
    });
    let took = cut.elapsed();
    say::data(&cluster.cli(0).run(&["status", "hello"])?.stdout);
    moved?;
    say::note(&format!("three replicas on two hosts after {:.1} s", took.as_secs_f32()));

    say::step(&format!("Mending the cable of {name}"));
    cluster.rig().host(lost).heal()?;
    cluster.ready(Patience::LONG)?;
    say::data(&cluster.cli(lost).run(&["node", "list"])?.stdout);

    say::step("The shop on three hosts, with its database back");
    let web = addresses(cluster, 0, "web")?;
    let host = cluster.rig().host(0);
    cluster.until(Patience::NORMAL, "the teapot to be remembered", || {
        let pages = web.iter().map(|a| host.http_get(&format!("http://{a}:8080/")));
        let pages: Vec<_> = pages.map(|p| p.unwrap_or_else(|e| e.to_string())).collect();
        let found = pages.iter().any(|page| page.contains("packed teapot"));
        if found { Ok(()) } else { Err(pages.join("\n")) }
    })?;
    say::data(&cluster.cli(0).run(&["doctor"])?.stdout);
    Ok(())
}

/// From two running stacks back to nothing, on every host.
fn removal(cluster: &Cluster) -> Result<()> {
    say::step("Deleting both stacks");
    for stack in ["shop", "hello"] {
        say::data(&cluster.cli(0).run(&["delete", stack, "--volumes", "--wait"])?.stdout);
    }
    for host in cluster.rig().hosts() {
        let engine = host.engine();
        until(Patience::NORMAL, "nothing to be left", || {
            let left = engine.everything().map_err(|error| error.to_string())?;
            if left.is_empty() { Ok(()) } else { Err(left.join(", ")) }
        })?;
    }
    Ok(())
}

fn farewell(cluster: &Cluster) {
    say::step("It runs. Look around:");
    let sockets = cluster.nodes().iter().map(|node| {
        format!("  export JACO_SOCKET={}     # {}\n", node.socket().display(), node.name())
    });
    say::note(&format!(
        "{sockets}  export PATH={bin}:$PATH\n\
         \x20 jaco status\n  jaco node list\n  jaco logs shop/worker -f\n  jaco scale hello/web=9\n  jaco node drain node2\n\
         \n  cargo xtask demo --down     # removes everything\n",
        sockets = sockets.collect::<String>(),
        bin = build::shelf().display(),
    ));
}
